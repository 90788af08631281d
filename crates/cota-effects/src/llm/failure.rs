//! What a failed call is to the turn: what kind, in which words.
//!
//! The words reach prompts, traces and people. They name the entry of endpoints.yml, never its key or its address.

use cota_core::bot::{Llm, Secret};
use cota_core::ids::Timestamp;
use cota_core::limits::LLM_ANSWER_BYTES;
use cota_core::machine::{EffectError, FailureKind};
use cota_protocol::openai::{ApiError, ResponseError, StreamError};
use http::StatusCode;

use super::answer::Unusable;
use super::request::Unsendable;
use super::retry_after::retry_after_ms;
use crate::http::{HttpError, HttpResponse};
use crate::redact::Redactor;

/// Most bytes of an error page that are read.
const ERROR_PAGE_BYTES: usize = 16 * 1024;
/// Most characters of a server's words that are passed on.
const SAID_CHARS: usize = 300;
/// OpenAI's code for an account without credit, which comes with the status of a rate limit that never ends.
const NO_CREDIT: &str = "insufficient_quota";

/// Words the failures of one endpoint.
pub(super) struct Failures<'a> {
    name: &'a str,
    redactor: Redactor<'a>,
}

impl<'a> Failures<'a> {
    pub(super) fn of(llm: &'a Llm) -> Self {
        Self { name: &llm.name, redactor: Redactor::of(llm.key.as_ref().map(Secret::reveal)) }
    }

    pub(super) fn unsendable(&self, error: &Unsendable) -> EffectError {
        EffectError::new(FailureKind::Rejected, format!("{error}; see `llms.{}` in endpoints.yml", self.name))
    }

    pub(super) fn http(&self, error: &HttpError) -> EffectError {
        let name = self.name;
        match error {
            HttpError::TooLarge { .. } => {
                EffectError::new(FailureKind::Rejected, format!("answer too large: LLM `{name}` sent more than {LLM_ANSWER_BYTES} bytes"))
            }
            HttpError::Forbidden(_) => EffectError::new(FailureKind::Rejected, format!("LLM `{name}` was not asked: {error}")),
            HttpError::Connect | HttpError::Tls | HttpError::Cut => {
                EffectError::new(FailureKind::Transient, format!("LLM `{name}`: {error}"))
            }
            HttpError::Timeout => EffectError::new(FailureKind::TimedOut, format!("LLM `{name}`: {error}")),
        }
    }

    pub(super) fn unusable(&self, error: Unusable) -> EffectError {
        let name = self.name;
        match error {
            Unusable::Http(error) => self.http(&error),
            Unusable::Streamed(StreamError::TooLarge { max_bytes }) => self.http(&HttpError::TooLarge { max_bytes }),
            // What breaks off may hold the next time; what a server says in full it will say again.
            Unusable::Streamed(StreamError::Cut | StreamError::Refused(_)) => {
                EffectError::new(FailureKind::Transient, format!("LLM `{name}`: {}", self.said(&error.to_string())))
            }
            Unusable::Compressed
            | Unusable::Streamed(StreamError::NotJson)
            | Unusable::Whole(ResponseError::NotJson | ResponseError::NoAnswer { .. } | ResponseError::Refused(_)) => {
                EffectError::new(FailureKind::Rejected, format!("LLM `{name}`: {}", self.said(&error.to_string())))
            }
        }
    }

    /// The failure that an answer's status stands for. Reads what the server says about it.
    pub(super) async fn status(&self, response: HttpResponse, now: Timestamp) -> EffectError {
        let HttpResponse { status, headers, body } = response;
        let name = self.name;
        if status.is_redirection() {
            let message = format!(
                "LLM `{name}` redirects to another address ({status}), which is never followed; write the right `apibase` under `llms.{name}` in endpoints.yml"
            );
            return EffectError::new(FailureKind::Rejected, message);
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let message =
                format!("LLM `{name}` does not accept its key ({status}); check `key` and `model` under `llms.{name}` in endpoints.yml");
            return EffectError::new(FailureKind::Rejected, message);
        }
        let page = self.redactor.redact(&String::from_utf8_lossy(&body.read_start(ERROR_PAGE_BYTES).await));
        let error = ApiError::decode(page.as_bytes());
        let said = if is_page(&page) || error.message.is_empty() { String::new() } else { format!(": {}", self.said(&error.message)) };
        let wait = retry_after_ms(&headers, now);
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS if error.code.as_deref() == Some(NO_CREDIT) => FailureKind::Rejected,
            StatusCode::TOO_MANY_REQUESTS => FailureKind::RateLimited,
            StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => FailureKind::RateLimited,
            StatusCode::REQUEST_TIMEOUT => FailureKind::Transient,
            status if status.is_server_error() => FailureKind::Transient,
            _ => FailureKind::Rejected,
        };
        let retry_after_ms = match kind {
            FailureKind::RateLimited | FailureKind::Transient => wait,
            FailureKind::Rejected | FailureKind::TimedOut | FailureKind::Aborted | FailureKind::OutcomeUnknown => None,
        };
        EffectError { retry_after_ms, ..EffectError::new(kind, format!("LLM `{name}` answered {status}{said}")) }
    }

    /// A server's words, short and without the key.
    fn said(&self, text: &str) -> String {
        self.redactor.redact(text).chars().take(SAID_CHARS).collect()
    }
}

/// An HTML page says nothing that helps.
fn is_page(text: &str) -> bool {
    text.trim_start().starts_with('<')
}
