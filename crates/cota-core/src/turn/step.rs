//! The machine: what the driver does next, and what its inputs change.

use std::sync::Arc;

use super::effect::{Commit, Effect, Outcome, RunState, Then};
use super::state::{Pending, Phase, Progress, State};
use super::{Context, Cx, Fragment, Invocation, SuspendedTurn, Turn, TurnReport, TurnStep, Write, WriteProgress, fallback_reason};
use crate::bot::{Bot, Safety};
use crate::event::{Control, TurnOutcome};
use crate::ids::Timestamp;
use crate::limits;
use crate::machine::{CancelReason, CommitFailure, EffectError, EffectId, FailureKind, Input, Issued, Machine, ProtocolError, Step};

/// Tries of one write before the turn is left to a later holder.
const WRITE_TRIES: u32 = 8;

impl Machine for Turn {
    type Program = Bot;
    type Effect = Effect;
    type Outcome = Outcome;
    type Delta = String;
    type Fragment = Fragment;
    type Commit = Commit;
    type Report = TurnReport;
    type Suspended = SuspendedTurn;
    type Context = Context;

    fn handle(&mut self, bot: &Bot, input: Input<Outcome, String>, now: Timestamp) -> Result<(), ProtocolError> {
        if self.over.is_some() {
            return Err(ProtocolError::Finished);
        }
        let cx = Cx { bot, now };
        match input {
            Input::Outcome { id, attempt, result } => self.take_outcome(cx, id, attempt, result),
            Input::Delta { id, attempt, delta } => {
                if self.in_flight(id, attempt) {
                    self.show(&delta);
                }
                Ok(())
            }
            Input::Committed { .. } => self.written(),
            Input::CommitFailed(failure) => self.write_failed(failure, now),
            Input::Cancel(reason) => {
                self.cancelled.get_or_insert(reason);
                Ok(())
            }
            Input::Tick => Ok(()),
        }
    }

    fn poll(&mut self, bot: &Bot, now: Timestamp) -> Result<TurnStep, ProtocolError> {
        let cx = Cx { bot, now };
        // Every round either yields a step or brings the turn nearer to its end; the bound turns a mistake into an error.
        for _ in 0..1000 {
            if let Some(step) = self.next_step(cx)? {
                return Ok(step);
            }
        }
        Err(ProtocolError::Stuck)
    }

    fn resume(suspended: SuspendedTurn, context: Context, now: Timestamp) -> Self {
        let mut turn = Self::with(suspended.0, context, now);
        if let Some(pending) = &mut turn.state.pending
            && matches!(pending.progress, Progress::InFlight { .. })
        {
            pending.progress = match pending.effect.safety() {
                // Handled at the first poll: the deadline has passed and nobody knows the outcome.
                Safety::AtMostOnce => Progress::InFlight { deadline: Timestamp(0) },
                Safety::ReadOnly | Safety::Idempotent => {
                    pending.attempt = pending.attempt.saturating_add(1);
                    Progress::Checkpointed
                }
            };
        }
        turn
    }
}

impl Turn {
    fn next_step(&mut self, cx: Cx<'_>) -> Result<Option<TurnStep>, ProtocolError> {
        if let Some(step) = self.out.pop_front() {
            return Ok(Some(step));
        }
        if let Some(report) = self.over {
            return Ok(Some(Step::Done(report)));
        }
        if self.write.is_some() {
            return Ok(self.poll_write(cx.now));
        }
        if self.stop_if_cancelled(cx) {
            return Ok(None);
        }
        if let Some(pending) = self.state.pending.take() {
            return Ok(self.poll_pending(cx, pending));
        }
        self.advance(cx);
        Ok(None)
    }

