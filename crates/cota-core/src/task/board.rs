//! Where a task stands: a fold over its log.

use std::collections::{BTreeSet, HashMap};

use super::event::{Ending, Skip, Spent, TaskEvent};
use super::plan::{HUMAN, Plan, PlannedStep, StepSource};
use super::template::cut;
use crate::event::{Event, EventBody};
use crate::ids::{ConversationKey, MessageId, RunId, Seq, Timestamp};
use crate::limits;
use crate::machine::EffectId;

/// A task's state after the event `head`.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The last event folded in.
    pub head: Seq,
    pub(super) run: Option<RunId>,
    pub(super) started: Option<Timestamp>,
    pub(super) input: String,
    pub(super) report_to: Option<ConversationKey>,
    pub(super) steps: Vec<Step>,
    places: HashMap<String, usize>,
    /// The steps with a result, in the order in which they got it.
    pub(super) transcript: Vec<usize>,
    /// How often steps were planned.
    pub(super) rounds: u32,
    /// Whether no further step will be planned.
    pub(super) whole: bool,
    /// Faults of the planner's last answer, where that was no plan.
    pub(super) refused: Vec<String>,
    /// What the planner says came of the task.
    pub(super) finished: Option<String>,
    pub(super) spent: Spent,
    pub(super) cancelled: Option<String>,
    pub(super) ended: Option<End>,
    /// Steps that have not come to their end.
    pub(super) open: usize,
    /// Agents that are at work.
    pub(super) busy: BTreeSet<String>,
    /// Steps that an agent is at work on.
    pub(super) running: usize,
    /// The first effect that no event names.
    pub(super) effects: u32,
}

/// The id of the message by which an effect of a run asks an agent.
pub(super) fn ask_id(run: &RunId, effect: u32) -> Option<MessageId> {
    MessageId::new(format!("{run}/{effect}")).ok()
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) outcome: Ending,
    pub(super) result: String,
    pub(super) error: Option<String>,
}

impl End {
    /// What a conversation is told of it: what went wrong, else what came of the task, else how it ended.
    pub(super) fn told(&self) -> String {
        match (&self.error, self.result.is_empty()) {
            (Some(error), _) => error.clone(),
            (None, true) => format!("{:?}", self.outcome).to_lowercase(),
            (None, false) => self.result.clone(),
        }
    }
}

/// A step and how far it has come.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is to be done.
    pub planned: PlannedStep,
    /// How often steps had been planned before it was: it comes after all of those.
    pub round: u32,
    /// How far it has come.
    pub state: StepState,
    /// How often it was begun.
    pub tries: u16,
    /// What was asked, filled in.
    pub query: String,
    /// Who spoke to the agent, where that was another agent.
    pub speaker: Option<String>,
    /// What came of it.
    pub result: String,
    /// What went wrong last.
    pub error: Option<String>,
    /// What it cost.
    pub spent: Spent,
    /// When it began first.
    pub started: Option<Timestamp>,
    /// When its latest try began.
    pub begun: Option<Timestamp>,
    /// When it came to its end.
    pub ended: Option<Timestamp>,
}

/// How far a step has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It waits for others, or for its turn.
    Waiting,
    /// An agent is at work, or a person was asked: under this effect.
    Running(u32),
    /// It failed and is tried again at this time.
    Backoff(Timestamp),
    /// It has its result.
    Done,
    /// It failed for good.
    Failed,
    /// It will not be done.
    Skipped(Skip),
    /// It was stopped.
    Cancelled,
}

impl Step {
    /// Whether it has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.state {
            StepState::Done | StepState::Failed | StepState::Skipped(_) | StepState::Cancelled => true,
            StepState::Waiting | StepState::Running(_) | StepState::Backoff(_) => false,
        }
    }

    /// Whether those who wait for it cannot count on it.
    #[must_use]
    pub fn let_down(&self) -> bool {
        match &self.state {
            StepState::Failed | StepState::Cancelled | StepState::Skipped(Skip::Failed(_) | Skip::Budget) => true,
            StepState::Skipped(Skip::When) | StepState::Done | StepState::Waiting | StepState::Running(_) | StepState::Backoff(_) => false,
        }
    }

    /// Its result, where it is done or need not be.
    #[must_use]
    pub fn outcome(&self) -> Option<&str> {
        (self.is_over() && !self.let_down()).then_some(self.result.as_str())
    }
}

impl Board {
    /// Folds one event in. Events that were folded in before are ignored, and so are those of conversations.
    pub fn apply(&mut self, event: &Event) {
        if event.seq <= self.head {
            return;
        }
        self.head = event.seq;
        match &event.body {
            EventBody::Task(task) => {
                self.run.get_or_insert_with(|| event.run.clone());
                self.apply_task(task, event.at);
            }
            EventBody::Action(_) | EventBody::TurnEnd(_) | EventBody::Control(_) => {}
        }
    }

