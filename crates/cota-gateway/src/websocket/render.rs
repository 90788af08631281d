//! The record and the inbox as frames. It is public for targets whose connections have no process that holds a session.

use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, Event, EventBody, InboxMessage, ResultItem, TurnEnd};
use cota_core::ids::{ConversationId, MessageId};
use cota_core::tracker::RECEIVER_BOT;
use cota_core::turn::Fragment;
use cota_protocol::problem::Code;
use cota_protocol::websocket::{Actor, Message, ServerFrame};

use crate::answer::no_answer;

/// A user's message as it was accepted: without a place in the record.
#[must_use]
pub fn accepted(session: &ConversationId, message: &InboxMessage) -> ServerFrame {
    let receiver_id = message.content.receiver.as_ref().map_or(RECEIVER_BOT, |receiver| receiver.as_str());
    let said = Message {
        text: message.content.text.clone(),
        sender: Actor::User,
        sender_id: message.sender.to_string(),
        receiver: actor(receiver_id),
        receiver_id: receiver_id.to_owned(),
        session_id: session.clone(),
        message_id: message.message_id.clone(),
        reply_to: None,
        seq: None,
        metadata: message.content.metadata.clone(),
        payload: message.content.payload.clone(),
    };
    said.frame()
}

/// A message in the record as a frame.
pub(super) fn recorded(session: &ConversationId, event: &Event, action: &ActionRecord, item: &ResultItem, id: &MessageId) -> ServerFrame {
    message(session, event, action, item, id).frame()
}

/// A message in the record: one result of an action that says something.
fn message(session: &ConversationId, event: &Event, action: &ActionRecord, item: &ResultItem, id: &MessageId) -> Message {
    let by_user = action.name == USER_UTTER;
    let sender_id = item.sender_id.as_ref().map_or(action.sender_id.as_str(), |sender| sender.as_str());
    Message {
        text: item.text.clone(),
        sender: if by_user { Actor::User } else { Actor::Bot },
        sender_id: sender_id.to_owned(),
        receiver: if by_user { actor(&action.receiver_id) } else { Actor::User },
        receiver_id: action.receiver_id.clone(),
        session_id: session.clone(),
        message_id: id.clone(),
        reply_to: item.reply_to.clone().filter(|_| !by_user),
        seq: Some(event.seq),
        metadata: item.metadata.clone(),
        payload: item.payload.clone(),
    }
}

/// The messages that an event of the record brings.
pub(crate) fn utterances(session: &ConversationId, event: &Event) -> Vec<Message> {
    match &event.body {
        EventBody::Action(action) => messages(action).map(|(item, id)| message(session, event, action, item, id)).collect(),
        EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => Vec::new(),
    }
}

/// The results of an action that are messages, each with its id.
pub(super) fn messages(action: &ActionRecord) -> impl Iterator<Item = (&ResultItem, &MessageId)> {
    action.result.iter().filter_map(|item| Some((item, item.message_id.as_ref()?)))
}

/// What an event of a turn says to the one who asked: the bot's messages, or why there are none.
#[must_use]
pub fn answers(session: &ConversationId, event: &Event) -> Vec<ServerFrame> {
    match &event.body {
        EventBody::Action(action) if action.name == USER_UTTER => Vec::new(),
        EventBody::Action(action) => messages(action).map(|(item, id)| recorded(session, event, action, item, id)).collect(),
        EventBody::TurnEnd(end) => unanswered(end).collect(),
        EventBody::Control(_) | EventBody::Task(_) => Vec::new(),
    }
}

/// All that an event of the record says to a room: the users' messages, too.
#[must_use]
pub fn all(session: &ConversationId, event: &Event) -> Vec<ServerFrame> {
    match &event.body {
        EventBody::Action(action) => messages(action).map(|(item, id)| recorded(session, event, action, item, id)).collect(),
        EventBody::TurnEnd(end) => unanswered(end).collect(),
        EventBody::Control(_) | EventBody::Task(_) => Vec::new(),
    }
}

/// An error for each message of a turn that ended without an answer.
pub(super) fn unanswered(end: &TurnEnd) -> impl Iterator<Item = ServerFrame> {
    end.message_ids.iter().filter_map(|id| {
        let problem = no_answer(end.outcome, id)?;
        Some(ServerFrame::Error { code: problem.code, message: problem.detail, message_id: Some(id.clone()), retry_after: None })
    })
}

/// What a room is told when its conversation was forgotten.
#[must_use]
pub fn forgotten(session: &ConversationId) -> ServerFrame {
    let message = format!("the session {session} was forgotten; the next message begins it anew");
    ServerFrame::Error { code: Code::NotFound, message, message_id: None, retry_after: None }
}

/// A piece of a reply that is not committed yet.
#[must_use]
pub fn fragment(fragment: Fragment) -> ServerFrame {
    match fragment {
        Fragment::Delta { message_id, offset, text } => ServerFrame::Delta { message_id, offset, text },
        Fragment::Reset { message_id } => ServerFrame::Reset { message_id },
    }
}

fn actor(receiver_id: &str) -> Actor {
    if receiver_id == RECEIVER_BOT { Actor::Bot } else { Actor::User }
}
