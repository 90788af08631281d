//! Forms: entering, filling, executing, leaving and coming back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::effect::{Effect, Purpose, SlotQuestion};
use super::state::Phase;
use super::{Cx, Record, Turn};
use crate::bot::{BOT_UTTER, ExecutorKind, Form, Mode, TaskCall};
use crate::event::{Cause, FormState, ResultItem, Slots};
use crate::machine::{EffectError, FailureKind};

/// A form on its way to its next state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) form: String,
    /// Its slots so far.
    pub(super) slots: Slots,
    /// The slots that the choice itself gave: a fill call does not overwrite them.
    given: Slots,
    /// Whether it was active before.
    continues: bool,
    cause: Cause,
}

impl Turn {
    /// Enters a form, or goes on with it, with the slots that its choice gave.
    pub(super) fn enter(&mut self, cx: Cx<'_>, name: &str, form: &Form, given: &Slots, cause: Cause) {
        self.leave_other(cx, name);
        let continues = self.tracker.active_form() == Some(name);
        let mut slots = self.tracker.form_slots(name).cloned().unwrap_or_default();
        let given = known(form, given);
        merge(&mut slots, &given);
        let from_tool = cause == Cause::Tools;
        let fill = !from_tool && !form.slots.is_empty() && (continues || missing(form, &slots).is_some());
        let entry = Entry { form: name.to_owned(), slots, given, continues, cause };
        if fill {
            self.ask(cx, Purpose::Fill { form: name.to_owned() }, Some(entry));
        } else {
            self.settle(cx, form, entry);
        }
    }

    /// Takes the values that a fill call found.
    pub(super) fn filled(&mut self, cx: Cx<'_>, entry: Option<Entry>, mut filled: Slots) {
        let Some((mut entry, form)) = entry.and_then(|entry| cx.bot.form(&entry.form).map(|form| (entry, form))) else {
            self.state.phase = Phase::Decide;
            return;
        };
        filled.retain(|slot, _| !entry.given.contains_key(slot));
        merge(&mut entry.slots, &known(form, &filled));
        self.settle(cx, form, entry);
    }

    /// Executes a form whose slots are filled; asks for the first missing one otherwise.
    fn settle(&mut self, cx: Cx<'_>, form: &Form, entry: Entry) {
        match missing(form, &entry.slots) {
            None => self.execute(cx, form, entry),
            Some(slot) => {
                let state = if entry.continues { FormState::Continue } else { FormState::Start };
                let question = SlotQuestion { form: entry.form.clone(), slot: slot.to_owned() };
                let from_tool = entry.cause == Cause::Tools;
                self.record_form(cx, entry, state, Vec::new());
                if from_tool && cx.bot.settings().mode == Mode::Tools {
                    // The model's next text is the question.
                    self.state.phase = Phase::Decide;
                } else {
                    self.state.trace.cause = Some(Cause::Slot { form: question.form.clone(), slot: question.slot.clone() });
                    self.ask(cx, Purpose::Utter { action: BOT_UTTER.to_owned(), slot: Some(question) }, None);
                }
            }
        }
    }

    fn execute(&mut self, cx: Cx<'_>, form: &Form, mut entry: Entry) {
        match &form.executor {
            None => {
                let text = Json::Object(entry.slots.clone()).to_string();
                self.end_form(cx, entry, ResultItem::text(text));
            }
            Some(executor) => match &executor.kind {
                ExecutorKind::Unsupported { way_out, .. } => self.end_form(cx, entry, failed(way_out)),
                ExecutorKind::Task(TaskCall { task, step: Some(_) }) => match self.tracker.task(task.as_str()) {
                    Some(id) => {
                        entry.slots.insert(TaskCall::ID_SLOT.to_owned(), id.into());
                        self.state.phase = Phase::Executing(Box::new(entry));
                    }
                    None => self.end_form(cx, entry, failed(&format!("this conversation has started no task `{task}`"))),
                },
                ExecutorKind::Http(_) | ExecutorKind::Mock(_) | ExecutorKind::Script(_) | ExecutorKind::Task(_) => {
                    self.state.phase = Phase::Executing(Box::new(entry));
                }
            },
        }
    }

