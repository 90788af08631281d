use futures_util::FutureExt as _;
use futures_util::future::{Either, pending, select};
use serde_json::{Map, Value as Json, json};

use cota_core::ids::{BotName, Timestamp};
use cota_protocol::problem::Problem;
use cota_protocol::socketio::engine::{Data, Transport};
use cota_protocol::socketio::{AckId, Answer, Arguments, ClientEvent, Event, Namespace, RequestError, Session, Settings, server_event};
use cota_protocol::websocket::FrameError;

use super::channel::Channel;
use crate::access::{Caller, Known};
use crate::address::ClientAddress;
use crate::gateway::Gateway;
use crate::identity::unauthorized;
use crate::limits::Connected;

/// One connection: the machine of the protocol, and the channel behind its main namespace.
pub struct Connection {
    gateway: Gateway,
    visitor: Visitor,
    engine: Session,
    /// There once the client has entered the main namespace.
    channel: Option<Channel>,
    /// When something was last said, by either side.
    said: Timestamp,
    _connected: Connected,
}

/// What the request for a connection says of who sends it.
pub(super) struct Visitor {
    /// The bot to talk with.
    pub(super) bot: BotName,
    /// `?sender_id=`.
    pub(super) named: Option<String>,
    /// What the headers prove.
    pub(super) known: Option<Known>,
    /// From where it comes.
    pub(super) address: Option<ClientAddress>,
    /// What it is called in the channel.
    pub(super) name: String,
}

impl Visitor {
    /// Who connects: what its `token` proves, else what the headers prove.
    async fn caller(&self, gateway: &Gateway, auth: &Map<String, Json>) -> Result<Caller, Problem> {
        gateway.limiter().request_from(self.address).await?;
        let (access, token) = (&gateway.options().access, auth.get("token").and_then(Json::as_str));
        gateway.look_for_keys(token).await?;
        let by_token = match (access.identities(), token, &self.known) {
            (Some(identities), Some(token), _) => Some(identities.identify(token).await?),
            (Some(_), None, None) => return Err(unauthorized("say who you are: send an API key or a JWT as `auth.token`")),
            (Some(_), None, Some(_)) | (None, _, _) => None,
        };
        access.caller(by_token.as_ref().or(self.known.as_ref()), self.named.as_deref(), self.address)
    }
}

impl Connection {
    pub(super) fn new(gateway: Gateway, visitor: Visitor, sid: &str, transport: Transport, connected: Connected) -> Self {
        let engine = Session::new(sid, transport, Settings::default(), gateway.now());
        let said = gateway.now();
        Self { gateway, visitor, engine, channel: None, said, _connected: connected }
    }

    /// The machine of the protocol: what it has to send, and everything that needs no answer of the channel.
    pub fn engine(&mut self) -> &mut Session {
        &mut self.engine
    }

    /// Takes the body of a request that brings packets, and does what they say.
    ///
    /// # Errors
    /// When the body cannot be taken.
    pub async fn receive_body(&mut self, body: &[u8]) -> Result<(), RequestError> {
        let received = self.engine.receive_body(body, self.gateway.now());
        self.settle().await;
        received
    }

    /// Takes a frame of the socket, and does what it says.
    pub async fn receive_frame(&mut self, frame: Data) {
        self.engine.receive_frame(frame, self.gateway.now());
        self.settle().await;
    }

    /// A socket is about to come that the client wants to change to.
    ///
    /// # Errors
    /// When it may not.
    pub fn begin_upgrade(&mut self) -> Result<(), RequestError> {
        self.engine.begin_upgrade(self.gateway.now())
    }

