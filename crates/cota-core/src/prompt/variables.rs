//! What each variable of a prompt stands for.

use serde_json::{Value as Json, json};

use super::history::{self, one_line, outcome, spaced_json};
use super::{Template, Variable, history_bytes};
use crate::bot::{Action, Bot, Form, SELECTOR, Slot, USER_UTTER};
use crate::event::{ActionRecord, FormState, Slots};
use crate::tracker::{Tracker, result_text};
use crate::turn::{LlmCall, Purpose};

/// Renders a prompt for a call.
pub(super) fn render(template: &Template, bot: &Bot, tracker: &Tracker, call: &LlmCall) -> String {
    let scene = Scene { bot, tracker, call, latest: tracker.actions().rev().find(|action| action.name != SELECTOR) };
    template.render(|variable| scene.value(variable))
}

/// All that variables are read from.
struct Scene<'a> {
    bot: &'a Bot,
    tracker: &'a Tracker,
    call: &'a LlmCall,
    /// The last action that did something: Selector only chose.
    latest: Option<&'a ActionRecord>,
}

impl<'a> Scene<'a> {
    fn value(&self, variable: Variable) -> String {
        let budget = history_bytes(self.bot);
        match variable {
            Variable::TaskDescription | Variable::AgentDescription => self.bot.source().description.clone(),
            Variable::HistoryMessages => history::messages(self.tracker, budget),
            Variable::HistoryActions => history::actions(self.tracker, false, budget),
            Variable::HistoryActionsWithThoughts => history::actions(self.tracker, true, budget),
            Variable::LatestUserQuery => {
                self.tracker.latest_user().map(|user| one_line(&result_text(user)).into_owned()).unwrap_or_default()
            }
            Variable::LatestActionName => self.latest.map(|action| action.name.clone()).unwrap_or_default(),
            Variable::LatestActionResult => self.latest.map(|action| outcome(action).into_owned()).unwrap_or_default(),
            Variable::LatestActionDescription => self.latest.map(|action| self.description(&action.name)).unwrap_or_default(),
            Variable::LatestActionState => spaced_json(&self.latest.and_then(|action| action.slots.clone()).unwrap_or_default()),
            Variable::CurrentActionName => self.current_action().to_owned(),
            Variable::CurrentActionDescription => self.description(self.current_action()),
            Variable::ActionNames => self.bot.selectable().map(|action| action.name.as_str()).collect::<Vec<_>>().join(", "),
            Variable::ActionDescriptions => self.bot.action_descriptions().to_owned(),
            Variable::CurrentFormName => self.form_name().unwrap_or_default().to_owned(),
            Variable::CurrentFormDescription => self.form_name().map(|form| self.description(form)).unwrap_or_default(),
            Variable::CurrentFormSlotNames => self.slots().iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>().join(", "),
            Variable::CurrentFormSlotDescriptions => self.slots().iter().map(slot_line).collect::<Vec<_>>().join("\n"),
            Variable::CurrentFormSlotStates => self.form_name().map(|form| self.slot_states(form)).unwrap_or_default(),
            Variable::CurrentFormMessages => self.form_name().map(|form| self.form_messages(form)).unwrap_or_default(),
            Variable::CurrentFormExecuteResult => {
                self.form_name().and_then(|form| self.finished(form)).map(|action| outcome(action).into_owned()).unwrap_or_default()
            }
            Variable::Policies | Variable::Thoughts => self.call.thoughts.as_deref().unwrap_or_default().to_owned(),
            // Retrieval is not part of the platform yet.
            Variable::Knowledge | Variable::Rag => String::new(),
        }
    }

    fn description(&self, action: &str) -> String {
        self.bot.action(action).map(|action| action.description.clone()).unwrap_or_default()
    }

