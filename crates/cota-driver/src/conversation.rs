//! Driving a conversation: accepting messages, taking the claim, one turn after the other until nothing waits.

use std::sync::Arc;

use cota_core::bot::{Bot, OnBusy};
use cota_core::event::{InboxMessage, TurnEnd};
use cota_core::ids::{ConversationKey, MessageId, RunId, Seq, Timestamp};
use cota_core::limits;
use cota_core::machine::Machine;
use cota_core::tracker::Tracker;
use cota_core::turn::{Commit, Context, Fragment, GiveUp, Invocation, SuspendedTurn, Turn, TurnReport};

use crate::cache::{BoardCache, TrackerCache};
use crate::play::{Play, Played};
use crate::ports::{Bots, Clock, Doorbell, Effects};
use crate::signals::Signals;
use crate::store::{AcceptTerms, Acceptance, Claim, Claimed, Holder, Loaded, NewMessage, Next, Store, StoreError};

/// Tries to read a conversation before it is left to the watchdog.
const LOAD_TRIES: u32 = 5;

/// Everything a conversation is driven with.
pub struct Driver {
    /// Where conversations are kept.
    pub store: Arc<dyn Store>,
    /// What turns ask for.
    pub effects: Arc<dyn Effects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whom to wake, and when.
    pub doorbell: Arc<dyn Doorbell>,
    /// The bots.
    pub bots: Arc<dyn Bots>,
    /// Who drives here.
    pub holder: Holder,
    /// Conversations as they were after their last turn here.
    pub cache: TrackerCache,
    /// Tasks as they were when they were last let go of here.
    pub boards: BoardCache,
}

/// Takes what a turn gives out. No method may block: delivery is never awaited by a turn.
pub trait Outlet: Send + Sync {
    /// A turn begins, or goes on: what happens until the next one is this run's.
    fn begins(&self, _run: &RunId) {}
    /// A piece of a reply that is not committed yet.
    fn emit(&self, key: &ConversationKey, fragment: Fragment);
    /// The log is durable up to `head`.
    fn durable(&self, key: &ConversationKey, commit: &Commit, head: Seq);
    /// A message is answered, which is durable, and the task that asked is to be told. One that is not told looks for itself.
    fn answered(&self, _asker: &ConversationKey, _message_id: &MessageId, _end: &TurnEnd) {}
    /// Whether somebody wants replies piece by piece.
    fn streams(&self, key: &ConversationKey) -> bool;
}

/// On which terms a conversation is driven.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriveTerms {
    /// Whether to go on with the next waiting message.
    pub go_on: bool,
    /// The invocation it runs in, where that ends by itself.
    pub invocation: Option<Invocation>,
    /// How many effects may be performed in it, where they are counted.
    pub effects_left: Option<u32>,
}

impl DriveTerms {
    /// Whether the next waiting message is taken at `now`: not by an invocation of which most is over, for a fresh one has more
    /// time for it.
    pub(crate) fn goes_on(self, now: Timestamp) -> bool {
        self.go_on && self.invocation.is_none_or(|invocation| invocation.until.since(now) >= invocation.budget_ms / 2)
    }
}

/// How driving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driven {
    /// Nothing waits.
    Idle,
    /// Messages wait which somebody else is to take: ring.
    Ring,
    /// Somebody else drives, or a later ring will.
    Left,
}

/// What one turn starts from.
struct Start {
    tracker: Tracker,
    saved: Saved,
    inbox: Vec<InboxMessage>,
}

/// What is there of a run that began before.
enum Saved {
    Nothing,
    Run(Box<SuspendedTurn>),
    Unreadable,
}

impl From<Loaded> for Start {
    fn from(Loaded { tracker, saved, inbox }: Loaded) -> Self {
        Self { tracker, saved: Saved::of(saved.as_deref()), inbox }
    }
}

impl Driver {
    /// Accepts a message under the rules of its bot.
    ///
    /// # Errors
    /// If the store is unavailable: nothing is acknowledged then.
    pub async fn accept(&self, bot: &Bot, key: &ConversationKey, message: NewMessage, drives: bool) -> Result<Acceptance, StoreError> {
        let settings = bot.settings();
        let terms = AcceptTerms {
            drive_as: drives.then(|| self.holder.clone()),
            max_queue: settings.max_queue,
            reject_if_busy: settings.on_busy == OnBusy::Reject,
            wakes: settings.on_busy == OnBusy::Latest,
        };
        self.store.accept(key, message, &terms).await
    }

