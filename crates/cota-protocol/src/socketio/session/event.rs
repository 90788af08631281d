use serde_json::{Map, Value as Json};

#[cfg(doc)]
use super::Session;
use crate::socketio::assembler::AssemblyError;
use crate::socketio::engine::EngineError;
use crate::socketio::{AckId, Arguments, Namespace};

/// What the application is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The client asks to enter a namespace; [`Session::accept`] or [`Session::refuse`] answers.
    Connecting {
        /// Which.
        namespace: Namespace,
        /// What it says of itself.
        auth: Map<String, Json>,
    },
    /// The client emitted an event.
    Emitted {
        /// Where.
        namespace: Namespace,
        /// What happened.
        name: String,
        /// The rest of it.
        arguments: Arguments,
        /// Under which number it wants an answer; [`Session::acknowledge`] gives it.
        ack: Option<AckId>,
    },
    /// The client left a namespace.
    Left(Namespace),
    /// The connection is over, and with it every namespace. It is the last event.
    Closed(CloseReason),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The client said so.
    #[error("the client closed the connection")]
    ByClient,
    /// The server said so.
    #[error("the server closed the connection")]
    ByServer,
    /// The socket is gone.
    #[error("the socket broke off")]
    SocketGone,
    /// No pong came in time.
    #[error("the client did not answer a ping in time")]
    PingTimeout,
    /// The client entered no namespace in time.
    #[error("the client was in no namespace for too long")]
    Alone,
    /// Two requests waited for packets at once.
    #[error("a second poll came while one was waiting")]
    SecondPoll,
    /// The request that waited for packets broke off.
    #[error("the request that waited for packets broke off")]
    PollGone,
    /// A frame or body was too large.
    #[error("the client sent more than {0} bytes at once")]
    TooLarge(usize),
    /// The client does not read what it is sent.
    #[error("the client left too much unread")]
    Unread,
    /// A frame or body was not text in UTF-8.
    #[error("the client sent text that is not UTF-8")]
    NotUtf8,
    /// What came is no packet of the transport.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What came is no packet of Socket.IO.
    #[error(transparent)]
    Packet(#[from] AssemblyError),
    /// What came is a packet that a client may not send, or not then.
    #[error("the client sent a packet that has no place there")]
    OutOfPlace,
}
