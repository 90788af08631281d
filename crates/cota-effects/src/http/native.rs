use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::connector::{Proxies, connector, proxy_authorization};
use super::pool::{Failure, Pool};
use super::resolver::{self, CheckedResolver, Lookup};
use super::{BodyStream, HttpError, HttpRequest, HttpResponse, HttpSend};
use cota_driver::address::{Forbidden, Reach};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("cota/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");

/// The variables that name certificates to trust.
const NAMED_CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Whose certificates are trusted where neither `SSL_CERT_FILE` nor `SSL_CERT_DIR` names others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those of the system, or Mozilla's where it has none.
    #[default]
    System,
    /// Mozilla's, which are compiled in: reading the system's takes longer than all else that a short-lived process begins with.
    Mozilla,
}

/// HTTP for servers, laptops and functions: pooled connections, TLS by rustls.
///
/// Hosts that the bot's author named are reached through the proxy of `HTTPS_PROXY` and its kin, where one is set. Hosts that
/// a slot or a redirect named never are: a proxy would resolve the name itself, and nobody would check what it stands for.
#[derive(Clone)]
pub struct NativeHttp {
    named: Pool,
    public: Pool,
    proxies: Proxies,
}

/// Why the client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct NativeHttpError(String);

impl NativeHttp {
    /// Sets up the client. Certificates that are not compiled in are read now.
    ///
    /// # Errors
    /// When the TLS settings are not usable.
    pub fn new(trust: Trust) -> Result<Self, NativeHttpError> {
        let are_named = NAMED_CERTIFICATES.iter().any(|name| std::env::var_os(name).is_some());
        Self::with(&resolver::system(), Matcher::from_env(), if are_named { Trust::System } else { trust })
    }

    fn with(lookup: &Lookup, proxies: Matcher, trust: Trust) -> Result<Self, NativeHttpError> {
        let tls = Arc::new(tls_config(trust)?);
        let proxies = Some(Arc::new(proxies));
        let pool = |reach, proxies| Pool::new(connector(CheckedResolver::new(reach, Arc::clone(lookup)), &tls, proxies));
        Ok(Self { named: pool(Reach::Named, proxies.clone()), public: pool(Reach::Public, None), proxies })
    }
}

#[async_trait]
impl HttpSend for NativeHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (pool, proxies) = match request.reach() {
            Reach::Named => (&self.named, &self.proxies),
            Reach::Public => (&self.public, &None),
        };
        let response = pool.request(outgoing(request, proxies)?).await.map_err(|failure| match failure {
            Failure::Connect(fault) => classify(fault.as_ref(), true),
            Failure::Cut(fault) => classify(fault.as_ref(), false),
        })?;
        let (head, body) = response.into_parts();
        let body = body.map_err(|fault| classify(fault.as_ref(), false));
        Ok(HttpResponse { status: head.status, headers: head.headers, body: BodyStream::new(body) })
    }
}

/// The request with what its headers leave open.
fn outgoing(request: HttpRequest, proxies: &Proxies) -> Result<Request<Full<Bytes>>, HttpError> {
    let (method, mut url, mut headers, body) = request.into_parts();
    if let Some(proof) = user_in(&mut url) {
        headers.entry(AUTHORIZATION).or_insert(proof);
    }
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(ACCEPT).or_insert(ANYTHING);
    // Whatever may stand in a URL may stand here, too, so long as it is no longer than 65,534 bytes.
    let uri = Uri::try_from(url.as_str()).map_err(|_| HttpError::Connect)?;
    if let Some(proof) = proxy_authorization(proxies, &uri) {
        headers.insert(PROXY_AUTHORIZATION, proof);
    }
    let mut outgoing = Request::new(Full::new(body));
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
}

