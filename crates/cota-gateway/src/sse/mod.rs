//! COTA's SSE channel: the WebSocket's frames, those of the server on `GET /sse`, those of the client on `POST /sse/message`.
//!
//! A stream is a session like a socket's. What a sender posts is for all streams of that sender, since a request cannot say which
//! one it means. A frame with a place in the record has an `id`, which names the places of all sessions that the stream has shown
//! messages of: a browser that connects again with it goes on there by itself.

mod message;
mod place;
mod reading;
mod stream;
mod streams;

pub(crate) use message::take;
pub use place::{Place, Places};
pub(crate) use reading::read;
pub(crate) use stream::open;
pub(crate) use streams::{Reader, Streams};
