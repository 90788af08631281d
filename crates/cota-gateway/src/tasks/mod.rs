//! `/v1/tasks`: see which tasks there are, start one, follow it, answer for a person, stop it.

mod address;
mod stream;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use cota_core::ids::{BotName, ConversationId, ConversationKey, MessageId, SenderId};
use cota_core::limits;
use cota_core::task::{Board, Message, SENDER, Start, answer_id, cancel_id, start_id};
use cota_driver::store::NewMessage;
use cota_driver::task;
use cota_protocol::problem::{Code, Problem};

use crate::gateway::Gateway;
use crate::request::{Format, JsonBody};
use crate::respond::{self, Refusal};
use address::{OfTask, Starting};

/// What starts a task.
#[derive(Debug, Deserialize)]
struct StartRequest {
    /// Which; the only one where it is not said.
    task: Option<String>,
    #[serde(default)]
    input: String,
    task_id: Option<ConversationId>,
    sender_id: Option<SenderId>,
}

/// The tasks of a server.
#[derive(Debug, Serialize)]
struct Listed {
    tasks: Vec<ListedTask>,
}

/// A task that may be started.
#[derive(Debug, Serialize)]
struct ListedTask {
    name: BotName,
    description: String,
    agents: Vec<String>,
}

/// A person's answer.
#[derive(Debug, Deserialize)]
struct AnswerRequest {
    text: String,
}

/// Which tasks there are.
pub(crate) async fn list(State(gateway): State<Gateway>, to: Starting) -> Result<Response, Refusal> {
    to.identity(&gateway, None).await?;
    let conversations = gateway.conversations();
    let listed = |name: BotName| {
        let served = conversations.task(&name)?;
        let agents = served.task.agents.iter().map(|agent| agent.name.clone()).collect();
        Some(ListedTask { name, description: served.task.description.clone(), agents })
    };
    let tasks = conversations.task_names().into_iter().filter_map(listed).collect();
    Ok(respond::json(StatusCode::OK, &Listed { tasks }))
}

/// Starts a task. The same id with the same input again is the same task.
pub(crate) async fn start(State(gateway): State<Gateway>, to: Starting, JsonBody(body): JsonBody) -> Result<Response, Refusal> {
    let StartRequest { task, input, task_id, sender_id } = read(&body)?;
    if input.len() > limits::MESSAGE_BYTES {
        let detail = format!("`input` has {} bytes; the limit is {}", input.len(), limits::MESSAGE_BYTES);
        return Err(Problem::new(Code::PayloadTooLarge, detail).with("field", "input").into());
    }
    let name = address::task_named(&gateway, task.as_deref())?;
    let id = match task_id {
        Some(id) => id,
        None => made_up(gateway.message_id(None)?)?,
    };
    let identity = to.identity(&gateway, sender_id).await?;
    gateway.limiter().may_spend(&identity.owner, identity.address).await?;
    let key = ConversationKey { bot: name, owner: identity.owner, id };
    send(&gateway, &key, start_id(), Message::Start(Start { input, report_to: None })).await?;
    let board = board(&gateway, &key).await?;
    Ok(respond::json(StatusCode::ACCEPTED, &board.report(key.id)))
}

/// Where a task stands, or a stream of that until it is over.
pub(crate) async fn show(State(gateway): State<Gateway>, to: OfTask) -> Result<Response, Refusal> {
    let (format, cursor) = (to.format, to.last_event_id);
    let (key, board, identity) = to.find(&gateway).await?;
    match format {
        Format::Json => Ok(respond::json_for_now(StatusCode::OK, &board.report(key.id))),
        Format::EventStream => {
            let connected = gateway.limiter().stream(&key.owner, identity.address).await?;
            Ok(stream::follow(&gateway, key, cursor, connected))
        }
    }
}

/// Answers a step that asks a person. The first answer counts.
pub(crate) async fn answer(State(gateway): State<Gateway>, to: OfTask, JsonBody(body): JsonBody) -> Result<Response, Refusal> {
    let AnswerRequest { text } = read(&body)?;
    let step = to.step.clone().unwrap_or_default();
    let (key, board, _) = to.find(&gateway).await?;
    match board.step(&step) {
        None => return Err(Problem::new(Code::NotFound, "the task has no step of this name").into()),
        Some(found) if !found.planned.is_human() => {
            return Err(Problem::new(Code::BadRequest, "this step does not ask a person").into());
        }
        Some(found) if found.is_over() || board.asks(&step) => {}
        Some(_) => return Err(Problem::new(Code::Busy, "this step does not ask yet; the steps before it come first").into()),
    }
    send(&gateway, &key, answer_id(&step), Message::Answer { step, text }).await?;
    Ok(respond::json(StatusCode::ACCEPTED, &board.report(key.id)))
}

/// Stops a task. What is done stays done.
pub(crate) async fn cancel(State(gateway): State<Gateway>, to: OfTask) -> Result<Response, Refusal> {
    let (key, board, _) = to.find(&gateway).await?;
    if !board.is_over() {
        send(&gateway, &key, cancel_id(), Message::Cancel { reason: "somebody stopped it".to_owned() }).await?;
    }
    Ok(respond::json(StatusCode::ACCEPTED, &board.report(key.id)))
}

async fn send(gateway: &Gateway, key: &ConversationKey, id: Option<MessageId>, message: Message) -> Result<(), Refusal> {
    let internal = |detail: String| Problem::new(Code::Internal, detail);
    let sender = SenderId::new(SENDER).map_err(|error| internal(error.to_string()))?;
    let message_id = id.ok_or_else(|| internal("a message has no id".to_owned()))?;
    let message = NewMessage { sender, message_id, at: gateway.now(), content: message.into_content() };
    gateway.conversations().send(key, message).await?;
    Ok(())
}

async fn board(gateway: &Gateway, key: &ConversationKey) -> Result<Board, Refusal> {
    Ok(task::board(gateway.conversations().as_ref(), key).await?)
}

fn made_up(id: MessageId) -> Result<ConversationId, Problem> {
    ConversationId::new(String::from(id)).map_err(|error| Problem::new(Code::Internal, error.to_string()))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new(Code::BadJson, format!("the body cannot be read: {error}")))
}
