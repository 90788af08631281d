//! What a client sends, done.

use cota_core::event::{Event, InboxMessage, MessageContent};
use cota_core::ids::{ConversationId, ConversationKey, MessageId, Owner, Position, SenderId, Seq};
use cota_driver::host::{Conversations as _, Sent};
use cota_driver::store::{NewMessage, Progress};
use cota_gateway::websocket::render;
use cota_gateway::{Access, Gateway, Identity, unreadable};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::websocket::{ClientFrame, ImageFrame, JoinFrame, LeaveFrame, Message, ServerFrame, TextFrame};

use super::Reply;
use super::connect::left;
use super::event::{Frame, SocketEvent};
use crate::connections::{Connection, ConnectionId, FanOut, Seat, Sitting, room_info};
use crate::failure::Failure;
use crate::function::Function;

/// Conversations that one connection may be in.
const MOST_ROOMS: usize = 32;
/// Events read from the record at once.
const PAGE: usize = 256;

/// Does what a frame says, or tells its connection why not.
pub(super) async fn take(function: &Function, fan_out: &FanOut, event: SocketEvent) -> Result<Reply, Failure> {
    let id = event.connection;
    let Some(connection) = fan_out.register.find(&id).await? else {
        // Its record has ended, and it with it: a client connects again.
        fan_out.post.close(&id).await;
        return Ok(Reply::OK);
    };
    let since = connection.since;
    let gateway = function.entrance(event.domain.as_deref()).gateway;
    let identity = connection.identity(event.address);
    let answer = match event.frame {
        Frame::Binary => Err(binary().into()),
        Frame::Text(text) => match ClientFrame::decode(&text) {
            Ok(frame) => Client { function, gateway, fan_out, id: &id, identity, connection, event_id: event.id }.hear(frame).await,
            Err(error) => Err(Refusal::Frame(Box::new(error.answer()))),
        },
    };
    let frames = match answer {
        Ok(frames) => frames,
        Err(Refusal::Frame(frame)) => vec![*frame],
        Err(Refusal::Failure(failure)) => return Err(failure),
    };
    fan_out.send(&id, since, frames).await;
    Ok(Reply::OK)
}

/// A client that has sent a frame.
struct Client<'f> {
    function: &'f Function,
    gateway: Gateway,
    fan_out: &'f FanOut,
    id: &'f ConnectionId,
    identity: Identity,
    connection: Connection,
    event_id: String,
}

/// Why a frame was not obeyed.
enum Refusal {
    /// What the client is told.
    Frame(Box<ServerFrame>),
    /// What the function is at fault for.
    Failure(Failure),
}

impl Refusal {
    /// The same, of this message.
    fn about(mut self, message: Option<MessageId>) -> Self {
        if let Self::Frame(frame) = &mut self
            && let ServerFrame::Error { message_id, .. } = frame.as_mut()
        {
            *message_id = message;
        }
        self
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let retry_after = problem.retry_after();
        Self::Frame(Box::new(ServerFrame::Error { code: problem.code, message: problem.detail, message_id: None, retry_after }))
    }
}

