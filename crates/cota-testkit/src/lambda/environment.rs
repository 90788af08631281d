//! One execution environment: a process, and the Runtime API that it alone talks to.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::function::{Failed, Settings};
use super::runtime_api::{Invocation, Piece, RuntimeApi};

/// Numbers the invocations of this process.
static INVOCATIONS: AtomicU64 = AtomicU64::new(1);

/// A process that is invoked again and again.
pub(super) struct Environment {
    child: Child,
    id: u32,
    api: RuntimeApi,
}

impl Environment {
    pub(super) async fn start(settings: &Settings, log: &Path) -> Self {
        let api = RuntimeApi::start(&settings.name).await;
        let output = OpenOptions::new().create(true).append(true).open(log).expect("a function's log can be written");
        let errors = output.try_clone().expect("a function's log can be written");
        let child = Command::new(&settings.program)
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", &settings.name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            // Lambda names none, whatever this machine does.
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .envs(&settings.variables)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", settings.program.display()));
        let id = child.id().expect("it has just been started");
        Self { child, id, api }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Hands over an event and passes the answer on.
    pub(super) async fn invoke(
        &mut self,
        event: String,
        timeout: Duration,
        pieces: &mpsc::UnboundedSender<Result<Bytes, Failed>>,
    ) -> Result<(), Failed> {
        signal(self.id, Signal::CONT);
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + timeout;
        let id = format!("00000000-0000-4000-8000-{:012}", INVOCATIONS.fetch_add(1, Ordering::Relaxed));
        let (answer, mut heard) = mpsc::unbounded_channel();
        self.api.hand_over(Invocation { id, event, deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX), answer });
        let passed = async {
            while let Some(piece) = heard.recv().await {
                match piece {
                    Piece::Bytes(bytes) => drop(pieces.send(Ok(bytes))),
                    Piece::Failed { kind, message } => return Err(Failed::Said { kind, message }),
                    Piece::End => return Ok(()),
                }
            }
            Err(Failed::Died)
        };
        let result = tokio::select! {
            result = passed => result,
            _ = self.child.wait() => Err(Failed::Died),
            () = tokio::time::sleep(timeout) => Err(Failed::TimedOut),
        };
        match &result {
            // It is ready for the next one before it is frozen.
            Ok(()) | Err(Failed::Said { .. }) => self.api.is_waiting().await,
            Err(Failed::Died | Failed::TimedOut) => kill(self.id),
        }
        result
    }

    /// Stops the process until it is invoked again: what it left running does not run on.
    pub(super) fn freeze(&self) {
        signal(self.id, Signal::STOP);
    }
}

/// Ends a process at once.
pub(super) fn kill(id: u32) {
    signal(id, Signal::KILL);
}

fn signal(id: u32, signal: Signal) {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A process that is no more needs no signal.
        let _ = kill_process(pid, signal);
    }
}
