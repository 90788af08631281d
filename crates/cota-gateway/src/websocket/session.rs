use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_channel::mpsc;
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::{FutureExt as _, StreamExt as _};

use cota_core::event::InboxMessage;
use cota_core::ids::{BotName, ConversationId, ConversationKey, MessageId, Owner, Position, SenderId, Seq};
use cota_driver::host::Sent;
use cota_driver::store::Progress;
use cota_protocol::problem::{Code, Problem};
use cota_protocol::websocket::{ClientFrame, FrameError, ImageFrame, JoinFrame, LeaveFrame, ServerFrame, TextFrame};

use super::render;
use super::room::Room;
use super::rooms::Seat;
use super::saying::Saying;
use crate::access::Identity;
use crate::follow;
use crate::gateway::Gateway;
use crate::limits::Connected;
use crate::respond;
use crate::sse::Place;

/// Conversations that one socket may be in.
const MOST_ROOMS: usize = 32;
/// Frames that are made ready at once; more are made when these are sent.
const MOST_READY: usize = 32;
/// How often the record is asked for the answers that are still missing, in case the turn runs in another process, in
/// milliseconds.
const LOOK_MS: u64 = 2_000;

/// One socket: its rooms, and the frames that wait to be sent.
pub struct Session {
    gateway: Gateway,
    bot: BotName,
    identity: Identity,
    /// The conversations of others that an invitation let this socket into, and whose they are.
    invited: HashMap<ConversationId, Owner>,
    seat: Seat,
    notices: mpsc::Receiver<ServerFrame>,
    rooms: Vec<Room>,
    ready: VecDeque<ServerFrame>,
    /// Looks for missing answers; yields the messages that have one.
    look: Option<BoxFuture<'static, Vec<(ConversationKey, MessageId)>>>,
    _connected: Connected,
}

impl Session {
    pub(crate) fn begin(gateway: Gateway, bot: BotName, identity: Identity, connected: Connected) -> Self {
        let (seat, notices) = gateway.rooms().seat(identity.sender.clone());
        gateway.sockets().fetch_add(1, Ordering::Relaxed);
        let login = ServerFrame::Login { sender_id: identity.sender.clone(), timestamp: gateway.now() };
        Self {
            gateway,
            bot,
            identity,
            invited: HashMap::new(),
            seat,
            notices,
            rooms: Vec::new(),
            ready: VecDeque::from([login]),
            look: None,
            _connected: connected,
        }
    }

    /// Takes what the client sent.
    pub async fn handle(&mut self, frame: &str) {
        match ClientFrame::decode(frame) {
            Ok(frame) => {
                if let Err(error) = self.hear(frame).await {
                    self.ready.push_back(error.answer());
                }
            }
            Err(error) => self.ready.push_back(error.answer()),
        }
    }

    /// Does what a frame of a socket says: it counts as a request.
    pub(crate) async fn hear(&mut self, frame: ClientFrame) -> Result<(), FrameError> {
        let message_id = match &frame {
            ClientFrame::Text(TextFrame { message_id, .. }) | ClientFrame::Image(ImageFrame { message_id, .. }) => message_id.clone(),
            ClientFrame::Join(_) => None,
            ClientFrame::Leave(_) | ClientFrame::Ping => return self.obey(frame).await,
        };
        let permitted = self.gateway.permit(&self.identity).await;
        permitted.map_err(|problem| refused(problem, message_id))?;
        self.obey(frame).await
    }

    /// Does what a frame says, or tells the client why not.
    pub(crate) async fn take(&mut self, frame: ClientFrame) {
        if let Err(error) = self.obey(frame).await {
            self.ready.push_back(error.answer());
        }
    }

    /// The bot it talks to.
    pub(crate) fn bot(&self) -> &BotName {
        &self.bot
    }

    /// Whose it is.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Answers a frame that is no text.
    pub fn refuse_binary(&mut self) {
        let problem = Problem::new(Code::BadFrame, "this channel takes text frames with JSON in them, no binary ones");
        self.ready.push_back(refused(problem, None).answer());
    }

