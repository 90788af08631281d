//! What a choice depends on: the latest message and what has happened around it.

use std::collections::BTreeMap;

use cota_core::bot::{Bot, Form, USER_UTTER};
use cota_core::event::{ActionRecord, FormState};
use cota_core::tracker::{Tracker, is_formless};

use crate::heard::Heard;
use crate::slots::{Filling, Lexicon, first_missing, spoken};

/// A moment of a conversation, as the classifier sees it.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    heard: &'a Heard,
    since: Vec<&'a ActionRecord>,
    waiting: Option<Waiting<'a>>,
    before: Option<&'a str>,
    found: BTreeMap<&'a str, usize>,
    repeatable: Vec<&'a str>,
}

/// A form that waits for a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The form.
    pub(crate) form: &'a Form,
    /// The slot it misses.
    pub(crate) asked: Option<&'a str>,
}

impl<'a> Situation<'a> {
    /// The present moment of a conversation, with what its user said last.
    pub(crate) fn of(bot: &'a Bot, lexicon: &'a Lexicon, tracker: &'a Tracker, heard: &'a Heard) -> Self {
        let since: Vec<&ActionRecord> = tracker.since_user().filter(|action| is_formless(action)).collect();
        let before = tracker.formless().rev().skip_while(|action| action.name != USER_UTTER).nth(1).map(|action| action.name.as_str());
        let found = lexicon.survey(heard);
        let mut situation = Self { heard, since, waiting: waiting(bot, tracker), before, found, repeatable: Vec::new() };
        situation.repeatable = situation.repeatable_forms(bot, lexicon);
        situation
    }

    /// What the user said last.
    pub(crate) fn heard(&self) -> &'a Heard {
        self.heard
    }

    /// The name of what finished last since the user spoke.
    pub(crate) fn last(&self) -> Option<&'a str> {
        self.since.last().map(|action| action.name.as_str())
    }

    /// The form that waits for a slot.
    pub(crate) fn waiting(&self) -> Option<Waiting<'a>> {
        self.waiting
    }

    /// The names of what has finished since the user spoke, as one key.
    pub(crate) fn path(&self) -> String {
        let names: Vec<&str> = self.since.iter().map(|action| action.name.as_str()).collect();
        names.join(">")
    }

    /// Whether the message has a value for a slot of this name.
    pub(crate) fn has_found(&self, slot: &str) -> bool {
        self.found.contains_key(slot)
    }

    /// Whether a form may run: it has not run in this turn yet, or the message has values for it that no run of it had.
    pub(crate) fn may_run(&self, form: &str) -> bool {
        !self.since.iter().any(|action| action.name == form) || self.repeatable.contains(&form)
    }

    /// The values that finished runs of a form in this turn had.
    pub(crate) fn used(&self, form: &str) -> Vec<String> {
        let runs = self.since.iter().filter(|action| action.name == form);
        runs.filter_map(|action| action.slots.as_ref()).flat_map(|slots| slots.values()).filter_map(spoken).collect()
    }

    /// Tells each fact of the context, as text.
    pub(crate) fn facts(&self, tell: &mut dyn FnMut(&str)) {
        match self.last() {
            Some(last) => {
                tell(&format!("path:{}", self.path()));
                tell(&format!("last:{last}"));
                tell(&format!("runs:{last}:{}", self.since.iter().filter(|action| action.name == last).count()));
            }
            None => tell(&format!("before:{}", self.before.unwrap_or_default())),
        }
        if let Some(waiting) = self.waiting {
            tell(&format!("waiting:{}", waiting.name));
            let answered = waiting.asked.is_some_and(|asked| self.has_found(asked));
            tell(if answered { "answered" } else { "not answered" });
        }
        for (slot, count) in &self.found {
            tell(&format!("found:{slot}"));
            if *count > 1 {
                tell(&format!("several:{slot}"));
            }
        }
        for form in &self.repeatable {
            tell(&format!("repeatable:{form}"));
        }
    }

    fn repeatable_forms(&self, bot: &'a Bot, lexicon: &Lexicon) -> Vec<&'a str> {
        let mut forms: Vec<&'a str> = Vec::new();
        for run in self.since.iter().filter(|action| action.state == Some(FormState::End)) {
            let Some(form) = bot.form(&run.name).filter(|_| !forms.contains(&run.name.as_str())) else { continue };
            let used = self.used(&run.name);
            let filling = Filling { form: (&run.name, form), heard: self.heard, asked: None, kept: None, used: &used };
            if lexicon.fill(filling).values().filter_map(spoken).any(|value| !used.contains(&value)) {
                forms.push(&run.name);
            }
        }
        forms
    }
}

fn waiting<'a>(bot: &'a Bot, tracker: &'a Tracker) -> Option<Waiting<'a>> {
    let name = tracker.active_form()?;
    let form = bot.form(name)?;
    let asked = first_missing(form, tracker.form_slots(name)).map(|slot| slot.name.as_str());
    Some(Waiting { name, form, asked })
}
