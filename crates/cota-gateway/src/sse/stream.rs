//! `GET /sse`: the server's frames.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::{self, Either};
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;

use cota_core::ids::{ConversationId, Seq, Timestamp};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::sse;
use cota_protocol::time::iso8601;
use cota_protocol::websocket::{ClientFrame, JoinFrame, ServerFrame};

use super::place::{Place, Places};
use super::streams::{Reader, Stream};
use crate::gateway::Gateway;
use crate::request::header_text;
use crate::respond;
use crate::websocket::{Opening, Session};

/// Between two `ping` frames, in milliseconds.
const PING_MS: u64 = 30_000;
/// The header that says how far a client had come.
const LAST_EVENT_ID: &str = "last-event-id";

/// Opens a stream, and goes on where the client says it was.
pub(crate) async fn open(State(gateway): State<Gateway>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let last_event_id = match header_text(&parts.headers, LAST_EVENT_ID) {
        Ok(id) => id.unwrap_or_default(),
        Err(problem) => return respond::problem(&problem),
    };
    let mut session = match gateway.open(&parts) {
        Opening::Session(session) => *session,
        Opening::MissingSender => {
            let detail = "say whose stream it is: `?sender_id=` in the query";
            return respond::problem(&Problem::new(Code::MissingSender, detail).with("field", "sender_id"));
        }
        Opening::Refused(response) => return response,
    };
    let places = Places::read(last_event_id);
    for (session_id, place) in places.iter() {
        go_on(&mut session, session_id.clone(), place).await;
    }
    let reader = Reader::of(&session);
    let stream = gateway.streams().add(reader.clone(), session);
    let reading = Reading { gateway: gateway.clone(), reader, stream, places, ping_at: gateway.now().plus_ms(PING_MS) };
    let events = stream::unfold(reading, |mut reading| async move { Some((reading.next().await, reading)) });
    respond::event_stream(events.boxed(), gateway.clock().clone())
}

/// Joins a session again. What does not work is told on the stream.
async fn go_on(session: &mut Session, session_id: ConversationId, place: Place) {
    let frame = JoinFrame { session_id, sender_id: None, stream: place.streams, after: Some(place.seq), token: None };
    session.take(ClientFrame::Join(frame)).await;
}

/// A stream as it is being read.
struct Reading {
    gateway: Gateway,
    reader: Reader,
    stream: Arc<Stream>,
    /// How far it has come.
    places: Places,
    ping_at: Timestamp,
}

impl Reading {
    async fn next(&mut self) -> sse::Event {
        let ping = self.gateway.clock().sleep_until(self.ping_at);
        let (stream, places) = (&self.stream, &mut self.places);
        let frame = poll_fn(|context| {
            let (frame, session) = ready!(stream.poll_next(context));
            Poll::Ready(event(&frame, &session, places))
        });
        match future::select(frame, ping).await {
            Either::Left((event, _)) => event,
            Either::Right(((), _)) => {
                let now = self.gateway.now();
                self.ping_at = now.plus_ms(PING_MS);
                sse::Event::new(json!({"type": "ping", "timestamp": iso8601(now)}).to_string())
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.gateway.streams().remove(&self.reader, &self.stream);
    }
}

/// A frame as an event. It has an id if it is the last one of its place in the record.
fn event(frame: &ServerFrame, session: &Session, places: &mut Places) -> sse::Event {
    let event = sse::Event::new(frame.encode());
    if let ServerFrame::LeaveConfirm { session_id, .. } = frame {
        places.leave(session_id);
        return event;
    }
    let Some((session_id, seq)) = place_of(frame) else { return event };
    if session.peek().and_then(place_of) == Some((session_id, seq)) {
        return event;
    }
    places.reach(session_id, Place { seq, streams: session.streams(session_id) });
    event.with_id(places.to_string())
}

fn place_of(frame: &ServerFrame) -> Option<(&ConversationId, Seq)> {
    match frame {
        ServerFrame::Text(message) | ServerFrame::Image(message) => Some((&message.session_id, message.seq?)),
        ServerFrame::Login { .. }
        | ServerFrame::JoinConfirm { .. }
        | ServerFrame::UserJoined { .. }
        | ServerFrame::UserLeft { .. }
        | ServerFrame::LeaveConfirm { .. }
        | ServerFrame::Delta { .. }
        | ServerFrame::Reset { .. }
        | ServerFrame::Pong
        | ServerFrame::Error { .. } => None,
    }
}
