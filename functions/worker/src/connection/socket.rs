//! One socket as its object keeps it: who speaks on it, which rooms it is in, and how far it was told.

use serde::{Deserialize, Serialize};

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{BotName, ContentDigest, ConversationId, ConversationKey, MessageId, Owner, SenderId, Seq};
use cota_gateway::sse::{Place, Places};
use cota_gateway::websocket::render;
use cota_gateway::{ClientAddress, Identity, Scopes};
use cota_protocol::problem::Code;
use cota_protocol::websocket::{Actor, Message, RoomInfo, ServerFrame};

use crate::wire::{News, Relayed};

/// Messages of each kind that a room remembers. One that is forgotten may be shown twice.
const REMEMBERED: usize = 64;

/// Who opened a socket, and with which bot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visitor {
    pub(crate) bot: BotName,
    pub(crate) owner: Owner,
    pub(crate) sender: SenderId,
    /// What it may do.
    #[serde(default = "talking")]
    pub(crate) scopes: Scopes,
    /// From where it came.
    #[serde(default)]
    pub(crate) address: Option<ClientAddress>,
    /// What is behind its socket.
    #[serde(default)]
    pub(crate) channel: Channel,
}

/// What is behind a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    /// A client: frames go both ways as they are.
    #[default]
    Socket,
    /// The Worker, which writes an event stream: each frame goes with its event's id.
    Events,
    /// The Worker, which speaks Socket.IO: each frame of its own is answered.
    Talk,
}

/// What a visitor may do whose row does not say.
fn talking() -> Scopes {
    Scopes::CHAT
}

impl Visitor {
    /// Who this is, with this behind its socket.
    pub(crate) fn new(bot: BotName, identity: Identity, channel: Channel) -> Self {
        let Identity { owner, sender, scopes, address } = identity;
        Self { bot, owner, sender, scopes, address, channel }
    }

    /// Who sends a frame.
    pub(super) fn identity(&self) -> Identity {
        Identity { owner: self.owner.clone(), sender: self.sender.clone(), scopes: self.scopes, address: self.address }
    }

    /// The name of the object that has this visitor's sockets.
    pub(crate) fn connection(&self) -> String {
        let parts = ["connection", self.bot.as_str(), self.owner.as_str(), self.sender.as_str()];
        ContentDigest::of(&parts).0
    }
}

/// A socket, apart from its wire. It is all that lasts while the object sleeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Socket {
    pub(super) visitor: Visitor,
    pub(super) rooms: Vec<Room>,
}

/// One conversation as one socket follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Room {
    pub(super) key: ConversationKey,
    pub(super) streams: bool,
    /// The last event the client was told of.
    pub(super) cursor: Seq,
    /// Messages of users that were shown when they were accepted; the record is still to bring them.
    accepted: Vec<Said>,
    /// Messages of users that the record has brought; the news of their acceptance may still come, and is none.
    recorded: Vec<Said>,
    /// The reply of which pieces were shown.
    live: Option<MessageId>,
}

/// Names a user's message.
type Said = (String, MessageId);

/// What a room makes of news.
pub(super) enum Telling {
    /// These frames.
    Frames(Vec<ServerFrame>),
    /// The record has to be read first, after the cursor.
    Behind,
}

impl Socket {
    pub(super) fn new(visitor: Visitor) -> Self {
        Self { visitor, rooms: Vec::new() }
    }

    /// Frames as texts for what is behind it.
    pub(super) fn texts(&self, frames: &[ServerFrame]) -> Vec<String> {
        let next = frames.iter().skip(1).map(ServerFrame::place).chain([None]);
        let text = |(frame, next): (&ServerFrame, _)| match self.visitor.channel {
            Channel::Socket => frame.encode(),
            Channel::Talk => Relayed::Frame { id: "", frame: &frame.encode() }.to_string(),
            Channel::Events => Relayed::Frame { id: &self.id(frame, next), frame: &frame.encode() }.to_string(),
        };
        frames.iter().zip(next).map(text).collect()
    }

    /// The id of a frame as an event: how far all rooms are with it, if it is the last one of its place in the record, or changes
    /// which rooms there are.
    fn id(&self, frame: &ServerFrame, next: Option<(&ConversationId, Seq)>) -> String {
        let place = frame.place();
        let begins_or_ends = matches!(
            frame,
            ServerFrame::Text(_) | ServerFrame::Image(_) | ServerFrame::JoinConfirm { .. } | ServerFrame::LeaveConfirm { .. }
        );
        if !begins_or_ends || (place.is_some() && next == place) {
            return String::new();
        }
        let mut places = Places::default();
        for room in self.rooms.iter().filter(|room| room.cursor != Room::NOT_YET) {
            let seq = place.filter(|(session_id, _)| room.key.id == **session_id).map_or(room.cursor, |(_, seq)| seq);
            places.reach(&room.key.id, Place { seq, streams: room.streams });
        }
        places.to_string()
    }

