//! The sessions of event streams and of Socket.IO's connections: each is a socket of the object that has all of its sender's. So what
//! the sender posts finds the streams, whichever request it comes with, and a room knows everybody who is in it.

use std::collections::VecDeque;

use async_trait::async_trait;
use futures_channel::mpsc;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::StatusCode;
use serde_json::{Map, Value as Json};
use worker::send::{SendFuture, SendWrapper};
use worker::wasm_bindgen_futures::spawn_local;
use worker::{Env, ObjectNamespace, WebSocket, WebsocketEvent};

use cota_core::ids::BotName;
use cota_gateway::sessions::{Confirmed, Sessions, Talk};
use cota_gateway::sse::Places;
use cota_gateway::{Gateway, Identity};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::sse::Event;
use cota_protocol::websocket::{ClientFrame, FrameError};

use crate::connection::{CONNECTIONS, Channel, Visitor};
use crate::platform::{Answer, Content, ask_object};
use crate::upgrade::connect;
use crate::wire::{Notice, Relayed, fields};

/// Texts that wait for one slow reader, more than all of a long conversation; its session is over with one more. An event stream
/// then goes on behind its last id.
const MOST_WAITING: usize = 16 * 1024;

/// The sessions of a deployment.
pub(crate) struct RemoteSessions(SendWrapper<ObjectNamespace>);

impl RemoteSessions {
    /// Those of the deployment.
    ///
    /// # Errors
    /// When wrangler.toml does not bind the objects that have them.
    pub(crate) fn of(env: &Env) -> worker::Result<Self> {
        env.durable_object(CONNECTIONS).map(SendWrapper).map(Self)
    }

    async fn open(&self, visitor: &Visitor, greetings: &[String]) -> worker::Result<Result<Wire, Problem>> {
        let socket = match connect(&self.0, visitor).await? {
            Ok(socket) => socket,
            Err(refused) => return Ok(Err(refused)),
        };
        socket.accept()?;
        greetings.iter().try_for_each(|greeting| socket.send_with_str(greeting))?;
        let (heard, texts) = mpsc::channel(MOST_WAITING);
        spawn_local(hear(socket.clone(), heard));
        Ok(Ok(Wire { texts, socket }))
    }

    async fn post(&self, visitor: Visitor, frame: String) -> worker::Result<Option<Map<String, Json>>> {
        let connection = visitor.connection();
        let notice = serde_json::to_string(&Notice::Posted { visitor, frame })?;
        match ask_object(&self.0, &connection, &notice).await? {
            Answer { status: StatusCode::OK, content: Content::Whole(frame), .. } => Ok(fields(&frame)),
            Answer { status, .. } => Err(worker::Error::RustError(format!("it answers with {status}"))),
        }
    }
}

#[async_trait]
impl Sessions for RemoteSessions {
    async fn begin(&self, _gateway: &Gateway, bot: &BotName, identity: &Identity) -> Result<Box<dyn Talk>, Problem> {
        let visitor = Visitor::new(bot.clone(), identity.clone(), Channel::Talk);
        let wire = opened(SendFuture::new(self.open(&visitor, &[])).await)?;
        Ok(Box::new(RemoteTalk { wire, early: VecDeque::new() }))
    }

    async fn stream(
        &self,
        _gateway: &Gateway,
        bot: &BotName,
        identity: &Identity,
        places: &Places,
    ) -> Result<BoxStream<'static, Event>, Problem> {
        let visitor = Visitor::new(bot.clone(), identity.clone(), Channel::Events);
        let joins: Vec<String> = places.joins().map(|join| join.encode()).collect();
        let wire = opened(SendFuture::new(self.open(&visitor, &joins)).await)?;
        let events = stream::unfold(wire, |mut wire| async move { Some((event(&wire.texts.next().await?), wire)) });
        Ok(events.boxed())
    }

    async fn post(&self, _gateway: &Gateway, bot: &BotName, identity: &Identity, frame: ClientFrame) -> Result<Option<Confirmed>, Problem> {
        let visitor = Visitor::new(bot.clone(), identity.clone(), Channel::Events);
        let answer = SendFuture::new(self.post(visitor, frame.encode())).await.map_err(|error| unreachable_now(&error))?;
        match answer.as_ref().and_then(FrameError::told) {
            Some(refused) => Err(refused.into()),
            None => Ok(answer),
        }
    }
}

/// A socket to the object. It is closed when nobody has it any more.
struct Wire {
    texts: mpsc::Receiver<String>,
    socket: WebSocket,
}

impl Drop for Wire {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.socket.close(Some(1000), Some("the session is over"));
    }
}

/// Passes on what comes, until the socket is closed or whoever is to read it does not.
async fn hear(socket: WebSocket, mut heard: mpsc::Sender<String>) {
    let Ok(mut events) = socket.events() else { return };
    while let Some(Ok(WebsocketEvent::Message(message))) = events.next().await {
        if message.text().is_some_and(|text| heard.try_send(text).is_err()) {
            break;
        }
    }
}

/// What comes on a stream's socket, as the event that it is.
fn event(text: &str) -> Event {
    match Relayed::read(text) {
        Relayed::Frame { id: "", frame } | Relayed::Done(frame) | Relayed::Instead(frame) => Event::new(frame),
        Relayed::Frame { id, frame } => Event::new(frame).with_id(id),
    }
}

/// The session of one Socket.IO connection.
struct RemoteTalk {
    wire: Wire,
    /// Frames that came before what a frame was answered with.
    early: VecDeque<Map<String, Json>>,
}

#[async_trait]
impl Talk for RemoteTalk {
    async fn hear(&mut self, frame: ClientFrame) -> Result<(), FrameError> {
        if self.wire.socket.send_with_str(frame.encode()).is_err() {
            return Err(over());
        }
        loop {
            let text = self.wire.texts.next().await.ok_or_else(over)?;
            let (frame, is_answer) = match Relayed::read(&text) {
                Relayed::Done(refusal) => return fields(refusal.as_bytes()).and_then(|frame| FrameError::told(&frame)).map_or(Ok(()), Err),
                Relayed::Frame { frame, .. } => (fields(frame.as_bytes()), false),
                Relayed::Instead(frame) => (fields(frame.as_bytes()), true),
            };
            if let Some(refused) = frame.as_ref().filter(|_| is_answer).and_then(FrameError::told) {
                return Err(refused);
            }
            self.early.extend(frame);
            if is_answer {
                return Ok(());
            }
        }
    }

    async fn next(&mut self) -> Option<Map<String, Json>> {
        if let Some(frame) = self.early.pop_front() {
            return Some(frame);
        }
        loop {
            let text = self.wire.texts.next().await?;
            if let Relayed::Frame { frame, .. } | Relayed::Instead(frame) = Relayed::read(&text)
                && let Some(frame) = fields(frame.as_bytes())
            {
                return Some(frame);
            }
        }
    }
}

fn opened(opened: worker::Result<Result<Wire, Problem>>) -> Result<Wire, Problem> {
    opened.unwrap_or_else(|error| Err(unreachable_now(&error)))
}

fn unreachable_now(error: &worker::Error) -> Problem {
    tracing::warn!(%error, "the object of a sender cannot be reached");
    Problem::new(Code::StoreUnavailable, "the sender's sessions cannot be reached now; try again in a moment")
}

fn over() -> FrameError {
    let message = "the session is over; connect again, then send the same again, with the same message_id".to_owned();
    FrameError { code: Code::StoreUnavailable, message, field: None, message_id: None, retry_after: None }
}
