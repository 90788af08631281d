//! A Function URL that streams.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{self, Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;

use super::function::{Failed, Function};
use super::payload::{self, Head};
use super::query::pairs_of;

/// The largest request that Lambda takes.
const REQUEST_BYTES: usize = 6 * 1024 * 1024;

/// Serves a function over HTTP until it is dropped.
pub struct FunctionUrl {
    address: SocketAddr,
    serving: AbortHandle,
}

impl FunctionUrl {
    /// Listens on the loopback interface.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn start(function: Function) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the system has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new().fallback(forward).with_state(function);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { address, serving }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for FunctionUrl {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn forward(State(function): State<Function>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = body::to_bytes(body, REQUEST_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let query = parts.uri.query().unwrap_or_default();
    let event = event(parts.method.as_str(), parts.uri.path(), query, &parts.headers, &bytes);
    let mut pieces = function.stream(&event);
    let mut begun = Vec::new();
    let head = loop {
        match pieces.recv().await {
            Some(Ok(piece)) => begun.extend_from_slice(&piece),
            Some(Err(_)) | None => return (StatusCode::BAD_GATEWAY, "Internal Server Error").into_response(),
        }
        if let Some(head) = payload::split(&mut begun) {
            break head;
        }
    };
    answer(&head, begun, pieces)
}

fn answer(head: &Head, begun: Vec<u8>, pieces: UnboundedReceiver<Result<Bytes, Failed>>) -> Response {
    let rest = stream::unfold((Some(Bytes::from(begun)), pieces), |(begun, mut pieces)| async move {
        match begun.filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => Some((Ok(bytes), (None, pieces))),
            None => pieces.recv().await.map(|piece| (piece, (None, pieces))),
        }
    });
    let mut response = Response::builder().status(head.status_code);
    for (name, value) in &head.headers {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    for cookie in &head.cookies {
        response = response.header(SET_COOKIE, cookie);
    }
    response.body(Body::from_stream(rest)).expect("a function answers with good headers")
}

/// A request as a Function URL hands it over.
fn event(method: &str, path: &str, query: &str, headers: &HeaderMap, body: &[u8]) -> Json {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": joined(headers),
        "requestContext": {
            "accountId": "anonymous", "apiId": "local", "domainName": text("host"), "domainPrefix": "local",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": text("user-agent")},
            "requestId": format!("request-{}", REQUESTS.fetch_add(1, Ordering::Relaxed)), "routeKey": "$default", "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": u64::try_from(now).unwrap_or_default(),
        },
        "isBase64Encoded": false,
    });
    let cookies: Vec<&str> = text("cookie").split("; ").filter(|cookie| !cookie.is_empty()).collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in pairs_of(query) {
        pairs.entry(name).and_modify(|so_far| so_far.extend([",", &value])).or_insert(value);
    }
    if !pairs.is_empty() {
        event["queryStringParameters"] = json!(pairs);
    }
    match std::str::from_utf8(body) {
        Ok("") => {}
        Ok(body) if is_text(text("content-type")) => event["body"] = json!(body),
        Ok(_) | Err(_) => {
            event["body"] = json!(STANDARD.encode(body));
            event["isBase64Encoded"] = json!(true);
        }
    }
    event
}

/// Headers of one name, with commas between them.
fn joined(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut joined: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let text = value.to_str().unwrap_or_default();
        joined.entry(name.as_str()).and_modify(|so_far| so_far.extend([",", text])).or_insert_with(|| text.to_owned());
    }
    joined
}

/// Whether a body of this type is handed over as it is; any other is encoded.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/") || ["application/json", "application/javascript", "application/xml"].contains(&kind)
}
