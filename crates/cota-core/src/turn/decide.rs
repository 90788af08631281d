//! What comes next: the policy chain, then the Selector or the model's own choice.

use super::effect::{Purpose, SlotQuestion};
use super::state::Phase;
use super::{Cx, Record, Turn, fallback_reason};
use crate::answer::{Choice, ProxySaid, Selection, Utterance};
use crate::bot::{ActionKind, BOT_UTTER, Mode, SELECTOR};
use crate::dpl;
use crate::event::{Cause, InboxMessage, ResultItem, Slots, TurnOutcome};

impl Turn {
    /// Records the message, or first lets the proxy user speak.
    pub(super) fn begin(&mut self, cx: Cx<'_>) {
        if self.is_rehearsal(cx) && self.state.input.iter().all(is_silent) {
            return self.ask(cx, Purpose::ProxyUser, None);
        }
        self.hear(cx);
        self.state.phase = if self.is_relayed(cx) { Phase::Finish(TurnOutcome::Relayed) } else { Phase::Decide };
    }

    /// Chooses the next action.
    pub(super) fn decide(&mut self, cx: Cx<'_>) {
        if self.state.counters.actions >= cx.bot.settings().max_steps {
            return self.fall_back(cx, fallback_reason::TOO_MANY_ACTIONS);
        }
        if let Some(selection) = self.state.chosen.pop_front() {
            return self.selected(cx, selection, Cause::Tools);
        }
        let place = self.tracker.formless_total();
        if self.state.triggered_at != Some(place)
            && let Some(prediction) = dpl::next_action(cx.bot, &self.tracker)
        {
            self.state.triggered_at = Some(place);
            return self.carry_out(cx, &prediction.action, &Slots::new(), Cause::Trigger { rule: prediction.rule });
        }
        let purpose = match cx.bot.settings().mode {
            Mode::Prompts => Purpose::Select,
            Mode::Tools => Purpose::Choose,
        };
        self.ask(cx, purpose, None);
    }

    /// Records a choice and runs it.
    pub(super) fn selected(&mut self, cx: Cx<'_>, selection: Selection, cause: Cause) {
        let Selection { action, thought, slots } = selection;
        let mut item = ResultItem { text: action.clone(), thought, ..ResultItem::default() };
        if !slots.is_empty() {
            item.metadata.insert("slots".to_owned(), slots.clone().into());
        }
        self.record(cx, Record::of(SELECTOR, cause.clone(), vec![item]));
        let cause = if cause == Cause::Tools { Cause::Tools } else { Cause::Selector };
        self.carry_out(cx, &action, &slots, cause);
    }

    /// Takes what the model chose or said in `tools` mode.
    pub(super) fn chose(&mut self, cx: Cx<'_>, choice: Choice) {
        match choice {
            Choice::Calls(calls) => {
                self.state.chosen = calls.into();
                self.state.phase = Phase::Decide;
            }
            Choice::Say(utterance) => {
                self.state.trace.cause = Some(Cause::Tools);
                self.uttered(cx, BOT_UTTER, None, utterance);
            }
        }
    }

    /// Runs an action.
    fn carry_out(&mut self, cx: Cx<'_>, name: &str, slots: &Slots, cause: Cause) {
        if self.state.counters.actions >= cx.bot.settings().max_steps {
            return self.fall_back(cx, fallback_reason::TOO_MANY_ACTIONS);
        }
        match cx.bot.action(name).map(|action| &action.kind) {
            Some(ActionKind::Form(form)) => self.enter(cx, name, form, slots, cause),
            Some(ActionKind::Utterance) => {
                self.state.trace.cause = Some(cause);
                self.ask(cx, Purpose::Utter { action: name.to_owned(), slot: None }, None);
            }
            // Neither a rule nor an answer is taken that names one of these; a record of an older bot might.
            Some(ActionKind::UserUtter | ActionKind::Selector) | None => {
                self.state.trace.cause = Some(cause);
                self.ask(cx, Purpose::Utter { action: BOT_UTTER.to_owned(), slot: None }, None);
            }
        }
    }

    /// Takes what is to be said: it ends the turn.
    pub(super) fn uttered(&mut self, cx: Cx<'_>, action: &str, slot: Option<&SlotQuestion>, utterance: Utterance) {
        let cause = self.state.trace.cause.take().unwrap_or(match slot {
            Some(question) => Cause::Slot { form: question.form.clone(), slot: question.slot.clone() },
            None => Cause::Selector,
        });
        self.say(cx, action, utterance, cause);
        self.state.phase = Phase::Finish(TurnOutcome::Replied);
    }

    /// Says the fallback reply: it ends the turn.
    pub(super) fn fall_back(&mut self, cx: Cx<'_>, reason: &str) {
        self.take_back();
        self.state.pending = None;
        self.state.chosen.clear();
        self.say_fallback(cx, reason);
        self.state.phase = Phase::Finish(TurnOutcome::Fallback);
    }

    /// Takes what the proxy user says.
    pub(super) fn proxy_said(&mut self, cx: Cx<'_>, said: ProxySaid) {
        self.state.proxy_stops = said.stop;
        if said.text.trim().is_empty() {
            return self.proxy_silent();
        }
        self.hear_proxy(cx, said);
        self.state.phase = if self.is_relayed(cx) { Phase::Finish(TurnOutcome::Relayed) } else { Phase::Decide };
    }

    /// The proxy user has nothing to say.
    pub(super) fn proxy_silent(&mut self) {
        self.state.proxy_stops = true;
        self.state.phase = Phase::Finish(TurnOutcome::Stopped);
    }

    /// Whether an LLM plays the user.
    pub(super) fn is_rehearsal(&self, cx: Cx<'_>) -> bool {
        cx.bot.settings().use_proxy_user
    }

    /// Whether the message is for somebody else.
    pub(super) fn is_relayed(&self, cx: Cx<'_>) -> bool {
        self.state.input.iter().all(|message| !message.content.is_for(cx.bot.name()))
    }
}

fn is_silent(message: &InboxMessage) -> bool {
    message.content.text.trim().is_empty() && message.content.payload.is_none()
}