impl From<cota_driver::store::StoreError> for Refusal {
    fn from(error: cota_driver::store::StoreError) -> Self {
        unreadable(&error).into()
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Client<'_> {
    /// Does what a frame says, which counts as a request; yields what its sender alone is told.
    async fn hear(self, frame: ClientFrame) -> Result<Vec<ServerFrame>, Refusal> {
        let message_id = match &frame {
            ClientFrame::Text(TextFrame { message_id, .. }) | ClientFrame::Image(ImageFrame { message_id, .. }) => message_id.clone(),
            ClientFrame::Join(_) => None,
            ClientFrame::Leave(_) | ClientFrame::Ping => return self.obey(frame).await,
        };
        self.gateway.permit(&self.identity).await.map_err(|problem| Refusal::from(problem).about(message_id))?;
        self.obey(frame).await
    }

    async fn obey(mut self, frame: ClientFrame) -> Result<Vec<ServerFrame>, Refusal> {
        match frame {
            ClientFrame::Ping => Ok(vec![ServerFrame::Pong]),
            ClientFrame::Join(frame) => self.join(frame).await,
            ClientFrame::Leave(frame) => self.leave(&frame).await,
            ClientFrame::Text(TextFrame { session_id, sender_id, receiver, text, message_id, metadata }) => {
                let content = MessageContent { text, receiver, metadata, ..MessageContent::default() };
                self.say(session_id, sender_id.as_ref(), message_id, content).await
            }
            ClientFrame::Image(ImageFrame { session_id, sender_id, receiver, image, message_id, metadata }) => {
                let payload = Some(Message::image_payload(&image));
                let content = MessageContent { receiver, metadata, payload, ..MessageContent::default() };
                self.say(session_id, sender_id.as_ref(), message_id, content).await
            }
        }
    }

    async fn join(&mut self, frame: JoinFrame) -> Result<Vec<ServerFrame>, Refusal> {
        self.check_sender(frame.sender_id.as_ref())?;
        let invited = self.accept_invitation(&frame).await?;
        let (key, head) = self.sit(&frame.session_id, frame.stream, invited).await?;
        let seats = self.fan_out.register.seats(&key).await?;
        let room_info = room_info(&key, &seats);
        let timestamp = self.function.clock.now();
        let confirm = ServerFrame::JoinConfirm { room_id: key.id.to_string(), session_id: key.id.clone(), timestamp, room_info };
        let mut frames = vec![confirm];
        if let Some(after) = frame.after.filter(|after| *after < head) {
            let events = self.replay(&key, after, head).await?;
            frames.extend(events.iter().flat_map(|event| render::all(&key.id, event)));
        }
        Ok(frames)
    }

    /// Whose conversation an invitation lets the client into, where it brings one.
    async fn accept_invitation(&self, frame: &JoinFrame) -> Result<Option<Owner>, Refusal> {
        let (Some(token), Access::On(identities)) = (&frame.token, self.function.access()) else { return Ok(None) };
        Ok(Some(identities.accept(token, &self.connection.key(&frame.session_id)).await?))
    }

    /// Takes a seat in a conversation's room, and tells the others if somebody new has come. Yields where the record stands.
    async fn sit(&mut self, session: &ConversationId, streams: bool, invited: Option<Owner>) -> Result<(ConversationKey, Seq), Refusal> {
        if !self.connection.sits_in(session) && self.connection.rooms.len() >= MOST_ROOMS {
            let detail = format!("one socket may be in {MOST_ROOMS} sessions; leave one, or open another socket");
            return Err(Problem::new(Code::BadFrame, detail).into());
        }
        self.enter(session, invited).await?;
        let key = self.connection.key(session);
        let (register, now) = (&self.fan_out.register, self.function.clock.now());
        let before = register.seats(&key).await?;
        let is_new = !before.iter().any(|(_, seat)| seat.sender == self.connection.sender);
        let sender = self.connection.sender.clone();
        let mut seat = Seat { sender, streams, after: Seq::default(), connected: self.connection.since, since: now };
        // The seat first, then the record: what is written between the two is sent twice rather than never.
        register.sit(&key, self.id, &seat).await?;
        self.fan_out.rooms.enter(&key, now).await?;
        let head = self.tell_driver(&key).await?;
        seat.after = head;
        if head > Seq::default() {
            register.sit(&key, self.id, &seat).await?;
        }
        if is_new {
            self.announce(&key).await?;
        }
        Ok((key, head))
    }

    /// Has whoever drives the conversation, if it is driven, look who sits in the room. Yields where the record stands.
    async fn tell_driver(&self, key: &ConversationKey) -> Result<Seq, Refusal> {
        let (head, is_driven) = self.function.host.stands(key).await?;
        if is_driven {
            self.fan_out.rooms.tell_driver(key).await?;
        }
        Ok(head)
    }

    async fn enter(&mut self, session: &ConversationId, invited: Option<Owner>) -> Result<(), Refusal> {
        let known =
            self.connection.rooms.iter().any(|sitting| sitting.session == *session && (invited.is_none() || sitting.owner == invited));
        if known {
            return Ok(());
        }
        let sitting = Sitting { session: session.clone(), owner: invited };
        let change = |connection: &mut Connection| {
            connection.rooms.retain(|other| other.session != *session);
            connection.rooms.push(sitting.clone());
        };
        if let Some(changed) = self.fan_out.register.update(self.id, change).await? {
            self.connection = changed;
        }
        Ok(())
    }

    async fn announce(&self, key: &ConversationKey) -> Result<(), Refusal> {
        let seats = self.fan_out.register.seats(key).await?;
        let joined = ServerFrame::UserJoined { user_id: self.connection.sender.clone(), room_info: room_info(key, &seats) };
        let others: Vec<(ConnectionId, Seat)> = seats.into_iter().filter(|(id, _)| id != self.id).collect();
        self.fan_out.tell(key, &others, |_| vec![joined.clone()]).await;
        Ok(())
    }

    /// The record after a place, up to another.
    async fn replay(&self, key: &ConversationKey, after: Seq, head: Seq) -> Result<Vec<Event>, Refusal> {
        let mut events: Vec<Event> = Vec::new();
        let mut from = after;
        while from < head {
            let page = self.function.host.events(key, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            from = last.seq;
            events.extend(page.into_iter().filter(|event| event.seq <= head));
        }
        Ok(events)
    }

    async fn leave(&mut self, frame: &LeaveFrame) -> Result<Vec<ServerFrame>, Refusal> {
        self.check_sender(frame.sender_id.as_ref())?;
        let key = self.connection.key(&frame.session_id);
        let was_there = self.connection.sits_in(&frame.session_id);
        self.fan_out.register.rise(&key, self.id).await?;
        self.fan_out.register.update(self.id, |connection| connection.rooms.retain(|other| other.session != frame.session_id)).await?;
        if was_there {
            self.tell_driver(&key).await?;
            left(self.fan_out, &self.connection, &key).await?;
        }
        let timestamp = self.function.clock.now();
        Ok(vec![ServerFrame::LeaveConfirm { session_id: key.id.clone(), room_id: key.id.to_string(), timestamp }])
    }

    async fn say(
        &mut self,
        session: ConversationId,
        sender: Option<&SenderId>,
        id: Option<MessageId>,
        content: MessageContent,
    ) -> Result<Vec<ServerFrame>, Refusal> {
        self.try_say(session, sender, id.clone(), content).await.map_err(|refusal| refusal.about(id))
    }

    async fn try_say(
        &mut self,
        session: ConversationId,
        sender: Option<&SenderId>,
        id: Option<MessageId>,
        content: MessageContent,
    ) -> Result<Vec<ServerFrame>, Refusal> {
        self.check_sender(sender)?;
        if !self.connection.sits_in(&session) {
            self.sit(&session, false, None).await?;
        }
        let key = self.connection.key(&session);
        let message_id = self.message_id(id)?;
        let message = NewMessage { sender: self.connection.sender.clone(), message_id, at: self.function.clock.now(), content };
        match self.gateway.send(&key, message.clone(), &self.identity).await? {
            Sent::Accepted(_) => Ok(Vec::new()),
            Sent::Repeated(progress) => self.repeat(&key, &message.at_position(Position::default()), progress).await,
        }
    }

    /// Acknowledges a message that was sent before, and answers it again where it has been answered.
    async fn repeat(&self, key: &ConversationKey, message: &InboxMessage, progress: Progress) -> Result<Vec<ServerFrame>, Refusal> {
        let mut frames = vec![render::accepted(&key.id, message)];
        if let Progress::Answered { first, last } = progress {
            let events = self.replay(key, Seq(first.0.saturating_sub(1)), last).await?;
            frames.extend(events.iter().flat_map(|event| render::answers(&key.id, event)));
        }
        Ok(frames)
    }

    /// The client's id, else API Gateway's own of this frame: the same if the frame is delivered twice.
    fn message_id(&self, of_client: Option<MessageId>) -> Result<MessageId, Problem> {
        match of_client {
            Some(id) => Ok(id),
            None => MessageId::new(&self.event_id).map_err(|error| Problem::new(Code::Internal, error.to_string())),
        }
    }

    fn check_sender(&self, sender: Option<&SenderId>) -> Result<(), Problem> {
        if sender.is_none_or(|sender| *sender == self.connection.sender) {
            return Ok(());
        }
        Err(Problem::new(
            Code::Forbidden,
            "`sender_id` is another than the one this socket was opened with; leave it out, or open a socket for it",
        ))
    }
}

fn binary() -> Problem {
    Problem::new(Code::BadFrame, "this channel takes text frames with JSON in them, no binary ones")
}
