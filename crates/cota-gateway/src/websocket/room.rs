//! One conversation as one socket follows it.

use std::collections::VecDeque;

use futures_util::stream::BoxStream;

use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, Event, EventBody, ResultItem};
use cota_core::ids::{ConversationId, MessageId, SenderId, Seq};
use cota_protocol::websocket::ServerFrame;

use super::render;
use crate::follow::{Joining, News};

/// Messages of each kind that a room remembers. One that is forgotten may be shown twice.
const REMEMBERED: usize = 64;

/// Names a user's message.
type Said = (SenderId, MessageId);

pub(super) struct Room {
    pub(super) session: ConversationId,
    pub(super) streams: bool,
    pub(super) news: BoxStream<'static, News>,
    /// After which event it began, as the client asked.
    pub(super) beginning: Seq,
    /// The last event the client was told of.
    cursor: Seq,
    /// Messages of users that were shown when they were accepted; the record is still to bring them.
    accepted: VecDeque<Said>,
    /// Messages of users that the record has brought; the news of their acceptance may still come, and is none.
    recorded: VecDeque<Said>,
    /// This socket's own messages that are not answered yet.
    pub(super) expected: VecDeque<MessageId>,
}

impl Room {
    pub(super) fn new(session: ConversationId, streams: bool, news: BoxStream<'static, News>, cursor: Seq) -> Self {
        let (accepted, recorded, expected) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { session, streams, news, beginning: cursor, cursor, accepted, recorded, expected }
    }

    /// Begins again elsewhere in the record, as the client asked.
    pub(super) fn join_again(&mut self, streams: bool, news: BoxStream<'static, News>, cursor: Seq) {
        (self.streams, self.news, self.beginning, self.cursor) = (streams, news, cursor, cursor);
        self.accepted.clear();
        self.recorded.clear();
    }

    /// Takes up a new subscription at the place where the client is; the record is known to hold more.
    pub(super) fn follow_anew(&mut self, joining: Joining) {
        self.news = joining.after(self.cursor, self.cursor.next());
    }

    /// Notes that the answer to a message of this socket is to come.
    pub(super) fn await_answer(&mut self, message_id: MessageId) {
        remember(&mut self.expected, message_id);
    }

    /// The news as frames.
    pub(super) fn tell(&mut self, news: News, frames: &mut VecDeque<ServerFrame>) {
        match news {
            News::Accepted(message) => {
                let said = (message.sender.clone(), message.message_id.clone());
                if !take(&mut self.recorded, &said) {
                    frames.push_back(render::accepted(&self.session, &message));
                    remember(&mut self.accepted, said);
                }
            }
            News::Fragment(fragment) => frames.push_back(render::fragment(fragment)),
            News::Events(events) => events.iter().for_each(|event| self.tell_event(event, frames)),
            News::Forgotten => {
                (self.beginning, self.cursor) = (Seq::default(), Seq::default());
                self.expected.clear();
                self.accepted.clear();
                self.recorded.clear();
                frames.push_back(render::forgotten(&self.session));
            }
        }
    }

    fn tell_event(&mut self, event: &Event, frames: &mut VecDeque<ServerFrame>) {
        self.cursor = self.cursor.max(event.seq);
        match &event.body {
            EventBody::Action(action) => {
                for (item, id) in render::messages(action) {
                    if !self.was_shown(action, item, id) {
                        frames.push_back(render::recorded(&self.session, event, action, item, id));
                    }
                }
            }
            EventBody::TurnEnd(end) => {
                self.expected.retain(|id| !end.message_ids.contains(id));
                frames.extend(render::unanswered(end));
            }
            EventBody::Control(_) | EventBody::Task(_) => {}
        }
    }

    /// Whether the client has seen this message already, when it was accepted. The record brings it now.
    fn was_shown(&mut self, action: &ActionRecord, item: &ResultItem, id: &MessageId) -> bool {
        if action.name != USER_UTTER {
            return false;
        }
        let Some(sender) = &item.sender_id else { return false };
        let said = (sender.clone(), id.clone());
        let shown = take(&mut self.accepted, &said);
        if !shown {
            remember(&mut self.recorded, said);
        }
        shown
    }
}

/// Takes a message out of the memory; whether it was there.
fn take(memory: &mut VecDeque<Said>, said: &Said) -> bool {
    let place = memory.iter().position(|known| known == said);
    place.and_then(|place| memory.remove(place)).is_some()
}

fn remember<T>(memory: &mut VecDeque<T>, item: T) {
    if memory.len() >= REMEMBERED {
        memory.pop_front();
    }
    memory.push_back(item);
}
