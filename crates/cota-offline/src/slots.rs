//! Values of slots in a message: what `values`, `examples` and `pattern` of a slot name.

use std::collections::{BTreeMap, BTreeSet};

use cota_core::bot::{Bot, Form, Slot};
use cota_core::event::Slots;
use cota_core::gather::gather;
use cota_core::sort::sort;
use serde_json::Value as Json;

use crate::heard::Heard;

/// Most characters of a message that is taken whole as a slot's value.
const WHOLE_MESSAGE_CHARS: usize = 200;

/// What finds the values of every slot of a bot.
#[derive(Debug, Default)]
pub(crate) struct Lexicon {
    /// Slots that declare the same share one: bots often ask for the same thing in many forms.
    finders: Vec<Finder>,
    /// By form and slot.
    by_slot: BTreeMap<String, BTreeMap<String, usize>>,
}

/// Finds the values of a slot.
#[derive(Debug)]
struct Finder {
    slot: Slot,
    /// By the first letter: terms, longest first.
    terms: BTreeMap<char, Vec<Term>>,
}

#[derive(Debug)]
struct Term {
    letters: Vec<char>,
    value: String,
}

/// A value of a slot in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its first letter's place, counted in characters.
    start: usize,
    /// The place after its last letter.
    end: usize,
    /// As the bot's author spells it, where a list names it.
    pub(crate) value: String,
}

/// What a form may take from a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling<'a> {
    /// The form.
    pub(crate) form: (&'a str, &'a Form),
    /// The message.
    pub(crate) heard: &'a Heard,
    /// The slot that was asked for.
    pub(crate) asked: Option<&'a str>,
    /// What the form holds so far.
    pub(crate) kept: Option<&'a Slots>,
    /// Values that finished runs of the form in this turn had.
    pub(crate) used: &'a [String],
}

impl Lexicon {
    /// Collects what the slots of a bot declare.
    pub(crate) fn of(bot: &Bot) -> Self {
        let mut lexicon = Self::default();
        for action in &bot.source().actions {
            for slot in action.form().map(|form| form.slots.as_slice()).unwrap_or_default() {
                let number = lexicon.finder_for(slot);
                lexicon.by_slot.entry(action.name.clone()).or_default().insert(slot.name.clone(), number);
            }
        }
        lexicon
    }

    /// Every value of each slot in a message, in the order of the message, none overlapping.
    pub(crate) fn read(&self, text: &str) -> Vec<Vec<Found>> {
        let letters = lowered(text);
        self.finders.iter().map(|finder| finder.find(text, &letters)).collect()
    }

    /// Every value of a slot in a message.
    pub(crate) fn find<'h>(&self, form: &str, slot: &str, heard: &'h Heard) -> &'h [Found] {
        let number = self.by_slot.get(form).and_then(|slots| slots.get(slot));
        number.and_then(|number| heard.found().get(*number)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The names of all slots that a message has values of, with how many different ones.
    pub(crate) fn survey(&self, heard: &Heard) -> BTreeMap<&str, usize> {
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for (finder, values) in self.finders.iter().zip(heard.found()) {
            let values: BTreeSet<&str> = gather(values.iter().map(|found| found.value.as_str()));
            if !values.is_empty() {
                let count = found.entry(&finder.slot.name).or_default();
                *count = values.len().max(*count);
            }
        }
        found
    }

    /// The values of a form's slots in a message.
    pub(crate) fn fill(&self, filling: Filling<'_>) -> Slots {
        let (name, form) = filling.form;
        let mut taken: Vec<&Found> = Vec::new();
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        let asked_first = form.slots.iter().filter(|slot| filling.asked == Some(slot.name.as_str()));
        let then_others = form.slots.iter().filter(|slot| filling.asked != Some(slot.name.as_str()));
        for slot in asked_first.chain(then_others) {
            let found = self.find(name, &slot.name, filling.heard).iter();
            let free = found.filter(|found| !taken.iter().any(|other| found.overlaps(other)));
            if let Some(found) = preferred(free.collect(), slot, filling) {
                values.insert(&slot.name, found.value.clone());
                taken.push(found);
            }
        }
        if values.is_empty() {
            values.extend(whole_message(filling));
        }
        let in_order =
            form.slots.iter().filter_map(|slot| values.remove(slot.name.as_str()).map(|value| (slot.name.clone(), Json::String(value))));
        in_order.collect()
    }
}

