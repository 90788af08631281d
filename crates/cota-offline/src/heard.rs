//! What users say, read once: whatever is asked about a message is looked up.

use std::collections::BTreeMap;

use cota_core::bot::{Bot, USER_UTTER};
use cota_core::tracker::{Tracker, result_text};

use crate::features::Grams;
use crate::slots::{Found, Lexicon};

/// A message with what is in it.
#[derive(Debug)]
pub(crate) struct Heard {
    text: String,
    grams: Grams,
    found: Vec<Vec<Found>>,
}

impl Heard {
    /// Reads a message.
    pub(crate) fn new(lexicon: &Lexicon, text: &str) -> Self {
        Self { text: text.to_owned(), grams: Grams::of(text), found: lexicon.read(text) }
    }

    /// Reads what the user of a conversation said last.
    pub(crate) fn latest(lexicon: &Lexicon, tracker: &Tracker) -> Self {
        Self::new(lexicon, &latest_text(tracker))
    }

    /// As it was said.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Its n-grams.
    pub(crate) fn grams(&self) -> &Grams {
        &self.grams
    }

    /// The values in it of each slot that the lexicon knows, by the slot's number there.
    pub(crate) fn found(&self) -> &[Vec<Found>] {
        &self.found
    }
}

/// The messages of a bot's examples.
#[derive(Debug)]
pub(crate) struct Messages<'b> {
    by_text: BTreeMap<&'b str, Heard>,
    silence: Heard,
}

impl<'b> Messages<'b> {
    /// Reads each once, however often it is said.
    pub(crate) fn of(bot: &'b Bot, lexicon: &Lexicon) -> Self {
        let mut by_text = BTreeMap::new();
        for text in said(bot) {
            by_text.entry(text).or_insert_with(|| Heard::new(lexicon, text));
        }
        Self { by_text, silence: Heard::new(lexicon, "") }
    }

    /// The n-grams of every message, as often as it is said.
    pub(crate) fn grams(&self, bot: &'b Bot) -> impl Iterator<Item = &Grams> {
        said(bot).map(|text| self.get(text).grams())
    }

    /// A message of the examples.
    pub(crate) fn get(&self, text: &str) -> &Heard {
        self.by_text.get(text).unwrap_or(&self.silence)
    }

    /// What the user of a rehearsed conversation said last.
    pub(crate) fn latest(&self, tracker: &Tracker) -> &Heard {
        self.get(&latest_text(tracker))
    }
}

fn said(bot: &Bot) -> impl Iterator<Item = &str> {
    let steps = bot.source().examples.iter().flat_map(|dialogue| &dialogue.steps);
    steps.filter(|step| step.name == USER_UTTER).flat_map(|step| step.result.texts()).map(String::as_str)
}

fn latest_text(tracker: &Tracker) -> String {
    tracker.latest_user().map(result_text).unwrap_or_default()
}
