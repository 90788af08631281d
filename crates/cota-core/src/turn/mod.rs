//! The turn: one message from its acceptance to its recorded answer, as a machine.
//!
//! `decide` chooses the next action, `ask` and `form` carry it out, `record` writes it into the turn's events, and `step` tells
//! the driver what to do next. One effect at most is under way at a time.

mod ask;
mod decide;
mod effect;
mod form;
mod live;
mod record;
mod state;
mod step;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;

pub use effect::{Answered, Commit, Completion, Effect, Fragment, LlmCall, Outcome, Purpose, RunState, SlotQuestion, Then, ToolCall};

use crate::bot::Bot;
use crate::event::{Control, InboxMessage, TurnOutcome};
use crate::ids::{BotDigest, ConversationKey, RunId, Timestamp};
use crate::machine::{CancelReason, Step};
use crate::tracker::Tracker;
use live::Live;
use record::Record;
use state::{Counters, Phase, SCHEMA, State, Trace};

/// One turn, from its messages to its recorded answer.
#[derive(Debug)]
pub struct Turn {
    state: State,
    /// Shared with the effect under way, so that a question copies no history.
    tracker: Arc<Tracker>,
    streams: bool,
    invocation: Option<Invocation>,
    /// How many effects it may still hand out before it parks.
    effects_left: Option<u32>,
    resumed_at: Timestamp,
    /// Output that waits to be polled.
    out: VecDeque<TurnStep>,
    write: Option<Write>,
    live: Option<Live>,
    cancelled: Option<CancelReason>,
    over: Option<TurnReport>,
}

/// What a turn says next.
pub type TurnStep = Step<Effect, Fragment, Commit, TurnReport>;

/// How a run ended for its driver. What clients are told is in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnReport {
    /// Its answer is in the record.
    Finished(TurnOutcome),
    /// Saved; the claim is let go.
    Parked,
    /// Another holder took over; nothing more is to be done.
    Fenced,
    /// The store did not take the commit. The messages wait; somebody will hear the watchdog.
    Abandoned,
}

/// What a turn is given afresh, whether it starts or is resumed.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The conversation as the store holds it.
    pub tracker: Tracker,
    /// Whether somebody wants the reply piece by piece.
    pub streams: bool,
    /// The invocation it runs in, where that ends by itself.
    pub invocation: Option<Invocation>,
    /// How many effects that invocation may still perform, where they are counted.
    pub effects_left: Option<u32>,
}

/// An invocation that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// When.
    pub until: Timestamp,
    /// How long a fresh one lasts, in milliseconds.
    pub budget_ms: u64,
}

/// Why a run ends without having been played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// Its process died too often.
    TakenOver(u32),
    /// The bot it is pinned to is gone, and it has performed effects.
    BotGone,
    /// What was saved of it cannot be read, so nobody knows which effects it has performed.
    Unreadable,
}

/// A saved turn. Its only way on is to be resumed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "State")]
pub struct SuspendedTurn(State);

/// A later build saved the turn: this one would miss what it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its schema is {found}, this build knows up to {SCHEMA}")]
pub struct NewerSchema {
    /// The saved turn's schema.
    pub found: u16,
}

impl TryFrom<State> for SuspendedTurn {
    type Error = NewerSchema;

    fn try_from(state: State) -> Result<Self, NewerSchema> {
        if state.schema > SCHEMA { Err(NewerSchema { found: state.schema }) } else { Ok(Self(state)) }
    }
}

impl SuspendedTurn {
    /// The bot it is pinned to.
    #[must_use]
    pub fn bot_digest(&self) -> &BotDigest {
        &self.0.bot_digest
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.0.run
    }

    /// The messages it answers.
    #[must_use]
    pub fn input(&self) -> &[InboxMessage] {
        &self.0.input
    }

    /// Whether it has handed out an effect that may have changed the world.
    #[must_use]
    pub fn performed(&self) -> bool {
        self.0.performed
    }
}

/// What every rule of a turn may look at.
#[derive(Clone, Copy)]
struct Cx<'b> {
    bot: &'b Bot,
    now: Timestamp,
}

