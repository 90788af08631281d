//! What comes of effects.

use super::{At, Completed, Cx, EffectId, StepState, TaskRun, What};
use crate::ids::Timestamp;
use crate::machine::{EffectError, FailureKind, ProtocolError, Step};
use crate::task::board;
use crate::task::plan::{Retry, StepSource};
use crate::task::planner::{self, Wanted};
use crate::task::{Ending, Spent, TaskEvent};
use crate::{limits, turn::Completion};

impl TaskRun {
    /// Takes an outcome; a late one, of an effect that was given up, is dropped.
    pub(super) fn take_outcome(&mut self, cx: Cx<'_>, id: EffectId, result: Result<Completed, EffectError>) -> Result<(), ProtocolError> {
        if id.0 >= self.saved.effects {
            return Err(ProtocolError::UnknownEffect(id));
        }
        let Some(flight) = self.flights.get(&id) else { return Ok(()) };
        let what = flight.what.clone();
        match (&what, &result) {
            (_, Err(_))
            | (What::Step(_), Ok(Completed::Answered { .. } | Completed::Asked))
            | (What::Plan, Ok(Completed::Planned(_)))
            | (What::Report, Ok(Completed::Reported)) => {}
            (What::Step(_) | What::Plan | What::Report, Ok(_)) => return Err(ProtocolError::WrongOutcome(id)),
        }
        if let (What::Step(place), Ok(Completed::Asked)) = (&what, &result) {
            self.is_asked(cx.now, id, *place);
            return Ok(());
        }
        self.flights.remove(&id);
        match (what, result) {
            (What::Step(place), Ok(Completed::Answered { said, spent })) => self.step_answered(cx.now, place, said, spent),
            (What::Step(place), Err(error)) => {
                let may_retry = error.kind != FailureKind::Rejected;
                self.step_failed(cx.now, place, &error.message, may_retry, Spent::default());
            }
            (What::Plan, Ok(Completed::Planned(completion))) => self.planned(cx, &completion),
            (What::Plan, Err(error)) => self.planner_failed(cx, &error),
            // Who cannot be told now is told by the log.
            (What::Report, Err(_)) => self.untold = true,
            (What::Report | What::Step(_) | What::Plan, Ok(_)) => {}
        }
        Ok(())
    }

    /// An agent is at work on a step, whose time counts from when it was begun, whoever looks after it since.
    fn is_asked(&mut self, now: Timestamp, id: EffectId, place: usize) {
        let Some(begun) = self.board.steps.get(place).and_then(|step| step.begun) else { return };
        if let Some(flight) = self.flights.get_mut(&id) {
            flight.at = At::Asked { deadline: begun.plus_ms(flight.timeout_ms), look: now.plus_ms(limits::TASK_LOOK_MS) };
        }
    }