    /// The next frame for the client. Dropping the future loses nothing.
    pub async fn next(&mut self) -> ServerFrame {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Self::next), for who cannot hold the session while nothing happens.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<ServerFrame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(frame);
            }
            ready!(self.poll_news(context));
        }
    }

    /// The frame after the one that was taken last, where it is ready.
    pub(crate) fn peek(&self) -> Option<&ServerFrame> {
        self.ready.front()
    }

    /// The frame that was made ready last.
    pub(crate) fn latest(&self) -> Option<&ServerFrame> {
        self.ready.back()
    }

    /// Whether so many frames wait that whoever is to take them seems to be gone.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.ready.len() >= 2 * MOST_READY
    }

    /// Whether a conversation is followed with the pieces of its replies.
    pub(crate) fn streams(&self, session: &ConversationId) -> bool {
        self.rooms.iter().any(|room| room.session == *session && room.streams)
    }

    /// From where on a conversation is followed; one that was left meanwhile, from its start.
    pub(crate) fn beginning(&self, session: &ConversationId) -> Place {
        let room = self.rooms.iter().find(|room| room.session == *session);
        room.map_or(Place { seq: Seq::default(), streams: false }, |room| Place { seq: room.beginning, streams: room.streams })
    }

    /// The next frame if there is one already.
    pub fn ready(&mut self) -> Option<ServerFrame> {
        self.ready.pop_front().or_else(|| self.next().now_or_never())
    }

    /// Does what a frame says.
    pub(crate) async fn obey(&mut self, frame: ClientFrame) -> Result<(), FrameError> {
        match frame {
            ClientFrame::Ping => {
                self.ready.push_back(ServerFrame::Pong);
                Ok(())
            }
            ClientFrame::Join(frame) => self.join(frame).await.map_err(|problem| refused(problem, None)),
            ClientFrame::Leave(frame) => self.leave(&frame).map_err(|problem| refused(problem, None)),
            ClientFrame::Text(frame) => self.say(frame.into()).await,
            ClientFrame::Image(frame) => self.say(frame.into()).await,
        }
    }

    async fn join(&mut self, frame: JoinFrame) -> Result<(), Problem> {
        self.check_sender(frame.sender_id.as_ref())?;
        if let (Some(token), Some(identities)) = (&frame.token, self.gateway.options().access.identities()) {
            let owner = identities.accept(token, &self.key(&frame.session_id)).await?;
            self.leave_room(&frame.session_id);
            self.invited.insert(frame.session_id.clone(), owner);
        }
        self.enter(&frame.session_id, frame.stream, frame.after).await?;
        let room_info = self.gateway.rooms().enter(&self.key(&frame.session_id), &self.seat);
        self.ready.push_back(ServerFrame::JoinConfirm {
            room_id: frame.session_id.to_string(),
            session_id: frame.session_id,
            timestamp: self.gateway.now(),
            room_info,
        });
        Ok(())
    }

    /// Follows a conversation from now on, or from `after` on.
    async fn enter(&mut self, session: &ConversationId, streams: bool, after: Option<Seq>) -> Result<(), Problem> {
        let known = self.rooms.iter().any(|room| room.session == *session);
        if !known && self.rooms.len() >= MOST_ROOMS {
            let detail = format!("one socket may be in {MOST_ROOMS} sessions; leave one, or open another socket");
            return Err(Problem::new(Code::BadFrame, detail));
        }
        let key = self.key(session);
        let joining = follow::join(&self.gateway, key.clone(), streams);
        let state = self.gateway.conversations().state(&key).await.map_err(|error| respond::unreadable(&error))?;
        let head = state.map_or(Seq::default(), |tracker| tracker.head);
        // A place beyond the end is of a conversation that was forgotten since.
        let cursor = after.map_or(head, |after| after.min(head));
        let news = joining.after(cursor, head);
        match self.rooms.iter_mut().find(|room| room.session == *session) {
            Some(room) => room.join_again(streams, news, cursor),
            None => self.rooms.push(Room::new(session.clone(), streams, news, cursor)),
        }
        Ok(())
    }

    fn leave(&mut self, frame: &LeaveFrame) -> Result<(), Problem> {
        self.check_sender(frame.sender_id.as_ref())?;
        self.leave_room(&frame.session_id);
        self.ready.push_back(ServerFrame::LeaveConfirm {
            session_id: frame.session_id.clone(),
            room_id: frame.session_id.to_string(),
            timestamp: self.gateway.now(),
        });
        Ok(())
    }

    fn leave_room(&mut self, session: &ConversationId) {
        self.rooms.retain(|room| room.session != *session);
        self.gateway.rooms().leave(&self.key(session), &self.seat);
    }

    /// Says something in a room that is followed from then on.
    pub(crate) async fn say(&mut self, saying: Saying) -> Result<(), FrameError> {
        let message_id = saying.message_id.clone();
        self.try_say(saying).await.map_err(|problem| refused(problem, message_id))
    }

    async fn try_say(&mut self, saying: Saying) -> Result<(), Problem> {
        self.check_sender(saying.sender_id.as_ref())?;
        self.attend(&saying.session_id).await?;
        let key = self.key(&saying.session_id);
        let (message, sent) = self.gateway.offer(&key, saying, &self.identity).await?;
        let message = message.at_position(Position::default());
        match sent {
            Sent::Accepted(_) => self.await_answer(&key.id, message.message_id),
            Sent::Repeated(progress) => self.repeat(&key, &message, progress).await?,
        }
        Ok(())
    }

    /// Follows a conversation from now on, unless it is followed already.
    pub(crate) async fn attend(&mut self, session: &ConversationId) -> Result<(), Problem> {
        if !self.rooms.iter().any(|room| room.session == *session) {
            self.enter(session, false, None).await?;
            self.gateway.rooms().enter(&self.key(session), &self.seat);
        }
        Ok(())
    }

    /// Acknowledges a message that was sent before, and answers it again where it has been answered.
    async fn repeat(&mut self, key: &ConversationKey, message: &InboxMessage, progress: Progress) -> Result<(), Problem> {
        self.ready.push_back(render::accepted(&key.id, message));
        let Progress::Answered { first, last } = progress else {
            self.await_answer(&key.id, message.message_id.clone());
            return Ok(());
        };
        let count = usize::try_from(last.0.saturating_sub(first.0)).unwrap_or(usize::MAX).saturating_add(1);
        let after = Seq(first.0.saturating_sub(1));
        let events = self.gateway.conversations().events(key, after, count).await.map_err(|error| respond::unreadable(&error))?;
        let answers = events.iter().flat_map(|event| render::answers(&key.id, event));
        self.ready.extend(answers);
        Ok(())
    }

    /// Notes that a message's answer is to come.
    fn await_answer(&mut self, session: &ConversationId, message_id: MessageId) {
        if let Some(room) = self.rooms.iter_mut().find(|room| room.session == *session) {
            room.await_answer(message_id);
        }
    }

    /// Makes frames ready; pending if there are none.
    fn poll_news(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(notice)) = self.notices.poll_next_unpin(context) {
            self.ready.push_back(notice);
        }
        for room in &mut self.rooms {
            while self.ready.len() < MOST_READY
                && let Poll::Ready(Some(news)) = room.news.as_mut().poll_next(context)
            {
                room.tell(news, &mut self.ready);
            }
        }
        self.poll_look(context);
        if self.ready.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Looks for answers that no update has brought, and follows their rooms anew from where the client is.
    fn poll_look(&mut self, context: &mut Context<'_>) {
        if self.rooms.iter().all(|room| room.expected.is_empty()) {
            self.look = None;
            return;
        }
        let missing = self.look.is_none().then(|| self.missing());
        let look = self.look.get_or_insert_with(|| look(self.gateway.clone(), missing.unwrap_or_default()).boxed());
        let Poll::Ready(found) = look.poll_unpin(context) else { return };
        self.look = None;
        for (key, message_id) in found {
            if let Some(room) = self.rooms.iter_mut().find(|room| room.session == key.id && room.expected.contains(&message_id)) {
                room.follow_anew(follow::join(&self.gateway, key, room.streams));
            }
        }
        // What the record has is for the next poll, and so is the next look.
        context.waker().wake_by_ref();
    }

    fn missing(&self) -> Vec<Missing> {
        let of_room = |room: &Room| {
            let key = self.key(&room.session);
            room.expected.iter().map(move |id| (key.clone(), id.clone())).collect::<Vec<_>>()
        };
        self.rooms.iter().flat_map(of_room).map(|(key, message_id)| (key, self.identity.sender.clone(), message_id)).collect()
    }

    /// The conversation that this socket calls so.
    pub(crate) fn key(&self, session: &ConversationId) -> ConversationKey {
        let owner = self.invited.get(session).unwrap_or(&self.identity.owner);
        ConversationKey { bot: self.bot.clone(), owner: owner.clone(), id: session.clone() }
    }

    fn check_sender(&self, sender: Option<&SenderId>) -> Result<(), Problem> {
        if sender.is_none_or(|sender| *sender == self.identity.sender) {
            return Ok(());
        }
        Err(Problem::new(
            Code::Forbidden,
            "`sender_id` is another than the one this socket was opened with; leave it out, or open a socket for it",
        ))
    }
}