impl Lexicon {
    fn finder_for(&mut self, slot: &Slot) -> usize {
        if let Some(number) = self.finders.iter().position(|finder| declares_the_same(&finder.slot, slot)) {
            return number;
        }
        self.finders.push(Finder { slot: slot.clone(), terms: terms_of(slot) });
        self.finders.len() - 1
    }
}

impl Finder {
    fn find(&self, text: &str, letters: &[char]) -> Vec<Found> {
        let mut found = by_pattern(&self.slot, text);
        found.extend(by_terms(&self.terms, letters));
        without_overlaps(found)
    }
}

impl Found {
    fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn length(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// Whether a slot holds a value: 0 and false are values, null and the empty text are not.
pub(crate) fn is_filled(slots: Option<&Slots>, slot: &str) -> bool {
    slots
        .and_then(|slots| slots.get(slot))
        .is_some_and(|value| !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty()))
}

/// The first slot of a form that holds no value.
pub(crate) fn first_missing<'f>(form: &'f Form, slots: Option<&Slots>) -> Option<&'f Slot> {
    form.slots.iter().find(|slot| !is_filled(slots, &slot.name))
}

/// Whether any words may be a slot's value.
pub(crate) fn takes_any_words(slot: &Slot) -> bool {
    slot.values.is_empty() && slot.pattern.is_none()
}

/// A slot's value as it is said.
pub(crate) fn spoken(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) if text.is_empty() => None,
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Some(value.to_string()),
    }
}

/// The first value that neither a finished run nor the form itself has, else the first.
fn preferred<'f>(found: Vec<&'f Found>, slot: &Slot, filling: Filling<'_>) -> Option<&'f Found> {
    let kept = filling.kept.and_then(|slots| slots.get(&slot.name)).and_then(Json::as_str);
    let is_new = |found: &&&Found| kept != Some(found.value.as_str()) && !filling.used.contains(&found.value);
    found.iter().find(is_new).or_else(|| found.first()).copied()
}

/// The whole message as the value of the slot that was asked for, where any words may be.
fn whole_message<'a>(filling: Filling<'a>) -> Option<(&'a str, String)> {
    let (_, form) = filling.form;
    let slot = form.slots.iter().find(|slot| filling.asked == Some(slot.name.as_str()))?;
    let words = filling.heard.text().trim_matches(|letter: char| !letter.is_alphanumeric());
    let fits = takes_any_words(slot) && !words.is_empty() && words.chars().count() <= WHOLE_MESSAGE_CHARS;
    fits.then(|| (slot.name.as_str(), words.to_owned()))
}

fn terms_of(slot: &Slot) -> BTreeMap<char, Vec<Term>> {
    let mut terms: BTreeMap<char, Vec<Term>> = BTreeMap::new();
    for value in slot.values.iter().chain(&slot.examples) {
        let letters: Vec<char> = lowered(value.trim());
        if let Some(first) = letters.first() {
            terms.entry(*first).or_default().push(Term { letters, value: value.trim().to_owned() });
        }
    }
    // Of those with the same letters the first counts.
    for list in terms.values_mut() {
        sort(list, |one, other| other.letters.len().cmp(&one.letters.len()));
    }
    terms
}

fn by_terms(terms: &BTreeMap<char, Vec<Term>>, letters: &[char]) -> Vec<Found> {
    let mut found = Vec::new();
    for (start, first) in letters.iter().enumerate() {
        let rest = letters.get(start..).unwrap_or_default();
        let fits = |term: &&Term| rest.starts_with(&term.letters) && stands_alone(letters, start, start + term.letters.len());
        if let Some(term) = terms.get(first).and_then(|terms| terms.iter().find(fits)) {
            found.push(Found { start, end: start + term.letters.len(), value: term.value.clone() });
        }
    }
    found
}