    /// Drives a conversation under a claim just taken, until nothing waits. `accepted` is the message whose acceptance took it.
    pub async fn drive(
        &self,
        key: &ConversationKey,
        mut claimed: Claimed,
        accepted: Option<InboxMessage>,
        outlet: &dyn Outlet,
        signals: &Signals,
        mut terms: DriveTerms,
    ) -> Driven {
        self.doorbell.watch(key, claimed.claim.lease_until);
        let mut claim = claimed.claim.clone();
        let start = match claimed.loaded.take() {
            Some(loaded) => Some(Start::from(*loaded)),
            None => self.start(key, &claimed, accepted).await,
        };
        let Some(mut start) = start else { return Driven::Left };
        loop {
            if let Some(newest) = start.inbox.last() {
                signals.nudge(newest.position);
            }
            let Some((bot, turn)) = self.prepare(key, &claim, start, outlet, terms).await else { return Driven::Left };
            let played = Play { driver: self, key, bot, claim: claim.clone(), turn, outlet, signals, terms, superseded: false }.run().await;
            let Played { report, turn, last } = match played {
                Ok(played) => played,
                Err(error) => {
                    tracing::error!(%error, run = %claim.run, "the driver broke the turn's contract");
                    return Driven::Left;
                }
            };
            match (report, last) {
                (TurnReport::Finished(_), Some((_, Next::Waiting { claim: kept, inbox }))) => {
                    claim = kept;
                    terms.effects_left = turn.effects_left();
                    start = Start { tracker: turn.into_tracker(), saved: Saved::Nothing, inbox };
                }
                (TurnReport::Finished(_), Some((commit_id, Next::Released { ring }))) => {
                    let tracker = turn.into_tracker();
                    self.cache.put(key, tracker.head, tracker, commit_id);
                    return if ring { Driven::Ring } else { Driven::Idle };
                }
                (TurnReport::Parked, Some((_, Next::Released { ring: true }))) => {
                    self.cache.forget(key);
                    return Driven::Ring;
                }
                (TurnReport::Finished(_), Some((_, Next::Held)) | None)
                | (TurnReport::Parked | TurnReport::Fenced | TurnReport::Abandoned, _) => {
                    self.cache.forget(key);
                    return Driven::Left;
                }
            }
        }
    }

    /// Reads what the first turn starts from, unless it is known already.
    async fn start(&self, key: &ConversationKey, claimed: &Claimed, accepted: Option<InboxMessage>) -> Option<Start> {
        if let Some(message) = accepted.filter(|_| !claimed.saved)
            && let Some(tracker) = self.cache.current(key, claimed.head, claimed.last_commit.as_ref())
        {
            return Some(Start { tracker, saved: Saved::Nothing, inbox: vec![message] });
        }
        for attempt in 0..LOAD_TRIES {
            match self.store.load(key).await {
                Ok(Some(loaded)) => return Some(Start::from(loaded)),
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(%error, "a conversation could not be read");
                    let pause = 100 << attempt;
                    self.clock.sleep_until(self.clock.now().plus_ms(pause)).await;
                }
            }
        }
        None
    }

    /// Makes the turn that is next.
    async fn prepare(
        &self,
        key: &ConversationKey,
        claim: &Claim,
        start: Start,
        outlet: &dyn Outlet,
        terms: DriveTerms,
    ) -> Option<(Arc<Bot>, Turn)> {
        let now = self.clock.now();
        let current = self.bots.current(&key.bot);
        let context = Context {
            tracker: start.tracker,
            streams: outlet.streams(key),
            invocation: terms.invocation,
            effects_left: terms.effects_left,
        };
        let (bot, mut turn) = match start.saved {
            Saved::Run(saved) => match self.bots.recall(&key.bot, saved.bot_digest()).await {
                Some(bot) => (bot, Turn::resume(*saved, context, now)),
                None => resume_without_its_bot(current?, *saved, context, now),
            },
            saved @ (Saved::Nothing | Saved::Unreadable) => {
                let bot = current?;
                let input = next_input(&bot, start.inbox);
                if input.is_empty() {
                    return None;
                }
                // The claim is for the run of the first message that waits.
                let mut turn = Turn::start(&bot, key.clone(), claim.run.clone(), input, context, now);
                if matches!(saved, Saved::Unreadable) {
                    turn.give_up(&bot, &GiveUp::Unreadable, now);
                }
                (bot, turn)
            }
        };
        outlet.begins(turn.run());
        if claim.takeovers >= limits::TAKEOVERS {
            tracing::error!(run = %turn.run(), takeovers = claim.takeovers, "a run is given up: its process died too often");
            turn.give_up(&bot, &GiveUp::TakenOver(claim.takeovers), now);
        }
        Some((bot, turn))
    }
}

/// The messages of the next turn: the first that waits, or with `on_busy: merge` all that wait for the bot.
fn next_input(bot: &Bot, inbox: Vec<InboxMessage>) -> Vec<InboxMessage> {
    let merges = bot.settings().on_busy == OnBusy::Merge;
    let mut inbox = inbox.into_iter();
    let Some(first) = inbox.next() else { return Vec::new() };
    let may_merge = |message: &InboxMessage| message.content.is_for(bot.name()) && message.content.proxy_exchange.is_none();
    if !merges || !may_merge(&first) {
        return vec![first];
    }
    std::iter::once(first).chain(inbox.take_while(may_merge)).collect()
}

/// A run whose bot is gone begins again on the current one, unless it has changed the world already.
fn resume_without_its_bot(bot: Arc<Bot>, saved: SuspendedTurn, context: Context, now: Timestamp) -> (Arc<Bot>, Turn) {
    tracing::warn!(run = %saved.run(), "the bot of a saved run is gone");
    if saved.performed() {
        let mut turn = Turn::resume(saved, context, now);
        turn.give_up(&bot, &GiveUp::BotGone, now);
        (bot, turn)
    } else {
        let turn = Turn::restart(&bot, saved, context, now);
        (bot, turn)
    }
}

impl Saved {
    fn of(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::Nothing };
        match serde_json::from_slice(bytes) {
            Ok(run) => Self::Run(Box::new(run)),
            Err(error) => {
                tracing::error!(%error, "a saved run cannot be read; it is given up");
                Self::Unreadable
            }
        }
    }
}
