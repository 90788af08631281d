//! What is sent to an LLM.

use bytes::Bytes;
use cota_core::bot::{Llm, LlmKind};
use cota_core::prompt::{ChatMessage, ChatRequest, Role, ToolDefinition};
use cota_protocol::openai::{self, custom};
use http::HeaderValue;
use http::header::ACCEPT;
use serde_json::Value as Json;

use crate::http::HttpRequest;
use cota_driver::address::Forbidden;

/// Most bytes of a body beside its texts, in most requests: a guess that saves the body from growing as it is written.
const BESIDE_TEXTS_BYTES: usize = 1024;

/// Why no request can be made from an endpoint's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsendable {
    #[error("`apibase` is not a web address")]
    BadBase,
    #[error("`apibase` is missing; type `custom` has no default for it")]
    NoBase,
    #[error("`key` holds a character that an HTTP header cannot carry, a line break perhaps")]
    BadKey,
    #[error("a value of it cannot be written as JSON")]
    NotJson,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// Makes an endpoint's request the one for a call.
pub(super) fn fill(mut request: HttpRequest, llm: &Llm, chat: ChatRequest, stream: bool) -> Result<HttpRequest, Unsendable> {
    let accept = if stream { "text/event-stream, application/json" } else { "application/json" };
    request.headers.insert(ACCEPT, HeaderValue::from_static(accept));
    let texts: usize = chat.messages.iter().map(|message| message.content.len()).sum();
    // Line breaks and quotes grow as they are escaped, by an eighth in an ordinary prompt.
    let mut written = Vec::with_capacity(texts + texts / 8 + BESIDE_TEXTS_BYTES);
    serde_json::to_writer(&mut written, &body(llm, chat, stream)).map_err(|_| Unsendable::NotJson)?;
    request.body = Bytes::from(written);
    Ok(request)
}

fn body(llm: &Llm, chat: ChatRequest, stream: bool) -> openai::ChatRequest {
    let mut tools: Vec<openai::ToolDefinition> = chat.tools.into_iter().map(tool).collect();
    if let LlmKind::OpenAiRag { knowledge_id, prompt } = &llm.kind {
        let retrieval = openai::Retrieval { knowledge_id: knowledge_id.clone(), prompt_template: prompt.clone() };
        tools.push(openai::ToolDefinition::Retrieval { retrieval });
    }
    let request = openai::ChatRequest {
        model: llm.model.clone(),
        messages: chat.messages.into_iter().map(message).collect(),
        max_tokens: max_tokens(llm, chat.max_tokens),
        response_format: chat.json.then_some(openai::ResponseFormat::JsonObject),
        tools,
        stream: false,
        stream_options: None,
        extra: llm.extra.clone(),
    };
    match &llm.kind {
        LlmKind::Custom => custom::request(request),
        LlmKind::OpenAi | LlmKind::OpenAiRag { .. } | LlmKind::Examples if stream => request.streamed(),
        LlmKind::OpenAi | LlmKind::OpenAiRag { .. } | LlmKind::Examples => request,
    }
}

/// The endpoint's own figure, else the bot's; none where the endpoint uses the newer key, beside which servers refuse the old.
fn max_tokens(llm: &Llm, of_bot: u32) -> Option<u32> {
    if llm.extra.contains_key("max_completion_tokens") {
        return None;
    }
    let own = llm.extra.get("max_tokens").and_then(Json::as_u64).and_then(|tokens| u32::try_from(tokens).ok());
    Some(own.unwrap_or(of_bot))
}

