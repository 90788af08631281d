//! Socket.IO: COTA's and Rasa's events on one connection, both at once, over polling or a WebSocket.
//!
//! A target [admits](crate::Gateway::admit) every request, opens a [`Connection`] with
//! [`Gateway::open_socketio`](crate::Gateway::open_socketio), hands in what arrives, awaits [`Connection::next`] meanwhile, and
//! after each of them sends what [`Connection::engine`] has to say. The connection has no task and no timer of its own.
//!
//! Who speaks is settled by the first of `login`, an event's `sender_id` and `?sender_id=`; from then on the connection is a
//! [`websocket::Session`](crate::websocket::Session) in other words, with its rooms, cursors and limits. While the client leaves
//! things unread, the session is asked for nothing more.

mod channel;
mod connection;
mod open;

pub use connection::Connection;
pub use open::Names;

/// Where Socket.IO is.
pub const PATH: &str = "/socket.io/";