    /// Moves on while nothing is under way.
    fn advance(&mut self, cx: Cx<'_>) {
        match std::mem::replace(&mut self.state.phase, Phase::Decide) {
            Phase::Finish(outcome) => {
                self.state.phase = Phase::Finish(outcome);
                let commit = self.final_commit(cx, outcome);
                self.write(commit);
            }
            _ if cx.now >= self.ends_at(cx.now) => self.fall_back(cx, fallback_reason::OUT_OF_TIME),
            Phase::Begin => self.begin(cx),
            Phase::Decide => self.decide(cx),
            Phase::Asking(ask) => self.advance_ask(cx, *ask),
            Phase::Executing(entry) => self.advance_execution(cx, *entry),
        }
    }

    /// Puts an effect under way.
    pub(super) fn issue(&mut self, cx: Cx<'_>, effect: Effect) {
        let id = EffectId(self.state.counters.effects);
        self.state.counters.effects += 1;
        self.state.pending = Some(Pending { id, attempt: 1, effect, progress: Progress::Ready, since: cx.now });
    }

    fn poll_pending(&mut self, cx: Cx<'_>, pending: Pending) -> Option<TurnStep> {
        match pending.progress {
            Progress::Backoff { until } if cx.now < until => {
                self.state.pending = Some(pending);
                if self.invocation.is_some_and(|invocation| until > invocation.until) && self.may_park() {
                    self.park(cx, until);
                    return None;
                }
                Some(Step::Wait { until: Some(until) })
            }
            Progress::InFlight { deadline } if cx.now < deadline => {
                self.state.pending = Some(pending);
                Some(Step::Wait { until: Some(deadline) })
            }
            Progress::InFlight { deadline } => {
                let resumed = deadline == Timestamp(0);
                if !resumed {
                    self.out.push_back(Step::Abort(pending.id));
                }
                let at_most_once = pending.effect.safety() == Safety::AtMostOnce;
                let kind = if at_most_once { FailureKind::OutcomeUnknown } else { FailureKind::TimedOut };
                self.settle_effect(cx, &pending, Err(EffectError::new(kind, "no answer in time")));
                None
            }
            Progress::Ready if pending.effect.safety() != Safety::ReadOnly => {
                self.state.pending = Some(pending);
                self.checkpoint(cx);
                None
            }
            Progress::Ready | Progress::Checkpointed | Progress::Backoff { .. } => self.perform(cx, pending),
        }
    }

    /// Hands an effect out, or parks where a fresh invocation would have more for it: more time, or effects where those are counted.
    fn perform(&mut self, cx: Cx<'_>, mut pending: Pending) -> Option<TurnStep> {
        let timeout = self.timeout(cx.bot, &pending.effect);
        let is_late = |invocation: Invocation| cx.now.plus_ms(timeout) > invocation.until && timeout <= invocation.budget_ms;
        if (self.invocation.is_some_and(is_late) || self.effects_left == Some(0)) && self.may_park() {
            self.state.pending = Some(pending);
            self.park(cx, cx.now);
            return None;
        }
        self.effects_left = self.effects_left.map(|left| left.saturating_sub(1));
        let deadline = cx.now.plus_ms(timeout).min(self.ends_at(cx.now));
        if matches!(pending.effect, Effect::CallLlm(_)) {
            self.state.counters.usage.llm_calls += 1;
        }
        self.state.performed |= pending.effect.safety() != Safety::ReadOnly;
        pending.progress = Progress::InFlight { deadline };
        pending.since = cx.now;
        let issued = Issued { id: pending.id, attempt: pending.attempt, deadline, effect: pending.effect.clone() };
        self.state.pending = Some(pending);
        Some(Step::Perform(issued))
    }

    /// An effect's time: what the author wrote, else the default cut to the invocation's budget.
    fn timeout(&self, bot: &Bot, effect: &Effect) -> u64 {
        let (written, default) = match effect {
            Effect::CallLlm(call) => (bot.llm(Some(&call.llm)).and_then(|llm| llm.timeout_ms), limits::LLM_TIMEOUT_MS),
            Effect::RunExecutor { action, .. } => (
                bot.form(action).and_then(|form| form.executor.as_ref()).and_then(|executor| executor.timeout_ms),
                limits::EXECUTOR_TIMEOUT_MS,
            ),
        };
        let budget = self.invocation.map_or(u64::MAX, |invocation: Invocation| invocation.budget_ms);
        written.unwrap_or(default.min(budget))
    }

