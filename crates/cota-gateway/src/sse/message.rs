//! `POST /sse/message`: the client's frames.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value as Json, json};

use cota_core::ids::{ConversationId, MessageId, SenderId};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::time::iso8601;
use cota_protocol::websocket::{ClientFrame, FrameError, JoinFrame, ServerFrame};

use super::streams::Reader;
use crate::access::Identity;
use crate::gateway::Gateway;
use crate::limits::Connected;
use crate::request::{JsonBody, Visit};
use crate::respond::{self, Refusal};
use crate::websocket::Session;

/// Takes a frame, and answers what the socket would confirm.
pub(crate) async fn take(State(gateway): State<Gateway>, visit: Visit, JsonBody(body): JsonBody) -> Result<Response, Refusal> {
    let text = std::str::from_utf8(&body).map_err(|_| Problem::new(Code::BadJson, "the body is not valid UTF-8"))?;
    let frame = ClientFrame::decode(text).map_err(problem)?;
    let bot = visit.bot.clone();
    let identity = gateway.speaker(visit.caller, sender(&frame).cloned()).await?;
    let reader = Reader { bot, owner: identity.owner.clone(), sender: identity.sender.clone() };
    let confirmed = match said_in(&frame) {
        Some((session_id, message_id)) => {
            let (session_id, message_id) = (session_id.clone(), gateway.message_id(message_id.cloned())?);
            say(&gateway, &reader, identity, with_id(frame, &message_id), &session_id).await?;
            let now = iso8601(gateway.now());
            json!({"type": "message_confirm", "session_id": session_id, "message_id": message_id, "timestamp": now})
        }
        None => command(&gateway, &reader, &frame).await?,
    };
    Ok(respond::json(StatusCode::OK, &confirmed))
}

/// Says something once, in a room that all streams of the sender follow from then on.
async fn say(
    gateway: &Gateway,
    reader: &Reader,
    identity: Identity,
    frame: ClientFrame,
    session_id: &ConversationId,
) -> Result<(), Problem> {
    let streams = gateway.streams().of(reader);
    for stream in &streams {
        stream.hold().await.attend(session_id).await?;
    }
    for stream in &streams {
        let mut session = stream.hold().await;
        if !session.is_backed_up() {
            return session.obey(frame).await.map_err(problem);
        }
    }
    Session::begin(gateway.clone(), reader.bot.clone(), identity, Connected::default()).obey(frame).await.map_err(problem)
}

/// Has every stream of the sender do something; the confirmation of the first. A stream that nobody reads is not filled, and an
/// invitation is for the first alone.
async fn command(gateway: &Gateway, reader: &Reader, frame: &ClientFrame) -> Result<Json, Problem> {
    let streams = gateway.streams().of(reader);
    let mut confirmed = None;
    for stream in &streams {
        let mut session = stream.hold().await;
        if !session.is_backed_up() {
            session.obey(frame.clone()).await.map_err(problem)?;
            confirmed = confirmed.or_else(|| session.latest().map(ServerFrame::encode));
            if matches!(frame, ClientFrame::Join(JoinFrame { token: Some(_), .. })) {
                break;
            }
        }
    }
    let confirmed = confirmed.ok_or_else(|| no_stream(streams.is_empty()))?;
    serde_json::from_slice(confirmed.as_bytes()).map_err(|_| Problem::new(Code::Internal, "the answer could not be written"))
}

fn no_stream(none_open: bool) -> Problem {
    if none_open {
        let detail = "no stream of this sender is open; open GET /sse?sender_id= first, then send the frame again";
        return Problem::new(Code::NotFound, detail);
    }
    Problem::new(Code::RateLimited, "this sender's stream is not being read; read it, then send the frame again")
}

/// Who speaks, if the frame says so.
fn sender(frame: &ClientFrame) -> Option<&SenderId> {
    match frame {
        ClientFrame::Join(frame) => frame.sender_id.as_ref(),
        ClientFrame::Text(frame) => frame.sender_id.as_ref(),
        ClientFrame::Image(frame) => frame.sender_id.as_ref(),
        ClientFrame::Leave(frame) => frame.sender_id.as_ref(),
        ClientFrame::Ping => None,
    }
}

/// Where something is said, and under which id, if the frame says something.
fn said_in(frame: &ClientFrame) -> Option<(&ConversationId, Option<&MessageId>)> {
    match frame {
        ClientFrame::Text(frame) => Some((&frame.session_id, frame.message_id.as_ref())),
        ClientFrame::Image(frame) => Some((&frame.session_id, frame.message_id.as_ref())),
        ClientFrame::Join(_) | ClientFrame::Leave(_) | ClientFrame::Ping => None,
    }
}

/// The frame under this id, which the answer names.
fn with_id(mut frame: ClientFrame, id: &MessageId) -> ClientFrame {
    match &mut frame {
        ClientFrame::Text(frame) => frame.message_id = Some(id.clone()),
        ClientFrame::Image(frame) => frame.message_id = Some(id.clone()),
        ClientFrame::Join(_) | ClientFrame::Leave(_) | ClientFrame::Ping => {}
    }
    frame
}

fn problem(error: FrameError) -> Problem {
    let problem = Problem::new(error.code, error.message);
    let problem = error.field.into_iter().fold(problem, |problem, field| problem.with("field", field));
    let problem = error.retry_after.into_iter().fold(problem, |problem, seconds| problem.with("retry_after", seconds));
    error.message_id.into_iter().fold(problem, |problem, id| problem.with("message_id", id.as_str()))
}
