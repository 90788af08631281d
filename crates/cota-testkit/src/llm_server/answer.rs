//! What a scripted model says, and how it looks on the wire.

use serde_json::{Value as Json, json};

/// What the model does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// These words.
    Say(String),
    /// Calls of native tools: name and arguments.
    Call(Vec<(String, Json)>),
    /// These words, but the connection breaks in the middle of them.
    Cut(String),
    /// A failure.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// Seconds for a `Retry-After` header.
        retry_after_s: Option<u32>,
    },
    /// Nothing, for as long as the client waits.
    Hang,
}

impl Answer {
    /// These words.
    #[must_use]
    pub fn say(words: impl Into<String>) -> Self {
        Self::Say(words.into())
    }

    /// A JSON object as words.
    #[must_use]
    pub fn json(object: &Json) -> Self {
        Self::Say(object.to_string())
    }
}

/// A whole completion around a message.
pub(super) fn completion(message: &Json) -> String {
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    })
    .to_string()
}

/// A message of words.
pub(super) fn words(text: &str) -> Json {
    json!({"role": "assistant", "content": text})
}

/// A message of tool calls.
pub(super) fn tool_calls(calls: &[(String, Json)]) -> Json {
    json!({"role": "assistant", "content": null, "tool_calls": indexed(calls)})
}

/// One event of a stream, with a piece of the message.
pub(super) fn event(delta: &Json) -> String {
    let chunk = json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

/// The events of a stream that bring words in pieces of so many characters.
pub(super) fn word_events(text: &str, piece: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(piece).map(|part| event(&json!({"content": part.iter().collect::<String>()}))).collect()
}

/// The events of a stream that bring tool calls.
pub(super) fn call_events(calls: &[(String, Json)]) -> Vec<String> {
    vec![event(&json!({"role": "assistant", "tool_calls": indexed(calls)}))]
}

/// The last events of a stream.
pub(super) fn end_events() -> String {
    let end = json!({
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    });
    format!("data: {end}\n\ndata: [DONE]\n\n")
}

fn indexed(calls: &[(String, Json)]) -> Vec<Json> {
    let call = |(index, (name, arguments)): (usize, &(String, Json))| {
        json!({
            "index": index,
            "id": format!("call_{index}"),
            "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()},
        })
    };
    calls.iter().enumerate().map(call).collect()
}
