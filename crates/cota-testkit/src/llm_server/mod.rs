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
use tokio::task::{AbortHandle, JoinSet};

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
    port: u16,
}

impl Settings {
    /// A server that answers by `script` at once, streams in pieces of eight characters, and keeps no requests.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script, latency: Duration::ZERO, piece: 8, pause: Duration::ZERO, keep_calls: false, port: 0 }
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
    count: AtomicU64,
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
        let state = Arc::new(State { settings, count: AtomicU64::new(0), bytes: AtomicU64::new(0), calls: Mutex::default() });
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
        self.state.count.load(Ordering::Relaxed)
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
        let number = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.bytes.fetch_add(u64::try_from(body.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let call = Call::new(number, body);
        let answer = (self.settings.script)(&call);
        let streams = call.wants_stream();
        if self.settings.keep_calls {
            self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        }
        (answer, streams)
    }
}

#[cfg(test)]
mod tests;
