//! `cota run` as a child process. Its program is that of the tests' own package, `cota-cli`.

use std::any::Any;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use crate::client::http::{self, Response};
use crate::proofs::{Address, Server, Target};
use crate::services::dynamodb;
use crate::services::upstash::Upstash;

/// Where conversations are kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// In memory.
    Memory,
    /// In this file.
    Sqlite(PathBuf),
    /// The address of a double that takes [`Upstash::TOKEN`].
    Upstash(String),
    /// A table of DynamoDB Local, made by whoever comes first.
    DynamoDb(String),
}

/// A process that serves bots. Dropping it kills it as `kill -9` does.
pub struct Cota {
    process: Process,
    plan: Plan,
    home: TempDir,
    /// `host:port`.
    pub address: String,
}

/// How a process is started.
struct Plan {
    bots: Vec<PathBuf>,
    store: Store,
    environment: Vec<(String, String)>,
}

struct Process {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Cota {
    /// Serves bots of the proofs, or of folders that are named whole. Returns when there is an address.
    #[must_use]
    pub fn start(bots: &[&str], store: &Store, llm: &str) -> Self {
        Self::start_with(bots, store, llm, &[])
    }

    /// As [`start`](Self::start), with more environment variables.
    #[must_use]
    pub fn start_with(bots: &[&str], store: &Store, llm: &str, environment: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let model = [("COTA_TEST_LLM", llm)];
        let environment = environment.iter().chain(&model);
        let plan = Plan {
            bots: bots.iter().map(|name| super::bot(name)).collect(),
            store: store.clone(),
            environment: environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let (process, address) = plan.start(&home);
        Self { process, plan, home, address }
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
    }

    /// Starts another over what the store kept, at another address.
    pub fn start_again(&mut self) {
        (self.process, self.address) = self.plan.start(&self.home);
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.child.try_wait().unwrap().is_some()
    }

    /// What it logged.
    #[must_use]
    pub fn logged(&self) -> String {
        std::fs::read_to_string(log(&self.home)).unwrap_or_default()
    }

    /// Says something in a conversation.
    pub async fn say(&self, conversation: &str, body: &serde_json::Value) -> Response {
        http::say(&self.address, conversation, body).await
    }
}

impl Plan {
    /// A process, and its address.
    fn start(&self, home: &TempDir) -> (Process, String) {
        let store = match &self.store {
            Store::Memory => "memory".to_owned(),
            Store::Sqlite(path) => format!("sqlite:{}", path.display()),
            Store::Upstash(address) => format!("upstash:{address}"),
            Store::DynamoDb(table) => format!("dynamodb:{table}"),
        };
        let dynamodb = matches!(self.store, Store::DynamoDb(_)).then(|| dynamodb::shared().environment());
        let mut child = Command::new(super::beside("cota"))
            .current_dir(home.path())
            .arg("run")
            .args(&self.bots)
            .args(["--port", "0", "--log-level", "warn", "--store", &store])
            .args(dynamodb.as_ref().map(|_| "--create-table"))
            .env("UPSTASH_REDIS_REST_TOKEN", Upstash::TOKEN)
            .envs(dynamodb.into_iter().flatten())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log(home)).unwrap())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let Some((_, rest)) = line.split_once("http://") else {
            let said = std::fs::read_to_string(log(home)).unwrap_or_default();
            panic!("no address in `{line}`; it said: {said}");
        };
        let address = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || ".:".contains(*c)).collect();
        (Process { child, _output: output }, address)
    }
}

impl Drop for Cota {
    fn drop(&mut self) {
        // A process that has ended already is as good as one that is ended here.
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
        if std::thread::panicking() {
            eprintln!("cota at {} logged:\n{}", self.address, self.logged());
        }
    }
}

fn log(home: &TempDir) -> PathBuf {
    home.path().join("log.txt")
}

/// `cota run` for proofs, by the store it runs on. Each time it is started the store is a new one.
#[derive(Clone, Copy, Debug)]
pub enum Laptop {
    /// One file.
    Sqlite,
    /// Upstash Redis.
    Upstash,
    /// DynamoDB.
    DynamoDb,
}

/// A process and what its store needs, in the order of their ends.
pub struct Served {
    cota: Cota,
    _needs: Box<dyn Any>,
}

impl Target for Laptop {
    type Server = Served;

    async fn start(&self, bot: &str, llm: &str) -> Served {
        static TABLES: AtomicU64 = AtomicU64::new(0);
        let (store, needs): (Store, Box<dyn Any>) = match self {
            Self::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (Store::Sqlite(folder.path().join("cota.db")), Box::new(folder))
            }
            Self::Upstash => {
                let upstash = Upstash::start();
                (Store::Upstash(upstash.url()), Box::new(upstash))
            }
            Self::DynamoDb => (Store::DynamoDb(format!("proof-{}", TABLES.fetch_add(1, Ordering::Relaxed))), Box::new(())),
        };
        Served { cota: Cota::start(&[bot], &store, llm), _needs: needs }
    }
}

impl Server for Served {
    fn address(&self) -> Address {
        Address { http: self.cota.address.clone(), sockets: self.cota.address.clone() }
    }

    async fn restart(&mut self) {
        self.cota.kill();
        self.cota.start_again();
    }

    fn logged(&self) -> String {
        self.cota.logged()
    }
}
