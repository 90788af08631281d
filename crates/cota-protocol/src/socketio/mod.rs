//! Socket.IO 5 over Engine.IO 4: the codecs of both, and a server's side of one connection as a machine without I/O.
//!
//! - [`engine`]: packets of the transport, one by one and as the body of a long poll.
//! - [`Packet`]: what Socket.IO says within a message of the transport; [`Assembler`] waits for its binary attachments.
//! - [`Request`]: what an HTTP request wants, and [`RequestError`] why it does not get it.
//! - [`Session`]: handshake, heartbeat, upgrade from polling to WebSocket, namespaces, acknowledgements, limits. The host owns the
//!   sockets and the clock: it hands in what arrives and the time, and sends what comes out.
//! - [`ClientEvent`] and [`server_event`]: the events of COTA's channel and of Rasa's, and the frames they stand for.
//!
//! The codecs take what the published protocol allows and a bit more where the meaning is plain (base64 without padding, data
//! behind a packet that has none). What has no meaning is a typed error, and ends the connection as the protocol wants it.

mod assembler;
pub mod engine;
mod events;
mod namespace;
mod packet;
mod request;
mod session;

pub use assembler::{Assembler, AssemblyError};
pub use events::{Answer, ClientEvent, Saying, plain_server_event, server_event};
pub use namespace::Namespace;
pub use packet::{AckId, Arguments, Body, MOST_ATTACHMENTS, Packet, PacketError};
pub use request::{Method, Request, RequestError};
pub use session::{CloseReason, Event, Session, Settings};