/// Every match of the slot's pattern; one after the other, since a pattern tells its first only.
fn by_pattern(slot: &Slot, text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let Some(pattern) = &slot.pattern else { return found };
    let mut rest = text;
    while let Some(matched) = pattern.find(rest) {
        // A match is a part of the text it was found in, so where it lies follows from the two addresses.
        let at = (matched.as_ptr() as usize).saturating_sub(rest.as_ptr() as usize);
        let before = text.len() - rest.len() + at;
        let (Some(head), Some(tail)) = (text.get(..before), rest.get(at + matched.len()..)) else { break };
        let start = head.chars().count();
        let value = matched.trim();
        if !value.is_empty() {
            found.push(Found { start, end: start + matched.chars().count(), value: value.to_owned() });
        }
        if tail.len() == rest.len() {
            break;
        }
        rest = tail;
    }
    found
}

/// The longest win, then the earliest. They come in the order of the message.
fn without_overlaps(mut found: Vec<Found>) -> Vec<Found> {
    sort(&mut found, |one, other| other.length().cmp(&one.length()).then(one.start.cmp(&other.start)));
    // Equal spans: what a list spells comes after what a pattern cut out, and is the better spelling.
    let mut kept: Vec<Found> = Vec::new();
    for next in found {
        match kept.iter_mut().find(|other| other.overlaps(&next)) {
            None => kept.insert(kept.partition_point(|other| other.start < next.start), next),
            Some(other) if other.start == next.start && other.end == next.end => other.value = next.value,
            Some(_) => {}
        }
    }
    kept
}

/// Whether a term is not a part of a longer word. Scripts without spaces have no such boundary.
fn stands_alone(letters: &[char], start: usize, end: usize) -> bool {
    let joined = |left: Option<&char>, right: Option<&char>| {
        let (Some(left), Some(right)) = (left, right) else { return false };
        left.is_alphanumeric() && right.is_alphanumeric() && !is_unspaced(*left) && !is_unspaced(*right)
    };
    let before = start.checked_sub(1).and_then(|at| letters.get(at));
    let last = end.checked_sub(1).and_then(|at| letters.get(at));
    !joined(before, letters.get(start)) && !joined(last, letters.get(end))
}

/// Letters of scripts that put no space between words: Han, kana, Thai, Lao, Khmer, Myanmar.
fn is_unspaced(letter: char) -> bool {
    matches!(u32::from(letter), 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

fn declares_the_same(one: &Slot, other: &Slot) -> bool {
    let pattern = |slot: &Slot| slot.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
    one.name == other.name && one.values == other.values && one.examples == other.examples && pattern(one) == pattern(other)
}

fn lowered(text: &str) -> Vec<char> {
    text.chars().map(lower).collect()
}

fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use cota_core::bot::Pattern;

    use super::*;

    fn found(values: &[&str], pattern: Option<&str>, text: &str) -> Vec<String> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let pattern = pattern.map(|pattern| Pattern::new(pattern).unwrap());
        let slot = Slot { name: "slot".to_owned(), description: String::new(), prompt: None, llm: None, values, pattern, examples: vec![] };
        let finder = Finder { terms: terms_of(&slot), slot };
        finder.find(text, &lowered(text)).into_iter().map(|found| found.value).collect()
    }

    #[test]
    fn values_are_found_in_the_order_of_the_message() {
        type Case<'a> = (&'a [&'a str], Option<&'a str>, &'a str, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (&["Oslo", "Bergen"], None, "bergen, then OSLO.", &["Bergen", "Oslo"]),
            (&["York", "New York"], None, "from York to New York", &["York", "New York"]),
            (&["Oslo"], None, "the Oslofjord, ColOslo, Oslo2", &[]),
            (&["Tromsø"], None, "TROMSØ?", &["Tromsø"]),
            (&["北京", "上海"], None, "北京和上海人", &["北京", "上海"]),
            (&["C++"], None, "is C++ fast", &["C++"]),
            (&[], Some(r"\bin ([A-Z]\w+)"), "in Oslo or in Bergen", &["Oslo", "Bergen"]),
            (&["oslo"], Some(r"\b[A-Z]\w+"), "Oslo", &["oslo"]),
            (&["tomorrow"], Some("tomorrow(?: morning)?"), "tomorrow morning", &["tomorrow morning"]),
            (&[], Some("x*"), "abc", &[]),
            (&[""], None, "abc", &[]),
        ];
        for (values, pattern, text, expected) in cases {
            assert_eq!(found(values, *pattern, text), *expected, "{values:?} {pattern:?} in {text:?}");
        }
    }
}
