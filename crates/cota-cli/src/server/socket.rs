//! The WebSocket: one task for each, which moves frames between the wire and the gateway's session.
//!
//! While a client reads slowly the task waits for it and asks the session for nothing more, so nothing piles up here.

use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::Response;
use axum::routing::get;
use futures_util::SinkExt;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::Error as WireError;

use cota_gateway::websocket::{MISSING_SENDER, Opening, PATH, Session};
use cota_gateway::{Gateway, problem};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::websocket::{FRAME_BYTES, FrameError, ServerFrame};

use super::closing::{Closer, Closing};

/// The library would take 128 KiB for each socket.
const BUFFER_BYTES: usize = 4 * 1024;
/// A frame between the protocol's limit and this is refused; one beyond it ends the socket.
const WIRE_BYTES: usize = 2 * FRAME_BYTES;
/// How often a silent client is asked whether it is there.
const PING: Duration = Duration::from_secs(30);
/// How long a client may be silent, pings notwithstanding.
const SILENCE: Duration = Duration::from_secs(75);
/// How long a client may take to read what it is sent.
const WRITE: Duration = Duration::from_secs(30);

/// Close codes of RFC 6455, section 7.4.1.
mod close {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const INVALID_TEXT: u16 = 1007;
    pub(super) const TOO_BIG: u16 = 1009;
}

/// What the upgrade works with.
#[derive(Clone)]
struct Sockets {
    gateway: Gateway,
    closer: Closer,
}

/// The route of the upgrade. Sockets close when the `closer` does.
pub(super) fn router(gateway: Gateway, closer: Closer) -> Router {
    Router::new().route(PATH, get(upgrade)).with_state(Sockets { gateway, closer })
}

async fn upgrade(State(sockets): State<Sockets>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return problem(&Problem::new(Code::BadRequest, "this route is a WebSocket: connect to it with a WebSocket client"));
    };
    let upgrade = upgrade.read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES);
    let upgrade = upgrade.max_frame_size(WIRE_BYTES).max_message_size(WIRE_BYTES);
    let closing = sockets.closer.subscribe();
    match sockets.gateway.open(&parts) {
        Opening::Session(session) => {
            let idle = sockets.gateway.idle();
            upgrade.on_upgrade(move |socket| {
                let now = Instant::now();
                Talk { socket, session: *session, heard: now, said: now, idle }.run(closing)
            })
        }
        Opening::MissingSender => upgrade.on_upgrade(|socket| async move {
            let reason = "name the sender in the address: /websocket?sender_id=YOU";
            leave(socket, Some(CloseFrame { code: MISSING_SENDER, reason: reason.into() })).await;
            drop(closing);
        }),
        Opening::Refused(response) => response,
    }
}

/// One socket and its session.
struct Talk {
    socket: WebSocket,
    session: Session,
    /// When the client was last heard of.
    heard: Instant,
    /// When something was last said, by either side.
    said: Instant,
    /// How long nothing may be said.
    idle: Option<Duration>,
}

/// What a socket ends with: a code and its reason, or nothing where the client is gone already.
type End = Option<(u16, &'static str)>;

impl Talk {
    async fn run(mut self, mut closing: Closing) {
        let look = self.idle.map_or(PING, |idle| idle.min(PING));
        let mut ping = interval_at(Instant::now() + look, look);
        let end = loop {
            let end = tokio::select! {
                frame = self.session.next() => self.send(frame).await,
                received = self.socket.recv() => self.take(received).await,
                _ = ping.tick() => self.ping().await,
                () = closing.begins() => self.say_goodbye().await,
            };
            if let Err(end) = end {
                break end;
            }
        };
        leave(self.socket, end.map(|(code, reason)| CloseFrame { code, reason: reason.into() })).await;
    }

    /// Sends a frame and those that are ready behind it, in one write where they fit.
    async fn send(&mut self, frame: ServerFrame) -> Result<(), End> {
        self.said = Instant::now();
        let sent = timeout(WRITE, async {
            let mut next = Some(frame);
            while let Some(frame) = next {
                self.socket.feed(Message::text(frame.encode())).await?;
                next = self.session.ready();
            }
            self.socket.flush().await
        });
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }

    async fn take(&mut self, received: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.heard = Instant::now();
        match received {
            Some(Ok(Message::Text(text))) => {
                self.said = self.heard;
                self.session.handle(&text).await;
            }
            Some(Ok(Message::Binary(_))) => self.session.refuse_binary(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(None),
            Some(Err(error)) => return self.explain(error).await,
        }
        Ok(())
    }

    /// What the library cannot read ends the socket; the client is told why where it is the client's fault.
    async fn explain(&mut self, error: axum::Error) -> Result<(), End> {
        let error = error.into_inner();
        let (code, message, end) = match error.downcast_ref::<WireError>() {
            Some(WireError::Utf8(_)) => {
                (Code::BadFrame, "the frame is not valid UTF-8".to_owned(), (close::INVALID_TEXT, "not valid UTF-8"))
            }
            Some(WireError::Capacity(_)) => {
                let message = format!("the frame has more than {FRAME_BYTES} bytes");
                (Code::PayloadTooLarge, message, (close::TOO_BIG, "the frame is too large"))
            }
            Some(_) | None => return Err(None),
        };
        self.send(FrameError { code, message, field: None, message_id: None, retry_after: None }.answer()).await?;
        Err(Some(end))
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > SILENCE {
            return Err(Some((close::GOING_AWAY, "nothing was heard for too long")));
        }
        if self.idle.is_some_and(|idle| self.said.elapsed() >= idle) {
            return Err(Some((close::GOING_AWAY, "nothing was said for too long; connect again when there is something to say")));
        }
        match timeout(WRITE, self.socket.send(Message::Ping(Default::default()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }

    /// Sends what is ready, for the last time.
    async fn say_goodbye(&mut self) -> Result<(), End> {
        if let Some(frame) = self.session.ready() {
            self.send(frame).await?;
        }
        Err(Some((close::GOING_AWAY, "the server ends; connect again in a moment")))
    }
}

/// Ends the socket as the protocol wants it: with a close frame, or with the answer to the client's.
async fn leave(mut socket: WebSocket, frame: Option<CloseFrame>) {
    let _ = timeout(WRITE, async {
        if frame.is_some() {
            socket.send(Message::Close(frame)).await?;
        }
        SinkExt::close(&mut socket).await
    })
    .await;
}
