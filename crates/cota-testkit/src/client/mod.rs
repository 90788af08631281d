//! Clients of a running server, whatever it runs on: plain HTTP, COTA's frames on a WebSocket and on event streams, a little
//! Socket.IO, and a reader of the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a server that answers otherwise ends the test"
)]

pub mod events;
pub mod http;
pub mod record;
pub mod socket;
pub mod socketio;
pub mod task;

pub use record::Record;
pub use socket::Socket;
