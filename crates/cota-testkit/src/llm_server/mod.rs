//! A scripted server that speaks OpenAI's chat completions on the loopback interface.
//!
//! A [`Script`] is a function from the request to the answer; `scripts` has those that most tests need, and every way in
//! which a model misbehaves. The server adds what belongs to the wire: latency, streaming in pieces, broken connections. It
//! shares its processors with what is measured against it, so it stands on hyper directly and looks for words in a body
//! rather than parsing it.

mod answer;
mod call;
mod connection;
pub mod scripts;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

pub use answer::Answer;
pub use call::Call;

/// What the model says to a request.
pub type Script = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

/// How a server behaves apart from what it says.
#[derive(Clone)]
pub struct Settings {
    script: Script,
    latency: Duration,
    piece: usize,
    pause: Duration,
    keep_calls: bool,
    gate: Option<Arc<Semaphore>>,
    port: u16,
}

impl Settings {
    /// A server that answers by `script` at once, streams in pieces of eight characters, and keeps no requests.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script, latency: Duration::ZERO, piece: 8, pause: Duration::ZERO, keep_calls: false, gate: None, port: 0 }
    }

    /// Waits this long before each answer. No thread is held meanwhile.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Streams in pieces of `characters`, with a `pause` between them.
    #[must_use]
    pub fn pieces(self, characters: usize, pause: Duration) -> Self {
        Self { piece: characters.max(1), pause, ..self }
    }

    /// Keeps every request for [`LlmServer::calls`].
    #[must_use]
    pub fn keep_calls(self) -> Self {
        Self { keep_calls: true, ..self }
    }

    /// Lets each call wait for a permit of `gate`, and keeps the permit: whoever adds one lets one answer out.
    #[must_use]
    pub fn gate(self, gate: Arc<Semaphore>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Listens on this port instead of a free one.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

/// A server that runs until it is dropped.
pub struct LlmServer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

/// What the connections of one server share.
struct State {
    settings: Settings,
    count: watch::Sender<u64>,
    bytes: AtomicU64,
    calls: Mutex<Vec<Call>>,
}

impl LlmServer {
    /// Listens on the loopback interface. It runs on the tokio runtime that it is started on.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", settings.port)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { settings, count: watch::Sender::new(0), bytes: AtomicU64::new(0), calls: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Ok(Self { address, state, accepting })
    }

    /// What goes into a bot's `apibase`.
    #[must_use]
    pub fn apibase(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How many calls have come.
    #[must_use]
    pub fn count(&self) -> u64 {
        *self.state.count.borrow()
    }

    /// Waits until so many calls have come.
    pub async fn reached(&self, calls: u64) {
        // The sender lives as long as this server.
        let _ = self.state.count.subscribe().wait_for(|count| *count >= calls).await;
    }

    /// How many bytes their bodies had together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    /// The calls so far, in the order of their coming; empty unless they are kept.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for LlmServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes connections. Dropping this future ends them all.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection::serve(stream, Arc::clone(&state)));
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

impl State {
    /// Takes note of a call and asks the script.
    fn answer(&self, body: bytes::Bytes) -> (Answer, bool) {
        self.bytes.fetch_add(u64::try_from(body.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut number = 0;
        self.count.send_modify(|count| {
            *count = count.saturating_add(1);
            number = *count;
        });
        let call = Call::new(number, body);
        let answer = (self.settings.script)(&call);
        let streams = call.wants_stream();
        if self.settings.keep_calls {
            self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        }
        (answer, streams)
    }

    /// Waits until the answer may go out.
    async fn hold_back(&self) {
        if !self.settings.latency.is_zero() {
            sleep(self.settings.latency).await;
        }
        if let Some(gate) = &self.settings.gate
            && let Ok(permit) = gate.acquire().await
        {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests;
