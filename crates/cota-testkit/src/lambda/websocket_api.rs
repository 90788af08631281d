//! A WebSocket API with its management address: `$connect`, `$disconnect`, frames, and `@connections`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Json, RequestPartsExt as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::function::Function;
use super::query::pairs_of;

/// The largest frame that API Gateway takes, in either direction.
const FRAME_BYTES: usize = 32 * 1024;
/// The largest message that it posts.
const POST_BYTES: usize = 128 * 1024;

/// How a connection ended that was closed without a status, and one that was not closed.
const NO_STATUS: u16 = 1005;
const GONE: u16 = 1006;

/// Serves a function's connections until it is dropped.
pub struct WebSocketApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

struct Shared {
    function: Mutex<Option<Function>>,
    connections: Mutex<HashMap<String, mpsc::UnboundedSender<Sent>>>,
    made: AtomicU64,
    posts: AtomicU64,
}

/// What is sent to a client.
enum Sent {
    Text(Bytes),
    Close,
}

impl WebSocketApi {
    /// Listens on the loopback interface. It has no function yet, as a function is told this address when it starts.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the system has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            function: Mutex::default(),
            connections: Mutex::default(),
            made: AtomicU64::new(1),
            posts: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/test/@connections/{id}", any(manage))
            .route("/test/%40connections/{id}", any(manage))
            .fallback(upgrade)
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { address, shared, serving }
    }

    /// Which function takes the events.
    pub fn serve(&self, function: Function) {
        *lock(&self.shared.function) = Some(function);
    }

    /// Nobody takes the events any more: they are lost.
    pub fn forget_function(&self) {
        lock(&self.shared.function).take();
    }

    /// `host:port`, where clients connect.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// What goes into `COTA_CONNECTIONS_URL`.
    #[must_use]
    pub fn management(&self) -> String {
        format!("http://{}/test", self.address)
    }

    /// The ids of the open connections.
    #[must_use]
    pub fn connections(&self) -> Vec<String> {
        lock(&self.shared.connections).keys().cloned().collect()
    }

    /// How many messages were posted to connections.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.shared.posts.load(Ordering::Relaxed)
    }
}

impl Drop for WebSocketApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The upgrade comes to be when the function agrees; its refusal is the answer.
async fn upgrade(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let upgrade = match parts.extract::<WebSocketUpgrade>().await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let id = connection_id(shared.made.fetch_add(1, Ordering::Relaxed));
    let event = shared.event("$connect", &id, Some(&parts), None);
    let Some(status) = shared.answer(&event).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    if status != 200 {
        return StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    }
    upgrade.max_message_size(FRAME_BYTES).on_upgrade(move |socket| hold(shared, id, socket))
}

/// Holds a connection until either side ends it.
async fn hold(shared: Arc<Shared>, id: String, socket: WebSocket) {
    let (mut out, mut frames) = socket.split();
    let (sender, mut sent) = mpsc::unbounded_channel();
    lock(&shared.connections).insert(id.clone(), sender);
    let mut code = GONE;
    loop {
        tokio::select! {
            message = sent.recv() => match message {
                Some(Sent::Text(bytes)) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if out.send(Message::text(text)).await.is_err() {
                        break;
                    }
                }
                Some(Sent::Close) | None => {
                    let _ = out.send(Message::Close(Some(CloseFrame { code: 1000, reason: "".into() }))).await;
                    code = 1000;
                    break;
                }
            },
            frame = frames.next() => match frame {
                Some(Ok(Message::Text(text))) => shared.frame(&id, text.as_str().to_owned(), false),
                Some(Ok(Message::Binary(bytes))) => shared.frame(&id, STANDARD.encode(&bytes), true),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    code = frame.map_or(NO_STATUS, |frame| frame.code);
                    break;
                }
                Some(Err(_)) | None => break,
            },
        }
    }
    lock(&shared.connections).remove(&id);
    let mut event = shared.event("$disconnect", &id, None, None);
    event["requestContext"]["disconnectStatusCode"] = json!(code);
    shared.answer(&event).await;
}

