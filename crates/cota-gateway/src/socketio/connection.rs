use futures_util::FutureExt as _;
use futures_util::future::{Either, pending, select};
use serde_json::{Map, Value as Json, json};

use cota_core::ids::BotName;
use cota_protocol::problem::Problem;
use cota_protocol::socketio::engine::{Data, Transport};
use cota_protocol::socketio::{AckId, Answer, Arguments, ClientEvent, Event, Namespace, RequestError, Session, Settings, server_event};
use cota_protocol::websocket::ServerFrame;

use super::channel::Channel;
use crate::access::{Access, Caller, Known};
use crate::gateway::Gateway;
use crate::identity::unauthorized;

/// One connection: the machine of the protocol, and the channel behind its main namespace.
pub struct Connection {
    gateway: Gateway,
    visitor: Visitor,
    engine: Session,
    /// There once the client has entered the main namespace.
    channel: Option<Channel>,
}

/// What the request for a connection says of who sends it.
pub(super) struct Visitor {
    /// The bot to talk with.
    pub(super) bot: BotName,
    /// `?sender_id=`.
    pub(super) named: Option<String>,
    /// What the headers prove.
    pub(super) known: Option<Known>,
    /// What it is called in the channel.
    pub(super) name: String,
}

impl Visitor {
    /// Who connects: what its `token` proves, else what the headers prove.
    async fn caller(&self, access: &Access, auth: &Map<String, Json>) -> Result<Caller, Problem> {
        let token = auth.get("token").and_then(Json::as_str);
        let by_token = match (access, token, &self.known) {
            (Access::On(identities), Some(token), _) => Some(identities.identify(token).await?),
            (Access::On(_), None, None) => return Err(unauthorized("say who you are: send an API key or a JWT as `auth.token`")),
            (Access::On(_), None, Some(_)) | (Access::Off, _, _) => None,
        };
        access.caller(by_token.as_ref().or(self.known.as_ref()), self.named.as_deref())
    }
}

impl Connection {
    pub(super) fn new(gateway: Gateway, visitor: Visitor, sid: &str, transport: Transport) -> Self {
        let engine = Session::new(sid, transport, Settings::default(), gateway.now());
        Self { gateway, visitor, engine, channel: None }
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
                self.settle().await;
            }
            Some(frame) => self.tell(frame),
        }
    }

    /// Emits a frame, and those that are ready behind it.
    fn tell(&mut self, frame: ServerFrame) {
        let Some(channel) = &mut self.channel else { return };
        let mut next = Some(frame);
        while let Some(frame) = next {
            if let Some((name, content)) = channel.event(&frame) {
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
        match self.visitor.caller(&self.gateway.options().access, auth).await {
            Ok(caller) => {
                let Visitor { bot, name, .. } = &self.visitor;
                self.channel = Some(Channel::new(self.gateway.clone(), bot.clone(), caller, name.clone()));
                self.engine.accept(namespace, name);
            }
            Err(problem) => {
                let data = json!({"code": problem.code, "message": problem.detail});
                self.engine.refuse(namespace, &problem.detail, Some(data), self.gateway.now());
            }
        }
    }

    async fn hear(&mut self, namespace: &Namespace, name: &str, arguments: Arguments, ack: Option<AckId>) {
        let Some(channel) = &mut self.channel else { return };
        let answer = match channel.hear(name, arguments).await {
            Ok(answer) => answer,
            Err(error) if ack.is_some() => Answer::refusal(error),
            Err(error) => {
                let (_, content) = server_event(&error.answer());
                return self.engine.emit(namespace, ClientEvent::error_event(name), vec![content].into());
            }
        };
        if let Some(id) = ack {
            self.engine.acknowledge(namespace, id, answer.arguments());
        }
    }
}
