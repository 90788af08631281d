//! Upstash's REST API over a Redis server: `/`, `/pipeline` and `/multi-exec` with a bearer token, as
//! <https://upstash.com/docs/redis/features/restapi> describes them. The official client is the judge of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, Cmd, Pipeline, RedisError, Value};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as JsonValue, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::redis::Redis;

/// What the service takes in one request.
const REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// The REST API of a Redis server of its own, until it is dropped.
pub struct Upstash {
    redis: Redis,
    address: SocketAddr,
    calls: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstash {
    /// The token that it wants.
    pub const TOKEN: &'static str = "a-token-for-tests";

    /// Starts both. It needs no runtime: it has a thread of its own.
    #[must_use]
    pub fn start() -> Self {
        let redis = Redis::start();
        let calls = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let (url, counted) = (redis.url(), Arc::clone(&calls));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a free port");
                let connection = Client::open(url).expect("an address").get_multiplexed_async_connection().await.expect("Redis answers");
                let _ = tell.send(listener.local_addr().expect("a listener has an address"));
                let serve = axum::serve(listener, router(Shim { connection, calls: counted }));
                tokio::select! {
                    _ = serve.into_future() => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the shim starts");
        Self { redis, address, calls, stop: Some(stop), thread: Some(thread) }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The Redis server behind it.
    pub fn redis(&mut self) -> &mut Redis {
        &mut self.redis
    }

    /// How many requests have come.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Upstash {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Shim {
    connection: MultiplexedConnection,
    calls: Arc<AtomicU64>,
}

fn router(shim: Shim) -> Router {
    Router::new()
        .route("/", post(single))
        .route("/pipeline", post(pipeline))
        .route("/multi-exec", post(multi_exec))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .with_state(shim)
}

/// An answer of the service, or its refusal.
type Answer = Result<Json<JsonValue>, (StatusCode, Json<JsonValue>)>;

async fn single(State(mut shim): State<Shim>, headers: HeaderMap, Json(words): Json<JsonValue>) -> Answer {
    let encoding = shim.enter(&headers)?;
    let answered = parsed(&words)?.query_async(&mut shim.connection).await;
    let value = answered.map_err(|error| refuse(StatusCode::BAD_REQUEST, &said(&error)))?;
    Ok(Json(json!({"result": encoding.json(&value)})))
}

/// Each command's answer, in order; one that fails spoils no other.
async fn pipeline(State(mut shim): State<Shim>, headers: HeaderMap, Json(commands): Json<Vec<JsonValue>>) -> Answer {
    let encoding = shim.enter(&headers)?;
    let mut answers = Vec::new();
    for words in &commands {
        let answer = match command(words) {
            Some(command) => command.query_async(&mut shim.connection).await.map_err(|error| said(&error)),
            None => Err(NO_COMMAND.to_owned()),
        };
        answers.push(answer.map_or_else(|error| json!({"error": error}), |value: Value| json!({"result": encoding.json(&value)})));
    }
    Ok(Json(answers.into()))
}

/// All or nothing.
async fn multi_exec(State(mut shim): State<Shim>, headers: HeaderMap, Json(commands): Json<Vec<JsonValue>>) -> Answer {
    let encoding = shim.enter(&headers)?;
    let mut transaction = Pipeline::new();
    transaction.atomic();
    for words in &commands {
        transaction.add_command(parsed(words)?);
    }
    let answered = transaction.query_async::<Vec<Value>>(&mut shim.connection).await;
    let values = answered.map_err(|error| refuse(StatusCode::BAD_REQUEST, &said(&error)))?;
    Ok(Json(values.iter().map(|value| json!({"result": encoding.json(value)})).collect()))
}

impl Shim {
    /// Lets a request in, and says how it wants its answer.
    fn enter(&self, headers: &HeaderMap) -> Result<Encoding, (StatusCode, Json<JsonValue>)> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("authorization") != format!("Bearer {}", Upstash::TOKEN) {
            return Err(refuse(StatusCode::UNAUTHORIZED, "WRONGPASS invalid or missing auth token"));
        }
        Ok(if header("upstash-encoding") == "base64" { Encoding::Base64 } else { Encoding::Plain })
    }
}

const NO_COMMAND: &str = "ERR failed to parse command";

fn refuse(status: StatusCode, error: &str) -> (StatusCode, Json<JsonValue>) {
    (status, Json(json!({"error": error})))
}

fn parsed(words: &JsonValue) -> Result<Cmd, (StatusCode, Json<JsonValue>)> {
    command(words).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, NO_COMMAND))
}

fn command(words: &JsonValue) -> Option<Cmd> {
    let words = words.as_array().filter(|words| !words.is_empty())?;
    let mut command = Cmd::new();
    for word in words {
        match word {
            JsonValue::String(text) => command.arg(text),
            JsonValue::Number(_) | JsonValue::Bool(_) => command.arg(word.to_string()),
            JsonValue::Null | JsonValue::Array(_) | JsonValue::Object(_) => return None,
        };
    }
    Some(command)
}

/// The error as Redis words it.
fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (_, _) => error.to_string(),
    }
}

/// How strings stand in an answer.
#[derive(Clone, Copy)]
enum Encoding {
    Plain,
    Base64,
}

impl Encoding {
    #[allow(clippy::wildcard_enum_match_arm, reason = "the client speaks the second version of Redis' protocol, which has no others")]
    fn json(self, value: &Value) -> JsonValue {
        match value {
            Value::Nil => JsonValue::Null,
            Value::Okay => json!("OK"),
            Value::Int(number) => json!(number),
            Value::SimpleString(text) => self.text(text.as_bytes()),
            Value::BulkString(bytes) => self.text(bytes),
            Value::Array(values) => values.iter().map(|value| self.json(value)).collect(),
            other => panic!("an answer that is none: {other:?}"),
        }
    }

    fn text(self, bytes: &[u8]) -> JsonValue {
        match self {
            Self::Plain => String::from_utf8_lossy(bytes).into(),
            Self::Base64 => BASE64_STANDARD.encode(bytes).into(),
        }
    }
}