    pub(super) fn room(&mut self, session: &ConversationId) -> Option<&mut Room> {
        self.rooms.iter_mut().find(|room| room.key.id == *session)
    }

    /// The key of a session that this socket calls by its id.
    pub(super) fn key(&self, session: &ConversationId) -> ConversationKey {
        match self.rooms.iter().find(|room| room.key.id == *session) {
            Some(room) => room.key.clone(),
            None => self.key_in(session, self.visitor.owner.clone()),
        }
    }

    /// The key of a session in this owner's namespace.
    pub(super) fn key_in(&self, session: &ConversationId, owner: Owner) -> ConversationKey {
        ConversationKey { bot: self.visitor.bot.clone(), owner, id: session.clone() }
    }
}

impl Room {
    /// The cursor of a room that is being entered: it is told nothing.
    pub(super) const NOT_YET: Seq = Seq(u64::MAX >> 1);

    pub(super) fn new(key: ConversationKey, streams: bool, cursor: Seq) -> Self {
        Self { key, streams, cursor, accepted: Vec::new(), recorded: Vec::new(), live: None }
    }

    /// The news as frames.
    pub(super) fn tell(&mut self, news: &News) -> Telling {
        let session = self.key.id.clone();
        Telling::Frames(match news {
            News::Accepted(message) => self.accept(message).into_iter().collect(),
            News::Delta { .. } | News::Reset { .. } if !self.streams => Vec::new(),
            News::Delta { message_id, offset, text } => {
                self.live = Some(message_id.clone());
                vec![ServerFrame::Delta { message_id: message_id.clone(), offset: *offset, text: text.clone() }]
            }
            News::Reset { message_id } => {
                self.live = None;
                vec![ServerFrame::Reset { message_id: message_id.clone() }]
            }
            News::Durable(events) if events.first().is_some_and(|first| first.seq > self.cursor.next()) => return Telling::Behind,
            News::Durable(events) => self.record(events),
            News::Missed => return Telling::Behind,
            News::Forgotten => {
                *self = Self::new(self.key.clone(), self.streams, Seq::default());
                let message = format!("the session {session} was forgotten; the next message begins it anew");
                vec![ServerFrame::Error { code: Code::NotFound, message, message_id: None, retry_after: None }]
            }
            News::Came { user, users } => {
                vec![ServerFrame::UserJoined { user_id: user.clone(), room_info: RoomInfo::new(session.as_str(), users.clone()) }]
            }
            News::Left { user, users } => {
                vec![ServerFrame::UserLeft { user_id: user.clone(), room_info: RoomInfo::new(session.as_str(), users.clone()) }]
            }
        })
    }

    /// Events of the record as frames, those after the cursor, which moves past them.
    pub(super) fn record(&mut self, events: &[Event]) -> Vec<ServerFrame> {
        let mut frames = Vec::new();
        for event in events {
            if event.seq <= self.cursor {
                continue;
            }
            self.cursor = event.seq;
            self.live = None;
            let shown = render::all(&self.key.id, event).into_iter().filter(|frame| !self.was_shown(frame));
            frames.extend(shown.collect::<Vec<_>>());
        }
        frames
    }

    /// A reply that was begun and of which nobody knows whether it goes on.
    pub(super) fn drop_live(&mut self) -> Option<ServerFrame> {
        self.live.take().map(|message_id| ServerFrame::Reset { message_id })
    }

    fn accept(&mut self, message: &InboxMessage) -> Option<ServerFrame> {
        let said = (message.sender.to_string(), message.message_id.clone());
        if take(&mut self.recorded, &said) {
            return None;
        }
        remember(&mut self.accepted, said);
        Some(render::accepted(&self.key.id, message))
    }

    /// Whether the client has seen this message already, when it was accepted. The record brings it now.
    fn was_shown(&mut self, frame: &ServerFrame) -> bool {
        let (ServerFrame::Text(Message { sender: Actor::User, sender_id, message_id, .. })
        | ServerFrame::Image(Message { sender: Actor::User, sender_id, message_id, .. })) = frame
        else {
            return false;
        };
        let said = (sender_id.clone(), message_id.clone());
        let shown = take(&mut self.accepted, &said);
        if !shown {
            remember(&mut self.recorded, said);
        }
        shown
    }
}

/// Takes a message out of the memory; whether it was there.
fn take(memory: &mut Vec<Said>, said: &Said) -> bool {
    let place = memory.iter().position(|known| known == said);
    place.map(|place| memory.remove(place)).is_some()
}

fn remember(memory: &mut Vec<Said>, said: Said) {
    if memory.len() >= REMEMBERED {
        memory.remove(0);
    }
    memory.push(said);
}
