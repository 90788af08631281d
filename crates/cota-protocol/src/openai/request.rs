use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::ToolCall;

/// The keys that a request writes itself; extra keys never repeat them.
const OWN_KEYS: [&str; 7] = ["model", "messages", "max_tokens", "response_format", "tools", "stream", "stream_options"];

/// The body of `POST {apibase}/chat/completions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChatRequest {
    /// The model's name at the endpoint.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<ChatMessage>,
    /// The most tokens the answer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// What the answer has to be; absent means text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// What the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolDefinition>,
    /// Whether the answer is wanted in pieces.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// What else a stream is to carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Sampling and other keys of the endpoint, sent beside the request's own, which they never replace.
    #[serde(flatten, serialize_with = "serialize_extra")]
    pub extra: Map<String, Json>,
}

impl ChatRequest {
    /// The same request with its answer streamed, token counts included.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.stream = true;
        self.stream_options = Some(StreamOptions { include_usage: true });
        self
    }
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said. Absent only beside tool calls, and sent as null then, which servers insist on.
    pub content: Option<String>,
    /// What the assistant called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool's message answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl ChatMessage {
    /// A message that is text.
    #[must_use]
    pub fn text(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: Some(content.into()), tool_calls: Vec::new(), tool_call_id: None }
    }

    /// The assistant's tool calls.
    #[must_use]
    pub fn calls(tool_calls: Vec<ToolCall>) -> Self {
        Self { role: Role::Assistant, content: None, tool_calls, tool_call_id: None }
    }

    /// What a tool call came to.
    #[must_use]
    pub fn tool_result(call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self { tool_call_id: Some(call_id.into()), ..Self::text(Role::Tool, content) }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person, or whoever the model is to answer.
    User,
    /// The model.
    Assistant,
    /// What a tool call came to.
    Tool,
}

/// What the answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// One JSON object.
    JsonObject,
}

/// What else a stream is to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StreamOptions {
    /// A last chunk with the token counts.
    pub include_usage: bool,
}

/// Something the model may call, or that the endpoint does for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolDefinition {
    /// A function of ours.
    Function {
        /// Its name and arguments.
        function: FunctionDefinition,
    },
    /// Search in a knowledge base at the endpoint (`openai-rag`).
    Retrieval {
        /// Where and how.
        retrieval: Retrieval,
    },
}

/// A function's name and arguments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionDefinition {
    /// Its name.
    pub name: String,
    /// When to call it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A JSON Schema of its arguments.
    pub parameters: Json,
}

/// A knowledge base at the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retrieval {
    /// Its id.
    pub knowledge_id: String,
    /// How what was found and the question make up the prompt; absent means the endpoint's way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_template: Option<String>,
}

impl Serialize for ToolCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Function<'a> {
            name: &'a str,
            arguments: &'a str,
        }

        let mut call = serializer.serialize_struct("ToolCall", 3)?;
        call.serialize_field("id", &self.id)?;
        call.serialize_field("type", "function")?;
        call.serialize_field("function", &Function { name: &self.name, arguments: &self.arguments })?;
        call.end()
    }
}

fn serialize_extra<S: Serializer>(extra: &Map<String, Json>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(extra.iter().filter(|(key, _)| !OWN_KEYS.contains(&key.as_str())))
}