    /// Issues the executor's call.
    pub(super) fn advance_execution(&mut self, cx: Cx<'_>, entry: Entry) {
        let executor = cx.bot.form(&entry.form).and_then(|form| form.executor.as_ref());
        let Some(executor) = executor else {
            return self.end_form(cx, entry, failed("the action has no executor any more"));
        };
        let effect = Effect::RunExecutor { action: entry.form.clone(), slots: entry.slots.clone(), safety: executor.safety };
        self.state.phase = Phase::Executing(Box::new(entry));
        self.issue(cx, effect);
    }

    /// Takes what the executor returned. A failure is the form's result, so that the agent can say so.
    pub(super) fn executed(&mut self, cx: Cx<'_>, entry: Entry, result: Result<(String, Map<String, Json>), EffectError>) {
        let item = match result {
            Ok((text, metadata)) => ResultItem { text, metadata, ..ResultItem::default() },
            Err(error) => {
                let kind = serde_json::to_value(error.kind).unwrap_or(Json::Null);
                let message = match error.kind {
                    FailureKind::OutcomeUnknown => "it may or may not have been done: the service did not confirm it".to_owned(),
                    FailureKind::TimedOut => "the service did not answer in time".to_owned(),
                    FailureKind::Transient | FailureKind::RateLimited | FailureKind::Rejected | FailureKind::Aborted => error.message,
                };
                let mut item = failed(&message);
                item.metadata.insert("failure".to_owned(), kind);
                item
            }
        };
        self.end_form(cx, entry, item);
    }

    fn end_form(&mut self, cx: Cx<'_>, entry: Entry, result: ResultItem) {
        self.state.ended_slots = entry.slots.clone();
        self.record_form(cx, entry, FormState::End, vec![result]);
        self.state.phase = Phase::Decide;
    }

    /// Another form or task takes over: the one that waits for a slot is left, its slots kept for a return.
    fn leave_other(&mut self, cx: Cx<'_>, next: &str) {
        let Some(active) = self.tracker.active_form().filter(|active| *active != next).map(str::to_owned) else { return };
        let slots = self.tracker.form_slots(&active).cloned().unwrap_or_default();
        let entry = Entry { form: active, slots, given: Slots::new(), continues: true, cause: Cause::Interrupted };
        self.record_form(cx, entry, FormState::Break, Vec::new());
    }

    fn record_form(&mut self, cx: Cx<'_>, entry: Entry, state: FormState, result: Vec<ResultItem>) {
        self.record(cx, Record { name: entry.form, cause: entry.cause, result, slots: Some(entry.slots), state: Some(state) });
    }
}

/// The values of a form's own slots, in its order and spelling. An absent or null value leaves a slot, an empty text clears it.
fn known(form: &Form, values: &Slots) -> Slots {
    let meant = |slot: &str| {
        let by_case = || values.iter().find(|(name, _)| name.to_lowercase() == slot.to_lowercase()).map(|(_, value)| value);
        values.get(slot).or_else(by_case).filter(|value| !value.is_null()).cloned()
    };
    form.slots.iter().filter_map(|slot| meant(&slot.name).map(|value| (slot.name.clone(), value))).collect()
}

fn merge(slots: &mut Slots, values: &Slots) {
    for (slot, value) in values {
        if value.as_str() == Some("") {
            slots.remove(slot);
        } else {
            slots.insert(slot.clone(), value.clone());
        }
    }
}

/// The first slot without a value. 0 and false are values.
fn missing<'f>(form: &'f Form, slots: &Slots) -> Option<&'f str> {
    let is_missing =
        |slot: &str| slots.get(slot).is_none_or(|value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()));
    form.slots.iter().map(|slot| slot.name.as_str()).find(|slot| is_missing(slot))
}

fn failed(message: &str) -> ResultItem {
    let metadata = [("error".to_owned(), Json::String(message.to_owned()))].into_iter().collect();
    ResultItem { metadata, ..ResultItem::default() }
}
