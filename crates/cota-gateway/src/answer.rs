//! A finished turn as the record tells it, and the answer to a message that it holds.

use std::borrow::Cow;

use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, Event, EventBody, Reply, TurnEnd, TurnOutcome, Usage};
use cota_core::ids::{ConversationKey, MessageId, RunId, SenderId, Seq};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::rest::{MessageAnswer, TurnEvent};

use crate::access::Scopes;
use crate::view;

/// A message whose answer is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Its conversation.
    pub(crate) key: ConversationKey,
    /// Who sent it.
    pub(crate) sender: SenderId,
    /// Its id.
    pub(crate) message_id: MessageId,
    /// The run that answers it, unless it was taken together with others.
    pub(crate) run: RunId,
}

impl Question {
    pub(crate) fn new(key: ConversationKey, sender: SenderId, message_id: MessageId) -> Self {
        let run = RunId::of(&key, &sender, &message_id);
        Self { key, sender, message_id, run }
    }
}

/// The turn that answers a message.
#[derive(Debug)]
pub(crate) struct AnsweredTurn<'e> {
    question: &'e Question,
    actions: Vec<(Seq, &'e ActionRecord)>,
    end: &'e TurnEnd,
    seq: Seq,
}

impl<'e> AnsweredTurn<'e> {
    /// Finds the turn among events of the record. All events of a turn are written together.
    pub(crate) fn among(events: &'e [Event], question: &'e Question) -> Option<Self> {
        events.iter().find_map(|event| match &event.body {
            EventBody::TurnEnd(end) if end.message_ids.contains(&question.message_id) => {
                let actions: Vec<_> = events.iter().filter(|other| other.run == event.run).filter_map(action).collect();
                let is_it = event.run == question.run || actions.iter().any(|(_, action)| heard(action, question));
                is_it.then_some(Self { question, actions, end, seq: event.seq })
            }
            EventBody::TurnEnd(_) | EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
        })
    }

    /// What the bot said, or why it said nothing.
    pub(crate) fn replies(&self) -> Result<&'e [Reply], Problem> {
        match no_answer(self.end.outcome, &self.question.message_id) {
            Some(problem) => Err(problem),
            None => Ok(&self.end.replies),
        }
    }

    /// All that the bot said, as one text: a paragraph for each time it spoke.
    pub(crate) fn text(&self) -> Result<String, Problem> {
        self.replies()?;
        let said = self.actions.iter().map(|(_, action)| replies(action).map(|reply| reply.text).collect::<String>());
        Ok(said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n"))
    }

    /// What the turn cost.
    pub(crate) fn usage(&self) -> Usage {
        self.end.usage
    }

    /// The answer, or why there is none.
    pub(crate) fn answer(&self, scopes: Scopes) -> Result<MessageAnswer<Cow<'e, ActionRecord>>, Problem> {
        self.answer_with(|action| Ok(view::visible(action, scopes)))
    }

    fn answer_with<A>(&self, write: impl Fn(&'e ActionRecord) -> Result<A, Problem>) -> Result<MessageAnswer<A>, Problem> {
        Ok(MessageAnswer {
            conversation_id: self.question.key.id.clone(),
            message_id: self.question.message_id.clone(),
            replies: self.replies()?.to_vec(),
            actions: self.actions.iter().map(|(_, action)| write(action)).collect::<Result<_, _>>()?,
            slots: self.end.slots.clone(),
            form: self.end.form.clone(),
            usage: self.end.usage,
        })
    }

    /// The committed events of the turn's stream. `from` is the last event that the client had: several may share its place,
    /// so it is sent again with what came after it.
    pub(crate) fn stream(&self, from: Option<Seq>, scopes: Scopes) -> Vec<TurnEvent> {
        let mut stream = Vec::new();
        for (seq, action) in self.actions.iter().filter(|(seq, _)| from.is_none_or(|from| *seq >= from)) {
            match view::action(action, scopes) {
                Ok(event) => stream.push(TurnEvent::Action { seq: *seq, event }),
                Err(problem) => stream.push(TurnEvent::Error(problem)),
            }
            stream.extend(replies(action).map(|reply| TurnEvent::Message { seq: *seq, reply }));
        }
        stream.push(match self.answer_with(|action| view::action(action, scopes)) {
            Ok(answer) => TurnEvent::Done { seq: self.seq, answer },
            Err(problem) => TurnEvent::Error(problem),
        });
        stream
    }
}

/// What the sender of a message is told if its turn ended without an answer.
pub(crate) fn no_answer(outcome: TurnOutcome, message_id: &MessageId) -> Option<Problem> {
    let problem = match outcome {
        TurnOutcome::Superseded => Problem::new(Code::Superseded, "a later message of this conversation took this one's place"),
        TurnOutcome::Cancelled => Problem::new(Code::Cancelled, "the turn for this message was cancelled on request"),
        TurnOutcome::Replied | TurnOutcome::Fallback | TurnOutcome::Relayed | TurnOutcome::Stopped => return None,
    };
    Some(problem.with("message_id", message_id.as_str()))
}

fn action(event: &Event) -> Option<(Seq, &ActionRecord)> {
    match &event.body {
        EventBody::Action(action) => Some((event.seq, action)),
        EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => None,
    }
}

/// Whether the action is the hearing of this message.
fn heard(action: &ActionRecord, question: &Question) -> bool {
    let is_it = |id: Option<&MessageId>, sender: Option<&SenderId>| id == Some(&question.message_id) && sender == Some(&question.sender);
    action.name == USER_UTTER && action.result.iter().any(|item| is_it(item.message_id.as_ref(), item.sender_id.as_ref()))
}

/// The messages of the bot that an action said.
fn replies(action: &ActionRecord) -> impl Iterator<Item = Reply> {
    let said = action.result.iter().filter(|_| action.name != USER_UTTER);
    said.filter_map(|item| {
        let message_id = item.message_id.clone()?;
        Some(Reply { message_id, text: item.text.clone(), metadata: item.metadata.clone() })
    })
}