/// `@connections`: posts, tells of, and ends a connection.
async fn manage(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signed =
        headers.get("authorization").and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 "));
    // As it is sent, so it is signed: a path that is not encoded has another signature at AWS.
    if !signed || !uri.path().contains("%40connections") {
        return (StatusCode::FORBIDDEN, Json(json!({"message": "Missing Authentication Token"}))).into_response();
    }
    let connections = lock(&shared.connections);
    let Some(connection) = connections.get(&id) else { return StatusCode::GONE.into_response() };
    match method {
        Method::POST if body.len() > POST_BYTES => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Method::POST => {
            shared.posts.fetch_add(1, Ordering::Relaxed);
            let _ = connection.send(Sent::Text(body));
            StatusCode::OK.into_response()
        }
        Method::GET => {
            let (at, identity) = ("2026-01-01T00:00:00Z", json!({"sourceIp": "127.0.0.1", "userAgent": ""}));
            Json(json!({"connectedAt": at, "identity": identity, "lastActiveAt": at})).into_response()
        }
        Method::DELETE => {
            let _ = connection.send(Sent::Close);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

impl Shared {
    /// Frames of one connection may be taken at once.
    fn frame(self: &Arc<Self>, id: &str, body: String, encoded: bool) {
        let event = self.event("$default", id, None, Some((body, encoded)));
        let (shared, id) = (Arc::clone(self), id.to_owned());
        tokio::spawn(async move {
            if shared.answer(&event).await.is_none()
                && let Some(connection) = lock(&shared.connections).get(&id)
            {
                let said =
                    json!({"message": "Internal server error", "connectionId": id, "requestId": event["requestContext"]["requestId"]});
                let _ = connection.send(Sent::Text(said.to_string().into()));
            }
        });
    }

    /// The status that the function answers with; none where it fails.
    async fn answer(&self, event: &Value) -> Option<u16> {
        let function = lock(&self.function).clone()?;
        let answer = function.invoke(event).await.ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        answer.get("statusCode")?.as_u64()?.try_into().ok()
    }

    fn event(&self, route: &str, id: &str, upgrade: Option<&Parts>, body: Option<(String, bool)>) -> Value {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        let kind = match route {
            "$connect" => "CONNECT",
            "$disconnect" => "DISCONNECT",
            _ => "MESSAGE",
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let request_id = connection_id(n);
        let mut event = json!({
            "requestContext": {
                "routeKey": route, "eventType": kind, "extendedRequestId": request_id, "requestTime": "01/Jan/2026:00:00:00 +0000",
                "messageDirection": "IN", "stage": "test", "connectedAt": u64::try_from(now).unwrap_or_default(),
                "requestTimeEpoch": u64::try_from(now).unwrap_or_default(), "identity": {"sourceIp": "127.0.0.1"},
                "requestId": request_id, "domainName": "127.0.0.1", "connectionId": id, "apiId": "local",
            },
            "isBase64Encoded": false,
        });
        if let Some(parts) = upgrade {
            let mut many: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (name, value) in &parts.headers {
                many.entry(name.to_string()).or_default().push(value.to_str().unwrap_or_default().to_owned());
            }
            let one: BTreeMap<&String, &String> = many.iter().filter_map(|(name, values)| Some((name, values.last()?))).collect();
            event["headers"] = json!(one);
            event["multiValueHeaders"] = json!(many);
            let query = parts.uri.query().unwrap_or_default();
            let pairs: BTreeMap<String, String> = pairs_of(query).collect();
            if !pairs.is_empty() {
                let many: BTreeMap<&String, [&String; 1]> = pairs.iter().map(|(name, value)| (name, [value])).collect();
                event["multiValueQueryStringParameters"] = json!(many);
                event["queryStringParameters"] = json!(pairs);
            }
        }
        if let Some((body, encoded)) = body {
            event["body"] = json!(body);
            event["requestContext"]["messageId"] = event["requestContext"]["requestId"].clone();
            event["isBase64Encoded"] = json!(encoded);
        }
        event
    }
}

/// As AWS makes them: base64 with padding.
fn connection_id(n: u64) -> String {
    STANDARD.encode(format!("cota{n:07}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
