//! Thoughts from the annotated examples that went the same way, by action names alone.
//!
//! Every segment of an example is indexed by a 64-bit hash of its names, computed step by step, so that a hundred thousand
//! examples need neither their keys as text nor much time. With millions of keys a false match is less likely than one in a
//! million, and would cost one unfitting example in a prompt.

use std::collections::{BTreeMap, HashSet};

use super::reach;
use crate::bot::{Bot, BotSource, Dialogue, DialogueStep, Policy, SELECTOR, USER_UTTER};
use crate::limits;
use crate::prompt::one_line;
use crate::sort::sort;
use crate::tracker::Tracker;

/// Most examples in one prompt.
const MOST_EXAMPLES: usize = 50;
/// Most bytes of them; an example that does not fit any more is left out.
const MOST_BYTES: usize = 16 * 1024;

/// The compiled examples of a bot.
#[derive(Debug, Default)]
pub struct Thoughts {
    /// A number for each name that occurs in an example.
    names: BTreeMap<String, u64>,
    /// Keys with the examples they stand for, sorted; at most [`MOST_EXAMPLES`] for a key, the first in file order.
    index: Vec<(u64, u32)>,
}

impl Thoughts {
    /// Compiles them. Without a match policy there is nothing to compile.
    #[must_use]
    pub fn compile(source: &BotSource) -> Self {
        let mut thoughts = Self::default();
        if !source.policies.contains(&Policy::Match) {
            return thoughts;
        }
        let mut seen = HashSet::new();
        for (number, example) in (0_u32..).zip(&source.examples) {
            if seen.insert(content(example)) {
                thoughts.add(number, example);
            }
        }
        // Of one key they are in file order already.
        sort(&mut thoughts.index, |(one, _), (other, _)| one.cmp(other));
        thoughts.index.dedup();
        let mut run = (0, 0);
        thoughts.index.retain(|(key, _)| {
            run = if run.0 == *key { (run.0, run.1 + 1) } else { (*key, 1) };
            run.1 <= MOST_EXAMPLES
        });
        thoughts
    }

    /// Indexes every segment from a UserUtter to a later step with a thought.
    fn add(&mut self, number: u32, example: &Dialogue) {
        for (start, _) in example.steps.iter().enumerate().filter(|(_, step)| step.name == USER_UTTER) {
            let mut key = Key::default();
            for (offset, step) in example.steps.iter().skip(start).take(2 * limits::KEY_ACTIONS).enumerate() {
                let fresh = self.names.len() as u64;
                let name = match self.names.get(&step.name) {
                    Some(name) => *name,
                    None => *self.names.entry(step.name.clone()).or_insert(fresh),
                };
                if offset > 0 && step.thought.is_some() {
                    self.index.push((key.then(name).0, number));
                }
                if step.name != SELECTOR {
                    key = key.then(name);
                }
            }
        }
    }

    /// The examples that fit the moment at which `action` is about to run, longest match first, and their titles.
    pub(super) fn render(&self, bot: &Bot, tracker: &Tracker, action: &str) -> (String, Vec<String>) {
        let mut text = String::new();
        let mut titles = Vec::new();
        let mut seen = HashSet::new();
        for number in self.matches(tracker, action) {
            if seen.len() == MOST_EXAMPLES {
                break;
            }
            let Some(example) = bot.source().examples.get(number as usize).filter(|_| seen.insert(number)) else { continue };
            let before = text.len();
            render(example, &mut text);
            if text.len() > MOST_BYTES {
                text.truncate(before);
                continue;
            }
            if !example.title.is_empty() {
                titles.push(example.title.clone());
            }
        }
        (text, titles)
    }

    /// The examples of every key of the moment, longest key first.
    fn matches(&self, tracker: &Tracker, action: &str) -> Vec<u32> {
        let Some(action) = self.names.get(action) else { return Vec::new() };
        let history = reach(tracker);
        let names: Vec<Option<u64>> = history.iter().map(|action| self.names.get(&action.name).copied()).collect();
        let starts = history.iter().enumerate().filter(|(_, action)| action.name == USER_UTTER).map(|(start, _)| start);
        let keys = starts.filter_map(|start| names.get(start..)?.iter().try_fold(Key::default(), |key, name| Some(key.then((*name)?))));
        keys.flat_map(|key| self.under(key.then(*action))).collect()
    }

    fn under(&self, key: Key) -> impl Iterator<Item = u32> {
        let from = self.index.partition_point(|(other, _)| *other < key.0);
        self.index.iter().skip(from).take_while(move |(other, _)| *other == key.0).map(|(_, number)| *number)
    }
}

/// A hash of a sequence of names.
#[derive(Clone, Copy, Debug, Default)]
struct Key(u64);

impl Key {
    /// The key of the sequence with one more name. The constants are those of a 64-bit finalizer that mixes every bit into all.
    fn then(self, name: u64) -> Self {
        let mut hash = self.0.rotate_left(5) ^ name.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(hash ^ (hash >> 31))
    }
}

/// What makes two examples the same: their names and thoughts.
fn content(example: &Dialogue) -> Vec<(&str, Option<&str>)> {
    example.steps.iter().map(|step| (step.name.as_str(), step.thought.as_deref())).collect()
}

/// Writes an example as a prompt shows it. Of several results a step may have, the first stands for all.
fn render(example: &Dialogue, text: &mut String) {
    text.extend(["# ", &one_line(&example.title), "\n"]);
    for DialogueStep { name, thought, result } in &example.steps {
        if let Some(thought) = thought {
            text.extend(["thought:", &one_line(thought), "\n"]);
        }
        if let Some(result) = result.texts().first() {
            text.extend([name, ":", &one_line(result), "\n"]);
        }
    }
    text.push('\n');
}

#[cfg(test)]
impl Thoughts {
    /// How many entries the index has.
    pub(super) fn size(&self) -> usize {
        self.index.len()
    }
}
