//! A server's side of one connection, without I/O.

mod event;
mod heartbeat;
mod namespaces;
mod outgoing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use cota_core::ids::Timestamp;
use serde_json::{Map, Value as Json, json};

pub use self::event::{CloseReason, Event};
use self::heartbeat::{Beat, Heartbeat};
use self::namespaces::{Entry, Namespaces, State};
use self::outgoing::Outgoing;
use super::assembler::Assembler;
use super::engine::{self, Data, Handshake, Transport, decode_payload, encode_payload};
use super::namespace::Namespace;
use super::packet::{AckId, Arguments, Body, Packet};
use super::request::RequestError;

/// What the client asks the other transport first, and is answered.
const PROBE: &str = "probe";

/// Times and limits of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between two pings, in milliseconds.
    pub ping_interval_ms: u64,
    /// How long a pong may take, in milliseconds.
    pub ping_timeout_ms: u64,
    /// How long a change of the transport may take, in milliseconds.
    pub upgrade_timeout_ms: u64,
    /// How long a client may be in no namespace, in milliseconds.
    pub alone_ms: u64,
    /// Most bytes of a frame or body from the client.
    pub max_payload: usize,
    /// Most bytes that wait to be sent; a client that leaves more unread is cut off.
    pub max_buffer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ping_interval_ms: 25_000,
            ping_timeout_ms: 20_000,
            upgrade_timeout_ms: 10_000,
            alone_ms: 45_000,
            max_payload: 64 * 1024,
            max_buffer: 256 * 1024,
        }
    }
}

/// One connection. What it has to say is asked for with [`take_poll`](Self::take_poll) and
/// [`next_frame`](Self::next_frame), what it was told with [`next_event`](Self::next_event), after every input.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    link: Link,
    /// A request waits for packets.
    poll_waits: bool,
    /// The probe is answered on the new socket before anything else.
    probe_reply: bool,
    outgoing: Outgoing,
    events: VecDeque<Event>,
    assembler: Assembler,
    namespaces: Namespaces,
    heartbeat: Heartbeat,
    /// It is to end as soon as the client does not change its transport any more.
    is_ending: bool,
    is_closed: bool,
}

/// Over what packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Polling,
    /// Still polling, while the client tries a socket.
    Probing {
        until: Timestamp,
        answered: bool,
    },
    Socket,
}

impl Session {
    /// Begins a connection called `sid`, a name that nobody can guess. The handshake is the first packet to be sent.
    #[must_use]
    pub fn new(sid: impl Into<String>, transport: Transport, settings: Settings, now: Timestamp) -> Self {
        let (link, upgrades) = match transport {
            Transport::Polling => (Link::Polling, vec![Transport::WebSocket]),
            Transport::WebSocket => (Link::Socket, Vec::new()),
        };
        let mut outgoing = Outgoing::default();
        outgoing.push(engine::Packet::Open(Handshake {
            sid: sid.into(),
            upgrades,
            ping_interval: settings.ping_interval_ms,
            ping_timeout: settings.ping_timeout_ms,
            max_payload: settings.max_payload,
        }));
        Self {
            link,
            poll_waits: false,
            probe_reply: false,
            outgoing,
            events: VecDeque::new(),
            assembler: Assembler::new(settings.max_payload),
            namespaces: Namespaces::new(now),
            heartbeat: Heartbeat::begin(&settings, now),
            is_ending: false,
            is_closed: false,
            settings,
        }
    }

    /// A request waits for packets from now on.
    ///
    /// # Errors
    /// When it may not. One that waits already ends the connection.
    pub fn poll(&mut self) -> Result<(), RequestError> {
        self.check_polling()?;
        if self.poll_waits {
            self.end(CloseReason::SecondPoll);
            return Err(RequestError::BadRequest(CloseReason::SecondPoll.to_string()));
        }
        self.poll_waits = true;
        Ok(())
    }

    /// The request that waited is gone, and with it the client: one that lives on opens a new connection. One that is about to go
    /// on over its socket may drop it.
    pub fn poll_gone(&mut self) {
        let waited = std::mem::take(&mut self.poll_waits);
        let has_socket = matches!(self.link, Link::Probing { answered: true, .. } | Link::Socket);
        if waited && !has_socket {
            self.end(CloseReason::PollGone);
        }
    }