    fn current_action(&self) -> &'a str {
        match &self.call.purpose {
            Purpose::Select | Purpose::Choose => SELECTOR,
            Purpose::Fill { form } => form,
            Purpose::Utter { action, .. } | Purpose::Think { action } => action,
            Purpose::ProxyUser => USER_UTTER,
        }
    }

    /// The form at hand: the one that is filled or asks, else the active one, else the last that ended in this turn.
    fn form_name(&self) -> Option<&'a str> {
        match &self.call.purpose {
            Purpose::Fill { form } => Some(form),
            Purpose::Utter { slot: Some(question), .. } => Some(&question.form),
            Purpose::Utter { slot: None, .. } | Purpose::Select | Purpose::Choose | Purpose::Think { .. } | Purpose::ProxyUser => {
                let ended = || self.tracker.since_user().rfind(|action| action.state == Some(FormState::End));
                self.tracker.active_form().or_else(|| ended().map(|action| action.name.as_str()))
            }
        }
    }

    fn slots(&self) -> &'a [Slot] {
        self.form_name().and_then(|form| self.bot.form(form)).map_or(&[], |form: &Form| &form.slots)
    }

    /// The record of a form that ended in this turn.
    fn finished(&self, form: &str) -> Option<&'a ActionRecord> {
        self.tracker.since_user().rfind(|action| action.name == form && action.state == Some(FormState::End))
    }

    /// Each slot with its value, `null` where it has none.
    fn slot_states(&self, form: &str) -> String {
        let filling = matches!(self.call.purpose, Purpose::Fill { .. }).then_some(&self.call.slots);
        let ended = || self.finished(form).and_then(|action| action.slots.as_ref());
        let values = filling.or_else(|| self.tracker.form_slots(form)).or_else(ended);
        let value = |slot: &Slot| (slot.name.clone(), values.and_then(|values| values.get(&slot.name)).cloned().unwrap_or(Json::Null));
        spaced_json(&self.slots().iter().map(value).collect::<Slots>())
    }

    /// What was said from the message on that made the bot enter the form.
    fn form_messages(&self, form: &str) -> String {
        let actions: Vec<&ActionRecord> = self.tracker.actions().collect();
        let entered = entered(&actions, form).unwrap_or(actions.len());
        let user = actions.iter().take(entered).rposition(|action| action.name == USER_UTTER).unwrap_or(0);
        let said = actions.into_iter().skip(user).filter(|action| history::is_said(action));
        said.map(history::message_lines).collect::<Vec<_>>().join("\n")
    }
}

/// Where this visit to a form began, if the form had to ask for a slot.
fn entered(actions: &[&ActionRecord], form: &str) -> Option<usize> {
    let visits = actions.iter().enumerate().rev().filter(|(_, action)| action.name == form);
    let mut states = visits.filter_map(|(at, action)| Some((at, action.state?))).peekable();
    states.next_if(|(_, state)| *state == FormState::End);
    states
        .take_while(|(_, state)| matches!(state, FormState::Start | FormState::Continue))
        .find(|(_, state)| *state == FormState::Start)
        .map(|(at, _)| at)
}

/// The actions that Selector may choose from, one a line.
pub(crate) fn action_descriptions(bot: &Bot) -> String {
    bot.selectable().map(action_line).collect::<Vec<_>>().join("\n")
}

/// An action with its parameters, as Selector chooses by it.
fn action_line(action: &Action) -> String {
    let slots = action.form().map_or(&[] as &[Slot], |form| &form.slots);
    let parameters: Slots = slots.iter().map(|slot| (slot.name.clone(), Json::String(described(slot)))).collect();
    spaced_json(&json!({ "name": action.name, "description": action.description, "parameters": parameters }))
}

fn slot_line(slot: &Slot) -> String {
    format!("{}: {}", slot.name, one_line(&described(slot)))
}

/// A slot's description with the values it may take.
fn described(slot: &Slot) -> String {
    match slot.values.as_slice() {
        [] => slot.description.clone(),
        values => format!("{} ({})", slot.description, values.join(" | ")),
    }
}
