//! What an LLM's answer means.
//!
//! Answers are taken leniently: plain JSON, JSON in a code fence, JSON inside prose, for an utterance plain text (`extract`).
//! What cannot be used is named in words for the LLM, which is asked once more. [`TextStream`] reads an utterance's words while
//! the answer is still being written.

mod extract;
mod stream;

pub use stream::TextStream;

use serde_json::Value as Json;

use crate::bot::{Action, Bot, Form, SELECTOR, USER_UTTER};
use crate::event::Slots;
use crate::prompt;
use crate::turn::Completion;
use extract::Found;

/// The JSON of an answer: an object alone, in a code fence or, where it is `wanted`, inside prose; else whatever JSON it is.
pub(crate) fn json(content: &str, wanted: impl Fn(&Slots) -> bool) -> Option<Json> {
    match extract::find(content, wanted) {
        Found::Object(object) => Some(Json::Object(object)),
        Found::Other(other) => Some(other),
        Found::Nothing => None,
    }
}

/// Most names that a fault lists.
const LISTED_NAMES: usize = 40;
/// Most characters of a model's own words that a fault repeats.
const QUOTED_CHARS: usize = 64;

/// What was wrong with an answer, in words for the LLM that is asked once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

/// The action an LLM chose.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Selection {
    /// The action, in the bot's own spelling.
    pub action: String,
    /// Why, in the LLM's words.
    pub thought: Option<String>,
    /// Slots that came with the choice: the form's own, in its spelling.
    pub slots: Slots,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// The words; never blank.
    pub text: String,
    /// Why, in the LLM's words.
    pub thought: Option<String>,
}

/// What the proxy user says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySaid {
    /// The words; may be blank where it stops.
    pub text: String,
    /// Why, in the LLM's words.
    pub thought: Option<String>,
    /// Whether this is its last message.
    pub stop: bool,
}

/// What a model did in `tools` mode.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// It called tools, in this order.
    Calls(Vec<Selection>),
    /// It answered.
    Say(Utterance),
}

