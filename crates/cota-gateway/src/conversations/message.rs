//! `POST .../messages` and `GET .../messages/{message_id}`.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts as _, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use cota_core::event::MessageContent;
use cota_core::ids::MessageId;
use cota_driver::host::Sent;
use cota_driver::store::{NewMessage, Progress};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::rest::{BODY_BYTES, MessageRequest, PendingAnswer};

use super::stream;
use super::wait::{Heard, Recorded, Waiter, answered, recorded};
use crate::access::Scopes;
use crate::answer::{AnsweredTurn, Question};
use crate::gateway::Gateway;
use crate::request::{Addressed, Format, header_text};
use crate::respond::{self, Refusal};

/// The header that names a message, as an alternative to `message_id` in the body.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

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
        is_json(&parts.headers)?;
        let key = idempotency_key(&parts.headers)?;
        let body = Bytes::from_request(Request::from_parts(parts, body), gateway).await.map_err(unread)?;
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
    let (key, identity) = to.resolve(message.sender_id)?;
    let question = Question::new(key, identity.sender, gateway.message_id(message.message_id)?);
    let message = NewMessage {
        sender: question.sender.clone(),
        message_id: question.message_id.clone(),
        at: gateway.now(),
        content: MessageContent {
            text: message.text,
            receiver: message.receiver,
            metadata: message.metadata,
            payload: None,
            proxy_exchange: None,
        },
    };
    let mut waiter = Waiter::new(&gateway, question, format == Format::EventStream);
    let known = match gateway.conversations().send(&waiter.question().key, message).await? {
        Sent::Accepted(_) | Sent::Repeated(Progress::Pending) => None,
        Sent::Repeated(Progress::Answered { first, last }) => match answered(&gateway, waiter.question(), first, last).await? {
            Recorded::Turn(events) => Some(events),
            Recorded::Nothing | Recorded::Pending => return Err(forgotten().into()),
        },
    };
    match format {
        Format::EventStream => Ok(stream::turn(waiter, known, from, identity.scopes)),
        Format::Json => {
            let events = match known {
                Some(events) => events,
                None => loop {
                    match waiter.next().await {
                        Heard::Durable(events) => break events,
                        Heard::Fragment(_) => {}
                        Heard::OutOfTime => return Ok(running(&waiter.question().message_id)),
                        Heard::Forgotten => return Err(forgotten().into()),
                    }
                },
            };
            answer(&events, waiter.question(), identity.scopes)
        }
    }
}

/// The answer to a message that was sent before, if there is one yet.
pub(crate) async fn show_message(State(gateway): State<Gateway>, mut to: Addressed) -> Result<Response, Refusal> {
    let message_id = to.message_id.take().ok_or_else(unknown_message)?;
    let (key, identity) = to.resolve(None)?;
    let question = Question::new(key, identity.sender, message_id);
    match recorded(&gateway, &question).await? {
        Recorded::Turn(events) => answer(&events, &question, identity.scopes),
        Recorded::Pending => Ok(running(&question.message_id)),
        Recorded::Nothing => Err(unknown_message().into()),
    }
}

/// What is said of a conversation that was forgotten while somebody waited for it.
pub(super) fn forgotten() -> Problem {
    Problem::new(Code::NotFound, "the conversation was forgotten before this message was answered")
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

/// A page can send other types anywhere without being asked; JSON it cannot.
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = header_text(headers, header::CONTENT_TYPE.as_str())?.unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "send the message as JSON, with the header `Content-Type: application/json`"))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<MessageId>, Problem> {
    let Some(key) = header_text(headers, IDEMPOTENCY_KEY)? else { return Ok(None) };
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    MessageId::new(key).map(Some).map_err(|error| Problem::new(Code::BadRequest, format!("the header Idempotency-Key {}", error.fault)))
}

fn unread(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(Code::PayloadTooLarge, format!("the body has more than {BODY_BYTES} bytes"));
    }
    Problem::new(Code::BadRequest, "the body broke off before its end")
}
