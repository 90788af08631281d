//! The `task` function: what each state of the state machine does. infra/task.asl.json has the states.
//!
//! A state is handed references and hands references back: which task, which steps. All that was said is in the table.

mod engine;

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use cota_core::ids::{ConversationId, ConversationKey, Timestamp};
use cota_core::machine::{EffectError, FailureKind};
use cota_core::task::State;
use cota_driver::task::{Came, Due, Stage, board};

use crate::failure::Failure;
use crate::function::Function;
use crate::host::Role;
use crate::runtime::{self, Event};
pub(crate) use engine::{Engine, EngineError};

/// The longest that a state waits for a message: a year is the longest that an execution may last.
const LONGEST_S: u64 = 360 * 24 * 3600;

/// What a state wants done.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Order {
    /// Whether there is such a task.
    Validate { task: ConversationKey },
    /// To plan what there is to plan.
    Plan { task: ConversationKey },
    /// To put a step to its agent.
    Ask { task: ConversationKey, step: Due },
    /// To take what came of asking, and go on.
    Collect { task: ConversationKey, came: Vec<Answer> },
    /// To be woken with this token by a message.
    Wait { task: ConversationKey, token: String },
    /// How it ended.
    Respond { task: ConversationKey },
}

/// What came of asking. An answer itself is in the agent's record.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    step: Due,
    /// Why there will be none.
    #[serde(default)]
    fault: Option<Fault>,
}

/// Why a step has no answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Fault {
    /// What the agent's conversation says.
    Said(EffectError),
    /// The invocation failed for good: what Step Functions calls the error.
    Invocation(String),
}

/// What a state hands on.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told {
    Valid {},
    Stage(Ahead),
    Answer(Answer),
    Ending { task_id: ConversationId, state: State },
}

/// What is next.
#[derive(Debug, Serialize)]
struct Ahead {
    next: Next,
    /// The steps to be put to their agents.
    steps: Vec<Due>,
    /// How many of them at once.
    max_concurrent: u32,
    /// How long to wait for a message at most.
    seconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    Ask,
    Wait,
    Over,
}

/// Serves invocations until the environment ends; it fails when the Runtime API cannot be reached.
pub async fn run() -> ExitCode {
    runtime::serve(Role::Answers, perform).await
}

async fn perform(function: &Function, event: &Event) -> Result<runtime::Answer, Failure> {
    function.begin(event).await;
    let told = obey(function, read(&event.payload)?).await;
    function.present.finish().await;
    function.meter.tell();
    runtime::Answer::json(&told?)
}

fn read(event: &[u8]) -> Result<Order, Failure> {
    serde_json::from_slice(event).map_err(|error| Failure::Event { source_name: "the task's state machine", fault: error.to_string() })
}

async fn obey(function: &Function, order: Order) -> Result<Told, Failure> {
    let host = &function.host;
    match order {
        Order::Validate { task } => host.served(&task).map(|_| Told::Valid {}),
        Order::Plan { task } => advance(function, &task, Vec::new()).await,
        Order::Collect { task, came } => {
            let failed = came.into_iter().filter_map(|answer| Some((answer.step, error_of(answer.fault?)))).collect();
            advance(function, &task, failed).await
        }
        Order::Ask { task, step } => {
            let served = host.served(&task)?;
            let came = host.relay(&served, &task).ask(&step, function.present.terms().until).await?;
            let fault = match came {
                Came::Recorded | Came::Pending => None,
                Came::Failed(error) => Some(Fault::Said(error)),
            };
            Ok(Told::Answer(Answer { step, fault }))
        }
        Order::Wait { task, token } => {
            host.engine().ok_or_else(no_engine)?.wake_with(&task, token).await?;
            Ok(Told::Valid {})
        }
        Order::Respond { task } => {
            let state = board(host.as_ref(), &task).await?.state();
            Ok(Told::Ending { task_id: task.id, state })
        }
    }
}

async fn advance(function: &Function, task: &ConversationKey, failed: Vec<(Due, EffectError)>) -> Result<Told, Failure> {
    let served = function.host.served(task)?;
    let stage = function.host.relay(&served, task).advance(failed).await?;
    let now = function.clock.now();
    let (next, steps, seconds) = match stage {
        Stage::Ask(steps) => (Next::Ask, steps, 0),
        Stage::Wait { until } => (Next::Wait, Vec::new(), seconds_until(now, until)),
        Stage::Over => (Next::Over, Vec::new(), 0),
    };
    Ok(Told::Stage(Ahead { next, steps, max_concurrent: served.task.settings.max_concurrent, seconds }))
}

fn no_engine() -> Failure {
    Failure::Settings("the variable COTA_STATE_MACHINE is missing: the ARN of the state machine in infra/task.asl.json".to_owned())
}

fn seconds_until(now: Timestamp, until: Timestamp) -> u64 {
    until.since(now).div_ceil(1000).clamp(1, LONGEST_S)
}

fn error_of(fault: Fault) -> EffectError {
    match fault {
        Fault::Said(error) => error,
        Fault::Invocation(error) => EffectError::new(FailureKind::Transient, format!("the agent could not be asked: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = r#""task": {"bot": "trip", "owner": "public", "id": "t1"}"#;

    #[test]
    fn a_state_says_what_it_wants_done() {
        for wanted in [
            r#""do": "validate""#,
            r#""do": "plan""#,
            r#""do": "collect", "came": [{"step": {"step": "food", "effect": 1}, "fault": null}]"#,
            r#""do": "collect", "came": [{"step": {"step": "food", "effect": 1}, "fault": "States.Timeout"}]"#,
            r#""do": "ask", "step": {"step": "food", "effect": 1}"#,
            r#""do": "wait", "token": "t""#,
            r#""do": "respond""#,
        ] {
            read(format!("{{{wanted}, {TASK}}}").as_bytes()).unwrap();
        }
        assert!(matches!(read(b"{}"), Err(Failure::Event { .. })));
    }

    #[test]
    fn what_came_of_asking_is_read_as_it_was_told() {
        let late = Answer {
            step: Due { step: "food".to_owned(), effect: 1 },
            fault: Some(Fault::Said(EffectError::new(FailureKind::TimedOut, "no answer in time"))),
        };
        let told = serde_json::to_string(&late).unwrap();
        let read: Answer = serde_json::from_str(&told).unwrap();
        assert_eq!(error_of(read.fault.unwrap()), EffectError::new(FailureKind::TimedOut, "no answer in time"));
    }

    #[test]
    fn nobody_waits_for_longer_than_an_execution_may_last() {
        let now = Timestamp(1_000);
        assert_eq!(seconds_until(now, Timestamp(1_001)), 1);
        assert_eq!(seconds_until(now, Timestamp(11_000)), 10);
        assert_eq!(seconds_until(now, Timestamp(u64::MAX)), LONGEST_S);
    }
}