/// The action that Selector's LLM chose.
///
/// # Errors
/// When no action of the bot is named that may be chosen.
pub fn selection(bot: &Bot, content: &str) -> Result<Selection, Fault> {
    let object = object(content, |object| object.contains_key("action"), r#"{"thought": "...", "action": "..."}"#)?;
    let named = match object.get("action") {
        None => return Err(Fault(format!(r#"it has no "action"; choose one of: {}"#, choices(bot)))),
        Some(Json::String(name)) => name,
        Some(other) => return Err(Fault(format!(r#""action" is {}, not a name; choose one of: {}"#, kind(other), choices(bot)))),
    };
    let action = may_be_chosen(bot.action_meant(named), bot, named)?;
    Ok(Selection { action: action.name.clone(), thought: thought(&object), slots: given(action, object.get("slots")) })
}

/// The words of an utterance.
///
/// # Errors
/// When there are none.
pub fn utterance(content: &str) -> Result<Utterance, Fault> {
    match extract::find(content, |object| object.contains_key("text")) {
        Found::Object(object) => match object.get("text") {
            Some(Json::String(text)) if !text.trim().is_empty() => Ok(Utterance { text: text.clone(), thought: thought(&object) }),
            Some(Json::String(_)) => Err(Fault(r#""text" is empty"#.to_owned())),
            Some(other) => Err(Fault(format!(r#""text" is {}, not words"#, kind(other)))),
            None => Err(Fault(r#"it has no "text""#.to_owned())),
        },
        Found::Other(Json::String(text)) if !text.trim().is_empty() => Ok(Utterance { text, thought: None }),
        Found::Other(other) => Err(Fault(format!(r#"it is {}, not words; answer with {{"thought": "...", "text": "..."}}"#, kind(&other)))),
        Found::Nothing => plain(content),
    }
}

/// Values for a form's slots: the known ones, in the form's spelling and order. `null` leaves a slot and is left out, an empty
/// text clears it and is kept.
///
/// # Errors
/// When the answer is no JSON object.
pub fn slots(form: &Form, content: &str) -> Result<Slots, Fault> {
    let wraps = |object: &Slots| !has_slot(form, "slots") && object.get("slots").is_some_and(Json::is_object);
    let wanted = |object: &Slots| object.is_empty() || wraps(object) || object.keys().any(|key| has_slot(form, key));
    let object = object(content, wanted, r#"{"slot": "value"}"#)?;
    Ok(match object.get("slots") {
        Some(Json::Object(inner)) if wraps(&object) => known(form, inner),
        Some(_) | None => known(form, &object),
    })
}

/// What the proxy user says.
///
/// # Errors
/// When there are no words and it does not stop.
pub fn proxy_user(content: &str) -> Result<ProxySaid, Fault> {
    let Found::Object(object) = extract::find(content, |object| object.contains_key("text") || object.contains_key("state")) else {
        let Utterance { text, thought } = utterance(content)?;
        return Ok(ProxySaid { text, thought, stop: false });
    };
    let stop = object.get("state").and_then(Json::as_str).is_some_and(|state| state.trim().eq_ignore_ascii_case("stop"));
    match object.get("text") {
        Some(Json::String(text)) if stop || !text.trim().is_empty() => {
            Ok(ProxySaid { text: text.clone(), thought: thought(&object), stop })
        }
        None | Some(Json::Null) if stop => Ok(ProxySaid { text: String::new(), thought: thought(&object), stop }),
        Some(Json::String(_)) => Err(Fault(r#""text" is empty"#.to_owned())),
        Some(other) => Err(Fault(format!(r#""text" is {}, not words"#, kind(other)))),
        None => Err(Fault(r#"it has no "text""#.to_owned())),
    }
}

/// What a model did in `tools` mode. Calls come before words; words beside a call are its thought.
///
/// # Errors
/// When it called a tool that is none, with arguments that are none, or said nothing.
pub fn choice(bot: &Bot, completion: &Completion) -> Result<Choice, Fault> {
    if completion.tool_calls.is_empty() {
        return answered(&completion.content).map(Choice::Say);
    }
    let mut beside = Some(completion.content.trim().to_owned()).filter(|words| !words.is_empty());
    let calls = completion.tool_calls.iter().map(|call| {
        let action = may_be_chosen(prompt::tool_action(bot, &call.name), bot, &call.name)?;
        let arguments = match extract::find(&call.arguments, |_| true) {
            Found::Object(object) => Some(Json::Object(object)),
            Found::Other(Json::Null) => None,
            Found::Nothing if call.arguments.trim().is_empty() => None,
            Found::Nothing | Found::Other(_) => return Err(Fault(format!("the arguments of {} are no JSON object", action.name))),
        };
        Ok(Selection { action: action.name.clone(), thought: beside.take(), slots: given(action, arguments.as_ref()) })
    });
    calls.collect::<Result<_, _>>().map(Choice::Calls)
}

/// A plain answer of `tools` mode. Only an answer that is JSON as a whole is taken apart: a bot may well talk about JSON.
fn answered(content: &str) -> Result<Utterance, Fault> {
    match extract::whole(content) {
        Some(Json::Object(object)) if object.contains_key("text") => utterance(content),
        None if content.trim_start().starts_with('{') => plain(content),
        Some(_) | None => match content.trim() {
            "" => Err(Fault("it is empty".to_owned())),
            text => Ok(Utterance { text: text.to_owned(), thought: None }),
        },
    }
}

/// Plain text as words. A broken JSON answer is none: it would show the user what the agent thinks.
fn plain(content: &str) -> Result<Utterance, Fault> {
    match content.trim() {
        "" => Err(Fault("it is empty".to_owned())),
        text if extract::is_broken_answer(text) => Err(Fault("its JSON is broken or cut off; make it shorter".to_owned())),
        text => Ok(Utterance { text: text.to_owned(), thought: None }),
    }
}

fn object(content: &str, wanted: impl Fn(&Slots) -> bool, shape: &str) -> Result<Slots, Fault> {
    match extract::find(content, wanted) {
        Found::Object(object) => Ok(object),
        Found::Other(other) => Err(Fault(format!("it is {}, not a JSON object like {shape}", kind(&other)))),
        Found::Nothing if content.trim().is_empty() => Err(Fault(format!("it is empty; answer with a JSON object like {shape}"))),
        Found::Nothing => Err(Fault(format!("it has no complete JSON object like {shape}"))),
    }
}

fn may_be_chosen<'b>(action: Option<&'b Action>, bot: &Bot, named: &str) -> Result<&'b Action, Fault> {
    let quoted: String = named.chars().take(QUOTED_CHARS).collect();
    match action {
        None => Err(Fault(format!(r#"there is no action "{quoted}"; choose one of: {}"#, choices(bot)))),
        Some(action) if action.name == SELECTOR || action.name == USER_UTTER => {
            Err(Fault(format!(r#""{quoted}" cannot be chosen; choose one of: {}"#, choices(bot))))
        }
        Some(action) => Ok(action),
    }
}

fn choices(bot: &Bot) -> String {
    let names: Vec<&str> = bot.selectable().map(|action| action.name.as_str()).take(LISTED_NAMES).collect();
    names.join(", ")
}

/// The slots that came with the choice of a form.
fn given(action: &Action, slots: Option<&Json>) -> Slots {
    match (action.form(), slots) {
        (Some(form), Some(Json::Object(slots))) => known(form, slots),
        (Some(_), _) | (None, _) => Slots::new(),
    }
}

/// The values of a form's own slots; of several spellings the exact one counts.
fn known(form: &Form, values: &Slots) -> Slots {
    let usable = |value: &&Json| !value.is_null() && !value.is_object();
    let of = |slot: &str| {
        let exact = values.get(slot);
        let folded = slot.to_lowercase();
        exact.or_else(|| values.iter().find(|(key, _)| key.trim().to_lowercase() == folded).map(|(_, value)| value)).filter(usable)
    };
    form.slots.iter().filter_map(|slot| Some((slot.name.clone(), of(&slot.name)?.clone()))).collect()
}

fn has_slot(form: &Form, key: &str) -> bool {
    let folded = key.trim().to_lowercase();
    form.slots.iter().any(|slot| slot.name.to_lowercase() == folded)
}

fn thought(object: &Slots) -> Option<String> {
    object.get("thought").and_then(Json::as_str).filter(|thought| !thought.trim().is_empty()).map(str::to_owned)
}

/// What a value is, in words.
fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
