//! What a client is shown of a task, and what it ends with.

use serde::{Deserialize, Serialize};

use super::board::{Board, Step, StepState};
use super::event::{Ending, Skip, Spent};
use crate::gather::gather;
use crate::ids::{ConversationId, Timestamp};

/// Where a task stands, in one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The task's id.
    pub task_id: ConversationId,
    /// Where it stands.
    pub state: State,
    /// What it was given.
    pub input: String,
    /// Its steps in the order of the plan.
    pub steps: Vec<StepReport>,
    /// What came of it.
    pub result: Option<String>,
    /// What went wrong with the task itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it cost so far.
    pub spent: Spent,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The log's last place.
    pub seq: u64,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on by itself.
    Running,
    /// It goes on once a person has answered.
    Waiting,
    /// Every step is done.
    Done,
    /// Some steps are done.
    Partial,
    /// No step is done.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// Who does it.
    pub agent: String,
    /// `waiting`, `running`, `asking`, `retrying`, `done`, `failed`, `skipped` or `cancelled`.
    pub state: String,
    /// The steps it waits for.
    pub dependencies: Vec<String>,
    /// How often steps had been planned before it was: it comes after all of those.
    #[serde(default, skip_serializing_if = "is_first")]
    pub round: u32,
    /// What was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// What went wrong last, or why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often it was begun.
    pub tries: u16,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Board {
    /// What a client is shown.
    #[must_use]
    pub fn report(&self, task_id: ConversationId) -> Report {
        let end = self.ended.as_ref();
        Report {
            task_id,
            state: self.state(),
            input: self.input.clone(),
            steps: self.report_steps(),
            result: end.map(|end| end.result.clone()),
            error: end.and_then(|end| end.error.clone()),
            spent: self.spent,
            started_at: self.started,
            ended_at: end.map(|end| end.at),
            seq: self.head.0,
        }
    }

    /// Where the task stands.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.ended {
            Some(end) => match end.outcome {
                Ending::Done => State::Done,
                Ending::Partial => State::Partial,
                Ending::Failed => State::Failed,
                Ending::Cancelled => State::Cancelled,
            },
            None if self.waits_for_people() => State::Waiting,
            None => State::Running,
        }
    }

    /// Whether nothing goes on until a person has answered.
    fn waits_for_people(&self) -> bool {
        let asks = |step: &Step| step.planned.is_human() && matches!(step.state, StepState::Running(_));
        let backs_off = |step: &Step| matches!(step.state, StepState::Backoff(_));
        self.running == 0 && self.steps.iter().any(asks) && !self.steps.iter().any(backs_off)
    }

    /// How a task ends whose steps have all come to their end.
    pub(super) fn outcome(&self) -> Ending {
        let done = self.steps.iter().any(|step| matches!(step.state, StepState::Done));
        let let_down = self.steps.iter().any(Step::let_down);
        match (done, let_down) {
            (_, false) => Ending::Done,
            (true, true) => Ending::Partial,
            (false, true) => Ending::Failed,
        }
    }

    /// What comes of a task: the planner's words, else the results that no other step waits for, else the last.
    pub(super) fn result(&self) -> String {
        if let Some(finished) = self.finished.as_ref().filter(|result| !result.is_empty()) {
            return finished.clone();
        }
        let is_planned_whole = self.steps.iter().any(|step| !step.planned.dependencies.is_empty());
        let awaited: std::collections::BTreeSet<usize> =
            gather(self.steps.iter().flat_map(|step| step.planned.dependencies.iter().copied()));
        let said = |step: &&Step| matches!(step.state, StepState::Done) && !step.result.is_empty();
        let last = self.transcript.last().and_then(|place| self.steps.get(*place)).map(|step| step.result.clone());
        if !is_planned_whole && self.steps.iter().all(|step| step.planned.source.startquery.is_none()) {
            return last.unwrap_or_default();
        }
        let ends = self.steps.iter().enumerate().filter(|(place, _)| !awaited.contains(place)).map(|(_, step)| step).filter(said);
        let ends: Vec<&str> = ends.map(|step| step.result.as_str()).collect();
        if ends.is_empty() { last.unwrap_or_default() } else { ends.join("\n\n") }
    }

    /// What a client is shown of each step.
    pub(super) fn report_steps(&self) -> Vec<StepReport> {
        self.steps.iter().map(step_report).collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(round: &u32) -> bool {
    *round == 0
}

fn step_report(step: &Step) -> StepReport {
    let source = &step.planned.source;
    let state = match &step.state {
        StepState::Waiting => "waiting",
        StepState::Running(_) if step.planned.is_human() => "asking",
        StepState::Running(_) => "running",
        StepState::Backoff(_) => "retrying",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::Skipped(_) => "skipped",
        StepState::Cancelled => "cancelled",
    };
    let why = match &step.state {
        StepState::Skipped(Skip::When) => Some("its condition is false".to_owned()),
        StepState::Skipped(Skip::Failed(other)) => Some(format!("{other} failed")),
        StepState::Skipped(Skip::Budget) => Some("the task's budget is used up".to_owned()),
        StepState::Waiting | StepState::Running(_) | StepState::Backoff(_) | StepState::Done | StepState::Failed | StepState::Cancelled => {
            None
        }
    };
    StepReport {
        name: source.name.clone(),
        agent: source.agent.clone(),
        state: state.to_owned(),
        dependencies: source.dependencies.clone(),
        round: step.round,
        query: Some(step.query.clone()).filter(|_| step.tries > 0),
        result: matches!(step.state, StepState::Done).then(|| step.result.clone()),
        error: step.error.clone().or(why),
        tries: step.tries,
        started_at: step.started,
        ended_at: step.ended,
    }
}