    /// The body for the request that waits, once there is one. It waits no more then.
    pub fn take_poll(&mut self) -> Option<String> {
        if !self.poll_waits {
            return None;
        }
        let is_over = match self.link {
            Link::Polling => false,
            Link::Probing { answered, .. } => answered,
            Link::Socket => true,
        };
        let packets = if self.link == Link::Socket { VecDeque::new() } else { self.outgoing.drain() };
        if packets.is_empty() && !is_over {
            return None;
        }
        self.poll_waits = false;
        if packets.is_empty() { Some(encode_payload([&engine::Packet::Noop])) } else { Some(encode_payload(&packets)) }
    }

    /// Takes the body of a request that brings packets.
    ///
    /// # Errors
    /// When it cannot be taken, which mostly ends the connection.
    pub fn receive_body(&mut self, body: &[u8], now: Timestamp) -> Result<(), RequestError> {
        self.check_polling()?;
        if body.len() > self.settings.max_payload {
            self.end(CloseReason::TooLarge(self.settings.max_payload));
            return Err(RequestError::TooLarge(self.settings.max_payload));
        }
        let Ok(body) = std::str::from_utf8(body) else { return self.refuse_body(CloseReason::NotUtf8) };
        for packet in decode_payload(body) {
            if let Err(reason) = packet.map_err(CloseReason::from).and_then(|packet| self.take(packet, now)) {
                return self.refuse_body(reason);
            }
            if self.is_closed {
                break;
            }
        }
        Ok(())
    }

    /// A socket is about to come that the client wants to change to.
    ///
    /// # Errors
    /// When it may not.
    pub fn begin_upgrade(&mut self, now: Timestamp) -> Result<(), RequestError> {
        self.check_polling()?;
        if self.link != Link::Polling {
            return Err(RequestError::BadRequest("another socket tries to take over".to_owned()));
        }
        self.link = Link::Probing { until: now.plus_ms(self.settings.upgrade_timeout_ms), answered: false };
        Ok(())
    }

    /// Takes a frame of the socket. One that cannot be taken ends the connection, or the try to change to the socket.
    pub fn receive_frame(&mut self, frame: Data, now: Timestamp) {
        if self.is_closed {
            return;
        }
        match self.link {
            Link::Polling => {}
            Link::Probing { until, answered } => self.probe(&frame, until, answered),
            Link::Socket => {
                if let Err(reason) = self.take_frame(frame, now) {
                    self.end(reason);
                }
            }
        }
    }

    /// The socket is gone.
    pub fn socket_gone(&mut self) {
        match self.link {
            Link::Polling => {}
            Link::Probing { .. } => self.stop_probing(),
            Link::Socket => self.end(CloseReason::SocketGone),
        }
    }

    /// The next frame for the socket, if there is one.
    pub fn next_frame(&mut self) -> Option<Data> {
        if std::mem::take(&mut self.probe_reply) {
            return Some(engine::Packet::Pong(PROBE.to_owned()).into_frame());
        }
        match self.link {
            Link::Polling | Link::Probing { .. } => None,
            Link::Socket => self.outgoing.pop().map(engine::Packet::into_frame),
        }
    }

    /// Whether a socket has a place here. One that has not is to be closed, once the frames are sent.
    #[must_use]
    pub fn wants_socket(&self) -> bool {
        !self.is_closed && self.link != Link::Polling
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Timestamp) {
        if self.is_closed {
            return;
        }
        match self.heartbeat.tick(&self.settings, now) {
            Beat::Wait => {}
            Beat::Ping => self.push(engine::Packet::Ping(String::new())),
            Beat::Dead => self.end(CloseReason::PingTimeout),
        }
        if self.alone_until().is_some_and(|until| until <= now) {
            self.end(CloseReason::Alone);
        }
        if self.probing_until().is_some_and(|until| until <= now) {
            self.stop_probing();
        }
    }

