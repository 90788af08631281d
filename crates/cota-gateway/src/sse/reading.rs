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

/// A frame as an event. It has an id if it is the last one of its place in the record.
fn event(frame: &ServerFrame, session: &Session, places: &mut Places) -> sse::Event {
    let event = sse::Event::new(frame.encode());
    if let ServerFrame::LeaveConfirm { session_id, .. } = frame {
        places.leave(session_id);
        return event;
    }
    let Some((session_id, seq)) = frame.place() else { return event };
    if session.peek().and_then(ServerFrame::place) == Some((session_id, seq)) {
        return event;
    }
    places.reach(session_id, Place { seq, streams: session.streams(session_id) });
    event.with_id(places.to_string())
}
