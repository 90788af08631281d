//! The turn's events: each action with what caused it, and the end.

use std::sync::Arc;

use super::effect::{Answered, Commit, RunState, Then};
use super::{Cx, Turn};
use crate::answer::{ProxySaid, Utterance};
use crate::bot::{BOT_UTTER, USER_UTTER};
use crate::event::{
    ActionRecord, Cause, Control, EVENT_VERSION, Event, EventBody, FormState, InboxMessage, MessageContent, Reply, ResultItem, Slots,
    StepTrace, TurnEnd, TurnOutcome, Usage,
};
use crate::ids::{CommitId, MessageId, Position, Seq};
use crate::limits;
use crate::tracker::RECEIVER_BOT;

/// An action that is about to be recorded.
pub(super) struct Record {
    pub(super) name: String,
    pub(super) cause: Cause,
    pub(super) result: Vec<ResultItem>,
    pub(super) slots: Option<Slots>,
    pub(super) state: Option<FormState>,
}

impl Record {
    pub(super) fn of(name: &str, cause: Cause, result: Vec<ResultItem>) -> Self {
        Self { name: name.to_owned(), cause, result, slots: None, state: None }
    }
}

impl Turn {
    /// Records the user's messages, unless they are recorded already.
    pub(super) fn hear(&mut self, cx: Cx<'_>) {
        let heard = self.state.events.iter().any(|event| matches!(&event.body, EventBody::Action(action) if action.name == USER_UTTER));
        if !heard {
            let result = self.state.input.iter().map(said).collect();
            self.record(cx, Record::of(USER_UTTER, Cause::User, result));
        }
    }

    /// Records what the proxy user says.
    pub(super) fn hear_proxy(&mut self, cx: Cx<'_>, said: ProxySaid) {
        let metadata = [("proxy_user".to_owned(), true.into())].into_iter().collect();
        let item = ResultItem { text: said.text, thought: said.thought, metadata, message_id: self.answers(), ..ResultItem::default() };
        self.record(cx, Record::of(USER_UTTER, Cause::ProxyUser, vec![item]));
    }

    /// Records what the bot says; a long text becomes several messages.
    pub(super) fn say(&mut self, cx: Cx<'_>, action: &str, utterance: Utterance, cause: Cause) {
        self.settle_live(&utterance.text);
        let result = self.messages(&utterance.text, utterance.thought, &serde_json::Map::new());
        self.record(cx, Record::of(action, cause, result));
    }

    /// Records the fallback reply.
    pub(super) fn say_fallback(&mut self, cx: Cx<'_>, reason: &str) {
        let metadata = [("fallback".to_owned(), reason.into())].into_iter().collect();
        let result = self.messages(&cx.bot.settings().fallback, None, &metadata);
        self.record(cx, Record::of(BOT_UTTER, Cause::Fallback { reason: reason.to_owned() }, result));
    }

    fn messages(&mut self, text: &str, thought: Option<String>, metadata: &serde_json::Map<String, serde_json::Value>) -> Vec<ResultItem> {
        let mut thought = thought;
        let mut items = Vec::new();
        for part in split_message(text) {
            let message_id = self.reply_id(self.state.counters.messages);
            self.state.counters.messages += 1;
            if let Some(message_id) = &message_id {
                let reply = Reply { message_id: message_id.clone(), text: part.to_owned(), metadata: metadata.clone() };
                self.state.replies.push(reply);
            }
            items.push(ResultItem {
                text: part.to_owned(),
                thought: thought.take(),
                metadata: metadata.clone(),
                message_id,
                reply_to: self.answers(),
                ..ResultItem::default()
            });
        }
        items
    }

    /// Records an action and notes what caused it.
    pub(super) fn record(&mut self, cx: Cx<'_>, record: Record) {
        let Record { name, cause, result, slots, state } = record;
        let user = self.state.input.first().map_or("user", |message| message.sender.as_str());
        let receiver =
            self.state.input.first().and_then(|message| message.content.receiver.as_ref()).map_or(RECEIVER_BOT, |other| other.as_str());
        let from_user = name == USER_UTTER;
        let action = ActionRecord {
            name: name.clone(),
            timestamp: cx.now.as_seconds(),
            sender_id: if from_user { user } else { cx.bot.name() }.to_owned(),
            receiver_id: if !from_user {
                user
            } else if self.is_relayed(cx) {
                receiver
            } else {
                RECEIVER_BOT
            }
            .to_owned(),
            result,
            slots,
            state,
        };
        let seq = self.append(cx, action.into());
        self.state.counters.actions += u32::from(!from_user);
        let spent = self.spent_ms(cx.now);
        let trace = &mut self.state.trace;
        trace.steps.push(StepTrace {
            seq,
            action: name,
            cause,
            examples: std::mem::take(&mut trace.examples),
            calls: std::mem::take(&mut trace.calls),
            ms: spent.saturating_sub(trace.marked_ms),
        });
        trace.marked_ms = spent;
        trace.cause = None;
    }

    /// Records something about the turn itself.
    pub(super) fn control(&mut self, cx: Cx<'_>, control: Control) {
        self.append(cx, EventBody::Control(control));
    }

