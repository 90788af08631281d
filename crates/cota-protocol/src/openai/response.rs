use serde_json::Value as Json;

use super::lenient::{self, filled, present};
use super::{ApiError, ResponseError, ordinary};

/// A model's whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The text; absent where the model said nothing, as beside tool calls.
    pub content: Option<String>,
    /// What it wants to call, in its order.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped, where the server says so.
    pub finish_reason: Option<FinishReason>,
    /// What it cost; zero where the server does not count.
    pub usage: Usage,
}

/// A call the model wants made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// What an answer to it refers to; `call_{place}` where the server sent none.
    pub id: String,
    /// The function; empty where the server sent none.
    pub name: String,
    /// JSON, hopefully: whatever the model wrote; `{}` where it wrote nothing.
    pub arguments: String,
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It reached `max_tokens` or the end of its context: the answer is cut.
    Length,
    /// It wants calls made.
    ToolCalls,
    /// The server's filter took the answer.
    ContentFilter,
    /// Something else, in the server's words.
    Other(String),
}

impl FinishReason {
    pub(super) fn of(choice: &Json) -> Option<Self> {
        filled(choice, "finish_reason").map(Self::named)
    }

    pub(super) fn named(reason: &str) -> Self {
        match reason {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Tokens as the server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens sent.
    pub prompt_tokens: u64,
    /// Tokens received.
    pub completion_tokens: u64,
}

/// Reads an answer that came whole.
///
/// # Errors
/// When the body is no JSON, is an error, or has no choice in it.
pub fn decode_completion(body: &[u8]) -> Result<Completion, ResponseError> {
    ordinary::read(body).map_or_else(|| read_leniently(body), Ok)
}

/// Reads an answer of any form.
pub(super) fn read_leniently(body: &[u8]) -> Result<Completion, ResponseError> {
    let answer = parse(body)?;
    let choice = answer
        .get("choices")
        .and_then(|choices| choices.get(0))
        .filter(|choice| choice.is_object())
        .ok_or(ResponseError::NoAnswer { wanted: "`choices`" })?;
    let message = present(choice, "message").unwrap_or(choice);
    Ok(Completion {
        content: present(message, "content").or_else(|| present(choice, "text")).and_then(lenient::text),
        tool_calls: lenient::tool_calls(message),
        finish_reason: FinishReason::of(choice),
        usage: lenient::usage(&answer).unwrap_or_default(),
    })
}

/// The JSON of an answer that is not an error.
pub(super) fn parse(body: &[u8]) -> Result<Json, ResponseError> {
    let answer: Json = serde_json::from_slice(body).map_err(|_| ResponseError::NotJson)?;
    let has_answer = present(&answer, "choices").or_else(|| present(&answer, "content")).is_some();
    match ApiError::find(&answer, has_answer) {
        Some(error) => Err(ResponseError::Refused(error)),
        None => Ok(answer),
    }
}
