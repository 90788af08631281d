//! Prompts: templates, their variables, and the requests made of them.

mod template;

pub use template::{Template, UnknownVariable, Variable};

use serde_json::Value as Json;

use crate::bot::Bot;
use crate::tracker::Tracker;
use crate::turn::{LlmCall, Purpose};

/// What is sent to an LLM, in the terms that chat endpoints share.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The conversation as the LLM sees it.
    pub messages: Vec<ChatMessage>,
    /// What it may call; empty outside `tools` mode.
    pub tools: Vec<ToolDefinition>,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// Whether a JSON object is asked for.
    pub json: bool,
}

/// One message of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// The assistant's tool calls.
    pub tool_calls: Vec<ToolUse>,
    /// The call that a tool's result answers.
    pub tool_call_id: Option<String>,
}

/// Who speaks in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The platform.
    System,
    /// The user.
    User,
    /// The bot.
    Assistant,
    /// An action that was called.
    Tool,
}

/// A tool call of the past, as a request tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolUse {
    /// Its id, made up for this request.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments as JSON.
    pub arguments: String,
}

/// A tool that an LLM may call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// Its name: at most 64 letters, digits, `-` and `_`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its parameters as a JSON Schema.
    pub parameters: Json,
}

/// Whether a prompt shows the policies' thoughts, so that they are worth having.
#[must_use]
pub fn uses_thoughts(_bot: &Bot, purpose: &Purpose) -> bool {
    *purpose == Purpose::Choose
}

/// The request for a call. Thoughts are those that the call carries.
#[must_use]
pub fn request(bot: &Bot, _tracker: &Tracker, call: &LlmCall) -> ChatRequest {
    ChatRequest { messages: Vec::new(), tools: Vec::new(), max_tokens: bot.settings().max_tokens, json: call.json }
}