    /// Ends when something new was taken from the channel, or a time has come. Dropping the future loses nothing.
    pub async fn next(&mut self) {
        let clock = self.gateway.clock();
        let due = match self.engine.next_timeout() {
            Some(at) => clock.sleep_until(at),
            None => pending().boxed(),
        };
        let news = async {
            match &mut self.channel {
                Some(channel) if self.engine.has_room() => channel.next().await,
                Some(_) | None => pending().await,
            }
        };
        let news = match select(due, std::pin::pin!(news)).await {
            Either::Left(((), _)) => None,
            Either::Right((frame, _)) => Some(frame),
        };
        match news {
            None => {
                self.engine.tick(self.gateway.now());
                self.end_if_idle();
                self.settle().await;
            }
            Some(Some(frame)) => self.tell(frame),
            Some(None) => {
                tracing::debug!("a Socket.IO connection ends with its session; the client connects again");
                self.engine.close();
                self.settle().await;
            }
        }
    }

    /// Ends a connection on which nothing was said for too long; looked at with each of the protocol's heartbeats.
    fn end_if_idle(&mut self) {
        let silent = self.gateway.now().since(self.said);
        if self.gateway.limiter().idle_ms().is_some_and(|most| silent >= most) {
            tracing::debug!("a Socket.IO connection on which nothing was said ends");
            self.engine.close();
        }
    }

    /// Emits a frame, and those that are ready behind it.
    fn tell(&mut self, frame: Map<String, Json>) {
        self.said = self.gateway.now();
        let Some(channel) = &mut self.channel else { return };
        let mut next = Some(frame);
        while let Some(frame) = next {
            if let Some((name, content)) = channel.event(frame) {
                self.engine.emit(&Namespace::main(), name, vec![content].into());
            }
            next = if self.engine.has_room() { channel.ready() } else { None };
        }
    }

    /// Does what the protocol's machine has heard.
    async fn settle(&mut self) {
        while let Some(event) = self.engine.next_event() {
            match event {
                Event::Connecting { namespace, auth } => self.let_in(&namespace, &auth).await,
                Event::Emitted { namespace, name, arguments, ack } => self.hear(&namespace, &name, arguments, ack).await,
                Event::Left(_) => self.channel = None,
                Event::Closed(reason) => {
                    tracing::debug!(%reason, "a Socket.IO connection ended");
                    self.channel = None;
                }
            }
        }
    }

    async fn let_in(&mut self, namespace: &Namespace, auth: &Map<String, Json>) {
        if !namespace.is_main() {
            return self.engine.refuse(namespace, "Invalid namespace", None, self.gateway.now());
        }
        match self.visitor.caller(&self.gateway, auth).await {
            Ok(caller) => {
                let Visitor { bot, name, .. } = &self.visitor;
                self.channel = Some(Channel::new(self.gateway.clone(), bot.clone(), caller, name.clone()));
                self.engine.accept(namespace, name);
            }
            Err(problem) => {
                let mut data = json!({"code": problem.code, "message": problem.detail});
                if let (Some(seconds), Some(data)) = (problem.retry_after(), data.as_object_mut()) {
                    data.insert("retry_after".to_owned(), seconds.into());
                }
                self.engine.refuse(namespace, &problem.detail, Some(data), self.gateway.now());
            }
        }
    }

    async fn hear(&mut self, namespace: &Namespace, name: &str, arguments: Arguments, ack: Option<AckId>) {
        self.said = self.gateway.now();
        let Some(channel) = &mut self.channel else { return };
        let answer = match channel.hear(name, arguments).await {
            Ok(answer) => answer,
            Err(error) if ack.is_some() => Answer::refusal(error),
            Err(error) => return self.refuse(namespace, name, error),
        };
        if let Some(id) = ack {
            self.engine.acknowledge(namespace, id, answer.arguments());
        }
    }

    /// Emits why an event was refused, behind what the events before it have made ready.
    fn refuse(&mut self, namespace: &Namespace, name: &str, error: FrameError) {
        if let Some(frame) = self.channel.as_mut().and_then(Channel::ready) {
            self.tell(frame);
        }
        let (_, content) = server_event(error.answer().fields());
        self.engine.emit(namespace, ClientEvent::error_event(name), vec![content].into());
    }
}
