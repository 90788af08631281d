//! The machine: what the driver does next, and what its inputs change.

use std::sync::Arc;

use super::{At, Completed, Context, Cx, Effect, RunReport, StepState, SuspendedTask, TaskRun, TaskStep, Write, WriteProgress};
use crate::event::Event;
use crate::gather::gather;
use crate::ids::{CommitId, Timestamp};
use crate::limits;
use crate::machine::{CommitFailure, EffectId, Input, Issued, Machine, ProtocolError, Step};
use crate::task::Task;
use crate::tracker::Tracker;
use crate::turn::{Commit, RunState, Then};

/// Tries of one write before the run is left to a later holder.
const WRITE_TRIES: u32 = 8;
/// How long a run is parked that nothing but a person's answer ends, in milliseconds: a year.
const LONG_MS: u64 = 365 * 24 * 3600 * 1000;

impl Machine for TaskRun {
    type Program = Task;
    type Effect = Effect;
    type Outcome = Completed;
    type Delta = std::convert::Infallible;
    type Fragment = std::convert::Infallible;
    type Commit = Commit;
    type Report = RunReport;
    type Suspended = SuspendedTask;
    type Context = Context;

    fn handle(&mut self, task: &Task, input: Input<Completed, std::convert::Infallible>, now: Timestamp) -> Result<(), ProtocolError> {
        if self.over.is_some() {
            return Err(ProtocolError::Finished);
        }
        match input {
            Input::Outcome { id, attempt: _, result } => self.take_outcome(Cx { task, now }, id, result),
            Input::Delta { delta, .. } => match delta {},
            Input::Committed { .. } => self.written(),
            Input::CommitFailed(failure) => self.write_failed(failure, now),
            Input::Cancel(reason) => {
                self.cancelled.get_or_insert(match reason {
                    crate::machine::CancelReason::Requested(reason) => reason,
                    crate::machine::CancelReason::Superseded => String::new(),
                });
                Ok(())
            }
            Input::Tick => Ok(()),
        }
    }

    fn poll(&mut self, task: &Task, now: Timestamp) -> Result<TaskStep, ProtocolError> {
        // Every round either yields a step or brings the run nearer to one; the bound turns a mistake into an error.
        for _ in 0..1000 {
            if let Some(step) = self.next_step(Cx { task, now })? {
                return Ok(step);
            }
        }
        Err(ProtocolError::Stuck)
    }

    /// Steps that were handed out are handed out again, with the same message to their agents.
    fn resume(suspended: SuspendedTask, context: Context, now: Timestamp) -> Self {
        let mut run = Self::with(suspended.0, context, now);
        run.take_up(now);
        run
    }
}

/// A task has no state but its board. Now and then that is written down, so that nobody who loads it looks for more in its log.
fn snapshot_with(events: &[Event]) -> Option<Tracker> {
    let (first, last) = (events.first()?.seq.0, events.last()?.seq.0);
    if last / limits::SNAPSHOT_EVENTS == (first - 1) / limits::SNAPSHOT_EVENTS {
        return None;
    }
    let mut tracker = Tracker::default();
    events.iter().for_each(|event| tracker.apply(event));
    tracker.snapshot = tracker.head;
    Some(tracker)
}

impl TaskRun {
    fn next_step(&mut self, cx: Cx<'_>) -> Result<Option<TaskStep>, ProtocolError> {
        if let Some(step) = self.out.pop_front() {
            return Ok(Some(step));
        }
        if let Some(report) = self.over {
            return Ok(Some(Step::Done(report)));
        }
        if let Some(commit) = self.commit_to_send(cx.now) {
            return Ok(Some(Step::Commit(commit)));
        }
        if let Some(issued) = self.due.pop_front().and_then(|id| self.perform(cx, id)) {
            return Ok(Some(Step::Perform(issued)));
        }
        self.advance(cx);
        if !self.out.is_empty() || !self.due.is_empty() {
            return Ok(None);
        }
        if self.write.is_none() && self.begin_write(cx) {
            return Ok(None);
        }
        let until = self.wakes_at(cx);
        if until.is_none() && self.write.is_none() && self.flights.is_empty() {
            return Err(ProtocolError::Stuck);
        }
        Ok(Some(Step::Wait { until }))
    }

    /// Hands an effect out. One that was taken back meanwhile is not.
    fn perform(&mut self, cx: Cx<'_>, id: EffectId) -> Option<Issued<Effect>> {
        let flight = self.flights.get_mut(&id)?;
        let deadline = cx.now.plus_ms(flight.timeout_ms);
        flight.at = At::HandedOut { deadline };
        Some(Issued { id, attempt: 1, deadline, effect: flight.effect.clone() })
    }

    fn commit_to_send(&mut self, now: Timestamp) -> Option<Commit> {
        let write = self.write.as_mut()?;
        match write.progress {
            WriteProgress::Sent => None,
            WriteProgress::Backoff(until) if now < until => None,
            WriteProgress::Ready | WriteProgress::Backoff(_) => {
                write.tries += 1;
                write.progress = WriteProgress::Sent;
                Some(write.commit.clone())
            }
        }
    }

