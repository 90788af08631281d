//! What a turn saves: everything but the conversation it can load again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::effect::Effect;
use super::form::Entry;
use crate::answer::Selection;
use crate::event::{CallTrace, Cause, Event, InboxMessage, Reply, Slots, StepTrace, TurnOutcome, Usage};
use crate::ids::{BotDigest, ConversationKey, RunId, Seq, Timestamp};
use crate::machine::EffectId;

/// Version of the saved form that this build writes. Older ones load: every later field has a default.
pub(super) const SCHEMA: u16 = 1;

/// A turn between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) schema: u16,
    pub(super) conversation: ConversationKey,
    pub(super) run: RunId,
    pub(super) bot_digest: BotDigest,
    pub(super) input: Vec<InboxMessage>,
    /// The log's head when the turn began: its own events follow.
    pub(super) base: Seq,
    pub(super) events: Vec<Event>,
    pub(super) phase: Phase,
    #[serde(default)]
    pub(super) pending: Option<Pending>,
    /// Actions that one answer chose and that have not run yet.
    #[serde(default)]
    pub(super) chosen: VecDeque<Selection>,
    #[serde(default)]
    pub(super) counters: Counters,
    #[serde(default)]
    pub(super) replies: Vec<Reply>,
    #[serde(default)]
    pub(super) trace: Trace,
    /// The place in the formless history where a rule fired last.
    #[serde(default)]
    pub(super) triggered_at: Option<u64>,
    /// The slots of the form that ended last in this turn.
    #[serde(default)]
    pub(super) ended_slots: Slots,
    /// The proxy user has nothing to say after this.
    #[serde(default)]
    pub(super) proxy_stops: bool,
    /// Whether an effect that is not read-only was handed out.
    #[serde(default)]
    pub(super) performed: bool,
}

/// Where a turn stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// The message is not recorded yet.
    Begin,
    /// What comes next is to be decided.
    Decide,
    /// An LLM is asked.
    Asking(Box<Ask>),
    /// A form's executor runs.
    Executing(Box<Entry>),
    /// The last write is to be made.
    Finish(TurnOutcome),
}

/// The one effect that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) id: EffectId,
    pub(super) attempt: u16,
    pub(super) effect: Effect,
    pub(super) progress: Progress,
    /// When the present attempt began, for the trace.
    pub(super) since: Timestamp,
}

/// How far an effect has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Progress {
    /// To be checkpointed, if it needs that, and performed.
    Ready,
    /// Its checkpoint is durable: to be performed.
    Checkpointed,
    /// Handed out.
    InFlight {
        /// When its answer is too late.
        deadline: Timestamp,
    },
    /// To be tried again.
    Backoff {
        /// When.
        until: Timestamp,
    },
}

/// What goes on counting over resumes and restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Counters {
    pub(super) effects: u32,
    pub(super) commits: u32,
    pub(super) messages: u32,
    pub(super) actions: u32,
    pub(super) parks: u32,
    pub(super) usage: Usage,
}

/// What the turn's `turn_end` will tell about the action at hand, and about those before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Trace {
    pub(super) steps: Vec<StepTrace>,
    pub(super) calls: Vec<CallTrace>,
    pub(super) examples: Vec<String>,
    /// Running time at the end of the last step, in milliseconds.
    pub(super) marked_ms: u64,
    /// What chose the action at hand, once something has.
    pub(super) cause: Option<Cause>,
}