    /// Has those asked again that nobody has told of in time: the same message is answered from the record.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        for (id, flight) in &mut self.flights {
            if matches!(flight.at, At::Asked { look, .. } if look <= now) {
                flight.at = At::Queued { again: true };
                self.queued.push(*id);
            }
        }
    }

    pub(super) fn step_answered(&mut self, now: Timestamp, place: usize, said: Result<String, String>, spent: Spent) {
        match said {
            Ok(text) => self.step_done(now, place, &text, spent),
            Err(error) => self.step_failed(now, place, &error, true, spent),
        }
    }

    fn step_done(&mut self, now: Timestamp, place: usize, result: &str, spent: Spent) {
        let Some(step) = self.name_of(place) else { return };
        let result = crate::task::template::cut(result, limits::RESULT_BYTES).to_owned();
        self.record(now, TaskEvent::StepEnded { step: step.clone(), result: result.clone(), spent });
        self.report(&step, &format!("{step}: {result}"));
    }

    pub(super) fn step_failed(&mut self, now: Timestamp, place: usize, error: &str, may_retry: bool, spent: Spent) {
        let Some(step) = self.board.steps.get(place) else { return };
        let retry = step.planned.source.retry.unwrap_or_default();
        let retry_at = (may_retry && step.tries < retry.attempts).then(|| self.backoff(now, place, step.tries, retry));
        let (name, is_human) = (step.planned.source.name.clone(), step.planned.is_human());
        let error = crate::task::template::cut(error, 1024).to_owned();
        self.record(now, TaskEvent::StepFailed { step: name.clone(), error: error.clone(), retry_at, spent });
        // What a person was asked was told under the same id.
        if retry_at.is_none() && !is_human {
            self.report(&name, &format!("{name} failed: {error}"));
        }
    }

    /// When a step is tried again: the jitter is the run's own.
    fn backoff(&self, now: Timestamp, place: usize, tries: u16, retry: Retry) -> Timestamp {
        let delay = retry.backoff_ms.saturating_mul(1 << tries.saturating_sub(1).min(10));
        let salt = (place as u64) << 16 | u64::from(tries);
        now.plus_ms(delay / 2 + self.saved.run.draw(salt) % (delay / 2 + 1))
    }

    fn planned(&mut self, cx: Cx<'_>, completion: &Completion) {
        self.planner.failed = 0;
        let spent = Spent { llm_calls: 1, tokens: completion.prompt_tokens + completion.completion_tokens };
        match planner::read(&completion.content, cx.task, &self.board) {
            Ok(Wanted::Finish(result)) => {
                let result = crate::task::template::cut(&result, limits::RESULT_BYTES).to_owned();
                self.record(cx.now, TaskEvent::Finished { result, spent });
            }
            Ok(Wanted::Step(step)) => self.plan(cx, vec![step], false, spent),
            Ok(Wanted::Plan(steps)) => self.plan(cx, steps, true, spent),
            Err(faults) => {
                let again = self.board.refused.is_empty();
                self.record(cx.now, TaskEvent::PlanRefused { faults: faults.clone(), spent });
                if !again {
                    self.end_with_error(cx, &format!("the planner's answer is no plan, even the second time: {}", faults.join("; ")));
                }
            }
        }
    }

    /// Plans steps, with what holds for each written down.
    pub(super) fn plan(&mut self, cx: Cx<'_>, mut steps: Vec<StepSource>, whole: bool, spent: Spent) {
        let settings = &cx.task.settings;
        for step in &mut steps {
            step.retry.get_or_insert(settings.retry);
            if step.agent != crate::task::HUMAN {
                step.timeout_ms.get_or_insert(settings.timeout_ms);
            }
        }
        self.record(cx.now, TaskEvent::Planned { steps, whole, spent });
    }

    fn planner_failed(&mut self, cx: Cx<'_>, error: &EffectError) {
        self.planner.failed += 1;
        if error.kind == FailureKind::Rejected || self.planner.failed >= limits::PLANNER_TRIES {
            self.end_with_error(cx, &format!("the planner's LLM does not answer: {}", error.message));
        } else {
            let retry = cx.task.settings.retry;
            self.planner.again_at = Some(self.backoff(cx.now, usize::MAX >> 17, self.planner.failed, retry));
        }
    }

    /// Ends the task for a fault of its own.
    pub(super) fn end_with_error(&mut self, cx: Cx<'_>, error: &str) {
        let done = self.board.steps.iter().any(|step| matches!(step.state, StepState::Done));
        self.end(cx, if done { Ending::Partial } else { Ending::Failed }, Some(error.to_owned()));
    }

    pub(super) fn end(&mut self, cx: Cx<'_>, outcome: Ending, error: Option<String>) {
        let result = self.board.result();
        self.record(cx.now, TaskEvent::Ended { outcome, result, error });
        if let Some(end) = &self.board.ended {
            self.report_end(&end.told());
        }
    }

    /// Gives up whatever passed its deadline.
    pub(super) fn expire(&mut self, cx: Cx<'_>) {
        let late: Vec<EffectId> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.at.deadline().is_some_and(|deadline| deadline <= cx.now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.out.push_back(Step::Abort(id));
            let Some(flight) = self.flights.remove(&id) else { continue };
            match flight.what {
                What::Step(place) => self.step_failed(cx.now, place, "no answer in time", true, Spent::default()),
                What::Plan => self.planner_failed(cx, &EffectError::new(FailureKind::TimedOut, "no answer in time")),
                What::Report => self.untold = true,
            }
        }
        let unanswered: Vec<usize> = self
            .board
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| Self::answer_until(step).is_some_and(|until| until <= cx.now))
            .map(|(place, _)| place)
            .collect();
        for place in unanswered {
            self.step_failed(cx.now, place, "nobody answered in time", false, Spent::default());
        }
    }

    /// Until when a person may answer a step that asks one.
    pub(super) fn answer_until(step: &board::Step) -> Option<Timestamp> {
        let asks = step.planned.is_human() && matches!(step.state, StepState::Running(_));
        let timeout = step.planned.source.timeout_ms.filter(|_| asks)?;
        step.started.map(|started| started.plus_ms(timeout))
    }

    fn name_of(&self, place: usize) -> Option<String> {
        self.board.steps.get(place).map(|step| step.planned.source.name.clone())
    }
}
