//! Texts of examples, said in a conversation: placeholders filled in, and the few sentences of our own.

use cota_core::bot::{Bot, Language, Slot};
use cota_core::event::{ActionRecord, FormState, Slots};
use cota_core::tracker::{Tracker, is_formless, result_text};
use serde_json::Value as Json;

use crate::slots::spoken;

/// Stands in an example for a text that is not told, so it cannot be said.
const UNTOLD: &str = "<text>";

/// What placeholders stand for: `{slot}`, `{result}` (the last form's of this turn), `{result.1}`, `{result.2}`, ...
#[derive(Debug)]
pub(crate) struct Values<'a> {
    results: Vec<String>,
    slots: Vec<&'a Slots>,
}

impl<'a> Values<'a> {
    /// Of the present moment: slots of the active form, else of those that finished, the last first.
    pub(crate) fn of(tracker: &'a Tracker) -> Self {
        let is_finished = |action: &&ActionRecord| action.state == Some(FormState::End);
        let results = tracker.since_user().filter(is_finished).map(result_text).collect();
        let active = tracker.active_form().and_then(|form| tracker.form_slots(form));
        let finished = tracker.actions().rev().filter(is_finished).filter_map(|action| action.slots.as_ref());
        Self { results, slots: active.into_iter().chain(finished).collect() }
    }

    /// The text with its placeholders filled in; nothing if one of them cannot be.
    pub(crate) fn fill_in(&self, text: &str) -> Option<String> {
        if !is_speakable(text) {
            return None;
        }
        let mut said = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Words(words) => said.push_str(words),
                Piece::Placeholder(name) => said.push_str(&self.value(name)?),
            }
        }
        (!said.trim().is_empty()).then_some(said)
    }

    /// The result of the last form that finished in this turn.
    pub(crate) fn last_result(&self) -> Option<&str> {
        self.results.last().map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    fn value(&self, name: &str) -> Option<String> {
        if name == "result" {
            return self.results.last().cloned();
        }
        if let Some(number) = name.strip_prefix("result.") {
            let before = number.parse::<usize>().ok()?.checked_sub(1)?;
            return self.results.get(before).cloned();
        }
        self.slots.iter().find_map(|slots| slots.get(name).and_then(spoken))
    }
}

/// Whether a text can be said at all.
pub(crate) fn is_speakable(text: &str) -> bool {
    !text.contains(UNTOLD)
}

/// The names in a text's placeholders.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Placeholder(name) => Some(name),
        Piece::Words(_) => None,
    })
}

/// Asks for a slot where no example does.
pub(crate) fn question(bot: &Bot, slot: &Slot) -> String {
    let meaning = if slot.description.trim().is_empty() { slot.name.as_str() } else { slot.description.trim() };
    match bot.source().language {
        Language::English => format!("Please tell me: {}", closed(meaning, ".")),
        Language::Chinese => format!("请告诉我：{}", closed(meaning, "。")),
    }
}

/// Owns up to a failure of the form that finished last since the user spoke; nothing if it did not fail.
pub(crate) fn apology(bot: &Bot, tracker: &Tracker) -> Option<String> {
    let last = tracker.since_user().rev().find(|action| is_formless(action))?;
    let failed = last.result.iter().find(|item| item.error().is_some())?;
    let is_unknown = failed.metadata.get("failure").and_then(Json::as_str) == Some("outcome_unknown");
    let text = match (bot.source().language, is_unknown) {
        (Language::English, false) => "I am sorry, that did not work just now. Please try again later.",
        (Language::English, true) => "I am sorry, I cannot tell whether that was done. Please check before you try again.",
        (Language::Chinese, false) => "抱歉，刚才没有办成，请稍后再试。",
        (Language::Chinese, true) => "抱歉，我无法确定是否已经办成，再试之前请先核实一下。",
    };
    Some(text.to_owned())
}

fn closed(sentence: &str, stop: &str) -> String {
    let ends = sentence.ends_with(['.', '?', '!', '。', '？', '！']);
    if ends { sentence.to_owned() } else { format!("{sentence}{stop}") }
}

enum Piece<'t> {
    Words(&'t str),
    Placeholder(&'t str),
}

/// Cuts a text at `{name}`; any other brace is a word like any other.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_placeholder(rest) {
        pieces.push(Piece::Words(before));
        pieces.push(Piece::Placeholder(name));
        rest = after;
    }
    pieces.push(Piece::Words(rest));
    pieces
}

fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('{').find_map(|(open, _)| {
        let inner = text.get(open + 1..)?;
        let (name, after) = inner.split_once('}')?;
        let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-'));
        is_name.then_some((text.get(..open)?, name, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_are_filled_or_the_text_is_not_said() {
        let slots = json!({"city": "Oslo", "nights": 0, "note": null}).as_object().unwrap().clone();
        let values = Values { results: vec!["sun".to_owned(), "rain".to_owned()], slots: vec![&slots] };
        for (text, said) in [
            ("In {city}: {result}.", Some("In Oslo: rain.")),
            ("{result.1}; {result.2}", Some("sun; rain")),
            ("{nights} nights", Some("0 nights")),
            ("{result.3}", None),
            ("{result.0}", None),
            ("{day}", None),
            ("{note}", None),
            ("<text>", None),
            ("as <text>", None),
            ("", None),
            ("{ city } {} {\"a\": 1} {city", Some("{ city } {} {\"a\": 1} {city")),
            ("{{city}}", Some("{Oslo}")),
        ] {
            assert_eq!(values.fill_in(text).as_deref(), said, "{text}");
        }
    }
}