    fn in_flight(&self, id: EffectId, attempt: u16) -> bool {
        self.state.pending.as_ref().is_some_and(|pending| {
            pending.id == id
                && pending.attempt == attempt
                && matches!(pending.progress, Progress::InFlight { deadline } if deadline > Timestamp(0))
        })
    }

    /// Takes an outcome; a late one, of an attempt that was given up, is dropped.
    fn take_outcome(&mut self, cx: Cx<'_>, id: EffectId, attempt: u16, result: Result<Outcome, EffectError>) -> Result<(), ProtocolError> {
        if id.0 >= self.state.counters.effects {
            return Err(ProtocolError::UnknownEffect(id));
        }
        if !self.in_flight(id, attempt) {
            return Ok(());
        }
        let Some(pending) = self.state.pending.take() else { return Ok(()) };
        let fits = match (&pending.effect, &result) {
            (_, Err(_)) | (Effect::CallLlm(_), Ok(Outcome::Llm(_))) | (Effect::RunExecutor { .. }, Ok(Outcome::Executed { .. })) => true,
            (Effect::CallLlm(_), Ok(Outcome::Executed { .. })) | (Effect::RunExecutor { .. }, Ok(Outcome::Llm(_))) => false,
        };
        if !fits {
            self.state.pending = Some(pending);
            return Err(ProtocolError::WrongOutcome(id));
        }
        self.settle_effect(cx, &pending, result);
        Ok(())
    }

    fn settle_effect(&mut self, cx: Cx<'_>, pending: &Pending, result: Result<Outcome, EffectError>) {
        match std::mem::replace(&mut self.state.phase, Phase::Decide) {
            Phase::Asking(ask) => {
                let completion = result.map(|outcome| match outcome {
                    Outcome::Llm(completion) => completion,
                    Outcome::Executed { text, .. } => super::Completion { content: text, ..super::Completion::default() },
                });
                self.answered(cx, *ask, pending, completion);
            }
            Phase::Executing(entry) => {
                let executed = result.map(|outcome| match outcome {
                    Outcome::Executed { text, metadata } => (text, metadata),
                    Outcome::Llm(completion) => (completion.content, serde_json::Map::new()),
                });
                self.executed(cx, *entry, executed);
            }
            // The turn was ended while the effect was under way: its outcome no longer matters.
            phase @ (Phase::Begin | Phase::Decide | Phase::Finish(_)) => self.state.phase = phase,
        }
    }

    /// Ends a cancelled turn, unless an effect is under way that may have changed the world: that one is awaited.
    fn stop_if_cancelled(&mut self, cx: Cx<'_>) -> bool {
        let Some(reason) = &self.cancelled else { return false };
        if matches!(self.state.phase, Phase::Finish(_)) {
            return false;
        }
        if let Some(pending) = &self.state.pending {
            let in_flight = matches!(pending.progress, Progress::InFlight { .. });
            // A later attempt may come after one that was performed, in this process or in one that died.
            if (in_flight || pending.attempt > 1) && pending.effect.safety() != Safety::ReadOnly {
                return false;
            }
            if in_flight {
                self.out.push_back(Step::Abort(pending.id));
            }
        }
        let (control, outcome) = match reason {
            CancelReason::Superseded => (Control::Superseded, TurnOutcome::Superseded),
            CancelReason::Requested(reason) => (Control::Cancelled { reason: reason.clone() }, TurnOutcome::Cancelled),
        };
        self.take_back();
        self.state.pending = None;
        self.state.chosen.clear();
        self.hear(cx);
        self.control(cx, control);
        self.state.phase = Phase::Finish(outcome);
        true
    }

