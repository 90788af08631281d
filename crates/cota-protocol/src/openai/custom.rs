//! The `custom` kind of endpoint: `{model, messages, max_tokens, response_format, ...extra}` is posted to the address itself,
//! and the answer is `{content}` or a bare JSON string.

use serde_json::Value as Json;

use super::lenient::{self, present};
use super::response::parse;
use super::{ChatRequest, Completion, ResponseError};

/// The request without what such an endpoint does not know: tools and streaming.
#[must_use]
pub fn request(request: ChatRequest) -> ChatRequest {
    ChatRequest { tools: Vec::new(), stream: false, stream_options: None, ..request }
}

/// Reads the answer. `usage` is taken in OpenAI's form where the endpoint sends it.
///
/// # Errors
/// When the body is no JSON, is an error, or has neither form.
pub fn decode(body: &[u8]) -> Result<Completion, ResponseError> {
    let answer = parse(body)?;
    match &answer {
        Json::String(content) => Ok(Completion { content: Some(content.clone()), ..Completion::default() }),
        Json::Object(fields) if fields.contains_key("content") => Ok(Completion {
            content: present(&answer, "content").and_then(lenient::text),
            usage: lenient::usage(&answer).unwrap_or_default(),
            ..Completion::default()
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            Err(ResponseError::NoAnswer { wanted: "a JSON object with `content`, or a JSON string" })
        }
    }
}
