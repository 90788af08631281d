//! What a client's frames ask for.

use std::sync::Arc;

use worker::WebSocketIncomingMessage;

use cota_core::event::InboxMessage;
use cota_core::ids::{ConversationId, ConversationKey, MessageId, Position, SenderId, Seq};
use cota_driver::host::Sent;
use cota_driver::ports::Clock as _;
use cota_driver::store::{NewMessage, Progress, StoreError};
use cota_gateway::websocket::{Saying, render};
use cota_gateway::{Access, unreadable};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::websocket::{ClientFrame, FrameError, ImageFrame, JoinFrame, LeaveFrame, RoomInfo, ServerFrame, TextFrame};

use super::desk::Desk;
use super::socket::{Channel, Room, Socket, Visitor};
use crate::bots;
use crate::platform::{PlatformClock, random_name};
use crate::wire::{Ask, Joined, Relayed};

/// Conversations that one socket may be in.
const MOST_ROOMS: usize = 32;

impl Desk {
    /// Does what a client's frame says, or tells it why not.
    pub(super) async fn hear(&self, id: &str, message: WebSocketIncomingMessage) {
        let Some(mut socket) = self.socket(id) else { return };
        let done = match message {
            WebSocketIncomingMessage::String(text) => match ClientFrame::decode(&text) {
                Ok(frame) => self.take(id, &mut socket, frame).await,
                Err(error) => Err(error),
            },
            WebSocketIncomingMessage::Binary(_) => {
                let problem = Problem::new(Code::BadFrame, "this channel takes text frames with JSON in them, no binary ones");
                Err(refused(problem, None))
            }
        };
        let refusal = done.err().map(FrameError::answer);
        match socket.visitor.channel {
            Channel::Socket | Channel::Events => self.send(id, &socket, refusal.as_slice()),
            Channel::Talk => self.send_text(id, &Relayed::Done(&refusal.map(|frame| frame.encode()).unwrap_or_default()).to_string()),
        }
        self.keep(id, socket);
    }

    /// Does what a frame says: it counts as a request, unless it only leaves or pings. What an event stream says was counted when it
    /// was asked for.
    async fn take(&self, id: &str, socket: &mut Socket, frame: ClientFrame) -> Result<Option<ServerFrame>, FrameError> {
        if socket.visitor.channel == Channel::Events {
            return self.obey(id, socket, frame).await;
        }
        let message_id = match &frame {
            ClientFrame::Text(TextFrame { message_id, .. }) | ClientFrame::Image(ImageFrame { message_id, .. }) => message_id.clone(),
            ClientFrame::Join(_) => None,
            ClientFrame::Leave(_) | ClientFrame::Ping => return self.obey(id, socket, frame).await,
        };
        let permitted = self.gateway.permit(&socket.visitor.identity()).await;
        permitted.map_err(|problem| refused(problem, message_id))?;
        self.obey(id, socket, frame).await
    }

    /// Does what a frame says, and confirms it. A message is confirmed by the room's news of it.
    pub(super) async fn obey(&self, id: &str, socket: &mut Socket, frame: ClientFrame) -> Result<Option<ServerFrame>, FrameError> {
        let confirmed = match frame {
            ClientFrame::Ping => {
                self.send(id, socket, &[ServerFrame::Pong]);
                Ok(ServerFrame::Pong)
            }
            ClientFrame::Join(frame) => self.join(id, socket, frame).await,
            ClientFrame::Leave(frame) => self.leave(id, socket, frame).await,
            ClientFrame::Text(frame) => return self.say(id, socket, frame.into()).await.map(|()| None),
            ClientFrame::Image(frame) => return self.say(id, socket, frame.into()).await.map(|()| None),
        };
        confirmed.map(Some).map_err(|problem| refused(problem, None))
    }

    async fn join(&self, id: &str, socket: &mut Socket, frame: JoinFrame) -> Result<ServerFrame, Problem> {
        let JoinFrame { session_id, sender_id, stream, after, token } = frame;
        check_sender(&socket.visitor, sender_id.as_ref())?;
        let mut key = socket.key(&session_id);
        if let (Some(token), Access::On(identities)) = (&token, &self.access) {
            let owner = identities.accept(token, &key).await?;
            key = socket.key_in(&session_id, owner);
        }
        let Joined { head, users } = self.enter(id, socket, &key, stream, after).await?;
        let room_id = session_id.to_string();
        let room_info = RoomInfo::new(room_id.clone(), users);
        let confirmed = ServerFrame::JoinConfirm { session_id, room_id, timestamp: PlatformClock.now(), room_info };
        self.send(id, socket, std::slice::from_ref(&confirmed));
        if after.is_some_and(|after| after < head) {
            self.catch_up(id, socket, &key).await.map_err(|error| unreadable(&error))?;
        }
        Ok(confirmed)
    }

    /// Follows a conversation from now on, unless it is followed already.
    pub(super) async fn attend(&self, id: &str, socket: &mut Socket, session: &ConversationId) -> Result<(), Problem> {
        if socket.room(session).is_none() {
            let key = socket.key(session);
            self.enter(id, socket, &key, false, None).await?;
        }
        Ok(())
    }