/// A problem with a message, as a frame tells it.
pub(crate) fn refused(problem: Problem, message_id: Option<MessageId>) -> FrameError {
    let retry_after = problem.retry_after();
    FrameError { code: problem.code, message: problem.detail, field: None, message_id, retry_after }
}

impl Drop for Session {
    fn drop(&mut self) {
        for room in &self.rooms {
            self.gateway.rooms().leave(&self.key(&room.session), &self.seat);
        }
        self.gateway.sockets().fetch_sub(1, Ordering::Relaxed);
    }
}

/// A message without an answer yet.
type Missing = (ConversationKey, SenderId, MessageId);

/// Waits a while, then asks the record which of these messages are answered.
async fn look(gateway: Gateway, missing: Vec<Missing>) -> Vec<(ConversationKey, MessageId)> {
    let clock = Arc::clone(gateway.clock());
    clock.sleep_until(clock.now().plus_ms(LOOK_MS)).await;
    let mut found = Vec::new();
    for (key, sender, message_id) in missing {
        match gateway.conversations().progress(&key, &sender, &message_id).await {
            Ok(Some(Progress::Answered { .. })) => found.push((key, message_id)),
            Ok(Some(Progress::Pending) | None) => {}
            Err(error) => tracing::warn!(%error, "the answer to a message could not be looked for"),
        }
    }
    found
}
