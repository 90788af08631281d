//! Lambda's Runtime API, as one environment sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::AbortHandle;

/// An event for a function, and where its answer goes.
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) event: String,
    pub(super) deadline_ms: u64,
    pub(super) answer: mpsc::UnboundedSender<Piece>,
}

/// A piece of an answer.
pub(super) enum Piece {
    Bytes(Bytes),
    /// The function says that there is none.
    Failed {
        kind: String,
        message: String,
    },
    End,
}

/// The API, until it is dropped.
pub(super) struct RuntimeApi {
    address: SocketAddr,
    events: mpsc::UnboundedSender<Invocation>,
    waiting: watch::Receiver<bool>,
    serving: AbortHandle,
}

struct Shared {
    name: String,
    events: Mutex<mpsc::UnboundedReceiver<Invocation>>,
    present: Mutex<Option<Invocation>>,
    waiting: watch::Sender<bool>,
}

impl RuntimeApi {
    pub(super) async fn start(name: &str) -> Self {
        let (events, heard) = mpsc::unbounded_channel();
        let (waiting, is_waiting) = watch::channel(false);
        let shared = Shared { name: name.to_owned(), events: Mutex::new(heard), present: Mutex::default(), waiting };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
            .route("/2018-06-01/runtime/init/error", post(fail_at_start))
            .with_state(Arc::new(shared));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the system has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { address, events, waiting: is_waiting, serving }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn hand_over(&self, invocation: Invocation) {
        // Nobody takes it where the process is gone, which its waiting tells.
        let _ = self.events.send(invocation);
    }

    /// Waits until the process has asked for its next event; not for ever, as it may die instead.
    pub(super) async fn is_waiting(&mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(5), self.waiting.wait_for(|waiting| *waiting)).await;
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.waiting.send_replace(true);
    let Some(invocation) = shared.events.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    shared.waiting.send_replace(false);
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.id)
        .header("lambda-runtime-deadline-ms", invocation.deadline_ms)
        .header("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:local:000000000000:function:{}", shared.name))
        .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
        .body(Body::from(invocation.event.clone()))
        .expect("these are good headers");
    *shared.present.lock().await = Some(invocation);
    response
}

async fn respond(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let Some(invocation) = take(&shared, &id).await else { return StatusCode::BAD_REQUEST.into_response() };
    let mut body = request.into_body().into_data_stream();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(bytes) => drop(invocation.answer.send(Piece::Bytes(bytes))),
            // The process died in the middle of its answer.
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    let _ = invocation.answer.send(Piece::End);
    StatusCode::ACCEPTED.into_response()
}

async fn fail(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    let Some(invocation) = take(&shared, &id).await else { return StatusCode::BAD_REQUEST.into_response() };
    let said: Json = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| said.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let _ = invocation.answer.send(Piece::Failed { kind: text("errorType"), message: text("errorMessage") });
    StatusCode::ACCEPTED.into_response()
}

async fn fail_at_start() -> StatusCode {
    StatusCode::ACCEPTED
}

async fn take(shared: &Shared, id: &str) -> Option<Invocation> {
    let mut present = shared.present.lock().await;
    present.take_if(|invocation| invocation.id == id)
}
