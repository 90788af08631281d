//! The OpenAI-compatible endpoint: `POST /v1/chat/completions` and `GET /v1/models`. A bot answers as if it were a model.
//!
//! Without a header the client's `messages` are all there is: the turn runs in a conversation that nobody keeps. With
//! `X-Conversation-Id` the last message goes into that conversation, and the ones before it are what the record says.
//!
//! A client cannot take text back. A stream carries what was shown of the first reply as long as it only grows, and the rest
//! once the turn is committed; if the two do not agree, the stream ends with an error.

mod asking;
mod past;
mod stream;

use axum::extract::{FromRequest as _, Request, State};
use axum::response::Response;
use http::StatusCode;

use cota_core::ids::{ConversationId, SenderId};
use cota_protocol::openai::server::{Answer, CompletionRequest, error_body, models};
use cota_protocol::problem::{Code, Problem};

use crate::access::Identity;
use crate::answer::{AnsweredTurn, Question};
use crate::gateway::Gateway;
use crate::request::{JsonBody, Visit, bot_named, header_text, idempotency_key};
use crate::respond;
use crate::wait::forgotten;

use asking::{Asking, Heard};

pub(crate) use cota_protocol::openai::server::BODY_BYTES;

/// The header that names the conversation to speak in.
const CONVERSATION_HEADER: &str = "x-conversation-id";

/// Where the endpoint is.
pub(crate) const COMPLETIONS: &str = "/v1/chat/completions";
/// Where the bots are listed.
pub(crate) const MODELS: &str = "/v1/models";

/// Answers the last message.
pub(crate) async fn complete(State(gateway): State<Gateway>, request: Request) -> Response {
    try_complete(&gateway, request).await.unwrap_or_else(|problem| refuse(&problem))
}

/// The bots.
pub(crate) async fn list_models(State(gateway): State<Gateway>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let speaker = async { gateway.speaker(Visit::read(&parts, &gateway)?.caller, None).await };
    match speaker.await {
        Ok(_) => respond::json(StatusCode::OK, &models(&gateway.conversations().bot_names())),
        Err(problem) => refuse(&problem),
    }
}

/// What is asked, by whom, and how the answer is to look.
struct Asked {
    request: CompletionRequest,
    question: Question,
    identity: Identity,
    /// Whether the conversation is kept.
    kept: bool,
    answer: Answer,
}

async fn try_complete(gateway: &Gateway, request: Request) -> Result<Response, Problem> {
    let Asked { request, question, identity, kept, answer } = read(gateway, request).await?;
    let (streams, include_usage) = (request.stream, request.include_usage);
    let mut asking = if kept {
        Asking::in_record(gateway, question, &identity, request).await?
    } else {
        gateway.may_ask(&question, &identity).await?;
        Asking::once(gateway, question, request)?
    };
    if streams {
        return stream::respond(asking, answer, include_usage, gateway).await;
    }
    let events = loop {
        match asking.next().await {
            Heard::Fragment(_) => {}
            Heard::Ended(events) => break events,
            Heard::Failed(problem) => return Err(problem),
        }
    };
    let turn = AnsweredTurn::among(&events, asking.question()).ok_or_else(forgotten)?;
    Ok(respond::json(StatusCode::OK, &answer.completion(&turn.text()?, turn.usage())))
}

async fn read(gateway: &Gateway, request: Request) -> Result<Asked, Problem> {
    let (parts, body) = request.into_parts();
    let mut visit = Visit::read(&parts, gateway)?;
    let in_header = header_text(&parts.headers, CONVERSATION_HEADER)?.map(ConversationId::new).transpose();
    let in_header = in_header.map_err(|error| Problem::new(Code::BadRequest, format!("the header X-Conversation-Id {}", error.fault)))?;
    let message_id = gateway.message_id(idempotency_key(&parts.headers)?)?;
    let JsonBody(body) = JsonBody::from_request(Request::from_parts(parts, body), gateway).await?;
    let request = CompletionRequest::decode(&body)?;
    if let Some(model) = request.model.as_deref() {
        visit.bot = bot_named(gateway, Some(model)).map_err(|problem| problem.with("field", "model"))?;
    }
    let user = request.user.as_deref().map(SenderId::new).transpose();
    let user = user.map_err(|error| Problem::new(Code::BadRequest, format!("`user` {}", error.fault)).with("field", "user"))?;
    let kept = in_header.is_some();
    let id = match in_header {
        Some(id) => id,
        None => ConversationId::new(format!("once-{message_id}")).map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?,
    };
    let model = visit.bot.clone();
    let (key, identity) = visit.resolve(gateway, id, user).await?;
    let question = Question::new(key, identity.sender.clone(), message_id);
    let answer = Answer { id: format!("chatcmpl-{}", question.run), created: gateway.now(), model };
    Ok(Asked { request, question, identity, kept, answer })
}

/// Whether OpenAI's clients ask for this path.
pub(crate) fn is_route(path: &str) -> bool {
    path == COMPLETIONS || path == MODELS
}

/// A problem as OpenAI's clients know it.
pub(crate) fn refuse(problem: &Problem) -> Response {
    respond::problem_as(problem, &error_body(problem))
}
