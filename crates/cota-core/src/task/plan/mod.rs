//! A plan: steps and what they wait for, validated.
//!
//! The author's plan and a planner's pass the same check, so nothing that runs has a cycle, a step nobody can do, or a size
//! that a store cannot hold.

mod check;
mod when;

pub use check::Fault;
pub use when::{Test, When};

use serde::{Deserialize, Serialize};

use super::template::Holes;
use crate::limits;

/// The performer that is a person.
pub const HUMAN: &str = "human";

/// A step as an author or a planner wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepSource {
    /// Its name: 1 to 64 letters, digits, `-` and `_`.
    pub name: String,
    /// Who does it: an agent, or `human`.
    pub agent: String,
    /// What is said to the agent; without it, it speaks on the shared transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startquery: Option<String>,
    /// The steps it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// A condition on the result of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Whether it runs even where a step that it waits for has failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_failure: bool,
    /// How often it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Its time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// How often a step is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Tries in all, the first included.
    pub attempts: u16,
    /// Before the second try, in milliseconds; doubled before each further one.
    pub backoff_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 2, backoff_ms: 1_000 }
    }
}

/// A validated plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    steps: Vec<PlannedStep>,
}

/// A step of a validated plan.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// What it was made of. Its agent is spelled as the agent is.
    pub source: StepSource,
    /// The steps it waits for, by their places in the plan.
    pub dependencies: Vec<usize>,
    /// Its condition.
    pub when: Option<When>,
    /// Its query with its holes.
    pub query: Option<Holes>,
}

impl Plan {
    /// Checks a plan. `agents` are those of the task.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(steps: Vec<StepSource>, agents: &[&str]) -> Result<Self, Vec<Fault>> {
        check::check(steps, agents).map(|steps| Self { steps })
    }

    /// Its steps, in the order they were written.
    #[must_use]
    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    /// What it was made of.
    #[must_use]
    pub fn sources(&self) -> Vec<StepSource> {
        self.steps.iter().map(|step| step.source.clone()).collect()
    }
}

impl PlannedStep {
    /// Whether a person does it.
    #[must_use]
    pub fn is_human(&self) -> bool {
        self.source.agent == HUMAN
    }

    /// Whether it runs where a step that it waits for has failed.
    #[must_use]
    pub fn tolerates_failure(&self) -> bool {
        self.source.after_failure || self.when.as_ref().is_some_and(|when| matches!(when.test, Test::Failed))
    }
}

/// Why a name cannot be a step's.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name.len() {
        0 => Some("is empty"),
        length if length > limits::STEP_NAME => Some("is longer than 64 characters"),
        _ if !name.chars().all(fits) => Some("may have letters, digits, `-` and `_` only"),
        _ => None,
    }
}
