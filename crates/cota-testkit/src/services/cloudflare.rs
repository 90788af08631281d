//! The part of Cloudflare's REST API that reads and writes values of Workers KV, in memory, as
//! <https://developers.cloudflare.com/api/resources/kv/> describes it. Cloudflare's own client is the judge of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value as JsonValue, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What KV takes as a value.
const VALUE_BYTES: usize = 25 * 1024 * 1024;

/// A value and its metadata.
type Values = BTreeMap<String, (Vec<u8>, JsonValue)>;

/// One account with one namespace, until it is dropped.
pub struct Cloudflare {
    address: SocketAddr,
    values: Arc<Mutex<Values>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cloudflare {
    /// The token that it wants.
    pub const TOKEN: &'static str = "a-token-for-tests";
    /// The account that it knows.
    pub const ACCOUNT: &'static str = "023e105f4ecef8ad9ca31a8372d0c353";
    /// The namespace that it knows.
    pub const NAMESPACE: &'static str = "0f2ac74b498b48028cb68387c421e279";

    /// Starts it. It needs no runtime: it has a thread of its own.
    #[must_use]
    pub fn start() -> Self {
        let values = Arc::<Mutex<Values>>::default();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let kept = Arc::clone(&values);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a free port");
                let _ = tell.send(listener.local_addr().expect("a listener has an address"));
                tokio::select! {
                    _ = axum::serve(listener, router(kept)).into_future() => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the double starts");
        Self { address, values, stop: Some(stop), thread: Some(thread) }
    }

    /// What stands before the paths of the API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    /// A value and its metadata.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<(Vec<u8>, JsonValue)> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Drop for Cloudflare {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn router(values: Arc<Mutex<Values>>) -> Router {
    Router::new()
        .route("/client/v4/accounts/{account}/storage/kv/namespaces/{namespace}/values/{name}", get(read).put(write))
        .layer(DefaultBodyLimit::max(VALUE_BYTES + 64 * 1024))
        .with_state(values)
}

type Place = Path<(String, String, String)>;

async fn read(State(values): State<Arc<Mutex<Values>>>, Path((account, namespace, name)): Place, headers: HeaderMap) -> Response {
    if let Err(refused) = enter(&headers, &account, &namespace) {
        return refused.into_response();
    }
    match values.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
        Some((value, _)) => ([("content-type", "application/octet-stream")], value.clone()).into_response(),
        None => refuse(StatusCode::NOT_FOUND, 10009, "get: 'key not found'").into_response(),
    }
}

async fn write(
    State(values): State<Arc<Mutex<Values>>>,
    Path((account, namespace, name)): Place,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refused) = enter(&headers, &account, &namespace) {
        return refused.into_response();
    }
    let Some((value, metadata)) = form(&headers, body).await else {
        return refuse(StatusCode::BAD_REQUEST, 10033, "the form has no value").into_response();
    };
    if value.len() > VALUE_BYTES {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, 10030, "value too large").into_response();
    }
    values.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (value, metadata));
    Json(json!({"success": true, "errors": [], "messages": [], "result": {}})).into_response()
}

/// The value and its metadata: a form's, or the body itself.
async fn form(headers: &HeaderMap, body: Bytes) -> Option<(Vec<u8>, JsonValue)> {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(content_type) else { return Some((body.to_vec(), JsonValue::Null)) };
    let mut parts = multer::Multipart::new(futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]), boundary);
    let (mut value, mut metadata) = (None, JsonValue::Null);
    while let Some(part) = parts.next_field().await.ok()? {
        match part.name() {
            Some("value") => value = Some(part.bytes().await.ok()?.to_vec()),
            Some("metadata") => metadata = serde_json::from_slice(&part.bytes().await.ok()?).ok()?,
            Some(_) | None => {}
        }
    }
    Some((value?, metadata))
}

fn enter(headers: &HeaderMap, account: &str, namespace: &str) -> Result<(), (StatusCode, Json<JsonValue>)> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if token != format!("Bearer {}", Cloudflare::TOKEN) || account != Cloudflare::ACCOUNT {
        return Err(refuse(StatusCode::FORBIDDEN, 10000, "Authentication error"));
    }
    if namespace != Cloudflare::NAMESPACE {
        return Err(refuse(StatusCode::NOT_FOUND, 10013, "namespace not found"));
    }
    Ok(())
}

fn refuse(status: StatusCode, code: u32, message: &str) -> (StatusCode, Json<JsonValue>) {
    (status, Json(json!({"success": false, "errors": [{"code": code, "message": message}], "messages": [], "result": null})))
}
