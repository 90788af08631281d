//! Writing answers: JSON, problems, and the headers that every answer has.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::{self, Either};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use cota_driver::host::SendError;
use cota_driver::ports::Clock;
use cota_driver::store::StoreError;
use cota_protocol::problem::{self, Code, Problem};
use cota_protocol::sse;

/// How long a stream is silent before a comment tells the proxies on its way that it lives, in milliseconds.
const KEEP_ALIVE_MS: u64 = 15_000;
/// Seconds after which a client may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// How to prove who one is (RFC 6750).
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// Every answer has these: it is for this caller alone, is what its type says, and no page may frame it or run anything in it.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A request that came to nothing.
#[derive(Debug)]
pub(crate) struct Refusal(Problem);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self(not_accepted(&error))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self(unreadable(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        problem(&self.0)
    }
}

/// A problem as an HTTP answer.
#[must_use]
pub fn problem(problem: &Problem) -> Response {
    refuse(problem, problem, HeaderValue::from_static(problem::CONTENT_TYPE))
}

/// A problem in the shape that the clients of a channel know.
pub(crate) fn problem_as(problem: &Problem, shape: &impl Serialize) -> Response {
    refuse(problem, shape, HeaderValue::from_static("application/json"))
}

fn refuse(problem: &Problem, shape: &impl Serialize, content_type: HeaderValue) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = body(status, shape, content_type);
    if problem.code == Code::Unauthorized {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, BEARER);
    }
    if problem.code.is_transient() {
        let after = problem.retry_after().map_or(RETRY_AFTER, HeaderValue::from);
        response.headers_mut().insert(header::RETRY_AFTER, after);
    }
    response
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    body(status, answer, HeaderValue::from_static("application/json"))
}

/// A JSON answer that is not the last word: ask again.
pub(crate) fn json_for_now(status: StatusCode, answer: &impl Serialize) -> Response {
    let mut response = json(status, answer);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// Text of this type.
pub(crate) fn text(content_type: &'static str, text: impl Into<Body>) -> Response {
    with_type(StatusCode::OK, text.into(), HeaderValue::from_static(content_type))
}

/// Events as they come, and between them signs of life.
pub(crate) fn event_stream(events: BoxStream<'static, sse::Event>, clock: Arc<dyn Clock>) -> Response {
    let bytes = stream::unfold((events, clock), |(mut events, clock)| async move {
        let silence = clock.sleep_until(clock.now().plus_ms(KEEP_ALIVE_MS));
        let text = match future::select(events.next(), silence).await {
            Either::Left((event, _)) => event?.encode(),
            Either::Right(((), _)) => sse::KEEP_ALIVE.to_owned(),
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (events, clock)))
    });
    text("text/event-stream", Body::from_stream(bytes))
}

/// Puts the headers on an answer that every answer has, where it does not have its own.
pub(crate) fn secure(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(value);
    }
    response
}

/// Why a message was not accepted, as a client is told it.
pub(crate) fn not_accepted(error: &SendError) -> Problem {
    match error {
        SendError::UnknownBot => Problem::new(Code::UnknownBot, "there is no bot of this name any more"),
        SendError::IdReused => Problem::new(Code::IdReused, "this `message_id` was used for another text; send the new text with a new id"),
        SendError::Busy => {
            Problem::new(Code::Busy, "the bot is answering another message of this conversation; send this one again when it has")
        }
        SendError::QueueFull => Problem::new(Code::QueueFull, "too many messages of this conversation wait; send this one again later"),
        SendError::TextTooLong { .. } => Problem::new(Code::TextTooLong, error.to_string()).with("field", "text"),
        SendError::Stopping => Problem::new(Code::ShuttingDown, "the server is about to end; send the same message again in a moment"),
        SendError::Store(error) => unreadable(error),
    }
}

/// What a client is told of a store that cannot serve; the reason is for the operator's log.
#[must_use]
pub fn unreadable(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(%error, "a request came to nothing");
            Problem::new(Code::StoreUnavailable, "the store of conversations does not answer; try again in a moment")
        }
        StoreError::Corrupt(_) => {
            tracing::error!(%error, "a request came to nothing");
            Problem::new(Code::Internal, "the record of this conversation cannot be read; the operator's log says why")
        }
    }
}

fn body(status: StatusCode, content: &impl Serialize, content_type: HeaderValue) -> Response {
    match serde_json::to_vec(content) {
        Ok(json) => with_type(status, json.into(), content_type),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn with_type(status: StatusCode, body: Body, content_type: HeaderValue) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
