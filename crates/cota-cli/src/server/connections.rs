//! Accepting connections and serving HTTP on each.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service as _;

use cota_gateway::ClientAddress;

use super::body::TimedBody;
use super::closing::{Closer, Closing};

/// How long a client may take to send a request's head, the quiet time before it included.
const HEAD: Duration = Duration::from_secs(60);
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 32 * 1024;
/// The pause after a connection could not be accepted: mostly because too many are open.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown` is done. Open ones are served on until the `closer` closes, and then to the end of
/// the request that is being answered.
pub(super) async fn accept(listener: TcpListener, router: Router, closer: &Closer, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => return,
        };
        match accepted {
            Ok((stream, peer)) => drop(tokio::spawn(serve(stream, ClientAddress(peer.ip()), router.clone(), closer.subscribe()))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, address: ClientAddress, router: Router, mut closing: Closing) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets of a connection may be late");
    }
    let service = service_fn(move |request| answer(router.clone(), address, request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = closing.begins() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn answer(mut router: Router, address: ClientAddress, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(address);
    router.call(request.map(TimedBody::new)).await
}
