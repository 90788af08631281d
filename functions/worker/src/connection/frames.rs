//! What a client's frames ask for.

use std::sync::Arc;

use worker::WebSocketIncomingMessage;

use cota_core::event::{InboxMessage, MessageContent};
use cota_core::ids::{ConversationId, ConversationKey, MessageId, Position, SenderId, Seq};
use cota_driver::host::Sent;
use cota_driver::ports::Clock as _;
use cota_driver::store::{NewMessage, Progress, StoreError};
use cota_gateway::websocket::render;
use cota_gateway::{Access, unreadable};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::websocket::{ClientFrame, FrameError, ImageFrame, JoinFrame, LeaveFrame, Message, RoomInfo, ServerFrame, TextFrame};

use super::desk::Desk;
use super::socket::{Room, Socket, Visitor};
use crate::bots;
use crate::platform::{PlatformClock, random_name};
use crate::wire::{Ask, Joined};

/// Conversations that one socket may be in.
const MOST_ROOMS: usize = 32;
/// The cursor of a room that is being entered: it is told nothing.
const NOT_YET: Seq = Seq(u64::MAX >> 1);

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
        self.keep(id, socket);
        if let Err(error) = done {
            self.send(id, &[error.answer()]);
        }
    }

    /// Does what a frame says: it counts as a request, unless it only leaves or pings.
    async fn take(&self, id: &str, socket: &mut Socket, frame: ClientFrame) -> Result<(), FrameError> {
        let message_id = match &frame {
            ClientFrame::Text(TextFrame { message_id, .. }) | ClientFrame::Image(ImageFrame { message_id, .. }) => message_id.clone(),
            ClientFrame::Join(_) => None,
            ClientFrame::Leave(_) | ClientFrame::Ping => return self.obey(id, socket, frame).await,
        };
        let permitted = self.gateway.permit(&socket.visitor.identity()).await;
        permitted.map_err(|problem| refused(problem, message_id))?;
        self.obey(id, socket, frame).await
    }

    async fn obey(&self, id: &str, socket: &mut Socket, frame: ClientFrame) -> Result<(), FrameError> {
        match frame {
            ClientFrame::Ping => {
                self.send(id, &[ServerFrame::Pong]);
                Ok(())
            }
            ClientFrame::Join(frame) => self.join(id, socket, frame).await.map_err(|problem| refused(problem, None)),
            ClientFrame::Leave(frame) => self.leave(id, socket, frame).await.map_err(|problem| refused(problem, None)),
            ClientFrame::Text(TextFrame { session_id, sender_id, receiver, text, message_id, metadata }) => {
                let content = MessageContent { text, receiver, metadata, payload: None, proxy_exchange: None };
                self.say(id, socket, Saying { session_id, sender_id, message_id, content }).await
            }
            ClientFrame::Image(ImageFrame { session_id, sender_id, receiver, image, message_id, metadata }) => {
                let payload = Some(Message::image_payload(&image));
                let content = MessageContent { text: String::new(), receiver, metadata, payload, proxy_exchange: None };
                self.say(id, socket, Saying { session_id, sender_id, message_id, content }).await
            }
        }
    }

    async fn join(&self, id: &str, socket: &mut Socket, frame: JoinFrame) -> Result<(), Problem> {
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
        self.send(id, &[ServerFrame::JoinConfirm { session_id, room_id, timestamp: PlatformClock.now(), room_info }]);
        if after.is_some_and(|after| after < head) {
            self.catch_up(id, socket, &key).await.map_err(|error| unreadable(&error))?;
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
        socket.rooms.push(Room::new(key.clone(), streams, NOT_YET));
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

    async fn leave(&self, id: &str, socket: &mut Socket, frame: LeaveFrame) -> Result<(), Problem> {
        let LeaveFrame { session_id, sender_id } = frame;
        check_sender(&socket.visitor, sender_id.as_ref())?;
        let key = socket.key(&session_id);
        socket.rooms.retain(|room| room.key.id != session_id);
        self.keep(id, socket.clone());
        self.leave_if_last(&socket.visitor, &key).await;
        let room_id = session_id.to_string();
        self.send(id, &[ServerFrame::LeaveConfirm { session_id, room_id, timestamp: PlatformClock.now() }]);
        Ok(())
    }

    async fn say(&self, id: &str, socket: &mut Socket, saying: Saying) -> Result<(), FrameError> {
        let message_id = saying.message_id.clone();
        self.try_say(id, socket, saying).await.map_err(|problem| refused(problem, message_id))
    }

    async fn try_say(&self, id: &str, socket: &mut Socket, saying: Saying) -> Result<(), Problem> {
        let Saying { session_id, sender_id, message_id, content } = saying;
        check_sender(&socket.visitor, sender_id.as_ref())?;
        let key = socket.key(&session_id);
        if socket.room(&session_id).is_none() {
            self.enter(id, socket, &key, false, None).await?;
        }
        let message = NewMessage {
            sender: socket.visitor.sender.clone(),
            message_id: message_id.map_or_else(new_id, Ok)?,
            at: PlatformClock.now(),
            content,
        };
        // What the sender may do depends on the bot as it is published by now.
        bots::current(&self.env).await;
        match self.gateway.send(&key, message.clone(), &socket.visitor.identity()).await? {
            // The room is told of it, this socket included.
            Sent::Accepted(_) => Ok(()),
            Sent::Repeated(progress) => self.repeat(id, &key, &message.at_position(Position::default()), progress).await,
        }
    }

    /// Acknowledges a message that was sent before, and answers it again where it has been answered.
    async fn repeat(&self, id: &str, key: &ConversationKey, message: &InboxMessage, progress: Progress) -> Result<(), Problem> {
        self.send(id, &[render::accepted(&key.id, message)]);
        let Progress::Answered { first, last } = progress else { return Ok(()) };
        let limit = usize::try_from(last.0.saturating_sub(first.0)).unwrap_or(usize::MAX).saturating_add(1);
        let ask = Ask::Events { after: Seq(first.0.saturating_sub(1)), limit };
        let events: Arc<[cota_core::event::Event]> = self.objects.ask(key, ask).await.map_err(|error| unreadable(&error))?;
        let answers: Vec<ServerFrame> = events.iter().flat_map(|event| render::answers(&key.id, event)).collect();
        self.send(id, &answers);
        Ok(())
    }
}

/// Something that a client says.
struct Saying {
    session_id: ConversationId,
    sender_id: Option<SenderId>,
    message_id: Option<MessageId>,
    content: MessageContent,
}

fn check_sender(visitor: &Visitor, sender: Option<&SenderId>) -> Result<(), Problem> {
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

fn refused(problem: Problem, message_id: Option<MessageId>) -> FrameError {
    let retry_after = problem.retry_after();
    FrameError { code: problem.code, message: problem.detail, field: None, message_id, retry_after }
}
