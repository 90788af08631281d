//! A stream of this process, as it is being read.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};

use futures_util::stream::{self, BoxStream, StreamExt as _};

use cota_protocol::sse;
use cota_protocol::websocket::ServerFrame;

use super::place::{Place, Places};
use super::streams::{Reader, Stream, Streams};
use crate::websocket::Session;

/// Puts a session among the streams, as long as its events are read.
pub(crate) fn read(streams: Arc<Streams>, session: Session, places: Places) -> BoxStream<'static, sse::Event> {
    let reader = Reader::of(&session);
    let stream = streams.add(reader.clone(), session);
    let reading = Reading { streams, reader, stream, places };
    stream::unfold(reading, |mut reading| async move { Some((reading.next().await, reading)) }).boxed()
}

struct Reading {
    streams: Arc<Streams>,
    reader: Reader,
    stream: Arc<Stream>,
    /// How far it has come.
    places: Places,
}

impl Reading {
    async fn next(&mut self) -> sse::Event {
        let (stream, places) = (&self.stream, &mut self.places);
        poll_fn(|context| {
            let (frame, session) = ready!(stream.poll_next(context));
            Poll::Ready(event(&frame, &session, places))
        })
        .await
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.streams.remove(&self.reader, &self.stream);
    }
}

/// A frame as an event. It has an id if it is the last one of its place in the record, or changes which sessions are followed.
fn event(frame: &ServerFrame, session: &Session, places: &mut Places) -> sse::Event {
    let event = sse::Event::new(frame.encode());
    let is_one_of_several = frame.place().is_some_and(|place| session.peek().and_then(ServerFrame::place) == Some(place));
    if is_one_of_several || !note(frame, session, places) {
        return event;
    }
    event.with_id(places.to_string())
}

/// Notes what a frame says of places; whether it says anything.
fn note(frame: &ServerFrame, session: &Session, places: &mut Places) -> bool {
    match frame {
        ServerFrame::Text(message) | ServerFrame::Image(message) => match message.seq {
            Some(seq) => places.reach(&message.session_id, Place { seq, streams: session.streams(&message.session_id) }),
            None => places.begin(&message.session_id, session.beginning(&message.session_id)),
        },
        ServerFrame::JoinConfirm { session_id, .. } => places.reach(session_id, session.beginning(session_id)),
        ServerFrame::LeaveConfirm { session_id, .. } => places.leave(session_id),
        ServerFrame::Login { .. }
        | ServerFrame::UserJoined { .. }
        | ServerFrame::UserLeft { .. }
        | ServerFrame::Delta { .. }
        | ServerFrame::Reset { .. }
        | ServerFrame::Pong
        | ServerFrame::Error { .. } => return false,
    }
    true
}