/// The write under way.
#[derive(Debug)]
struct Write {
    commit: Commit,
    tries: u32,
    progress: WriteProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteProgress {
    Ready,
    Sent,
    Backoff(Timestamp),
}

/// Why the fallback reply was given, as the record tells it.
mod fallback_reason {
    pub(super) const NO_LLM: &str = "no_llm";
    pub(super) const LLM_FAILED: &str = "llm_failed";
    pub(super) const UNUSABLE_ANSWER: &str = "unusable_answer";
    pub(super) const UNUSABLE_CHOICE: &str = "unusable_choice";
    pub(super) const TOO_MANY_CALLS: &str = "too_many_llm_calls";
    pub(super) const TOO_MANY_ACTIONS: &str = "too_many_actions";
    pub(super) const OUT_OF_TIME: &str = "out_of_time";
    pub(super) const GAVE_UP: &str = "gave_up";
    pub(super) const BOT_GONE: &str = "bot_gone";
    pub(super) const UNREADABLE_RUN: &str = "unreadable_run";
}

impl Turn {
    /// Begins the turn that answers `input`: one message, or several that are merged. The first one names the run.
    #[must_use]
    pub fn start(bot: &Bot, conversation: ConversationKey, run: RunId, input: Vec<InboxMessage>, context: Context, now: Timestamp) -> Self {
        let state = State {
            schema: SCHEMA,
            conversation,
            run,
            bot_digest: bot.digest().clone(),
            input,
            base: context.tracker.head,
            events: Vec::new(),
            phase: Phase::Begin,
            pending: None,
            chosen: VecDeque::new(),
            counters: Counters::default(),
            replies: Vec::new(),
            trace: Trace::default(),
            triggered_at: None,
            ended_slots: serde_json::Map::new(),
            proxy_stops: false,
            performed: false,
        };
        Self::with(state, context, now)
    }

    /// Begins a saved turn again on another bot. What it has counted goes on, so that no id is given twice.
    #[must_use]
    pub fn restart(bot: &Bot, suspended: SuspendedTurn, context: Context, now: Timestamp) -> Self {
        let SuspendedTurn(old) = suspended;
        let mut turn = Self::start(bot, old.conversation, old.run, old.input, context, now);
        turn.state.counters = Counters { actions: 0, ..old.counters };
        turn
    }

    fn with(state: State, context: Context, now: Timestamp) -> Self {
        let Context { mut tracker, streams, invocation, effects_left } = context;
        for event in &state.events {
            tracker.apply(event);
        }
        Self {
            state,
            tracker: Arc::new(tracker),
            streams,
            invocation,
            effects_left,
            resumed_at: now,
            out: VecDeque::new(),
            write: None,
            live: None,
            cancelled: None,
            over: None,
        }
    }

    /// Ends the run with the fallback reply instead of playing it. Whoever has two reasons gives up for the first.
    pub fn give_up(&mut self, bot: &Bot, why: &GiveUp, now: Timestamp) {
        if matches!(self.state.phase, Phase::Finish(_)) {
            return;
        }
        let cx = Cx { bot, now };
        self.state.pending = None;
        self.hear(cx);
        match why {
            GiveUp::TakenOver(takeovers) => {
                self.control(cx, Control::GaveUp { takeovers: *takeovers });
                self.fall_back(cx, fallback_reason::GAVE_UP);
            }
            GiveUp::BotGone => {
                self.control(cx, Control::BotChanged { from: self.state.bot_digest.clone() });
                self.fall_back(cx, fallback_reason::BOT_GONE);
            }
            GiveUp::Unreadable => {
                // How often it has written is not known either; its last write must not pass for a repeat of one of those.
                self.state.counters.commits = u32::MAX;
                self.fall_back(cx, fallback_reason::UNREADABLE_RUN);
            }
        }
    }

    /// How many effects the invocation may still perform, where they are counted.
    #[must_use]
    pub fn effects_left(&self) -> Option<u32> {
        self.effects_left
    }

    /// The conversation as the turn sees it, its own events folded in.
    #[must_use]
    pub fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }

    /// The conversation after the turn: what the next one starts from.
    #[must_use]
    pub fn into_tracker(self) -> Tracker {
        Arc::unwrap_or_clone(self.tracker)
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.state.run
    }

    /// The messages it answers.
    #[must_use]
    pub fn input(&self) -> &[InboxMessage] {
        &self.state.input
    }

    /// The saved form, at any point between two steps.
    ///
    /// # Errors
    /// Never in practice: the state is plain data.
    pub fn save(&self, now: Timestamp) -> Result<Vec<u8>, serde_json::Error> {
        let mut state = self.state.clone();
        state.counters.usage.ms = self.spent_ms(now);
        serde_json::to_vec(&state)
    }

    /// Running time so far, parks left out, in milliseconds.
    fn spent_ms(&self, now: Timestamp) -> u64 {
        self.state.counters.usage.ms + now.since(self.resumed_at)
    }

    /// When the turn's running time is used up.
    fn ends_at(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(crate::limits::TURN_MS.saturating_sub(self.spent_ms(now)))
    }
}

#[cfg(test)]
mod tests;
