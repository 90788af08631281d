//! The state machine that drives tasks: started by a task's first message, woken by every later one.

use std::sync::Arc;

use serde_json::json;

use cota_core::ids::ConversationKey;
use cota_core::task::Message;
use cota_driver::ledger::{Ledger, Record};
use cota_driver::ports::Clock;
use cota_driver::store::{Store, StoreError};

use crate::aws::{CallError, JsonService};

/// Executions of one task: each after the first makes up for one that failed.
const MOST_EXECUTIONS: u32 = 10;
/// How long a token is kept, in milliseconds: a year, as an execution lasts no longer.
const KEEP_MS: u64 = 366 * 24 * 3600 * 1000;
/// What Step Functions says of a token that nobody waits for any more.
const SPENT: [&str; 3] = ["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"];

/// A deployment's state machine.
pub(crate) struct Engine {
    pub(crate) states: JsonService,
    /// Its ARN.
    pub(crate) machine: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why a task was not driven on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Step Functions did not answer as it should.
    #[error("Step Functions did not take a task: {0}")]
    States(#[from] CallError),
    /// Every execution of it has failed.
    #[error("{MOST_EXECUTIONS} executions of the task have failed")]
    Worn,
}

impl Engine {
    /// Has a task driven on that may have something to do: by its waiting execution, else by one that is begun where none runs.
    pub(crate) async fn drive(&self, key: &ConversationKey) -> Result<(), EngineError> {
        if self.wake(key).await? {
            return Ok(());
        }
        let Some(loaded) = self.store.load(key).await? else { return Ok(()) };
        if loaded.saved.is_none() && loaded.inbox.is_empty() {
            return Ok(());
        }
        let input = json!({"task": key}).to_string();
        for n in 0..MOST_EXECUTIONS {
            let name = format!("{}-{n}", key.hashed());
            let parameters = json!({"stateMachineArn": self.machine, "name": name, "input": input});
            match self.states.call("StartExecution", &parameters).await {
                Ok(_) => return Ok(()),
                // The same name with the same input is the same execution, as long as it runs.
                Err(CallError::Refused { code: Some(code), .. }) if code == "ExecutionAlreadyExists" => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(EngineError::Worn)
    }

    /// Has the execution woken with this token by the next message: at once, if one came before the token.
    pub(crate) async fn wake_with(&self, key: &ConversationKey, token: String) -> Result<(), EngineError> {
        let (name, now) = (name_of(key), self.clock.now());
        let record = Record { value: token.into_bytes(), expires_at: Some(now.plus_ms(KEEP_MS)) };
        loop {
            let before = self.ledger.get(&name, now).await?.map(|record| record.value);
            if self.ledger.replace(&name, before.as_deref(), record.clone(), now).await? {
                break;
            }
        }
        let inbox = self.store.load(key).await?.map(|loaded| loaded.inbox).unwrap_or_default();
        let has_news = inbox.iter().any(|message| !matches!(Message::read(&message.content), Some(Message::Start(_))));
        if has_news {
            self.wake(key).await?;
        }
        Ok(())
    }

    /// Wakes the execution that waits, if one does.
    async fn wake(&self, key: &ConversationKey) -> Result<bool, EngineError> {
        let (name, now) = (name_of(key), self.clock.now());
        let Some(record) = self.ledger.get(&name, now).await? else { return Ok(false) };
        let token = String::from_utf8_lossy(&record.value);
        let woken = match self.states.call("SendTaskSuccess", &json!({"taskToken": token, "output": "{}"})).await {
            Ok(_) => true,
            Err(CallError::Refused { code: Some(code), .. }) if SPENT.contains(&code.as_str()) => false,
            Err(error) => return Err(error.into()),
        };
        // Only now, as whoever dies before this wakes it once more, which is no harm; and only this one: the execution may wait
        // again already, with another.
        let ended = Record { value: Vec::new(), expires_at: Some(now) };
        self.ledger.replace(&name, Some(&record.value), ended, now).await?;
        Ok(woken)
    }
}

fn name_of(key: &ConversationKey) -> String {
    format!("task-token/{}", key.hashed())
}
