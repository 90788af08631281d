//! The one contract every pure machine obeys.
//!
//! **Drain [`Machine::poll`] until it says `Wait`, `Park` or `Done`; feed one input; drain again.**
//! A machine never reads a clock and never waits: the driver does both, and tells it.

use serde::{Deserialize, Serialize};

use crate::ids::{Seq, Timestamp};

/// Correlates an effect with its outcome. Dense within a run: `{run}/{effect}` is the idempotency key of every attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectId(pub u32);

/// One effect as handed to a driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issued<E> {
    /// Its id within the run.
    pub id: EffectId,
    /// 1 for the first try. A driver that is offered an attempt twice performs it again under the same key.
    pub attempt: u16,
    /// When the machine stops waiting for it.
    pub deadline: Timestamp,
    /// What to do.
    pub effect: E,
}

/// What the driver feeds back, one at a time. Exhaustive on purpose: a driver handles every case.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<O, D> {
    /// An effect ended.
    Outcome {
        /// Which.
        id: EffectId,
        /// Which try of it, so that a late answer to an abandoned try is told apart.
        attempt: u16,
        /// How.
        result: Result<O, EffectError>,
    },
    /// A streamed piece: never saved, never required.
    Delta {
        /// The effect it belongs to.
        id: EffectId,
        /// Which try of it.
        attempt: u16,
        /// The piece.
        delta: D,
    },
    /// The outstanding commit is durable.
    Committed {
        /// The log's last place now.
        head: Seq,
    },
    /// The outstanding commit failed.
    CommitFailed(CommitFailure),
    /// Stop at the next step.
    Cancel(CancelReason),
    /// The `until` of a [`Step::Wait`] has passed.
    Tick,
}

/// What the driver does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<E, F, C, R> {
    /// Start it; more may follow before `Wait`.
    Perform(Issued<E>),
    /// Provisional output: a bounded push that never blocks.
    Emit(F),
    /// Best effort; a late outcome is accepted and dropped.
    Abort(EffectId),
    /// A barrier; the only durable write.
    Commit(C),
    /// Nothing to do until an input, or until this time.
    Wait {
        /// When to send [`Input::Tick`]. Absent only while an effect or a commit is outstanding.
        until: Option<Timestamp>,
    },
    /// Committed and saved, the claim let go: ring later.
    Park {
        /// When to ring.
        until: Timestamp,
    },
    /// It is over.
    Done(R),
}

/// Why a commit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFailure {
    /// Another holder took over: stop, perform nothing.
    Fenced,
    /// The machine decides when to try again, with the same commit id.
    Transient,
}

/// Why a run is to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// A later message takes its place.
    Superseded,
    /// Somebody asked for it.
    Requested(String),
}

/// A failed effect is data: the machine decides on retry, fallback or apology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct EffectError {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened, with neither secrets nor internals.
    pub message: String,
    /// How long the other side asks to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl EffectError {
    /// A failure with no word on when to try again.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None }
    }
}

/// What kind of failure an effect met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The other side or the way to it failed; a second try may work.
    Transient,
    /// The other side asks for patience.
    RateLimited,
    /// The other side understood and said no; the same again will fail again.
    Rejected,
    /// No answer in time.
    TimedOut,
    /// The machine asked to stop it.
    Aborted,
    /// It may or may not have happened.
    OutcomeUnknown,
}

/// The driver broke the contract (never the user, never the network).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// An outcome for an effect that was never issued.
    #[error("no effect {0:?} was issued")]
    UnknownEffect(EffectId),
    /// An outcome of another kind than its effect.
    #[error("the outcome of effect {0:?} is of another kind")]
    WrongOutcome(EffectId),
    /// An input after `Done` or `Park`.
    #[error("the run is over")]
    Finished,
    /// A commit's answer while none is outstanding.
    #[error("no commit is outstanding")]
    NoCommit,
    /// Nothing is outstanding and there is nothing to wait for.
    #[error("nothing is outstanding and nothing is to be done")]
    Stuck,
}

/// A deterministic, serializable state machine.
///
/// Saved state deserializes to [`Machine::Suspended`], whose only use is [`Machine::resume`], so that nobody forgets it.
pub trait Machine {
    /// The compiled bot or plan: not saved with the run, pinned by digest.
    type Program;
    /// What it asks to be done.
    type Effect: Clone;
    /// What comes of it.
    type Outcome;
    /// A streamed piece of an outcome.
    type Delta;
    /// Provisional output.
    type Fragment;
    /// The durable write.
    type Commit;
    /// How it ended.
    type Report;
    /// Its saved form.
    type Suspended: serde::de::DeserializeOwned;
    /// What a resumed machine is given afresh because it is not saved with the run.
    type Context;

    /// Takes one input.
    ///
    /// # Errors
    /// When the driver breaks the contract.
    fn handle(&mut self, program: &Self::Program, input: Input<Self::Outcome, Self::Delta>, now: Timestamp) -> Result<(), ProtocolError>;

    /// Says the next step.
    ///
    /// # Errors
    /// When the driver breaks the contract.
    #[expect(clippy::type_complexity, reason = "the five kinds of a machine are its signature")]
    fn poll(
        &mut self,
        program: &Self::Program,
        now: Timestamp,
    ) -> Result<Step<Self::Effect, Self::Fragment, Self::Commit, Self::Report>, ProtocolError>;

    /// Goes on where the saved run stopped. Unanswered read-only and idempotent effects are offered again under the same id;
    /// at-most-once ones become [`FailureKind::OutcomeUnknown`].
    fn resume(suspended: Self::Suspended, context: Self::Context, now: Timestamp) -> Self;
}
