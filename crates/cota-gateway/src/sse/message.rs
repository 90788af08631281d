//! `POST /sse/message`: the client's frames.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use cota_core::ids::{ConversationId, MessageId};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::time::iso8601;
use cota_protocol::websocket::ClientFrame;

use crate::gateway::Gateway;
use crate::request::{JsonBody, Visit};
use crate::respond::{self, Refusal};

/// Takes a frame, and answers what the socket would confirm.
pub(crate) async fn take(State(gateway): State<Gateway>, visit: Visit, JsonBody(body): JsonBody) -> Result<Response, Refusal> {
    let text = std::str::from_utf8(&body).map_err(|_| Problem::new(Code::BadJson, "the body is not valid UTF-8"))?;
    let mut frame = ClientFrame::decode(text).map_err(Problem::from)?;
    let bot = visit.bot.clone();
    let identity = gateway.speaker(visit.caller, frame.sender_id().cloned()).await?;
    let said = name(&gateway, &mut frame)?;
    let confirmed = gateway.options().sessions.post(&gateway, &bot, &identity, frame).await?;
    Ok(match (said, confirmed) {
        (Some((session_id, message_id)), _) => {
            let now = iso8601(gateway.now());
            let confirmed = json!({"type": "message_confirm", "session_id": session_id, "message_id": message_id, "timestamp": now});
            respond::json(StatusCode::OK, &confirmed)
        }
        (None, Some(confirmed)) => respond::json(StatusCode::OK, &confirmed),
        (None, None) => {
            let detail = "no stream of this sender is open; open GET /sse?sender_id= first, then send the frame again";
            respond::problem(&Problem::new(Code::NotFound, detail))
        }
    })
}

/// Where something is said, and under which id, which it is given where it has none: the answer names it.
fn name(gateway: &Gateway, frame: &mut ClientFrame) -> Result<Option<(ConversationId, MessageId)>, Problem> {
    let Some((session_id, message_id)) = frame.said() else { return Ok(None) };
    let given = gateway.message_id(message_id.take())?;
    *message_id = Some(given.clone());
    Ok(Some((session_id.clone(), given)))
}