    /// Saves the run with the effect that is about to be performed.
    fn checkpoint(&mut self, cx: Cx<'_>) {
        let mut saved = self.state.clone();
        saved.performed = true;
        // Whoever resumes this cannot know whether the effect was performed, so it is saved as if it was.
        if let Some(pending) = &mut saved.pending {
            pending.progress = Progress::InFlight { deadline: cx.now };
        }
        self.save_as(cx, saved, Then::Hold);
    }

    fn may_park(&self) -> bool {
        self.state.counters.parks < limits::TURN_PARKS
    }

    fn park(&mut self, cx: Cx<'_>, until: Timestamp) {
        self.state.counters.parks += 1;
        let mut saved = self.state.clone();
        // This save takes the place of the checkpoint: whoever resumes it and performs the effect has to make another one first.
        if let Some(pending) = saved.pending.as_mut().filter(|pending| pending.effect.safety() != Safety::ReadOnly) {
            pending.progress = Progress::Ready;
        }
        self.save_as(cx, saved, Then::Park(until));
    }

    fn save_as(&mut self, cx: Cx<'_>, mut saved: State, then: Then) {
        let commit_id = self.commit_id();
        self.state.counters.commits += 1;
        saved.counters.commits += 1;
        saved.counters.usage.ms = self.spent_ms(cx.now);
        match serde_json::to_vec(&saved) {
            Ok(bytes) => {
                let run = RunState::Put(bytes);
                self.write(Commit { commit_id, events: Arc::default(), run, snapshot: None, answered: Vec::new(), follow_up: None, then });
            }
            // Plain data always serializes; if it did not, nothing may be performed that nobody could resume.
            Err(_) => self.fall_back(cx, fallback_reason::UNUSABLE_ANSWER),
        }
    }

    fn write(&mut self, commit: Commit) {
        self.write = Some(Write { commit, tries: 0, progress: WriteProgress::Ready });
    }

    fn poll_write(&mut self, now: Timestamp) -> Option<TurnStep> {
        let write = self.write.as_mut()?;
        match write.progress {
            WriteProgress::Sent => Some(Step::Wait { until: None }),
            WriteProgress::Backoff(until) if now < until => Some(Step::Wait { until: Some(until) }),
            WriteProgress::Ready | WriteProgress::Backoff(_) => {
                write.tries += 1;
                write.progress = WriteProgress::Sent;
                Some(Step::Commit(write.commit.clone()))
            }
        }
    }

    fn written(&mut self) -> Result<(), ProtocolError> {
        let write = self.write.take().filter(|write| write.progress == WriteProgress::Sent).ok_or(ProtocolError::NoCommit)?;
        match (write.commit.then, &self.state.phase) {
            (Then::Hold, _) => {
                if let Some(pending) = &mut self.state.pending {
                    pending.progress = Progress::Checkpointed;
                }
            }
            (Then::Park(until), _) => {
                self.out.push_back(Step::Park { until });
                self.over = Some(TurnReport::Parked);
            }
            (Then::Finish, Phase::Finish(outcome)) => self.over = Some(TurnReport::Finished(*outcome)),
            (Then::Finish, Phase::Begin | Phase::Decide | Phase::Asking(_) | Phase::Executing(_)) => {
                self.over = Some(TurnReport::Abandoned);
            }
        }
        Ok(())
    }

    fn write_failed(&mut self, failure: CommitFailure, now: Timestamp) -> Result<(), ProtocolError> {
        let run = &self.state.run;
        let write = self.write.as_mut().filter(|write| write.progress == WriteProgress::Sent).ok_or(ProtocolError::NoCommit)?;
        match failure {
            CommitFailure::Fenced => self.over = Some(TurnReport::Fenced),
            CommitFailure::Transient if write.tries >= WRITE_TRIES => self.over = Some(TurnReport::Abandoned),
            CommitFailure::Transient => {
                let delay = 50 << write.tries.min(6);
                write.progress = WriteProgress::Backoff(now.plus_ms(delay / 2 + run.draw(u64::from(write.tries)) % (delay / 2 + 1)));
            }
        }
        Ok(())
    }
}
