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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service as _;

use cota_gateway::ClientAddress;

use super::body::TimedBody;
use super::closing::{Closer, Closing, ending_with};
use super::patience::Patience;

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
            Ok((stream, peer)) => {
                let served = Served { router: router.clone(), address: ClientAddress(peer.ip()), closer: closer.clone() };
                drop(tokio::spawn(serve(stream, served, closer.subscribe())));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What a connection works with.
#[derive(Clone)]
struct Served {
    router: Router,
    address: ClientAddress,
    closer: Closer,
}

async fn serve(stream: TcpStream, served: Served, closing: Closing) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets of a connection may be late");
    }
    speak(stream, served, closing).await;
}

/// Answers requests to the connection's end.
async fn speak<S>(stream: S, served: Served, mut closing: Closing)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(served.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Patience::with(stream)), service).with_upgrades());
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

async fn answer(mut served: Served, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(served.address);
    let answer = served.router.call(request.map(TimedBody::new)).await?;
    Ok(ending_with(&served.closer, answer))
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::routing::{get, post};
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    /// The client's end of a connection.
    fn connect() -> DuplexStream {
        let (near, far) = duplex(64 * 1024);
        let router = Router::new().route("/", post(|body: Result<Bytes, _>| async move { body.map(|_| "taken") }));
        let (served, closing) = served(router);
        tokio::spawn(speak(far, served, closing));
        near
    }

    fn served(router: Router) -> (Served, Closing) {
        let closer = Closer::new();
        let closing = closer.subscribe();
        (Served { router, address: ClientAddress("192.0.2.1".parse().unwrap()), closer }, closing)
    }

    /// Sends `begin`, then a byte every five seconds; what is answered, and after how many seconds the connection is over.
    async fn drip(begin: &str) -> (String, u64) {
        let began = Instant::now();
        let (mut read, mut write) = tokio::io::split(connect());
        write.write_all(begin.as_bytes()).await.unwrap();
        let dripping = async {
            loop {
                sleep(Duration::from_secs(5)).await;
                if write.write_all(b"x").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut answer = Vec::new();
        tokio::select! {
            _ = read.read_to_end(&mut answer) => {}
            () = dripping => {}
        }
        (String::from_utf8(answer).unwrap(), began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_byte_now_and_then_does_not_hold_a_connection() {
        let (answer, seconds) = drip("POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
        assert_eq!((answer.as_str(), seconds), ("", HEAD.as_secs()), "a head that does not end");
        let (answer, seconds) = drip("").await;
        assert_eq!((answer.as_str(), seconds), ("", HEAD.as_secs()), "a head that does not begin");
        let (answer, seconds) = drip("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx").await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && (15..20).contains(&seconds), "a body that does not end: {seconds} s, {answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_what_it_asked_for_does_not_hold_a_connection() {
        let began = Instant::now();
        let (mut near, far) = duplex(4 * 1024);
        let endless = || async { Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1024])))) };
        let router = Router::new().route("/", get(endless));
        let (served, closing) = served(router);
        let served = tokio::spawn(speak(far, served, closing));
        near.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        for _ in 0..4 {
            sleep(Duration::from_secs(20)).await;
            assert!(near.read(&mut [0; 1024]).await.unwrap() > 0, "slowly is not too slowly");
        }
        served.await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 110, "thirty seconds in which nothing is taken are");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_slowly_but_in_time_is_answered() {
        let mut stream = connect();
        for part in ["POST / HTTP/1.1\r\n", "Host: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", "o", "k"] {
            sleep(Duration::from_secs(7)).await;
            stream.write_all(part.as_bytes()).await.unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("taken"), "{answer}");
    }
}