/// Takes `user:password@` out of an address: it is a header on its way (RFC 7617).
fn user_in(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let plain = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [plain(url.username()), plain(url.password().unwrap_or_default())].join(&b':');
    let proof = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok().map(|mut proof| {
        proof.set_sensitive(true);
        proof
    });
    // Neither fails for an address with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    proof
}

fn tls_config(trust: Trust) -> Result<ClientConfig, NativeHttpError> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| NativeHttpError(error.to_string()))?
        .with_root_certificates(roots(trust))
        .with_no_client_auth();
    Ok(config)
}

fn roots(trust: Trust) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    if trust == Trust::System {
        // It heeds the variables.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn classify(error: &(dyn Error + 'static), is_connect: bool) -> HttpError {
    tracing::debug!(cause = root_cause(error), "HTTP request failed");
    if let Some(forbidden) = causes(error).find_map(|cause| cause.downcast_ref::<Forbidden>()) {
        HttpError::Forbidden(*forbidden)
    } else if causes(error).any(|cause| cause.is::<rustls::Error>()) {
        HttpError::Tls
    } else if is_connect {
        HttpError::Connect
    } else {
        HttpError::Cut
    }
}

/// An error and its causes. An I/O error hides the error it wraps from `source`.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
        None => error.source(),
    })
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::StreamExt as _;
    use futures_util::future::join_all;
    use futures_util::stream::FuturesUnordered;
    use http::Method;
    use http::header::HOST;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn client(address: &'static str) -> NativeHttp {
        through(Matcher::builder().build(), address)
    }

    fn through(proxies: Matcher, address: &'static str) -> NativeHttp {
        let lookup: Lookup = Arc::new(move |_| Box::pin(async move { Ok(vec![address.parse().unwrap()]) }));
        NativeHttp::with(&lookup, proxies, Trust::System).unwrap()
    }

    #[test]
    fn what_is_compiled_in_is_trusted_without_anything_being_read() {
        assert_eq!(roots(Trust::Mozilla).len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }

    fn get(url: &str, reach: Reach) -> HttpRequest {
        HttpRequest::new(Method::GET, Url::parse(url).unwrap(), reach).unwrap()
    }

    async fn failure(client: &NativeHttp, url: &str, reach: Reach) -> HttpError {
        match client.send(get(url, reach)).await {
            Ok(response) => panic!("answered with {}", response.status),
            Err(error) => error,
        }
    }

    /// Answers one request with 200 and nothing else, and returns its head.
    async fn hear_one(listener: TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        String::from_utf8(head).unwrap()
    }

    /// A proxy that wants to know of whoever asks, and the settings that name it.
    async fn proxy() -> (TcpListener, Matcher) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, Matcher::builder().all(format!("http://ann:secret@{address}")).no("left.example").build())
    }

    /// `ann:secret`, by RFC 7617.
    const PROOF: &str = "Basic YW5uOnNlY3JldA==";

    #[tokio::test]
    async fn a_public_name_that_stands_for_a_private_address_is_refused_where_a_slot_named_it() {
        let client = client("127.0.0.1:0");
        let url = "http://rebound.example:1/";
        assert_eq!(failure(&client, url, Reach::Public).await, HttpError::Forbidden(Forbidden::Private));
        assert_eq!(failure(&client, url, Reach::Named).await, HttpError::Connect);
    }

    #[tokio::test]
    async fn a_name_that_stands_for_a_metadata_service_is_refused_whoever_named_it() {
        let client = client("169.254.169.254:0");
        for reach in [Reach::Public, Reach::Named] {
            assert_eq!(failure(&client, "http://rebound.example/", reach).await, HttpError::Forbidden(Forbidden::Metadata));
        }
    }

    #[tokio::test]
    async fn a_proxy_forwards_a_plain_request_by_its_whole_address() {
        let (listener, proxies) = proxy().await;
        let client = through(proxies, "127.0.0.1:0");
        let (answer, head) = tokio::join!(client.send(get("http://a.example/x?y=1", Reach::Named)), hear_one(listener));
        assert_eq!(answer.unwrap().status, 200);
        assert!(head.starts_with("GET http://a.example/x?y=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: a.example\r\n") && head.contains(&format!("proxy-authorization: {PROOF}\r\n")), "{head}");
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_tunnel_where_the_host_speaks_tls() {
        let (listener, proxies) = proxy().await;
        let client = through(proxies, "127.0.0.1:0");
        let request = get("https://a.example/x", Reach::Named);
        let (answer, head) = tokio::join!(client.send(request), hear_one(listener));
        assert!(answer.is_err(), "the tunnel leads nowhere");
        assert!(head.starts_with("CONNECT a.example:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_ascii_lowercase().contains(&format!("proxy-authorization: {}\r\n", PROOF.to_ascii_lowercase())), "{head}");
    }

    #[tokio::test]
    async fn hosts_that_a_slot_named_or_the_settings_leave_out_are_reached_without_the_proxy() {
        let (_listener, proxies) = proxy().await;
        let client = through(proxies, "127.0.0.1:1");
        assert_eq!(failure(&client, "http://a.example/", Reach::Public).await, HttpError::Forbidden(Forbidden::Private));
        assert_eq!(failure(&client, "http://left.example/", Reach::Named).await, HttpError::Connect);
    }

    #[tokio::test]
    async fn a_user_in_an_address_becomes_a_header() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://ann:secret@{}/", listener.local_addr().unwrap());
        let client = client("127.0.0.1:0");
        let (answer, head) = tokio::join!(client.send(get(&url, Reach::Named)), hear_one(listener));
        assert!(answer.is_ok());
        assert!(head.contains(&format!("authorization: {PROOF}\r\n")) && !head.contains("secret"), "{head}");
        assert!(head.contains(&format!("{}: 127.0.0.1", HOST)), "{head}");
    }

    /// Answers so many requests on each connection, in one write each, and hangs up; counts the connections.
    async fn serve(listener: TcpListener, answers: usize, answer: &str, connections: &AtomicUsize) {
        let on_one = |mut stream: TcpStream| async move {
            for _ in 0..answers {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    connections.fetch_add(1, Ordering::Relaxed);
                    open.push(on_one(accepted.unwrap().0));
                }
                Some(()) = open.next() => {}
            }
        }
    }

    /// How many connections it takes to ask in so many rounds, so many at a time, and to read so many pieces of each answer.
    async fn connections(rounds: usize, at_once: usize, pieces: usize, answers: usize, rest: &str) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = client("127.0.0.1:0");
        let ask = || async {
            let mut body = client.send(get(&url, Reach::Named)).await.unwrap().body;
            for _ in 0..pieces {
                body.next().await.unwrap();
            }
        };
        let talk = async {
            for _ in 0..rounds {
                join_all((0..at_once).map(|_| ask())).await;
                // The runtime looks at its sockets before the next round: a host that has hung up is heard.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let count = AtomicUsize::new(0);
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n{rest}");
        tokio::select! {
            () = serve(listener, answers, &answer, &count) => {}
            () = talk => {}
        }
        count.into_inner()
    }

    #[tokio::test]
    async fn a_connection_is_used_again_unless_the_host_has_hung_up() {
        let rest = "4\r\nlast\r\n0\r\n\r\n";
        assert_eq!(connections(3, 1, 3, 9, rest).await, 1);
        assert_eq!(connections(3, 5, 3, 9, rest).await, 5, "as many as are asked at once");
        assert_eq!(connections(3, 1, 3, 1, rest).await, 3, "the host hangs up");
    }

    #[tokio::test]
    async fn a_connection_whose_answer_is_left_unread_is_used_again_only_where_the_rest_is_there() {
        assert_eq!(connections(3, 1, 1, 9, "0\r\n\r\n").await, 1);
        assert_eq!(connections(3, 1, 1, 9, "4\r\nla").await, 3);
    }
}
