//! One conversation as one socket follows it.

use std::collections::VecDeque;

use futures_util::stream::BoxStream;

use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, Event, EventBody, ResultItem};
use cota_core::ids::{ConversationId, MessageId, SenderId, Seq};
use cota_protocol::problem::Code;
use cota_protocol::websocket::ServerFrame;

use super::render;
use crate::follow::{Joining, News};

/// Messages that are remembered to have been shown before their commit. One that is forgotten is shown again, with its place.
const SHOWN: usize = 64;

pub(super) struct Room {
    pub(super) session: ConversationId,
    pub(super) streams: bool,
    pub(super) news: BoxStream<'static, News>,
    /// The last event the client was told of.
    cursor: Seq,
    /// Messages of users that were shown when they were accepted and are not in the record yet.
    shown: VecDeque<(SenderId, MessageId)>,
    /// This socket's own messages that are not answered yet.
    pub(super) expected: VecDeque<MessageId>,
}

impl Room {
    pub(super) fn new(session: ConversationId, streams: bool, joining: Joining, cursor: Seq) -> Self {
        let (shown, expected) = (VecDeque::new(), VecDeque::new());
        Self { session, streams, news: joining.after(cursor), cursor, shown, expected }
    }

    /// Takes up a new subscription at the place where the client is.
    pub(super) fn follow_anew(&mut self, joining: Joining) {
        self.news = joining.after(self.cursor);
    }

    /// Notes that the answer to a message of this socket is to come.
    pub(super) fn expect(&mut self, message_id: MessageId) {
        remember(&mut self.expected, message_id);
    }

    /// The news as frames.
    pub(super) fn tell(&mut self, news: News, frames: &mut VecDeque<ServerFrame>) {
        match news {
            News::Accepted(message) => {
                frames.push_back(render::accepted(&self.session, &message));
                remember(&mut self.shown, (message.sender.clone(), message.message_id.clone()));
            }
            News::Fragment(fragment) => frames.push_back(render::fragment(fragment)),
            News::Events(events) => events.iter().for_each(|event| self.tell_event(event, frames)),
            News::Forgotten => {
                (self.cursor, self.shown, self.expected) = (Seq::default(), VecDeque::new(), VecDeque::new());
                let message = format!("the session {} was forgotten; the next message begins it anew", self.session);
                frames.push_back(ServerFrame::Error { code: Code::NotFound, message, message_id: None });
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
            EventBody::Control(_) => {}
        }
    }

    /// Whether the client has seen this message of a user already; it is in the record from now on.
    fn was_shown(&mut self, action: &ActionRecord, item: &ResultItem, id: &MessageId) -> bool {
        if action.name != USER_UTTER {
            return false;
        }
        let place = self.shown.iter().position(|(sender, shown)| item.sender_id.as_ref() == Some(sender) && shown == id);
        place.and_then(|place| self.shown.remove(place)).is_some()
    }
}

fn remember<T>(memory: &mut VecDeque<T>, item: T) {
    if memory.len() >= SHOWN {
        memory.pop_front();
    }
    memory.push_back(item);
}
