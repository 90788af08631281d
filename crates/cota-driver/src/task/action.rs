//! Actions of `type: task`: a conversation starts a task, or answers a step of one.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};

use cota_core::bot::{ExecutorKind, TaskCall};
use cota_core::event::Slots;
use cota_core::ids::{BotName, ConversationId, ConversationKey, MessageId, SenderId};
use cota_core::machine::{EffectError, FailureKind};
use cota_core::task::{Message, SENDER, Start, answer_id, start_id};
use cota_core::turn::Outcome;

use super::board;
use crate::failpoint::failpoint;
use crate::host::{Conversations, SendError};
use crate::ports::{Effects, Job, Pieces, Work};
use crate::store::NewMessage;

/// Effects of a deployment that has tasks: actions of `type: task` are performed here, all else by `others`.
///
/// A task's id is made of the effect's key, so an effect that is performed again meets the task that it started before.
pub struct WithTasks {
    others: Arc<dyn Effects>,
    conversations: Weak<dyn Conversations>,
}

impl WithTasks {
    /// Tasks are conversations among `conversations`.
    #[must_use]
    pub fn over(others: Arc<dyn Effects>, conversations: Weak<dyn Conversations>) -> Self {
        Self { others, conversations }
    }
}

#[async_trait]
impl Effects for WithTasks {
    async fn perform(&self, job: Job, pieces: Pieces) -> Result<Outcome, EffectError> {
        let Work::Executor { action, slots } = &job.work else { return self.others.perform(job, pieces).await };
        let executor = job.bot.form(action).and_then(|form| form.executor.as_ref());
        let Some(ExecutorKind::Task(call)) = executor.map(|executor| &executor.kind) else {
            return self.others.perform(job, pieces).await;
        };
        let conversations = self.conversations.upgrade().ok_or_else(|| transient("the server is shutting down"))?;
        let conversations = conversations.as_ref();
        check_name(conversations, &call.task)?;
        let id = match &call.step {
            None => start(conversations, &job, call, slots).await?,
            Some(step) => answer(conversations, &job, call, step, slots).await?,
        };
        failpoint("after-task-action");
        let text = json!({ "task_id": id }).to_string();
        let metadata = [("task".to_owned(), json!(call.task)), ("task_id".to_owned(), json!(id))].into_iter().collect();
        Ok(Outcome::Executed { text, metadata })
    }
}

/// Starts a task that reports to the conversation.
async fn start(conversations: &dyn Conversations, job: &Job, call: &TaskCall, slots: &Slots) -> Result<ConversationId, EffectError> {
    let id = ConversationId::new(job.key.replace('/', "-")).map_err(|error| rejected(error.to_string()))?;
    let start = Start { input: said(slots), report_to: Some(job.conversation.clone()) };
    send(conversations, task_key(job, call, id.clone()), start_id(), Message::Start(start)).await?;
    Ok(id)
}

/// Answers a step of a task that the conversation started before.
async fn answer(
    conversations: &dyn Conversations,
    job: &Job,
    call: &TaskCall,
    step: &str,
    slots: &Slots,
) -> Result<ConversationId, EffectError> {
    let mut slots = slots.clone();
    let id = slots.remove(TaskCall::ID_SLOT).and_then(|id| ConversationId::new(id.as_str()?).ok());
    let id = id.ok_or_else(|| rejected("the task that is answered has no id"))?;
    let key = task_key(job, call, id.clone());
    let board = board(conversations, &key).await.map_err(|error| transient(error.to_string()))?;
    // One that is over may have been answered by this very effect: the message's id tells.
    let is_asked = board.asks(step) || board.step(step).is_some_and(|step| step.is_over() && step.planned.is_human());
    if !is_asked {
        return Err(rejected(format!("the task does not ask for an answer to `{step}` now")));
    }
    send(conversations, key, answer_id(step), Message::Answer { step: step.to_owned(), text: said(&slots) }).await?;
    Ok(id)
}

async fn send(conversations: &dyn Conversations, key: ConversationKey, id: Option<MessageId>, message: Message) -> Result<(), EffectError> {
    let sender = SenderId::new(SENDER).map_err(|error| rejected(error.to_string()))?;
    let message_id = id.ok_or_else(|| rejected("the step's name cannot be one"))?;
    let message = NewMessage { sender, message_id, at: conversations.now(), content: message.into_content() };
    match conversations.send(&key, message).await {
        Ok(_) => Ok(()),
        Err(SendError::IdReused) => Err(rejected("somebody has answered already")),
        Err(error @ (SendError::UnknownBot | SendError::TextTooLong { .. })) => Err(rejected(error.to_string())),
        Err(error @ (SendError::Busy | SendError::QueueFull | SendError::Stopping | SendError::Store(_))) => {
            Err(transient(error.to_string()))
        }
    }
}

fn task_key(job: &Job, call: &TaskCall, id: ConversationId) -> ConversationKey {
    ConversationKey { bot: call.task.clone(), owner: job.conversation.owner.clone(), id }
}

fn check_name(conversations: &dyn Conversations, task: &BotName) -> Result<(), EffectError> {
    let names = conversations.task_names();
    if names.contains(task) {
        return Ok(());
    }
    let known: Vec<&str> = names.iter().map(BotName::as_str).take(20).collect();
    let there_is = if known.is_empty() { "no task".to_owned() } else { known.join(", ") };
    Err(rejected(format!("there is no task `{task}` here; this server has: {there_is}")))
}

/// What slots say: the only one's own words, several as JSON.
fn said(slots: &Map<String, Json>) -> String {
    let mut values = slots.values();
    match (values.next(), values.next()) {
        (None, _) => String::new(),
        (Some(Json::String(text)), None) => text.clone(),
        (Some(value), None) => value.to_string(),
        (Some(_), Some(_)) => Json::Object(slots.clone()).to_string(),
    }
}

fn rejected(message: impl Into<String>) -> EffectError {
    EffectError::new(FailureKind::Rejected, message)
}

fn transient(message: impl Into<String>) -> EffectError {
    EffectError::new(FailureKind::Transient, message)
}
