//! Values in the several shapes that servers send them.

use serde_json::Value as Json;

use super::{ToolCall, Usage};

/// A field that is there and not null.
pub(super) fn present<'a>(value: &'a Json, field: &str) -> Option<&'a Json> {
    value.get(field).filter(|found| !found.is_null())
}

/// A field that is text and not empty.
pub(super) fn filled<'a>(value: &'a Json, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Json::as_str).filter(|text| !text.is_empty())
}

/// The text of a `content`: a string, a list of parts, or JSON that the server parsed already.
pub(super) fn text(content: &Json) -> Option<String> {
    match content {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Array(parts) => {
            let texts: Vec<String> = parts.iter().filter_map(part_text).collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
        Json::Object(_) => part_text(content).or_else(|| Some(content.to_string())),
        Json::Bool(_) | Json::Number(_) => Some(content.to_string()),
    }
}

/// The text of one part: a string, `{text}` or `{text: {value}}`. Images, refusals and reasoning have none.
fn part_text(part: &Json) -> Option<String> {
    match part {
        Json::String(text) => Some(text.clone()),
        Json::Object(_) => {
            let text = part.get("text")?;
            text.as_str().or_else(|| text.get("value")?.as_str()).map(str::to_owned)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => None,
    }
}

/// A tool call's arguments as text: a string as it is, an object as JSON, nothing as an empty object.
pub(super) fn arguments(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        None | Some(Json::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Arguments of a function that takes none may be missing; JSON has a way to say so.
pub(super) fn or_empty_object(arguments: String) -> String {
    if arguments.trim().is_empty() { "{}".to_owned() } else { arguments }
}

/// The id a tool call gets where the server sent none: its place, so that an answer can refer to it.
pub(super) fn or_made_id(id: Option<&str>, place: usize) -> String {
    id.map_or_else(|| format!("call_{place}"), str::to_owned)
}

/// The tool calls of a message, or pieces of them, as sent: `tool_calls`, or `function_call`, the form before there were tools.
pub(super) fn raw_calls(message: &Json) -> &[Json] {
    match message.get("tool_calls") {
        Some(Json::Array(calls)) => calls,
        _ => present(message, "function_call").map(std::slice::from_ref).unwrap_or_default(),
    }
}

/// The tool calls of a whole message.
pub(super) fn tool_calls(message: &Json) -> Vec<ToolCall> {
    raw_calls(message).iter().enumerate().map(|(place, call)| tool_call(call, place)).collect()
}

fn tool_call(call: &Json, place: usize) -> ToolCall {
    let function = present(call, "function").unwrap_or(call);
    ToolCall {
        id: or_made_id(filled(call, "id"), place),
        name: filled(function, "name").unwrap_or_default().to_owned(),
        arguments: or_empty_object(arguments(function.get("arguments"))),
    }
}

/// The token counts of an answer or a chunk, if it has any.
pub(super) fn usage(answer: &Json) -> Option<Usage> {
    let usage = present(answer, "usage")?;
    let count = |names: [&str; 2]| names.iter().find_map(|name| tokens(usage.get(*name)?)).unwrap_or(0);
    Some(Usage {
        prompt_tokens: count(["prompt_tokens", "input_tokens"]),
        completion_tokens: count(["completion_tokens", "output_tokens"]),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and only a count is lost")]
fn tokens(count: &Json) -> Option<u64> {
    count.as_u64().or_else(|| count.as_f64().map(|n| n as u64))
}