    /// When [`tick`](Self::tick) is to be called next; never where the connection is over.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let due = [Some(self.heartbeat.due()), self.alone_until(), self.probing_until()];
        due.into_iter().flatten().min().filter(|_| !self.is_closed)
    }

    /// What the application is to know next.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Lets the client into a namespace that it asked for; `sid` is its name there.
    pub fn accept(&mut self, namespace: &Namespace, sid: &str) {
        if self.namespaces.enter(namespace) {
            let Json::Object(welcome) = json!({ "sid": sid }) else { return };
            self.send(namespace, Body::Connect(Some(welcome)));
        }
    }

    /// Does not let the client into a namespace that it asked for. `message` says why, `data` more for programs.
    pub fn refuse(&mut self, namespace: &Namespace, message: &str, data: Option<Json>, now: Timestamp) {
        if self.namespaces.state(namespace) == Some(State::Asked) {
            self.namespaces.leave(namespace, now);
            self.send_refusal(namespace, message, data);
        }
    }

    /// Emits an event to the client, where it is in the namespace.
    pub fn emit(&mut self, namespace: &Namespace, name: impl Into<String>, arguments: Arguments) {
        if self.namespaces.state(namespace) == Some(State::Entered) {
            self.send(namespace, Body::Event { name: name.into(), arguments, ack: None });
        }
    }

    /// Answers an event of the client.
    pub fn acknowledge(&mut self, namespace: &Namespace, id: AckId, arguments: Arguments) {
        if self.namespaces.state(namespace) == Some(State::Entered) {
            self.send(namespace, Body::Ack { id, arguments });
        }
    }

    /// Whether it is wise to emit more now. Who goes on regardless ends the connection when [`Settings::max_buffer`] is reached.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.is_closed && self.outgoing.bytes() < self.settings.max_payload
    }

    /// Ends the connection. What waits to be sent still is. A client that has been told that its socket works is let change to
    /// it first: having stopped to poll, it would not notice the end of either.
    pub fn close(&mut self) {
        match self.link {
            Link::Probing { answered: true, .. } => self.is_ending = true,
            Link::Polling | Link::Probing { answered: false, .. } | Link::Socket => self.end(CloseReason::ByServer),
        }
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn check_polling(&self) -> Result<(), RequestError> {
        if self.is_closed {
            return Err(RequestError::UnknownSession);
        }
        if self.link == Link::Socket {
            return Err(RequestError::BadRequest("the session has changed to a WebSocket".to_owned()));
        }
        Ok(())
    }

    fn refuse_body(&mut self, reason: CloseReason) -> Result<(), RequestError> {
        let refusal = RequestError::BadRequest(reason.to_string());
        self.end(reason);
        Err(refusal)
    }

    fn take_frame(&mut self, frame: Data, now: Timestamp) -> Result<(), CloseReason> {
        if frame.len() > self.settings.max_payload {
            return Err(CloseReason::TooLarge(self.settings.max_payload));
        }
        match frame {
            Data::Text(text) => self.take(engine::Packet::decode(&text)?, now),
            Data::Binary(bytes) => self.take(engine::Packet::Message(Data::Binary(bytes)), now),
        }
    }

    fn take(&mut self, packet: engine::Packet, now: Timestamp) -> Result<(), CloseReason> {
        match packet {
            engine::Packet::Pong(_) => self.heartbeat = Heartbeat::begin(&self.settings, now),
            engine::Packet::Message(data) => {
                if let Some(packet) = self.assembler.take(data)? {
                    self.obey(packet, now)?;
                }
            }
            engine::Packet::Close => self.end(CloseReason::ByClient),
            engine::Packet::Noop => {}
            engine::Packet::Open(_) | engine::Packet::Ping(_) | engine::Packet::Upgrade => return Err(CloseReason::OutOfPlace),
        }
        Ok(())
    }

    /// Packets of a namespace that the client is not in are skipped: it may have left while they were on their way.
    fn obey(&mut self, Packet { namespace, body }: Packet, now: Timestamp) -> Result<(), CloseReason> {
        match body {
            Body::Connect(auth) => match self.namespaces.ask(&namespace) {
                Entry::ToDecide => self.events.push_back(Event::Connecting { namespace, auth: auth.unwrap_or_default() }),
                Entry::Repeated => return Err(CloseReason::OutOfPlace),
                Entry::TooMany => self.send_refusal(&namespace, "too many namespaces; leave one, or open another connection", None),
            },
            Body::Disconnect => {
                if self.namespaces.leave(&namespace, now).is_some() {
                    self.events.push_back(Event::Left(namespace));
                }
            }
            Body::Event { name, arguments, ack } => {
                if self.namespaces.state(&namespace) == Some(State::Entered) {
                    self.events.push_back(Event::Emitted { namespace, name, arguments, ack });
                }
            }
            // The server asks for no answers, so that none is waited for.
            Body::Ack { .. } => {}
            Body::ConnectError(_) => return Err(CloseReason::OutOfPlace),
        }
        Ok(())
    }

    /// The first frames of a socket: the probe, and the word that the client has changed to it. Anything else ends the try.
    fn probe(&mut self, frame: &Data, until: Timestamp, answered: bool) {
        let packet = match frame {
            Data::Text(text) => engine::Packet::decode(text).ok(),
            Data::Binary(_) => None,
        };
        match packet {
            Some(engine::Packet::Ping(data)) if data == PROBE && !answered => {
                self.link = Link::Probing { until, answered: true };
                self.probe_reply = true;
            }
            Some(engine::Packet::Upgrade) if answered => self.change(Link::Socket),
            Some(_) | None => self.stop_probing(),
        }
    }

    fn stop_probing(&mut self) {
        self.probe_reply = false;
        self.change(Link::Polling);
    }

    fn change(&mut self, link: Link) {
        self.link = link;
        if self.is_ending {
            self.end(CloseReason::ByServer);
        }
    }

    fn probing_until(&self) -> Option<Timestamp> {
        match self.link {
            Link::Probing { until, .. } => Some(until),
            Link::Polling | Link::Socket => None,
        }
    }

    fn alone_until(&self) -> Option<Timestamp> {
        self.namespaces.alone_since().map(|since| since.plus_ms(self.settings.alone_ms))
    }

    fn send_refusal(&mut self, namespace: &Namespace, message: &str, data: Option<Json>) {
        let mut error = Map::new();
        error.insert("message".to_owned(), message.into());
        error.extend(data.map(|data| ("data".to_owned(), data)));
        self.send(namespace, Body::ConnectError(Json::Object(error)));
    }

    fn send(&mut self, namespace: &Namespace, body: Body) {
        let (text, attachments) = Packet { namespace: namespace.clone(), body }.encode();
        self.push(engine::Packet::Message(Data::Text(text)));
        attachments.into_iter().for_each(|bytes| self.push(engine::Packet::Message(Data::Binary(bytes))));
    }

    fn push(&mut self, packet: engine::Packet) {
        if self.is_closed {
            return;
        }
        self.outgoing.push(packet);
        if self.outgoing.bytes() > self.settings.max_buffer {
            self.end(CloseReason::Unread);
        }
    }

    /// Ends the connection. A poll that waits is answered with the end, which some clients take for the last word. Where the
    /// client knows, or may come back, it is answered with nothing: the next one finds the session gone.
    fn end(&mut self, reason: CloseReason) {
        if self.is_closed {
            return;
        }
        self.is_closed = true;
        if reason != CloseReason::ByServer {
            self.outgoing.drain();
        }
        if self.link != Link::Socket {
            self.outgoing.push(match reason {
                CloseReason::ByClient | CloseReason::ByServer => engine::Packet::Noop,
                CloseReason::SocketGone
                | CloseReason::PingTimeout
                | CloseReason::Alone
                | CloseReason::SecondPoll
                | CloseReason::PollGone
                | CloseReason::TooLarge(_)
                | CloseReason::Unread
                | CloseReason::NotUtf8
                | CloseReason::Engine(_)
                | CloseReason::Packet(_)
                | CloseReason::OutOfPlace => engine::Packet::Close,
            });
        }
        self.events.push_back(Event::Closed(reason));
    }
}
