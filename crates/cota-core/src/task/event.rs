//! What a task's log says. [`Board`](super::Board) is folded from it and from nothing else.

use serde::{Deserialize, Serialize};

use super::plan::StepSource;
use crate::ids::{ConversationKey, Timestamp};

/// One thing that happened in a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TaskEvent {
    /// It began.
    Started {
        /// What it was given.
        input: String,
        /// The conversation that hears of its progress.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report_to: Option<ConversationKey>,
    },
    /// These steps are to be done, beside those planned before.
    Planned {
        /// The steps.
        steps: Vec<StepSource>,
        /// Whether they are all there will be.
        whole: bool,
        /// What the planner cost.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        spent: Spent,
    },
    /// What the planner said was no plan.
    PlanRefused {
        /// What is wrong with it.
        faults: Vec<String>,
        /// What the planner cost.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        spent: Spent,
    },
    /// The planner says that nothing more is to be done.
    Finished {
        /// What came of the task, in its words.
        result: String,
        /// What the planner cost.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        spent: Spent,
    },
    /// A step is handed to its agent, or a person is asked.
    StepStarted {
        /// The step.
        step: String,
        /// The effect that performs it: `{run}/{effect}` is the id of the message to the agent.
        effect: u32,
        /// The query, filled in.
        query: String,
        /// Who speaks, where that is another agent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        speaker: Option<String>,
    },
    /// A step has its result.
    StepEnded {
        /// The step.
        step: String,
        /// What came of it.
        result: String,
        /// What it cost.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        spent: Spent,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: String,
        /// Why.
        error: String,
        /// When it is tried again, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        /// What it cost.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        spent: Spent,
    },
    /// A step will not be done.
    StepSkipped {
        /// The step.
        step: String,
        /// Why not.
        why: Skip,
    },
    /// Somebody asked to stop. What ran is stopped, what waited is not begun.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// It is over.
    Ended {
        /// How.
        outcome: Ending,
        /// What came of it.
        result: String,
        /// What went wrong with the task itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// Why a step is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Its own `when` is false: that counts as done, with an empty result.
    When,
    /// A step that it depends on failed, or was skipped for such a reason.
    Failed(String),
    /// The budget is used up.
    Budget,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every step is done.
    Done,
    /// Some are.
    Partial,
    /// None is.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

/// What something cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// Calls to LLMs.
    pub llm_calls: u32,
    /// Tokens, sent and received.
    pub tokens: u64,
}

impl Spent {
    /// Whether it was free.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another cost.
    pub fn add(&mut self, other: Self) {
        self.llm_calls = self.llm_calls.saturating_add(other.llm_calls);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}
