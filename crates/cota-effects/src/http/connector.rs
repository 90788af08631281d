//! The way to a host: straight, or through the proxy that the environment names for it.

use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use tower_service::Service;

use super::resolver::CheckedResolver;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which hosts are reached through which proxy.
pub(super) type Proxies = Option<Arc<Matcher>>;

/// Connects to a host over TCP, and over TLS where its address says so.
pub(super) fn connector(resolver: CheckedResolver, tls: &Arc<ClientConfig>, proxies: Proxies) -> HttpsConnector<Way> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEP_ALIVE));
    let to_proxy = HttpsConnector::from((tcp.clone(), Arc::clone(tls)));
    HttpsConnector::from((Way { tcp, to_proxy, proxies }, Arc::clone(tls)))
}

/// What a proxy wants to know of whoever sends it a request for this address. A tunnel is told when it is made.
pub(super) fn proxy_authorization(proxies: &Proxies, uri: &Uri) -> Option<HeaderValue> {
    if is_tunnelled(uri) {
        return None;
    }
    proxies.as_ref()?.intercept(uri)?.basic_auth().cloned()
}

/// The way to a host, without the TLS that is spoken with the host itself.
#[derive(Clone)]
pub(super) struct Way {
    tcp: HttpConnector<CheckedResolver>,
    to_proxy: HttpsConnector<HttpConnector<CheckedResolver>>,
    proxies: Proxies,
}

impl Service<Uri> for Way {
    type Response = Leg;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Leg, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Some(proxy) = self.proxies.as_ref().and_then(|proxies| proxies.intercept(&uri)) else {
            let connecting = self.tcp.call(uri);
            return Box::pin(async move { Ok(Leg { stream: MaybeHttpsStream::Http(connecting.await?), is_forwarded: false }) });
        };
        let mut to_proxy = self.to_proxy.clone();
        if !is_tunnelled(&uri) {
            let connecting = to_proxy.call(proxy.uri().clone());
            return Box::pin(async move { Ok(Leg { stream: connecting.await?, is_forwarded: true }) });
        }
        let tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
        let mut tunnel = match proxy.basic_auth() {
            Some(proof) => tunnel.with_auth(proof.clone()),
            None => tunnel,
        };
        Box::pin(async move { Ok(Leg { stream: tunnel.call(uri).await?, is_forwarded: false }) })
    }
}

/// A proxy forwards plain requests, and passes on what it cannot read.
fn is_tunnelled(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// A connection to a host, or to the proxy before it.
pub(super) struct Leg {
    stream: MaybeHttpsStream<<HttpConnector<CheckedResolver> as Service<Uri>>::Response>,
    /// Whether a proxy forwards each request: it has to be told the whole address.
    is_forwarded: bool,
}

impl Connection for Leg {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_forwarded)
    }
}

impl Read for Leg {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Leg {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }
}
