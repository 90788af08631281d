//! Lambda's own API, as Step Functions call it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::StatusCode;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::function::{Failed, Function};

/// Invokes a function for whoever asks, until it is dropped.
pub struct InvokeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

#[derive(Default)]
struct Shared {
    function: Mutex<Option<Function>>,
    /// Answers that are lost on their way.
    lost: AtomicU64,
    invoked: AtomicU64,
}

impl InvokeApi {
    /// Listens on the loopback interface; there is no function yet.
    pub async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke)).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the system has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { address, shared, serving }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Invokes this function, under whatever name, from now on.
    pub fn serve(&self, function: Function) {
        *self.shared.function.lock().unwrap_or_else(PoisonError::into_inner) = Some(function);
    }

    /// Loses the answers of the next invocations: they are done, and nobody hears of it.
    pub fn lose(&self, answers: u64) {
        self.shared.lost.store(answers, Ordering::Relaxed);
    }

    /// How often it has invoked.
    #[must_use]
    pub fn invoked(&self) -> u64 {
        self.shared.invoked.load(Ordering::Relaxed)
    }
}

impl Drop for InvokeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn invoke(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let function = shared.function.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(function) = function else { return StatusCode::NOT_FOUND.into_response() };
    let event: Json = serde_json::from_slice(&body).unwrap_or_default();
    shared.invoked.fetch_add(1, Ordering::Relaxed);
    let answered = function.invoke(&event).await;
    let take_one = |left: u64| left.checked_sub(1);
    if shared.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
        return failed("Lambda.Unknown", "the answer was lost");
    }
    match answered {
        Ok(answer) => answer.into_response(),
        Err(Failed::Died) => failed("Runtime.ExitError", "the process ended"),
        Err(Failed::TimedOut) => failed("Sandbox.Timedout", "the invocation timed out"),
        Err(Failed::Said { kind, message }) => failed(&kind, &message),
    }
}

/// An invocation that failed is an answer like any other, with a header that says so.
fn failed(kind: &str, message: &str) -> Response {
    let body = json!({"errorType": kind, "errorMessage": message}).to_string();
    ([("x-amz-function-error", "Unhandled")], body).into_response()
}
