//! The HTTP, WebSocket and Socket.IO server of `cota run`.
//!
//! The routes and the frames are `cota-gateway`'s; here are the sockets: [`bind`] listens, [`serve`] accepts until it is told to
//! stop. Every wait for a client has an end, and every buffer a limit.

mod body;
mod closing;
mod connections;
mod patience;
mod socket;
mod socketio;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};

use cota_driver::host::Host;
use cota_gateway::{Gateway, Options};

use closing::Closer;

/// How long open connections may take to end once all turns have.
const GRACE: Duration = Duration::from_secs(5);

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another process listens there.
    #[error("{address} is in use by another process: end that one, or choose another port with --port")]
    InUse {
        /// Where.
        address: String,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {address}: {source}; choose another address with --host and --port")]
    CannotListen {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Listens on `host`, a name or an address, and `port`; 0 takes any free one.
///
/// # Errors
/// If that cannot be had.
pub async fn bind(host: &str, port: u16) -> Result<TcpListener, ServerError> {
    let fails = |source: io::Error| {
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        if source.kind() == io::ErrorKind::AddrInUse {
            ServerError::InUse { address }
        } else {
            ServerError::CannotListen { address, source }
        }
    };
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(fails)?.collect();
    TcpListener::bind(addresses.as_slice()).await.map_err(fails)
}

/// Serves the host's conversations until `shutdown` is done: then it stops accepting, lets running turns finish and their answers
/// out, closes the sockets and returns. Unfinished work of others is taken up only while the caller runs [`Host::watch`].
pub async fn serve(listener: TcpListener, host: Arc<Host>, options: Options, shutdown: impl Future<Output = ()>) {
    let gateway = Gateway::new(host.clone(), options);
    let closer = Closer::new();
    let router =
        gateway.router_with(socket::router(gateway.clone(), closer.clone()).merge(socketio::router(gateway.clone(), closer.clone())));
    connections::accept(listener, router, &closer, shutdown).await;
    tracing::info!("stopping: running turns finish");
    host.stop().await;
    if tokio::time::timeout(GRACE, closer.close()).await.is_err() {
        tracing::warn!("some clients were cut off: they did not take their answers in time");
    }
}
