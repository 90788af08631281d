//! The object of one sender: it accepts the sender's sockets, and sleeps with them while nothing happens. The Worker opens sockets,
//! too, for event streams and for Socket.IO, whose own wires it has.
//!
//! A client names its conversations only after it is connected, so the sockets are not the conversations': their objects push what
//! is new to this one. All that a socket needs to go on after the object slept is in its row; what a socket was told up to is
//! there before the next thing is done.

#![expect(missing_docs, reason = "the platform's macro documents nothing of what it makes")]

mod desk;
mod frames;
mod posted;
mod rows;
mod socket;

use std::sync::Arc;

use worker::worker_sys::WebSocketRequestResponsePair;
use worker::{DurableObject, Env, Request, Response, State, WebSocket, WebSocketIncomingMessage, WebSocketPair, durable_object};

use crate::platform::{self, random_name};
use crate::wire::{self, Notice};
use desk::{Desk, Job};
use frames::refused;
pub(crate) use socket::{Channel, Visitor};

/// The binding of these objects in wrangler.toml.
pub(crate) const CONNECTIONS: &str = "CONNECTIONS";
/// The header that says who opens a socket. The Worker has checked that; nobody else reaches the object.
pub(crate) const VISITOR: &str = "x-cota-visitor";
/// What the platform answers itself, without waking the object.
const PING: &str = r#"{"type":"ping"}"#;
const PONG: &str = r#"{"type":"pong"}"#;
/// Events that arrive while a socket is open, and are not of interest.
const GONE: u16 = 410;
const TOO_MANY: u16 = 429;

/// The object.
#[durable_object]
pub struct ConnectionObject {
    state: Arc<State>,
    desk: Result<Arc<Desk>, String>,
}

impl DurableObject for ConnectionObject {
    fn new(state: State, env: Env) -> Self {
        platform::begin(&env);
        let state = Arc::new(state);
        if let Ok(pair) = WebSocketRequestResponsePair::new(PING, PONG) {
            state.set_websocket_auto_response(&pair);
        }
        let desk = Desk::open(Arc::clone(&state), env).map(Arc::new).map_err(|error| error.to_string());
        Self { state, desk }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let desk = self.desk()?;
        match request.headers().get(VISITOR)? {
            Some(visitor) => {
                let visitor: Visitor = serde_json::from_slice(visitor.as_bytes())?;
                // Those of its identity are all here, whichever are awake.
                if let Err(problem) = desk.gateway.has_place(&visitor.identity(), self.state.get_websockets().len()) {
                    return Ok(Response::ok(refused(problem, None).answer().encode())?.with_status(TOO_MANY));
                }
                let WebSocketPair { client, server } = WebSocketPair::new()?;
                let id = random_name().map_err(|error| worker::Error::RustError(error.to_string()))?;
                self.state.accept_websocket_with_tags(&server, &[&id]);
                desk.run(Job::Open(id, visitor)).await;
                Response::from_websocket(client)
            }
            None => match wire::asked(&mut request).await? {
                Notice::News(push) if desk.knows(&push.key) => {
                    desk.run(Job::Push(push)).await;
                    Response::empty()
                }
                Notice::News(_) => Response::error("nobody here is in this room", GONE),
                Notice::Posted { visitor, frame } => Response::ok(posted::take(desk, visitor, frame).await),
            },
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        Response::empty()
    }

    async fn connect(&self, _socket: worker::Socket) -> worker::Result<()> {
        Err(worker::Error::RustError("this object takes no plain connections".to_owned()))
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> worker::Result<()> {
        #[cfg(feature = "tried")]
        crate::tried::panic_if_told(&message);
        if let (Ok(desk), Some(id)) = (&self.desk, self.id(&socket)) {
            desk.run(Job::Frame(id, message)).await;
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, reason: String, _was_clean: bool) -> worker::Result<()> {
        if let (Ok(desk), Some(id)) = (&self.desk, self.id(&socket)) {
            desk.run(Job::Closed(id)).await;
        }
        // The answer to the client's close; a code that may not be sent is answered with the usual one.
        let code = u16::try_from(code).ok().filter(|code| matches!(code, 1000 | 3000..=4999));
        let _ = socket.close(Some(code.unwrap_or(1000)), Some(reason));
        Ok(())
    }

    async fn websocket_error(&self, socket: WebSocket, _error: worker::Error) -> worker::Result<()> {
        if let (Ok(desk), Some(id)) = (&self.desk, self.id(&socket)) {
            desk.run(Job::Closed(id)).await;
        }
        Ok(())
    }
}

impl ConnectionObject {
    fn desk(&self) -> worker::Result<&Arc<Desk>> {
        self.desk.as_ref().map_err(|error| worker::Error::RustError(error.clone()))
    }

    fn id(&self, socket: &WebSocket) -> Option<String> {
        self.state.get_tags(socket).into_iter().next()
    }
}
