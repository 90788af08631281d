//! A function: as many environments as are needed at once, each a process.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};

use super::environment::Environment;

/// How a function is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
    /// How long one invocation may last.
    pub timeout: Duration,
    /// How many invocations there may be at once.
    pub concurrency: usize,
}

impl Settings {
    /// A function of this program, with the limits that most tests need.
    #[must_use]
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        let (timeout, concurrency) = (Duration::from_secs(60), 32);
        Self { name: name.to_owned(), program: program.into(), variables: BTreeMap::new(), timeout, concurrency }
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }
}

/// Why an invocation has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The process ended.
    #[error("the process ended")]
    Died,
    /// The time was up, and the process was ended.
    #[error("the invocation timed out")]
    TimedOut,
    /// The function said so.
    #[error("{kind}: {message}")]
    Said {
        /// The error's type.
        kind: String,
        /// What it says.
        message: String,
    },
}

/// A function that can be invoked. Dropping the last of its copies ends its processes.
#[derive(Clone)]
pub struct Function(Arc<Shared>);

struct Shared {
    settings: Mutex<Settings>,
    places: Arc<Semaphore>,
    idle: Mutex<Idle>,
    /// The processes that are answering.
    busy: Mutex<Vec<u32>>,
    started: AtomicU64,
    deaths: AtomicU64,
    invocations: AtomicU64,
    busy_us: AtomicU64,
    folder: TempDir,
}

/// The processes that do nothing.
#[derive(Default)]
struct Idle {
    environments: Vec<Environment>,
    /// One that was taken or started in an earlier generation is not kept when it has answered.
    generation: u64,
}

impl Function {
    /// A function; nothing is started before it is invoked.
    ///
    /// # Panics
    /// If the system has no temporary folder.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            places: Arc::new(Semaphore::new(settings.concurrency)),
            settings: Mutex::new(settings),
            idle: Mutex::default(),
            busy: Mutex::default(),
            started: AtomicU64::new(0),
            deaths: AtomicU64::new(0),
            invocations: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            folder: TempDir::new().expect("a function needs a folder for its log"),
        }))
    }

    /// Invokes it and collects the answer.
    ///
    /// # Errors
    /// If there is none.
    pub async fn invoke(&self, event: &Json) -> Result<Vec<u8>, Failed> {
        let mut pieces = self.stream(event);
        let mut answer = Vec::new();
        while let Some(piece) = pieces.recv().await {
            answer.extend_from_slice(&piece?);
        }
        Ok(answer)
    }

    /// Invokes it; the answer comes in pieces, the last of which is an error where it broke off.
    #[must_use]
    pub fn stream(&self, event: &Json) -> mpsc::UnboundedReceiver<Result<Bytes, Failed>> {
        let (pieces, answer) = mpsc::unbounded_channel();
        let (function, event) = (self.clone(), event.to_string());
        tokio::spawn(async move { function.run(event, pieces).await });
        answer
    }

    async fn run(self, event: String, pieces: mpsc::UnboundedSender<Result<Bytes, Failed>>) {
        let Ok(_place) = Arc::clone(&self.0.places).acquire_owned().await else { return };
        let (idle, generation) = {
            let mut idle = lock(&self.0.idle);
            (idle.environments.pop(), idle.generation)
        };
        let mut environment = match idle {
            Some(environment) => environment,
            None => self.start().await,
        };
        let id = environment.id();
        lock(&self.0.busy).push(id);
        let timeout = lock(&self.0.settings).timeout;
        let began = Instant::now();
        let whole = environment.invoke(event, timeout, &pieces).await;
        self.0.invocations.fetch_add(1, Ordering::Relaxed);
        self.0.busy_us.fetch_add(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        lock(&self.0.busy).retain(|busy| *busy != id);
        match whole {
            Ok(()) => self.keep(environment, generation),
            Err(failed) => {
                let lives_on = matches!(failed, Failed::Said { .. });
                let _ = pieces.send(Err(failed));
                if lives_on {
                    self.keep(environment, generation);
                } else {
                    self.0.deaths.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Keeps a process for the next invocation, unless it has been forgotten meanwhile.
    fn keep(&self, environment: Environment, generation: u64) {
        environment.freeze();
        let mut idle = lock(&self.0.idle);
        if idle.generation == generation {
            idle.environments.push(environment);
        }
    }

    async fn start(&self) -> Environment {
        self.0.started.fetch_add(1, Ordering::Relaxed);
        let settings = lock(&self.0.settings).clone();
        Environment::start(&settings, &self.log()).await
    }

    /// Ends every process at once, as `kill -9` does, whatever it is doing.
    pub fn kill(&self) {
        self.forget();
        for id in lock(&self.0.busy).iter() {
            super::environment::kill(*id);
        }
    }

    /// Ends those that do nothing at once, and the others when they have answered: the next invocation starts a new process.
    pub fn forget(&self) {
        let mut idle = lock(&self.0.idle);
        idle.environments.clear();
        idle.generation += 1;
    }

    /// Changes how processes are started from now on; those of before are forgotten.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.0.settings));
        self.forget();
    }

    /// How many processes were started.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.0.started.load(Ordering::Relaxed)
    }

    /// How many processes ended in the middle of an invocation.
    #[must_use]
    pub fn deaths(&self) -> u64 {
        self.0.deaths.load(Ordering::Relaxed)
    }

    /// How often it was invoked, and how long that took in all: what AWS charges for.
    #[must_use]
    pub fn invoked(&self) -> (u64, Duration) {
        (self.0.invocations.load(Ordering::Relaxed), Duration::from_micros(self.0.busy_us.load(Ordering::Relaxed)))
    }

    /// The ids of the processes that do nothing.
    #[must_use]
    pub fn idle(&self) -> Vec<u32> {
        lock(&self.0.idle).environments.iter().map(Environment::id).collect()
    }

    /// What its processes wrote.
    #[must_use]
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.0.folder.path().join("log.txt")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
