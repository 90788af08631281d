//! The work of a connection object, one job after the other: events of the platform interleave wherever something is awaited.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use worker::{Env, State, WebSocketIncomingMessage};

use cota_core::ids::{ConversationKey, Seq};
use cota_driver::ports::Clock as _;
use cota_driver::store::StoreError;
use cota_gateway::{Access, Gateway};
use cota_protocol::websocket::ServerFrame;

use super::rows;
use super::socket::{Channel, Socket, Telling, Visitor};
use crate::access::access;
use crate::gateway::gateway;
use crate::platform::PlatformClock;
use crate::remote::Objects;
use crate::store::Database;
use crate::wire::{Ask, News, Push};

/// Events that are read at once.
const PAGE: usize = 256;
/// How often a record that cannot be read is tried again, before the socket is closed: the client connects anew.
const TRIES: u32 = 4;
/// The code a socket is closed with whose conversation cannot be read.
const TRY_AGAIN: u16 = 1013;

/// One thing to do.
pub(super) enum Job {
    /// A socket was opened.
    Open(String, Visitor),
    /// A client sent something.
    Frame(String, WebSocketIncomingMessage),
    /// The sender posts a frame. The answer is a frame, or nothing.
    Posted(Visitor, String, oneshot::Sender<String>),
    /// A conversation's object has news.
    Push(Push),
    /// A socket is gone.
    Closed(String),
}

/// The sockets of one sender, and what is to be done for them.
pub(super) struct Desk {
    pub(super) state: Arc<State>,
    pub(super) objects: Objects,
    /// How invitations are checked.
    pub(super) access: Access,
    /// What every frame passes that does something.
    pub(super) gateway: Gateway,
    pub(super) env: Env,
    database: Database,
    sockets: Mutex<HashMap<String, Socket>>,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<(Job, oneshot::Sender<()>)>,
    is_at_work: bool,
}

impl Desk {
    /// The sockets that the database has, less those that are gone.
    pub(super) fn open(state: Arc<State>, env: Env) -> worker::Result<Self> {
        let failed = |fault: crate::store::Fault| worker::Error::RustError(fault.to_string());
        let database = Database::of(state.storage());
        rows::prepare(&database).map_err(failed)?;
        let (sockets, gone): (HashMap<_, _>, HashMap<_, _>) =
            rows::read(&database).map_err(failed)?.into_iter().partition(|(id, _)| !state.get_websockets_with_tag(id).is_empty());
        for id in gone.keys() {
            // Its end was told to nobody: the process was killed. Its rooms learn of it with the next push.
            rows::delete(&database, id).map_err(failed)?;
        }
        if !sockets.is_empty() {
            tracing::debug!(sockets = sockets.len(), "a connection object is awake again");
        }
        // Whoever may open a socket has been decided before.
        let access = access(&env, true).unwrap_or(Access::Off);
        Ok(Self {
            objects: Objects::of(&env)?,
            gateway: gateway(&env, access.clone(), None)?,
            access,
            database,
            sockets: Mutex::new(sockets),
            jobs: Mutex::default(),
            state,
            env,
        })
    }

    /// Whether a socket is in the room of this conversation.
    pub(super) fn knows(&self, key: &ConversationKey) -> bool {
        lock(&self.sockets).values().any(|socket| socket.rooms.iter().any(|room| room.key == *key))
    }

    /// Does a job after those that came before it.
    pub(super) async fn run(self: &Arc<Self>, job: Job) {
        let (done, is_done) = oneshot::channel();
        let begins = {
            let mut jobs = lock(&self.jobs);
            jobs.waiting.push_back((job, done));
            !std::mem::replace(&mut jobs.is_at_work, true)
        };
        if begins {
            self.work().await;
        }
        // Whoever works tells when it is done.
        let _ = is_done.await;
    }

    async fn work(self: &Arc<Self>) {
        loop {
            let next = {
                let mut jobs = lock(&self.jobs);
                let next = jobs.waiting.pop_front();
                jobs.is_at_work = next.is_some();
                next
            };
            let Some((job, done)) = next else { break };
            match job {
                Job::Open(id, visitor) => self.welcome(&id, visitor),
                Job::Frame(id, message) => self.hear(&id, message).await,
                Job::Posted(visitor, frame, answer) => {
                    // Whoever posts it may be gone.
                    let _ = answer.send(self.post(visitor, &frame).await);
                }
                Job::Push(push) => self.pass_on(push).await,
                Job::Closed(id) => self.part(&id).await,
            }
            // Whoever waits for it may be gone.
            let _ = done.send(());
        }
    }

    fn welcome(&self, id: &str, visitor: Visitor) {
        let login = ServerFrame::Login { sender_id: visitor.sender.clone(), timestamp: PlatformClock.now() };
        let socket = Socket::new(visitor);
        self.send(id, &socket, &[login]);
        self.keep(id, socket);
    }

