//! Rasa's REST channel: `POST /webhooks/rest/webhook` and `GET /webhooks/rest/`.
//!
//! The channel cannot take text back, so it tells what is committed. It has no word for a turn that goes on after its request:
//! that is a 504, and the answer is in the record.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use cota_core::event::MessageContent;
use cota_protocol::problem::{Code, Problem};
use cota_protocol::rasa::{RasaMessage, RasaReply};

use crate::answer::{AnsweredTurn, Question};
use crate::gateway::Gateway;
use crate::request::{JsonBody, Visit};
use crate::respond::{self, Refusal};
use crate::wait::{Waiter, forgotten, out_of_time};

/// The channel is there.
pub(crate) async fn status() -> Response {
    respond::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Sends a message and answers with what the bot says.
pub(crate) async fn webhook(State(gateway): State<Gateway>, visit: Visit, JsonBody(body): JsonBody) -> Result<Response, Refusal> {
    let as_lines = visit.asked.stream.as_deref().is_some_and(|stream| stream.eq_ignore_ascii_case("true"));
    let RasaMessage { sender, conversation, message, metadata } = RasaMessage::decode(&body)?;
    let (key, identity) = visit.resolve(&gateway, conversation, Some(sender)).await?;
    let question = Question::new(key, identity.sender.clone(), gateway.message_id(None)?);
    let content = MessageContent { text: message, metadata, ..MessageContent::default() };
    let mut waiter = Waiter::send(&gateway, question, &identity, content, false).await?;
    let events = waiter.end().await?.ok_or_else(out_of_time)?;
    let turn = AnsweredTurn::among(&events, waiter.question()).ok_or_else(forgotten)?;
    let recipient = &waiter.question().sender;
    let replies: Vec<_> = turn.replies()?.iter().cloned().map(|reply| RasaReply::new(recipient, reply)).collect();
    if as_lines { lines(&replies) } else { Ok(respond::json(StatusCode::OK, &replies)) }
}

/// Each message as JSON on a line of its own, which is what Rasa calls a stream.
fn lines(replies: &[RasaReply]) -> Result<Response, Refusal> {
    let lines: serde_json::Result<Vec<String>> = replies.iter().map(|reply| Ok(serde_json::to_string(reply)? + "\n")).collect();
    let lines = lines.map_err(|_| Problem::new(Code::Internal, "the answer could not be written"))?;
    Ok(respond::text("text/event-stream", lines.concat()))
}
