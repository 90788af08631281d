//! `POST .../messages` and `GET .../messages/{message_id}`.

use axum::extract::{FromRequest, FromRequestParts as _, Request, State};
use axum::response::Response;
use http::StatusCode;

use cota_core::event::MessageContent;
use cota_core::ids::MessageId;
use cota_protocol::problem::{Code, Problem};
use cota_protocol::rest::{MessageRequest, PendingAnswer};

use super::stream;
use crate::access::Scopes;
use crate::answer::{AnsweredTurn, Question};
use crate::gateway::Gateway;
use crate::request::{Addressed, Format, JsonBody, idempotency_key};
use crate::respond::{self, Refusal};
use crate::wait::{Recorded, Waiter, forgotten, recorded};

/// A message on its way in.
pub(crate) struct Posted {
    to: Addressed,
    message: MessageRequest,
}

impl FromRequest<Gateway> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, gateway: &Gateway) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let to = Addressed::from_request_parts(&mut parts, gateway).await?;
        let key = idempotency_key(&parts.headers)?;
        let JsonBody(body) = JsonBody::from_request(Request::from_parts(parts, body), gateway).await?;
        let mut message = MessageRequest::decode(&body)?;
        message.message_id = match (key, message.message_id) {
            (Some(key), Some(id)) if key != id => {
                let detail = "the header Idempotency-Key and `message_id` name two messages; send one of them, or the same";
                return Err(Problem::new(Code::BadRequest, detail).with("field", "message_id").into());
            }
            (key, id) => key.or(id),
        };
        Ok(Self { to, message })
    }
}

/// Sends a message and answers with what the bot says.
pub(crate) async fn post_message(State(gateway): State<Gateway>, Posted { to, message }: Posted) -> Result<Response, Refusal> {
    let (format, from) = (to.format, to.last_event_id);
    let (key, identity) = to.resolve(&gateway, message.sender_id).await?;
    let question = Question::new(key, identity.sender.clone(), gateway.message_id(message.message_id)?);
    let MessageRequest { text, receiver, metadata, .. } = message;
    let content = MessageContent { text, receiver, metadata, ..MessageContent::default() };
    let mut waiter = Waiter::send(&gateway, question, &identity, content, format == Format::EventStream).await?;
    match format {
        Format::EventStream => Ok(stream::turn(waiter, from, identity.scopes)),
        Format::Json => match waiter.end().await? {
            Some(events) => answer(&events, waiter.question(), identity.scopes),
            None => Ok(running(&waiter.question().message_id)),
        },
    }
}

/// The answer to a message that was sent before, if there is one yet.
pub(crate) async fn show_message(State(gateway): State<Gateway>, mut to: Addressed) -> Result<Response, Refusal> {
    let message_id = to.message_id.take().ok_or_else(unknown_message)?;
    let (key, identity) = to.resolve(&gateway, None).await?;
    let question = Question::new(key, identity.sender, message_id);
    match recorded(&gateway, &question).await? {
        Recorded::Turn(events) => answer(&events, &question, identity.scopes),
        Recorded::Pending => Ok(running(&question.message_id)),
        Recorded::Nothing => Err(unknown_message().into()),
    }
}

fn answer(events: &[cota_core::event::Event], question: &Question, scopes: Scopes) -> Result<Response, Refusal> {
    let turn = AnsweredTurn::among(events, question).ok_or_else(forgotten)?;
    Ok(respond::json(StatusCode::OK, &turn.answer(scopes)?))
}

fn running(message_id: &MessageId) -> Response {
    respond::json_for_now(StatusCode::ACCEPTED, &PendingAnswer::running(message_id.clone()))
}

fn unknown_message() -> Problem {
    let detail = "this conversation has no message with this id by this sender; `?sender_id=` names the sender";
    Problem::new(Code::NotFound, detail)
}
