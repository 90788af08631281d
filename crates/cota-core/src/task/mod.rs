//! A task: several agents on one job, from its start to its report, as a machine.
//!
//! A plan is a DAG of steps, written by the author or asked of an LLM ([`plan`], [`planner`]). The run starts whatever is ready,
//! hands each result on to the steps that wait for it and writes every change into the task's log (`run`). [`Board`] is the
//! fold over that log: what is done, what runs, what a client is shown.
//!
//! **Key decision: a task is a conversation with itself.** It lives in the same store under the key `(task, owner, task id)`: its
//! inbox holds the start, people's and agents' answers and the request to cancel; its log holds [`TaskEvent`]s; claim, commits
//! and doorbell are the turn's. A step is a message into the agent's own conversation, whose id is made of the effect's key, so a
//! step that is performed again after a crash is answered from the record.

mod board;
mod event;
mod message;
pub mod plan;
pub mod planner;
mod report;
mod run;
mod template;
#[cfg(test)]
mod tests;

pub use board::{Board, Step, StepState};
pub use event::{Ending, Skip, Spent, TaskEvent};
pub use message::{Message, SENDER, Start, answer_id, cancel_id, outcome_of, start_id};
pub use plan::{Fault, HUMAN, Plan, Retry, StepSource};
pub use planner::Planner;
pub use report::{Report, State, StepReport};
pub use run::{Completed, Context, Effect, RunReport, SuspendedTask, TaskRun, TaskStep};
pub use template::{Holes, PlannerVariable};

use crate::ids::{BotDigest, BotName};
use crate::limits;

/// A task as the core runs it: validated, immutable, shared by all its runs.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name: the folder's.
    pub name: BotName,
    /// The hash of its files.
    pub digest: BotDigest,
    /// What it is for.
    pub description: String,
    /// Who works on it, in the order of their folders.
    pub agents: Vec<Agent>,
    /// Where its plan comes from.
    pub planning: Planning,
    /// What holds for every run.
    pub settings: Settings,
}

/// An agent of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its name within the task.
    pub name: String,
    /// Its persona, as the planner is told of it.
    pub description: String,
}

/// Where a task's plan comes from.
#[derive(Clone, Debug)]
pub enum Planning {
    /// The author wrote it.
    Static(Plan),
    /// It is made while the task runs.
    Dynamic(Planner),
}

/// What holds for every run of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most steps that run at once; those that wait for a person are not counted.
    pub max_concurrent: u32,
    /// Most steps of a task that is planned while it runs.
    pub max_steps: u32,
    /// How often a step is tried, where it does not say.
    pub retry: Retry,
    /// A step's time in milliseconds, where it does not say. A person's is unlimited.
    pub timeout_ms: u64,
    /// What a run may spend.
    pub budget: Budget,
}

/// What a run may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Calls to LLMs.
    pub llm_calls: u32,
    /// Tokens, sent and received.
    pub tokens: Option<u64>,
    /// Time from start to end in milliseconds, waiting for people included.
    pub ms: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_concurrent: limits::TASK_CONCURRENT,
            max_steps: limits::TASK_DYNAMIC_STEPS,
            retry: Retry::default(),
            timeout_ms: limits::TASK_STEP_MS,
            budget: Budget { llm_calls: limits::TASK_LLM_CALLS, tokens: None, ms: None },
        }
    }
}

impl Task {
    /// The bot that an agent is served as: `task/agent`.
    #[must_use]
    pub fn bot_of(&self, agent: &str) -> Option<BotName> {
        BotName::new(format!("{}/{agent}", self.name)).ok()
    }
}
