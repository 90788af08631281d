//! Prompts: templates, their variables, and the requests made of them.
//!
//! An author's prompt is a [`Template`]; where there is none, `defaults` has one. [`request`] renders it from bot, tracker and
//! call (`variables`), or in `tools` mode offers the actions as native tools (`tools`). Whatever a user or a service said stays
//! on one line of a prompt (`history`), so that nobody can write a line in another's name.

mod defaults;
mod history;
mod template;
mod tools;
mod variables;

use serde_json::Value as Json;

pub(crate) use history::one_line;
pub use template::{Template, UnknownVariable, Variable};
pub(crate) use tools::tool_action;
pub(crate) use variables::action_descriptions;

use crate::bot::{Action, BOT_UTTER, Bot, SELECTOR, USER_UTTER};
use crate::limits;
use crate::tracker::Tracker;
use crate::turn::{LlmCall, Purpose, SlotQuestion};
use defaults::Defaults;

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

impl ChatMessage {
    pub(crate) fn of(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// Whether a prompt shows the policies' thoughts, so that they are worth having.
#[must_use]
pub fn uses_thoughts(bot: &Bot, purpose: &Purpose) -> bool {
    match purpose {
        Purpose::Choose => true,
        Purpose::Think { .. } => false,
        Purpose::Select | Purpose::Fill { .. } | Purpose::Utter { .. } | Purpose::ProxyUser => template(bot, purpose)
            .is_some_and(|template| template.variables().any(|v| matches!(v, Variable::Policies | Variable::Thoughts))),
    }
}

/// The request for a call. Thoughts are those that the call carries.
#[must_use]
pub fn request(bot: &Bot, tracker: &Tracker, call: &LlmCall) -> ChatRequest {
    let defaults = Defaults::of(bot.source().language);
    let mut messages = Vec::new();
    let system = system(bot, call, defaults);
    if !system.trim().is_empty() {
        messages.push(ChatMessage::of(Role::System, system));
    }
    match &call.purpose {
        Purpose::Choose => messages.extend(tools::history(bot, tracker, defaults)),
        Purpose::Think { .. } => messages.push(ChatMessage::of(Role::User, history::formless(tracker, history_bytes(bot)))),
        Purpose::Select | Purpose::Fill { .. } | Purpose::Utter { .. } | Purpose::ProxyUser => {
            let prompt = template(bot, &call.purpose).map(|template| variables::render(template, bot, tracker, call));
            messages.push(ChatMessage::of(Role::User, prompt.unwrap_or_default()));
        }
    }
    if let Some(fault) = &call.fault {
        messages.push(ChatMessage::of(Role::User, format!("{}{fault}{}", defaults.repair.0, defaults.repair.1)));
    }
    let tools = if call.purpose == Purpose::Choose { tools::definitions(bot) } else { Vec::new() };
    ChatRequest { messages, tools, max_tokens: bot.settings().max_tokens, json: call.json }
}

/// Who the model is told to be.
fn system(bot: &Bot, call: &LlmCall, defaults: &Defaults) -> String {
    let source = bot.source();
    match &call.purpose {
        Purpose::Select => defaults.select_system.to_owned(),
        Purpose::Fill { .. } => defaults.fill_system.to_owned(),
        Purpose::Utter { .. } => source.description.clone(),
        Purpose::ProxyUser => source.proxy_description.clone(),
        Purpose::Think { .. } => String::new(),
        Purpose::Choose => {
            let thoughts = call.thoughts.as_deref().filter(|thoughts| !thoughts.trim().is_empty());
            let examples = thoughts.map(|thoughts| format!("{}\n{}", defaults.choose_examples, thoughts.trim_end()));
            let parts = [Some(source.description.clone()), examples, Some(defaults.choose_system.to_owned())];
            parts.into_iter().flatten().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
        }
    }
}

/// The author's prompt for a purpose, else the default one.
fn template<'b>(bot: &'b Bot, purpose: &Purpose) -> Option<&'b Template> {
    let of = |action: &str| bot.action(action).and_then(|action: &Action| action.prompt.as_ref());
    let defaults = Defaults::of(bot.source().language);
    let (authored, default) = match purpose {
        Purpose::Select => (of(SELECTOR), &defaults.select),
        Purpose::Fill { form } => (of(form), &defaults.fill),
        Purpose::Utter { slot: Some(question), .. } => (slot_prompt(bot, question), &defaults.ask_slot),
        Purpose::Utter { action, slot: None } => (of(action).or_else(|| of(BOT_UTTER)), &defaults.utter),
        Purpose::ProxyUser => (of(USER_UTTER), &defaults.proxy_user),
        Purpose::Choose | Purpose::Think { .. } => return None,
    };
    Some(authored.unwrap_or_else(|| default.template()))
}

fn slot_prompt<'b>(bot: &'b Bot, question: &SlotQuestion) -> Option<&'b Template> {
    let form = bot.form(&question.form)?;
    form.slots.iter().find(|slot| slot.name == question.slot)?.prompt.as_ref()
}

/// How much history a prompt may show.
fn history_bytes(bot: &Bot) -> usize {
    (bot.settings().max_history_tokens as usize).saturating_mul(limits::BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests;