fn message(message: ChatMessage) -> openai::ChatMessage {
    let tool_calls: Vec<openai::ToolCall> =
        message.tool_calls.into_iter().map(|call| openai::ToolCall { id: call.id, name: call.name, arguments: call.arguments }).collect();
    // Servers insist on null for an assistant that called tools and said nothing.
    let silent = message.content.is_empty() && !tool_calls.is_empty();
    openai::ChatMessage {
        role: match message.role {
            Role::System => openai::Role::System,
            Role::User => openai::Role::User,
            Role::Assistant => openai::Role::Assistant,
            Role::Tool => openai::Role::Tool,
        },
        content: (!silent).then_some(message.content),
        tool_calls,
        tool_call_id: message.tool_call_id,
    }
}

fn tool(tool: ToolDefinition) -> openai::ToolDefinition {
    let ToolDefinition { name, description, parameters } = tool;
    openai::ToolDefinition::Function { function: openai::FunctionDefinition { name, description, parameters } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::endpoint::Endpoints;
    use super::*;
    use crate::testing::llm;

    fn chat() -> ChatRequest {
        let message = ChatMessage { role: Role::User, content: "hello".to_owned(), tool_calls: Vec::new(), tool_call_id: None };
        ChatRequest { messages: vec![message], tools: Vec::new(), max_tokens: 500, json: true }
    }

    fn sent(llm: &Llm, stream: bool) -> Json {
        body_of(llm, chat(), stream)
    }

    fn body_of(llm: &Llm, chat: ChatRequest, stream: bool) -> Json {
        let empty = Endpoints::default().request(llm).unwrap();
        serde_json::from_slice(&fill(empty, llm, chat, stream).unwrap().body).unwrap()
    }

    #[test]
    fn the_body_holds_the_endpoints_keys_beside_the_calls_own() {
        let extra = json!({"temperature": 0.5, "max_tokens": 99, "stream": "x"}).as_object().unwrap().clone();
        let endpoint = Llm { extra, ..llm() };
        let mut body = json!({
            "model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 99,
            "response_format": {"type": "json_object"}, "temperature": 0.5,
        });
        assert_eq!(sent(&endpoint, false), body);
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        assert_eq!(sent(&endpoint, true), body);
        let newer = json!({"max_completion_tokens": 7}).as_object().unwrap().clone();
        assert_eq!(sent(&Llm { extra: newer, ..llm() }, false).get("max_tokens"), None);
    }

    #[test]
    fn each_kind_speaks_its_dialect() {
        let kind = LlmKind::OpenAiRag { knowledge_id: "k1".to_owned(), prompt: Some("{{knowledge}}".to_owned()) };
        let retrieval = json!([{"type": "retrieval", "retrieval": {"knowledge_id": "k1", "prompt_template": "{{knowledge}}"}}]);
        assert_eq!(sent(&Llm { kind, ..llm() }, false).get("tools"), Some(&retrieval));
        let custom = sent(&Llm { kind: LlmKind::Custom, ..llm() }, true);
        assert_eq!((custom.get("stream"), custom.get("stream_options")), (None, None));
    }

    #[test]
    fn tool_calls_and_their_results_are_passed_on() {
        let call = cota_core::prompt::ToolUse { id: "c1".to_owned(), name: "Weather".to_owned(), arguments: "{}".to_owned() };
        let called = ChatMessage { role: Role::Assistant, content: String::new(), tool_calls: vec![call], tool_call_id: None };
        let result = ChatMessage { role: Role::Tool, content: "sunny".to_owned(), tool_calls: vec![], tool_call_id: Some("c1".to_owned()) };
        let weather = ToolDefinition { name: "Weather".to_owned(), description: "d".to_owned(), parameters: json!({"type": "object"}) };
        let chat = ChatRequest { messages: vec![called, result], tools: vec![weather], max_tokens: 5, json: false };
        let body = body_of(&llm(), chat, false);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "assistant", "content": null,
                 "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "Weather", "arguments": "{}"}}]},
                {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
            ])
        );
        let function = json!({"name": "Weather", "description": "d", "parameters": {"type": "object"}});
        assert_eq!(body["tools"], json!([{"type": "function", "function": function}]));
        assert_eq!(body.get("response_format"), None);
    }
}