    /// The steps in the order of the plan.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step of this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.get(*self.places.get(name)?)
    }

    /// The step that an agent works on under this effect.
    #[must_use]
    pub fn step_of(&self, effect: EffectId) -> Option<&Step> {
        self.steps.iter().find(|step| step.state == StepState::Running(effect.0))
    }

    /// The id of the message that asks an agent to do a step, if one is at work on it.
    #[must_use]
    pub fn message_of(&self, step: &Step) -> Option<MessageId> {
        match (&step.state, &self.run) {
            (StepState::Running(effect), Some(run)) if !step.planned.is_human() => ask_id(run, *effect),
            _ => None,
        }
    }

    /// The place of the step of this name.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Whether the task has begun.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// Whether the task is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether a conversation hears of its progress.
    #[must_use]
    pub fn reports(&self) -> bool {
        self.report_to.is_some()
    }

    /// Whether a person is asked by this step and has not answered.
    #[must_use]
    pub fn asks(&self, step: &str) -> bool {
        self.step(step).is_some_and(|step| step.planned.is_human() && matches!(step.state, StepState::Running(_)))
    }

    fn apply_task(&mut self, event: &TaskEvent, at: Timestamp) {
        match event {
            TaskEvent::Started { input, report_to } => {
                self.started = Some(at);
                self.input.clone_from(input);
                self.report_to.clone_from(report_to);
            }
            TaskEvent::Planned { steps, whole, spent } => {
                self.plan(steps);
                self.whole = *whole;
                self.refused.clear();
                self.spent.add(*spent);
            }
            TaskEvent::PlanRefused { faults, spent } => {
                self.refused.clone_from(faults);
                self.spent.add(*spent);
            }
            TaskEvent::Finished { result, spent } => {
                self.finished = Some(result.clone());
                self.whole = true;
                self.spent.add(*spent);
            }
            TaskEvent::StepStarted { step, effect, query, speaker } => {
                self.effects = self.effects.max(effect.saturating_add(1));
                self.change(step, |step| {
                    step.state = StepState::Running(*effect);
                    step.tries = step.tries.saturating_add(1);
                    step.query.clone_from(query);
                    step.speaker.clone_from(speaker);
                    step.started.get_or_insert(at);
                    step.begun = Some(at);
                });
            }
            TaskEvent::StepEnded { step, result, spent } => {
                self.spent.add(*spent);
                self.change(step, |step| {
                    step.state = StepState::Done;
                    cut(result, limits::RESULT_BYTES).clone_into(&mut step.result);
                    step.error = None;
                    step.spent.add(*spent);
                    step.ended = Some(at);
                });
                self.transcript.extend(self.place(step));
            }
            TaskEvent::StepFailed { step, error, retry_at, spent } => {
                self.spent.add(*spent);
                self.change(step, |step| {
                    step.state = retry_at.map_or(StepState::Failed, StepState::Backoff);
                    step.error = Some(error.clone());
                    step.spent.add(*spent);
                    step.ended = Some(at).filter(|_| retry_at.is_none());
                });
            }
            TaskEvent::StepSkipped { step, why } => self.change(step, |step| {
                step.state = StepState::Skipped(why.clone());
                step.ended = Some(at);
            }),
            TaskEvent::Cancelled { reason } => {
                self.cancelled = Some(reason.clone());
                let open: Vec<String> =
                    self.steps.iter().filter(|step| !step.is_over()).map(|step| step.planned.source.name.clone()).collect();
                for name in open {
                    self.change(&name, |step| {
                        step.state = StepState::Cancelled;
                        step.ended = Some(at);
                    });
                }
            }
            TaskEvent::Ended { outcome, result, error } => {
                self.ended = Some(End { at, outcome: *outcome, result: result.clone(), error: error.clone() });
            }
        }
    }

    /// Adds steps. They were checked before they were recorded, and wait for each other only.
    fn plan(&mut self, sources: &[StepSource]) {
        let agents: Vec<&str> = sources.iter().map(|source| source.agent.as_str()).collect();
        let Ok(plan) = Plan::check(sources.to_vec(), &agents) else { return };
        let base = self.steps.len();
        for planned in plan.steps() {
            let mut planned = planned.clone();
            planned.dependencies.iter_mut().for_each(|place| *place += base);
            if let Some(when) = &mut planned.when {
                when.step += base;
            }
            self.places.insert(planned.source.name.clone(), self.steps.len());
            self.open += 1;
            self.steps.push(Step {
                planned,
                round: self.rounds,
                state: StepState::Waiting,
                tries: 0,
                query: String::new(),
                speaker: None,
                result: String::new(),
                error: None,
                spent: Spent::default(),
                started: None,
                begun: None,
                ended: None,
            });
        }
        self.rounds += 1;
    }

    /// Changes a step, and what is counted of all.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Step)) {
        let Some(step) = self.places.get(name).and_then(|place| self.steps.get_mut(*place)) else { return };
        let count = |step: &Step| (matches!(step.state, StepState::Running(_)) && !step.planned.is_human(), step.is_over());
        let (was_running, was_over) = count(step);
        change(step);
        let (is_running, is_over) = count(step);
        let agent = &step.planned.source.agent;
        match (was_running, is_running) {
            (false, true) => {
                self.busy.insert(agent.clone());
                self.running += 1;
            }
            (true, false) => {
                self.busy.remove(agent);
                self.running = self.running.saturating_sub(1);
            }
            (true, true) | (false, false) => {}
        }
        match (was_over, is_over) {
            (false, true) => self.open = self.open.saturating_sub(1),
            (true, false) => self.open += 1,
            (true, true) | (false, false) => {}
        }
    }

    /// The shared transcript: who said what, in order.
    pub fn transcript(&self) -> impl Iterator<Item = (&str, &str)> {
        let said = self.transcript.iter().filter_map(|place| self.steps.get(*place));
        said.map(|step| (step.planned.source.agent.as_str(), step.result.as_str()))
    }

    /// Whether an agent may begin now.
    pub(super) fn is_free(&self, agent: &str) -> bool {
        agent == HUMAN || !self.busy.contains(agent)
    }
}