    /// Follows a conversation from now on, or from `after` on.
    async fn enter(
        &self,
        id: &str,
        socket: &mut Socket,
        key: &ConversationKey,
        streams: bool,
        after: Option<Seq>,
    ) -> Result<Joined, Problem> {
        let known = socket.room(&key.id).is_some();
        if !known && socket.rooms.len() >= MOST_ROOMS {
            let detail = format!("one socket may be in {MOST_ROOMS} sessions; leave one, or open another socket");
            return Err(Problem::new(Code::BadFrame, detail));
        }
        // It is in the room before anything is pushed, else the push would be refused.
        socket.rooms.retain(|room| room.key.id != key.id);
        socket.rooms.push(Room::new(key.clone(), streams, Room::NOT_YET));
        self.keep(id, socket.clone());
        let ask = Ask::Join { connection: socket.visitor.connection(), user: socket.visitor.sender.clone(), streams: self.streams(key) };
        let joined: Result<Joined, StoreError> = self.objects.ask(key, ask).await;
        let joined = match joined {
            Ok(joined) => joined,
            Err(error) => {
                socket.rooms.retain(|room| room.key.id != key.id);
                return Err(unreadable(&error));
            }
        };
        if let Some(room) = socket.room(&key.id) {
            // A place beyond the end is of a conversation that was forgotten since.
            room.cursor = after.map_or(joined.head, |after| after.min(joined.head));
        }
        Ok(joined)
    }

    async fn leave(&self, id: &str, socket: &mut Socket, frame: LeaveFrame) -> Result<ServerFrame, Problem> {
        let LeaveFrame { session_id, sender_id } = frame;
        check_sender(&socket.visitor, sender_id.as_ref())?;
        let key = socket.key(&session_id);
        socket.rooms.retain(|room| room.key.id != session_id);
        self.keep(id, socket.clone());
        self.leave_if_last(&socket.visitor, &key).await;
        let room_id = session_id.to_string();
        let confirmed = ServerFrame::LeaveConfirm { session_id, room_id, timestamp: PlatformClock.now() };
        self.send(id, socket, std::slice::from_ref(&confirmed));
        Ok(confirmed)
    }

    pub(super) async fn say(&self, id: &str, socket: &mut Socket, saying: Saying) -> Result<(), FrameError> {
        let message_id = saying.message_id.clone();
        self.try_say(id, socket, saying).await.map_err(|problem| refused(problem, message_id))
    }

    async fn try_say(&self, id: &str, socket: &mut Socket, saying: Saying) -> Result<(), Problem> {
        check_sender(&socket.visitor, saying.sender_id.as_ref())?;
        let key = socket.key(&saying.session_id);
        self.attend(id, socket, &key.id).await?;
        match self.offer(&socket.visitor, &key, saying).await? {
            // The room is told of it, this socket included.
            (_, Sent::Accepted(_)) => Ok(()),
            (message, Sent::Repeated(progress)) => {
                let frames = self.repeated(&key, &message.at_position(Position::default()), progress).await?;
                self.send(id, socket, &frames);
                Ok(())
            }
        }
    }

    /// Says something in a conversation: the message, and what became of it.
    pub(super) async fn offer(&self, visitor: &Visitor, key: &ConversationKey, saying: Saying) -> Result<(NewMessage, Sent), Problem> {
        let Saying { session_id: _, sender_id: _, message_id, content } = saying;
        let message = NewMessage {
            sender: visitor.sender.clone(),
            message_id: message_id.map_or_else(new_id, Ok)?,
            at: PlatformClock.now(),
            content,
        };
        // What the sender may do depends on the bot as it is published by now.
        bots::current(&self.env).await;
        let sent = self.gateway.send(key, message.clone(), &visitor.identity()).await?;
        Ok((message, sent))
    }

    /// Acknowledges a message that was sent before, and answers it again where it has been answered.
    async fn repeated(&self, key: &ConversationKey, message: &InboxMessage, progress: Progress) -> Result<Vec<ServerFrame>, Problem> {
        let mut frames = vec![render::accepted(&key.id, message)];
        let Progress::Answered { first, last } = progress else { return Ok(frames) };
        let limit = usize::try_from(last.0.saturating_sub(first.0)).unwrap_or(usize::MAX).saturating_add(1);
        let ask = Ask::Events { after: Seq(first.0.saturating_sub(1)), limit };
        let events: Arc<[cota_core::event::Event]> = self.objects.ask(key, ask).await.map_err(|error| unreadable(&error))?;
        frames.extend(events.iter().flat_map(|event| render::answers(&key.id, event)));
        Ok(frames)
    }
}

pub(super) fn check_sender(visitor: &Visitor, sender: Option<&SenderId>) -> Result<(), Problem> {
    if sender.is_none_or(|sender| *sender == visitor.sender) {
        return Ok(());
    }
    let detail = "`sender_id` is another than the one this socket was opened with; leave it out, or open a socket for it";
    Err(Problem::new(Code::Forbidden, detail))
}

fn new_id() -> Result<MessageId, Problem> {
    let internal = |why: String| Problem::new(Code::Internal, why);
    let name = random_name().map_err(|error| internal(error.to_string()))?;
    MessageId::new(name).map_err(|error| internal(error.to_string()))
}

pub(super) fn refused(problem: Problem, message_id: Option<MessageId>) -> FrameError {
    let retry_after = problem.retry_after();
    FrameError { code: problem.code, message: problem.detail, field: None, message_id, retry_after }
}
