//! Dialogue state tracking (DST): the state of a conversation, folded from its record and from nothing else.

mod window;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bot::{SELECTOR, USER_UTTER};
use crate::event::{ActionRecord, Event, EventBody, FormState, ResultItem, Slots};
use crate::ids::Seq;

/// A conversation's state after the event `head`.
///
/// It keeps as much of the past as policies and prompts may look back on, so it does not grow with the conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    /// The last event folded in.
    #[serde(default)]
    pub head: Seq,
    #[serde(default)]
    actions: VecDeque<Arc<ActionRecord>>,
    #[serde(default)]
    forms: BTreeMap<String, Slots>,
    #[serde(default)]
    active_form: Option<String>,
    /// The task of each name that was started last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tasks: BTreeMap<String, String>,
    #[serde(default)]
    formless_total: u64,
    /// The event that the last snapshot was taken at.
    #[serde(default)]
    pub snapshot: Seq,
}

/// Whether an action stands in the formless history: UserUtters, utterances and finished forms, without Selector.
#[must_use]
pub fn is_formless(action: &ActionRecord) -> bool {
    action.name != SELECTOR && action.state.is_none_or(|state| state == FormState::End)
}

impl Tracker {
    /// Folds one event in. Events that were folded in before are ignored.
    pub fn apply(&mut self, event: &Event) {
        if event.seq <= self.head {
            return;
        }
        self.head = event.seq;
        match &event.body {
            EventBody::Action(action) => self.apply_action(action),
            EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => {}
        }
    }

    fn apply_action(&mut self, action: &Arc<ActionRecord>) {
        if is_relayed(action) {
            return;
        }
        if let Some(state) = action.state {
            match state {
                FormState::Start | FormState::Continue => {
                    self.forms.insert(action.name.clone(), action.slots.clone().unwrap_or_default());
                    self.active_form = Some(action.name.clone());
                }
                FormState::Break => {
                    self.forms.insert(action.name.clone(), action.slots.clone().unwrap_or_default());
                    self.leave(&action.name);
                }
                FormState::End => {
                    self.forms.remove(&action.name);
                    self.leave(&action.name);
                    self.tasks.extend(action.result.iter().filter_map(started));
                }
            }
        }
        if is_formless(action) {
            self.formless_total += 1;
        }
        self.actions.push_back(Arc::clone(action));
    }

    fn leave(&mut self, form: &str) {
        if self.active_form.as_deref() == Some(form) {
            self.active_form = None;
        }
    }

    /// Forgets what neither a policy nor a prompt of `history_bytes` can look back on.
    ///
    /// Trimming early or late makes no difference to what is left: it keeps a suffix chosen from the end.
    pub fn trim(&mut self, history_bytes: usize) {
        let keep = window::kept(&self.actions, history_bytes);
        let forget = self.actions.len().saturating_sub(keep);
        self.actions.drain(..forget);
    }

    /// The remembered actions, oldest first.
    pub fn actions(&self) -> impl DoubleEndedIterator<Item = &ActionRecord> + ExactSizeIterator + Clone {
        self.actions.iter().map(AsRef::as_ref)
    }

    /// The remembered actions of the formless history, oldest first.
    pub fn formless(&self) -> impl DoubleEndedIterator<Item = &ActionRecord> + Clone {
        self.actions().filter(|action| is_formless(action))
    }

    /// How many actions the formless history has had in all: a place in history that never repeats.
    #[must_use]
    pub fn formless_total(&self) -> u64 {
        self.formless_total
    }

    /// The form that waits for a slot, if any.
    #[must_use]
    pub fn active_form(&self) -> Option<&str> {
        self.active_form.as_deref()
    }

    /// The kept slots of a form that is active or was left.
    #[must_use]
    pub fn form_slots(&self, form: &str) -> Option<&Slots> {
        self.forms.get(form)
    }

    /// The id of the task of this name that the conversation started last.
    #[must_use]
    pub fn task(&self, name: &str) -> Option<&str> {
        self.tasks.get(name).map(String::as_str)
    }

    /// The last action of all, Selector included.
    #[must_use]
    pub fn latest_action(&self) -> Option<&ActionRecord> {
        self.actions().next_back()
    }

    /// What the user said last.
    #[must_use]
    pub fn latest_user(&self) -> Option<&ActionRecord> {
        self.actions().rev().find(|action| action.name == USER_UTTER)
    }

    /// The actions since the user spoke last, that UserUtter left out, oldest first.
    pub fn since_user(&self) -> impl DoubleEndedIterator<Item = &ActionRecord> {
        let count = self.actions().rev().take_while(|action| action.name != USER_UTTER).count();
        self.actions().skip(self.actions.len() - count)
    }
}

/// A message between people is in the record but not part of the dialogue with the bot.
fn is_relayed(action: &ActionRecord) -> bool {
    action.name == USER_UTTER && action.receiver_id != RECEIVER_BOT
}

/// The name and the id of a task, where an action's result tells of one.
fn started(result: &ResultItem) -> Option<(String, String)> {
    let text = |key: &str| result.metadata.get(key)?.as_str().map(str::to_owned);
    Some((text("task")?, text("task_id")?))
}

/// `receiver_id` of a message for the bot.
pub const RECEIVER_BOT: &str = "bot";

/// The texts of an action's results, one a line.
#[must_use]
pub fn result_text(action: &ActionRecord) -> String {
    let texts: Vec<&str> = action.result.iter().map(|item: &ResultItem| item.text.as_str()).collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests;