    /// Passes news on to every socket in the room.
    async fn pass_on(&self, push: Push) {
        for id in self.sockets_in(&push.key) {
            let Some(mut socket) = self.socket(&id) else { continue };
            for news in &push.news {
                self.tell(&id, &mut socket, &push.key, news).await;
            }
            self.keep(&id, socket);
        }
    }

    async fn tell(&self, id: &str, socket: &mut Socket, key: &ConversationKey, news: &News) {
        let Some(room) = socket.rooms.iter_mut().find(|room| room.key == *key) else { return };
        match room.tell(news) {
            Telling::Frames(frames) => self.send(id, socket, &frames),
            Telling::Behind => {
                if let Some(reset) = room.drop_live() {
                    self.send(id, socket, &[reset]);
                }
                if self.catch_up(id, socket, key).await.is_err() {
                    self.close(id, TRY_AGAIN, "the record cannot be read now; connect again");
                }
            }
        }
    }

    /// Sends what the record has after the cursor.
    pub(super) async fn catch_up(&self, id: &str, socket: &mut Socket, key: &ConversationKey) -> Result<(), StoreError> {
        loop {
            let Some(room) = socket.rooms.iter_mut().find(|room| room.key == *key) else { return Ok(()) };
            let events = self.events(key, room.cursor).await?;
            let is_last = events.len() < PAGE;
            let frames = room.record(&events);
            self.send(id, socket, &frames);
            if is_last {
                return Ok(());
            }
        }
    }

    async fn events(&self, key: &ConversationKey, after: Seq) -> Result<Vec<cota_core::event::Event>, StoreError> {
        let mut tries = 0;
        loop {
            match self.objects.ask(key, Ask::Events { after, limit: PAGE }).await {
                Err(error) if tries < TRIES => {
                    tries += 1;
                    tracing::warn!(%error, "a conversation could not be read for a socket");
                    PlatformClock.sleep_until(PlatformClock.now().plus_ms(100 << tries)).await;
                }
                read => return read,
            }
        }
    }

    /// Forgets a socket, and leaves the rooms in which it was the last.
    async fn part(&self, id: &str) {
        let Some(socket) = lock(&self.sockets).remove(id) else { return };
        if let Err(error) = rows::delete(&self.database, id) {
            tracing::error!(%error, "a socket that is gone could not be forgotten");
        }
        for room in &socket.rooms {
            self.leave_if_last(&socket.visitor, &room.key).await;
        }
    }

    /// Tells a conversation that nobody here is in its room any more, where that is so.
    pub(super) async fn leave_if_last(&self, visitor: &Visitor, key: &ConversationKey) {
        if !self.knows(key) {
            let connection = visitor.connection();
            let left: Result<(), StoreError> = self.objects.ask(key, Ask::Leave { connection }).await;
            if let Err(error) = left {
                // The next push is answered with 410.
                tracing::warn!(%error, "a conversation could not be left");
            }
        }
    }

    /// A socket as it stands.
    pub(super) fn socket(&self, id: &str) -> Option<Socket> {
        lock(&self.sockets).get(id).cloned()
    }

    /// Keeps how a socket stands, if it changed.
    pub(super) fn keep(&self, id: &str, socket: Socket) {
        if lock(&self.sockets).get(id) == Some(&socket) {
            return;
        }
        if let Err(error) = rows::write(&self.database, id, &socket) {
            tracing::error!(%error, "how far a socket was told could not be kept");
        }
        lock(&self.sockets).insert(id.to_owned(), socket);
    }

    /// Whether any socket here follows the conversation piece by piece.
    pub(super) fn streams(&self, key: &ConversationKey) -> bool {
        lock(&self.sockets).values().any(|socket| socket.rooms.iter().any(|room| room.key == *key && room.streams))
    }

    /// The sender's event streams.
    pub(super) fn event_streams(&self) -> Vec<String> {
        let sockets = lock(&self.sockets);
        let streams = sockets.iter().filter(|(_, socket)| socket.visitor.channel == Channel::Events);
        streams.map(|(id, _)| id.clone()).collect()
    }

    /// Sends frames to a socket.
    pub(super) fn send(&self, id: &str, socket: &Socket, frames: &[ServerFrame]) {
        socket.texts(frames).iter().for_each(|text| self.send_text(id, text));
    }

    /// Sends a text to a socket. One that is gone needs none: its end is told by the platform.
    pub(super) fn send_text(&self, id: &str, text: &str) {
        for socket in self.state.get_websockets_with_tag(id) {
            let _ = socket.send_with_str(text);
        }
    }

    fn close(&self, id: &str, code: u16, reason: &str) {
        for socket in self.state.get_websockets_with_tag(id) {
            let _ = socket.close(Some(code), Some(reason));
        }
    }

    fn sockets_in(&self, key: &ConversationKey) -> HashSet<String> {
        let sockets = lock(&self.sockets);
        sockets.iter().filter(|(_, socket)| socket.rooms.iter().any(|room| room.key == *key)).map(|(id, _)| id.clone()).collect()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
