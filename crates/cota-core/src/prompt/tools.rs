//! `tools` mode: the actions as native tools, the history as chat messages.

use serde_json::{Map, Value as Json, json};

use super::defaults::Defaults;
use super::history::{self, Item, is_said, window};
use super::{ChatMessage, Role, ToolDefinition, ToolUse, history_bytes, one_line};
use crate::bot::{Action, BOT_UTTER, Bot, SELECTOR, Slot, USER_UTTER};
use crate::event::{ActionRecord, FormState, Slots};
use crate::tracker::{Tracker, result_text};

/// What stands before the place of an action whose own name is none for a tool.
const PLACEHOLDER: &str = "action_";
/// The longest name of a tool.
const TOOL_NAME_BYTES: usize = 64;

/// The actions as tools. BotUtter is none: a plain answer is the utterance.
pub(super) fn definitions(bot: &Bot) -> Vec<ToolDefinition> {
    let actions = bot.source().actions.iter().enumerate();
    let tools = actions.filter(|(_, action)| ![BOT_UTTER, SELECTOR, USER_UTTER].contains(&action.name.as_str()));
    tools
        .map(|(place, action)| {
            let name = tool_name(bot, place, action);
            // A name that had to be replaced still tells the model something.
            let description =
                if name == action.name { action.description.clone() } else { format!("{}: {}", action.name, action.description) };
            ToolDefinition { name, description, parameters: schema(action) }
        })
        .collect()
}

/// The action that a tool call means: the tool's, else one of that name in any case.
pub(crate) fn tool_action<'b>(bot: &'b Bot, tool: &str) -> Option<&'b Action> {
    let placed = tool.trim().strip_prefix(PLACEHOLDER).and_then(|rest| {
        let place = rest.trim_end_matches('_').parse::<usize>().ok()?;
        let action = bot.source().actions.get(place)?;
        (tool_name(bot, place, action) == tool.trim()).then_some(action)
    });
    placed.or_else(|| bot.action_meant(tool))
}

/// An action's name where endpoints allow it for a tool (they do not allow Chinese, for one), else one made of its place.
fn tool_name(bot: &Bot, place: usize, action: &Action) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !action.name.is_empty() && action.name.len() <= TOOL_NAME_BYTES && action.name.chars().all(allowed) {
        return action.name.clone();
    }
    let mut name = format!("{PLACEHOLDER}{place}");
    while bot.action(&name).is_some() {
        name.push('_');
    }
    name
}

fn tool_of(bot: &Bot, name: &str) -> String {
    let place = bot.source().actions.iter().enumerate().find(|(_, action)| action.name == name);
    place.map_or_else(|| format!("{PLACEHOLDER}gone"), |(place, action)| tool_name(bot, place, action))
}

fn schema(action: &Action) -> Json {
    let slots = action.form().map_or(&[] as &[Slot], |form| &form.slots);
    let property = |slot: &Slot| {
        let mut property = Map::new();
        property.insert("type".to_owned(), "string".into());
        property.insert("description".to_owned(), slot.description.clone().into());
        if !slot.values.is_empty() {
            property.insert("enum".to_owned(), slot.values.clone().into());
        }
        (slot.name.clone(), Json::Object(property))
    };
    let properties: Map<String, Json> = slots.iter().map(property).collect();
    json!({ "type": "object", "properties": properties })
}

/// The history as chat messages: what was said, and each finished form as a call with its result. The active form is a call
/// whose result says what is missing, so that the model's next words ask for it.
pub(super) fn history(bot: &Bot, tracker: &Tracker, defaults: &Defaults) -> Vec<ChatMessage> {
    let latest_user = tracker.latest_user();
    let active = tracker.active_form().and_then(|form| tracker.actions().rev().find(|action| action.name == form));
    let is = |one: Option<&ActionRecord>, action: &ActionRecord| one.is_some_and(|one| std::ptr::eq(one, action));
    let messages = |(place, action): (usize, &ActionRecord)| {
        if is(active, action) {
            call(bot, action, place, missing(bot, action, defaults))
        } else if action.state == Some(FormState::End) {
            call(bot, action, place, action.result.iter().map(history::item_text).collect::<Vec<_>>().join("\n"))
        } else {
            vec![said(action)]
        }
    };
    let item = |source| {
        let messages = messages(source);
        Item { bytes: messages.iter().map(size).sum(), value: messages }
    };
    let keep = |(_, action): &(usize, &ActionRecord)| is(latest_user, action) || is(active, action);
    let shown = |(_, action): &(usize, &ActionRecord)| is(active, action) || action.state == Some(FormState::End) || is_said(action);
    window(tracker.actions().enumerate().filter(shown), keep, item, history_bytes(bot)).into_iter().flatten().collect()
}

fn said(action: &ActionRecord) -> ChatMessage {
    if action.name != USER_UTTER {
        return ChatMessage::of(Role::Assistant, result_text(action));
    }
    let mut senders = action.result.iter().map(|item| &item.sender_id);
    let first = senders.next();
    let several = senders.any(|sender| Some(sender) != first);
    ChatMessage::of(Role::User, if several { history::message_lines(action) } else { result_text(action) })
}

/// A call of the past and what came of it. The ids only have to fit together within the request.
fn call(bot: &Bot, action: &ActionRecord, place: usize, result: String) -> Vec<ChatMessage> {
    let id = format!("call_{place}");
    let arguments = action.slots.as_ref().map_or_else(|| "{}".to_owned(), history::spaced_json);
    let use_of = ToolUse { id: id.clone(), name: tool_of(bot, &action.name), arguments };
    vec![
        ChatMessage { tool_calls: vec![use_of], ..ChatMessage::of(Role::Assistant, "") },
        ChatMessage { tool_call_id: Some(id), ..ChatMessage::of(Role::Tool, result) },
    ]
}

fn missing(bot: &Bot, action: &ActionRecord, defaults: &Defaults) -> String {
    let none = Slots::new();
    let slots = action.slots.as_ref().unwrap_or(&none);
    let is_missing = |slot: &&Slot| {
        slots.get(&slot.name).is_none_or(|value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()))
    };
    let missing = bot.form(&action.name).into_iter().flat_map(|form| &form.slots).filter(is_missing);
    let lines: Vec<String> = missing.map(|slot| format!("- {}: {}", slot.name, one_line(&slot.description))).collect();
    format!("{}\n{}", defaults.choose_missing, lines.join("\n"))
}

fn size(message: &ChatMessage) -> usize {
    message.content.len() + message.tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>() + 1
}
