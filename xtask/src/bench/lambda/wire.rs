//! What stands between the functions and DynamoDB, and counts what DynamoDB would charge for.
//!
//! Reads are charged as DynamoDB Local says. Writes are counted here by DynamoDB's own rule, for DynamoDB Local rounds up a
//! transaction as a whole: a unit for each item and started KB, two in a transaction. What an update or a deletion finds is not
//! on the wire; none of these items has more than a KB.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// Bytes of an item that one unit writes.
const UNIT_BYTES: usize = 1024;
/// What the partitions of the ledger begin with, as JSON.
const LEDGER: &str = "\"ledger/";

/// What was asked of DynamoDB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// Calls for conversations.
    pub(super) conversations: f64,
    /// Calls for the ledger: who is connected, who sits in a room.
    pub(super) ledger: f64,
    pub(super) read_units: f64,
    pub(super) write_units: f64,
}

impl Asked {
    /// Of so many turns one's part.
    pub(super) fn each(self, turns: usize) -> Self {
        let each = |sum: f64| sum / turns as f64;
        Self {
            conversations: each(self.conversations),
            ledger: each(self.ledger),
            read_units: each(self.read_units),
            write_units: each(self.write_units),
        }
    }
}

/// Passes calls on until it is dropped.
pub(super) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

struct Shared {
    client: reqwest::Client,
    database: String,
    asked: Mutex<Asked>,
}

impl Wire {
    pub(super) async fn start(database: &str) -> Result<Self> {
        // The client wants to know who would encrypt, though nobody does on the loopback interface. A second install is refused.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
        let shared = Arc::new(Shared { client, database: database.to_owned(), asked: Mutex::default() });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self { address, shared, serving })
    }

    /// What a function takes for DynamoDB.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked since this was called last.
    pub(super) fn take(&self) -> Asked {
        std::mem::take(&mut *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match shared.pass(headers, body).await {
        Ok(answer) => answer,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

impl Shared {
    async fn pass(&self, mut headers: HeaderMap, body: Bytes) -> Result<Response> {
        headers.remove(header::HOST);
        let answer = self.client.post(&self.database).headers(headers).body(body.clone()).send().await?;
        let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
        let said = answer.bytes().await?;
        self.count(&body, &said);
        let mut response = Response::new(Body::from(said));
        *response.status_mut() = status;
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Ok(response)
    }

    fn count(&self, request: &[u8], answer: &[u8]) {
        let of_ledger = request.windows(LEDGER.len()).any(|window| window == LEDGER.as_bytes());
        let (request, answer): (Json, Json) =
            (serde_json::from_slice(request).unwrap_or_default(), serde_json::from_slice(answer).unwrap_or_default());
        let written = units(&request);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match of_ledger {
            true => asked.ledger += 1.0,
            false => asked.conversations += 1.0,
        }
        if written == 0 {
            asked.read_units += read_units(&answer);
        }
        asked.write_units += written as f64;
    }
}

/// The units that an answer says were read.
fn read_units(answer: &Json) -> f64 {
    let of = |capacity: &Json| capacity.get("CapacityUnits").and_then(Json::as_f64).unwrap_or(0.0);
    match answer.get("ConsumedCapacity") {
        Some(Json::Array(tables)) => tables.iter().map(of).sum(),
        Some(capacity) => of(capacity),
        None => 0.0,
    }
}

/// The units that a request writes; none where it reads.
fn units(request: &Json) -> usize {
    if let Some(items) = request.get("TransactItems").and_then(Json::as_array) {
        let item = |part: &Json| part.pointer("/Put/Item").map_or(UNIT_BYTES, bytes_of_map);
        return items.iter().map(|part| 2 * item(part).div_ceil(UNIT_BYTES)).sum();
    }
    match request.get("Item") {
        Some(item) => bytes_of_map(item).div_ceil(UNIT_BYTES),
        // A deletion says what it wants back, a read what it wants to see.
        None => usize::from(request.get("ReturnValues").is_some()),
    }
}

/// The bytes of attributes: their names and their values.
fn bytes_of_map(attributes: &Json) -> usize {
    attributes.as_object().into_iter().flatten().map(|(name, value)| name.len() + bytes_of(value)).sum()
}

/// The bytes of a value, as DynamoDB documents them.
fn bytes_of(value: &Json) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    match (kind.as_str(), value) {
        ("S", Json::String(text)) => text.len(),
        ("B", Json::String(base64)) => base64.len() / 4 * 3,
        ("N", Json::String(digits)) => digits.len() / 2 + 2,
        ("M", map) => 3 + bytes_of_map(map),
        ("L", Json::Array(items)) => 3 + items.iter().map(|item| 1 + bytes_of(item)).sum::<usize>(),
        _ => 1,
    }
}