    fn append(&mut self, cx: Cx<'_>, body: EventBody) -> Seq {
        let event = self.event(cx, body);
        let seq = event.seq;
        Arc::make_mut(&mut self.tracker).apply(&event);
        self.state.events.push(event);
        seq
    }

    fn event(&self, cx: Cx<'_>, body: EventBody) -> Event {
        Event {
            v: EVENT_VERSION,
            seq: self.tracker.head.next(),
            run: self.state.run.clone(),
            at: cx.now,
            bot_digest: self.state.bot_digest.clone(),
            message_id: self.answers(),
            body,
        }
    }

    /// The message that a reply answers: the last one, where several are merged.
    fn answers(&self) -> Option<MessageId> {
        self.state.input.last().map(|message| message.message_id.clone())
    }

    /// The write that ends the turn.
    pub(super) fn final_commit(&mut self, cx: Cx<'_>, outcome: TurnOutcome) -> Commit {
        let form = self.tracker.active_form().map(str::to_owned);
        let slots = form.as_deref().and_then(|form| self.tracker.form_slots(form)).cloned();
        let usage = Usage { ms: self.spent_ms(cx.now), ..self.state.counters.usage };
        let end = TurnEnd {
            outcome,
            message_ids: self.state.input.iter().map(|message| message.message_id.clone()).collect(),
            replies: self.state.replies.clone(),
            slots: slots.unwrap_or_else(|| self.state.ended_slots.clone()),
            form,
            usage,
            steps: self.state.trace.steps.clone(),
        };
        // The saved run stays without its end, so that a run resumed from here ends once.
        let end = self.event(cx, EventBody::TurnEnd(Box::new(end)));
        let tracker = Arc::make_mut(&mut self.tracker);
        tracker.apply(&end);
        let events = self.state.events.iter().cloned().chain([end]).collect();
        tracker.trim(cx.bot.settings().max_history_tokens as usize * limits::BYTES_PER_TOKEN);
        let due = tracker.head.0 - tracker.snapshot.0 >= limits::SNAPSHOT_EVENTS;
        let snapshot = due.then(|| {
            tracker.snapshot = tracker.head;
            tracker.clone()
        });
        let answered = |message: &InboxMessage| Answered {
            position: message.position,
            sender: message.sender.clone(),
            message_id: message.message_id.clone(),
        };
        Commit {
            commit_id: self.commit_id(),
            events,
            run: RunState::Clear,
            snapshot,
            answered: self.state.input.iter().map(answered).collect(),
            follow_up: self.follow_up(cx, outcome),
            then: Then::Finish,
        }
    }

    /// The id of the write at hand. A save counts it at once; the finish is the last, so a run resumed from here repeats it.
    pub(super) fn commit_id(&self) -> CommitId {
        CommitId(format!("{}/{}", self.state.run, self.state.counters.commits).into())
    }

    /// The proxy user's next exchange: a message of its own, so that every exchange is a turn like any other.
    fn follow_up(&self, cx: Cx<'_>, outcome: TurnOutcome) -> Option<InboxMessage> {
        let last = self.state.input.last()?;
        let exchange = last.content.proxy_exchange.unwrap_or(1);
        let goes_on = outcome == TurnOutcome::Replied && !self.state.proxy_stops && exchange < cx.bot.settings().max_proxy_step;
        if !goes_on || !self.is_rehearsal(cx) {
            return None;
        }
        let content = MessageContent { proxy_exchange: Some(exchange + 1), ..MessageContent::default() };
        let message_id = MessageId::new(format!("{}-proxy-{}", self.state.run, exchange + 1)).ok()?;
        Some(InboxMessage { position: Position::default(), sender: last.sender.clone(), message_id, at: cx.now, content })
    }
}

fn said(message: &InboxMessage) -> ResultItem {
    ResultItem {
        text: message.content.text.clone(),
        metadata: message.content.metadata.clone(),
        message_id: Some(message.message_id.clone()),
        sender_id: Some(message.sender.clone()),
        payload: message.content.payload.clone(),
        ..ResultItem::default()
    }
}

/// Parts of at most a message's size, cut after white space where there is some in the second half.
fn split_message(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > limits::MESSAGE_BYTES {
        let most = rest.floor_char_boundary(limits::MESSAGE_BYTES);
        let (head, _) = rest.split_at_checked(most).unwrap_or((rest, ""));
        let cut = head.rfind(char::is_whitespace).map(|at| head.ceil_char_boundary(at + 1)).filter(|at| *at > most / 2).unwrap_or(most);
        let (part, tail) = rest.split_at_checked(cut).unwrap_or((rest, ""));
        parts.push(part);
        rest = tail;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_long_text_is_split_without_loss(words in prop::collection::vec("[a-zé王 ]{0,900}", 0..60)) {
            let text = words.concat();
            let parts = split_message(&text);
            prop_assert_eq!(&parts.concat(), &text);
            prop_assert!(parts.iter().all(|part| part.len() <= limits::MESSAGE_BYTES));
        }
    }
}
