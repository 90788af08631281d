//! Socket.IO over HTTP and WebSockets: requests find their connection by its `sid`, and one task for each connection owns it
//! and, once there is one, its socket.
//!
//! What is sent and when is the protocol's machine to say, what it means the gateway's. Here are the requests, the sockets, and
//! names that nobody can guess.

mod requests;
mod table;
mod task;

use axum::Router;
use axum::routing::any;

use cota_gateway::Gateway;
use cota_gateway::socketio::PATH;

use self::table::Table;
use super::closing::Closer;

/// What the requests work with.
#[derive(Clone)]
struct Shared {
    gateway: Gateway,
    table: Table,
    closer: Closer,
}

/// The route of Socket.IO. Connections close when the `closer` does.
pub(super) fn router(gateway: Gateway, closer: Closer) -> Router {
    Router::new().route(PATH, any(requests::serve)).with_state(Shared { gateway, table: Table::default(), closer })
}
