use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use http::HeaderName;

use cota_core::ids::{MessageId, Timestamp};
use cota_driver::host::Conversations;
use cota_driver::ports::Clock;
use cota_protocol::problem::{Code, Problem};

use crate::access::Access;
use crate::limits::Limiter;
use crate::routes;
use crate::sessions::{Here, Sessions};
use crate::websocket::Rooms;

/// How long a request waits for its turn where nobody says, in milliseconds: below the two minutes of common proxies.
const REQUEST_MS: u64 = 100_000;

/// What a deployment decides about its gateway.
#[derive(Clone)]
pub struct Options {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How callers are known.
    pub access: Access,
    /// How long a request waits for its turn, in milliseconds; a turn that takes longer is answered with 202.
    pub request_ms: u64,
    /// A name that no other process of the deployment has. Ids of messages that come without one are made from it.
    pub instance: String,
    /// Host names under which pages and clients may open a socket, beside `localhost` and plain addresses.
    pub hosts: Vec<String>,
    /// Keeps to the limits.
    pub limiter: Arc<Limiter>,
    /// The header in which a proxy, that every request comes through, says from which address it came.
    pub address_header: Option<HeaderName>,
    /// Where the sessions are that no socket of this process holds.
    pub sessions: Arc<dyn Sessions>,
}

impl Options {
    /// The options of a process called `instance` that knows nobody and is reached by address.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, instance: impl Into<String>) -> Self {
        Self::with_sessions(clock, instance, Arc::new(Here::default()))
    }

    /// The same, of a deployment whose sessions are elsewhere.
    #[must_use]
    pub fn with_sessions(clock: Arc<dyn Clock>, instance: impl Into<String>, sessions: Arc<dyn Sessions>) -> Self {
        Self {
            clock,
            access: Access::Off,
            request_ms: REQUEST_MS,
            instance: instance.into(),
            hosts: Vec::new(),
            limiter: Limiter::none(),
            address_header: None,
            sessions,
        }
    }
}

/// The routes, and what all requests and sockets of one process share. Cloning it is cheap.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

struct Shared {
    conversations: Arc<dyn Conversations>,
    options: Options,
    ids: MessageIds,
    rooms: Rooms,
    sockets: AtomicU64,
}

impl Gateway {
    /// A gateway to these conversations.
    #[must_use]
    pub fn new(conversations: Arc<dyn Conversations>, options: Options) -> Self {
        let ids = MessageIds::new(&options.instance, options.clock.now());
        Self(Arc::new(Shared { conversations, options, ids, rooms: Rooms::default(), sockets: AtomicU64::new(0) }))
    }

    /// Every route but the WebSocket's upgrade, which each target does in its own way (see [`Gateway::open`]).
    pub fn router(&self) -> Router {
        self.router_with(Router::new())
    }

    /// The routes that this path may mean, for a gateway that answers one request: others are not made.
    pub fn router_of(&self, path: &str) -> Router {
        routes::router_of(path, self.clone())
    }

    /// Every route, and the target's own: what has to be passed before a route is passed before these, too.
    pub fn router_with(&self, own: Router) -> Router {
        routes::router(self.clone(), own)
    }

    pub(crate) fn conversations(&self) -> &Arc<dyn Conversations> {
        &self.0.conversations
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.options.clock
    }

    /// How long a socket may be open on which nothing is said, as its host has to see to.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.limiter().idle_ms().map(Duration::from_millis)
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.0.options.limiter
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.options.clock.now()
    }

    pub(crate) fn rooms(&self) -> &Rooms {
        &self.0.rooms
    }

    /// The open sockets.
    pub(crate) fn sockets(&self) -> &AtomicU64 {
        &self.0.sockets
    }

    /// The id of a message: the client's, else a new one.
    pub(crate) fn message_id(&self, of_client: Option<MessageId>) -> Result<MessageId, Problem> {
        match of_client {
            Some(id) => Ok(id),
            None => self.0.ids.next(),
        }
    }
}

/// Makes ids that no other process makes, and this one never again.
struct MessageIds {
    prefix: String,
    made: AtomicU64,
}

impl MessageIds {
    fn new(instance: &str, started: Timestamp) -> Self {
        let instance: String = instance.chars().filter(char::is_ascii_graphic).take(64).collect();
        Self { prefix: format!("{instance}-{:x}", started.0), made: AtomicU64::new(0) }
    }

    fn next(&self) -> Result<MessageId, Problem> {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        MessageId::new(format!("{}-{n:x}", self.prefix)).map_err(|error| Problem::new(Code::Internal, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_valid_whatever_the_process_is_called_and_never_made_twice() {
        for instance in ["", "host 1", "ü", &"x".repeat(500)] {
            let ids = MessageIds::new(instance, Timestamp(u64::MAX));
            assert_ne!(ids.next().unwrap(), ids.next().unwrap());
        }
    }
}
