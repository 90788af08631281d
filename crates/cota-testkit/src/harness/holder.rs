//! One simulated process: it holds at most one conversation's claim and plays its turn a step at a time.

use std::sync::Arc;

use cota_core::bot::{Bot, OnBusy};
use cota_core::ids::{ConversationKey, RunId, Timestamp};
use cota_core::limits;
use cota_core::machine::{CancelReason, CommitFailure, Input, Issued, Machine, Step};
use cota_core::turn::{Commit, Context, Effect, GiveUp, Invocation, Outcome, SuspendedTurn, Turn};
use cota_driver::store::{Claim, Claimed, Committed, Holder, Loaded, Next};

/// A process that drives.
pub(super) struct Process {
    pub(super) holder: Holder,
    pub(super) driving: Option<Driving>,
}

/// The turn that a process plays.
pub(super) struct Driving {
    pub(super) claim: Claim,
    pub(super) turn: Turn,
    pub(super) waits_until: Option<Timestamp>,
    pub(super) waits: bool,
    pub(super) effects: Vec<Issued<Effect>>,
    pub(super) commit: Option<Commit>,
    /// A write was begun and is not known to be durable.
    pub(super) writing: bool,
    pub(super) next: Option<Next>,
    /// Outcomes to be told once more: they are accepted and dropped.
    pub(super) late: Vec<Input<Outcome, String>>,
}

/// What one poll asks of the world.
pub(super) enum Asked {
    Nothing,
    Perform(Box<Issued<Effect>>),
    Done,
}

impl Driving {
    pub(super) fn begin(
        bot: &Arc<Bot>,
        key: &ConversationKey,
        claimed: Claimed,
        loaded: Loaded,
        invocation: Option<Invocation>,
        now: Timestamp,
    ) -> Option<Self> {
        let context = Context { tracker: loaded.tracker, streams: true, invocation, effects_left: None };
        let newest = loaded.inbox.last().map(|message| message.position);
        let takeovers = claimed.claim.takeovers;
        let mut turn = match loaded.saved {
            Some(bytes) => {
                let saved: SuspendedTurn = serde_json::from_slice(&bytes).expect("a saved run loads");
                Turn::resume(saved, context, now)
            }
            None => {
                let first = loaded.inbox.first()?;
                let run = RunId::of(key, &first.sender, &first.message_id);
                let merges = bot.settings().on_busy == OnBusy::Merge;
                let input = if merges { loaded.inbox } else { vec![first.clone()] };
                Turn::start(bot, key.clone(), run, input, context, now)
            }
        };
        if takeovers >= limits::TAKEOVERS {
            turn.give_up(bot, &GiveUp::TakenOver(takeovers), now);
        }
        let is_superseded = turn.input().last().map(|own| own.position) < newest;
        if is_superseded && bot.settings().on_busy == OnBusy::Latest {
            turn.handle(bot, Input::Cancel(CancelReason::Superseded), now).expect("a turn that begins may be cancelled");
        }
        Some(Self {
            claim: claimed.claim,
            turn,
            waits_until: None,
            waits: false,
            effects: Vec::new(),
            commit: None,
            writing: false,
            next: None,
            late: Vec::new(),
        })
    }

    pub(super) fn poll(&mut self, bot: &Bot, now: Timestamp) -> Asked {
        match self.turn.poll(bot, now).expect("the machine keeps its contract") {
            Step::Perform(issued) => {
                self.effects.push(issued.clone());
                Asked::Perform(Box::new(issued))
            }
            Step::Emit(_) => Asked::Nothing,
            Step::Abort(id) => {
                self.effects.retain(|issued| issued.id != id);
                Asked::Nothing
            }
            Step::Commit(commit) => {
                self.commit = Some(commit);
                self.writing = true;
                Asked::Nothing
            }
            Step::Wait { until } => {
                assert!(until.is_some() || !self.effects.is_empty() || self.commit.is_some(), "a wait for nothing");
                self.waits = true;
                self.waits_until = until;
                Asked::Nothing
            }
            Step::Park { .. } | Step::Done(_) => Asked::Done,
        }
    }

    pub(super) fn feed(&mut self, bot: &Bot, input: Input<Outcome, String>, now: Timestamp) {
        self.waits = false;
        self.turn.handle(bot, input, now).expect("the machine takes every input that fits");
    }

    pub(super) fn committed(&mut self, bot: &Bot, committed: Committed, now: Timestamp) {
        let head = committed.head;
        self.writing = false;
        if let Next::Waiting { claim, .. } = &committed.next {
            self.claim = claim.clone();
        }
        self.next = Some(committed.next);
        self.feed(bot, Input::Committed { head }, now);
    }

    pub(super) fn commit_failed(&mut self, bot: &Bot, failure: CommitFailure, now: Timestamp) {
        self.feed(bot, Input::CommitFailed(failure), now);
    }

    /// Saves the turn and resumes it in place, as another process would from the same bytes.
    pub(super) fn save_and_resume(self, tracker: cota_core::tracker::Tracker, now: Timestamp) -> Self {
        let bytes = self.turn.save(now).expect("a turn saves");
        let saved: SuspendedTurn = serde_json::from_slice(&bytes).expect("a saved turn loads");
        let turn = Turn::resume(saved, Context { tracker, streams: true, ..Context::default() }, now);
        Self { turn, waits: false, waits_until: None, effects: Vec::new(), commit: None, ..self }
    }
}
