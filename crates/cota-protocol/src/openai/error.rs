use std::fmt;

use serde_json::Value as Json;

use super::lenient::present;

/// Most characters of a server's words that are kept.
const LONGEST_MESSAGE: usize = 500;

/// How a server says no, in its own words.
///
/// A server may repeat what it was sent, a key included: whoever shows or records this takes the key out first.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct ApiError {
    /// What it says: one line of at most 500 characters, empty if it says nothing.
    pub message: String,
    /// Its `code`, or else its `type`.
    pub code: Option<String>,
}

impl ApiError {
    /// Reads the body of an answer whose status is an error. Any body will do: one in no known shape is a message itself.
    #[must_use]
    pub fn decode(body: &[u8]) -> Self {
        match serde_json::from_slice::<Json>(body) {
            Ok(answer) => Self::find(&answer, false).unwrap_or_else(|| Self::new(answer.as_str().unwrap_or_default(), None)),
            Err(_) => Self::new(&String::from_utf8_lossy(body), None),
        }
    }

    /// The error that a JSON answer or chunk stands for, if it does.
    ///
    /// Shapes: `{"error": {"message", "code", "type"}}`, `{"error": "text"}`, `{"errors": [...]}`; and where the answer itself is
    /// missing, `{"message": "text"}`, `{"detail": "text"}`, `{"detail": [{"msg"}]}`; each of these also in a list of one.
    pub(super) fn find(answer: &Json, has_answer: bool) -> Option<Self> {
        let answer = match answer {
            Json::Array(list) => list.first()?,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => answer,
        };
        let said = |name: &&str| present(answer, name).filter(|found| is_said(found));
        if let Some(error) = ["error", "errors"].iter().find_map(said) {
            return Some(Self::of(error, answer));
        }
        if has_answer {
            return None;
        }
        let message = || answer.get("message").filter(|message| message.is_string());
        said(&"detail").or_else(message).map(|error| Self::of(error, answer))
    }

    fn of(error: &Json, around: &Json) -> Self {
        match error {
            Json::String(message) => Self::new(message, label(around)),
            Json::Array(errors) => errors.first().map_or_else(Self::default, |first| Self::of(first, around)),
            Json::Object(_) => {
                let message = ["message", "msg", "error", "detail"].iter().find_map(|name| error.get(*name)?.as_str());
                Self::new(message.unwrap_or_default(), label(error).or_else(|| label(around)))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {
                Self::new(around.get("message").and_then(Json::as_str).unwrap_or_default(), label(around))
            }
        }
    }

    fn new(message: &str, code: Option<String>) -> Self {
        Self { message: one_line(message), code }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.message.is_empty()) {
            (Some(code), false) => write!(f, "{} ({code})", self.message),
            (Some(code), true) => write!(f, "an error without a message ({code})"),
            (None, false) => f.write_str(&self.message),
            (None, true) => f.write_str("an error without a message"),
        }
    }
}

/// Why a whole answer could not be used. The answer itself is never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// It is no JSON.
    #[error("the LLM server's answer is not JSON; does `apibase` point to its API?")]
    NotJson,
    /// It is JSON of another form.
    #[error("the LLM server's answer has no {wanted}; does the endpoint's `type` fit the server?")]
    NoAnswer {
        /// What was looked for.
        wanted: &'static str,
    },
    /// It is an error in the clothes of an answer.
    #[error("the LLM server answered with an error: {0}")]
    Refused(ApiError),
}

/// Why a streamed answer could not be used. The answer itself is never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A chunk is no JSON.
    #[error("the LLM server's stream has a chunk that is not JSON")]
    NotJson,
    /// The server gave up in the middle.
    #[error("the LLM server broke off its answer: {0}")]
    Refused(ApiError),
    /// The stream ended before the answer did.
    #[error("the LLM server's stream ended before its answer was complete")]
    Cut,
    /// The answer is larger than allowed.
    #[error("the LLM server's answer is larger than {max_bytes} bytes")]
    TooLarge {
        /// The bound.
        max_bytes: usize,
    },
}

/// Some servers send an empty `error` with every good answer.
fn is_said(error: &Json) -> bool {
    match error {
        Json::Null | Json::Bool(false) => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(list) => !list.is_empty(),
        Json::Object(fields) => !fields.is_empty(),
        Json::Bool(true) | Json::Number(_) => true,
    }
}

/// The `code`, else the `type`, as text. Codes may be numbers.
fn label(error: &Json) -> Option<String> {
    ["code", "type"].iter().find_map(|name| match error.get(*name)? {
        Json::String(text) if !text.is_empty() => Some(one_line(text)),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
    })
}

fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_MESSAGE).collect()
}