    /// Makes the next write, if one is to be made.
    fn begin_write(&mut self, cx: Cx<'_>) -> bool {
        let nothing_runs = self.flights.is_empty();
        let then = if nothing_runs && (self.board.is_over() || !self.board.has_started()) {
            Then::Finish
        } else if let Some(until) = self.parks_until(cx) {
            Then::Park(until)
        } else {
            Then::Hold
        };
        let has_news = !self.events.is_empty() || !self.answered.is_empty();
        if then == Then::Hold && !has_news {
            // What was queued without news of its own depends on what is durable already.
            self.due.extend(self.queued.drain(..));
            return !self.due.is_empty();
        }
        let commit_id = CommitId(format!("{}/{}", self.saved.run, self.saved.commits).into());
        self.saved.commits += 1;
        self.saved.heard = self.heard;
        self.saved.asked = gather(self.asked().map(|(id, look)| (id.0, look)));
        self.saved.told = matches!(then, Then::Park(_)) && !self.untold;
        let mut answered = std::mem::take(&mut self.answered);
        let run = match then {
            Then::Finish => {
                answered.extend(self.start.take());
                RunState::Clear
            }
            Then::Hold | Then::Park(_) => RunState::Put(self.save()),
        };
        let events = Arc::from(std::mem::take(&mut self.events));
        let snapshot = snapshot_with(&events);
        let commit = Commit { commit_id, events, run, snapshot, answered, follow_up: None, then };
        let releases = std::mem::take(&mut self.queued);
        self.write = Some(Write { commit, releases, tries: 0, progress: WriteProgress::Ready });
        true
    }

    /// Until when the run lets go of its claim: nobody is at work but agents that tell of their answers, or it will be a while.
    fn parks_until(&self, cx: Cx<'_>) -> Option<Timestamp> {
        let asked = self.asked().count();
        if asked < self.flights.len() || self.board.is_over() {
            return None;
        }
        let until = self.wakes_at(cx).unwrap_or(cx.now.plus_ms(LONG_MS));
        (asked > 0 || until.since(cx.now) > limits::TASK_SHORT_WAIT_MS).then_some(until)
    }

    /// What agents will tell of, and when to look for it.
    fn asked(&self) -> impl Iterator<Item = (EffectId, Timestamp)> {
        self.flights.iter().filter_map(|(id, flight)| match flight.at {
            At::Asked { look, .. } => Some((*id, look)),
            At::Queued { .. } | At::HandedOut { .. } => None,
        })
    }

    /// When something is to be done that no input tells of.
    fn wakes_at(&self, cx: Cx<'_>) -> Option<Timestamp> {
        let write = self.write.as_ref().and_then(|write| match write.progress {
            WriteProgress::Backoff(until) => Some(until),
            WriteProgress::Ready | WriteProgress::Sent => None,
        });
        let flights = self.flights.values().filter_map(|flight| flight.at.deadline());
        let looks = self.asked().map(|(_, look)| look);
        let steps = self.board.steps.iter().filter_map(|step| match step.state {
            StepState::Backoff(until) => Some(until),
            StepState::Running(_) => Self::answer_until(step),
            StepState::Waiting | StepState::Done | StepState::Failed | StepState::Skipped(_) | StepState::Cancelled => None,
        });
        let budget = self.ends_at(cx).filter(|_| !self.board.is_over());
        // A step whose time has come and that does not begin waits for an outcome, not for the time.
        flights.chain(looks).chain(steps).chain(write).chain(self.planner.again_at).chain(budget).filter(|at| *at > cx.now).min()
    }

    fn written(&mut self) -> Result<(), ProtocolError> {
        let write = self.write.take().filter(|write| write.progress == WriteProgress::Sent).ok_or(ProtocolError::NoCommit)?;
        self.due.extend(write.releases);
        match write.commit.then {
            Then::Hold => {}
            Then::Park(until) => {
                self.out.push_back(Step::Park { until });
                self.over = Some(RunReport::Parked);
            }
            Then::Finish => self.over = Some(self.board.ended.as_ref().map_or(RunReport::Idle, |end| RunReport::Finished(end.outcome))),
        }
        Ok(())
    }

    fn write_failed(&mut self, failure: CommitFailure, now: Timestamp) -> Result<(), ProtocolError> {
        let run = &self.saved.run;
        let write = self.write.as_mut().filter(|write| write.progress == WriteProgress::Sent).ok_or(ProtocolError::NoCommit)?;
        match failure {
            CommitFailure::Fenced => self.over = Some(RunReport::Fenced),
            CommitFailure::Transient if write.tries >= WRITE_TRIES => self.over = Some(RunReport::Abandoned),
            CommitFailure::Transient => {
                let delay = 50 << write.tries.min(6);
                write.progress = WriteProgress::Backoff(now.plus_ms(delay / 2 + run.draw(u64::from(write.tries)) % (delay / 2 + 1)));
            }
        }
        Ok(())
    }
}
