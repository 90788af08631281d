//! `cota run` as a child process.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use cota_testkit::services::dynamodb;
use cota_testkit::services::upstash::Upstash;
use tempfile::TempDir;

use super::http::{self, Response};

/// Where conversations are kept.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
    /// The address of a double that takes [`Upstash::TOKEN`].
    Upstash(String),
    /// A table of DynamoDB Local, made by whoever comes first.
    DynamoDb(String),
}

/// A process that serves bots. Dropping it kills it as `kill -9` does.
pub(crate) struct Cota {
    child: Child,
    _output: BufReader<ChildStdout>,
    home: TempDir,
    /// `host:port`.
    pub(crate) address: String,
}

impl Cota {
    /// Starts a process and waits for its address.
    pub(crate) fn start(bots: &[&str], store: &Store, llm: &str) -> Self {
        Self::start_with(bots, store, llm, &[])
    }

    /// As [`start`](Self::start), with more environment variables.
    pub(crate) fn start_with(bots: &[&str], store: &Store, llm: &str, environment: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = match store {
            Store::Memory => "memory".to_owned(),
            Store::Sqlite(path) => format!("sqlite:{}", path.display()),
            Store::Upstash(address) => format!("upstash:{address}"),
            Store::DynamoDb(table) => format!("dynamodb:{table}"),
        };
        let dynamodb = store.strip_prefix("dynamodb:").map(|_| dynamodb::shared().environment());
        let mut child = Command::new(env!("CARGO_BIN_EXE_cota"))
            .current_dir(home.path())
            .arg("run")
            .args(bots.iter().map(|bot| folder(bot)))
            .args(["--port", "0", "--log-level", "warn", "--store", &store])
            .env("COTA_TEST_LLM", llm)
            .args(dynamodb.as_ref().map(|_| "--create-table"))
            .env("UPSTASH_REDIS_REST_TOKEN", Upstash::TOKEN)
            .envs(dynamodb.into_iter().flatten())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log(&home)).unwrap())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let Some((_, rest)) = line.split_once("http://") else {
            let said = std::fs::read_to_string(log(&home)).unwrap_or_default();
            panic!("no address in `{line}`; it said: {said}");
        };
        let address = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || ".:".contains(*c)).collect();
        Self { child, _output: output, home, address }
    }

    /// Ends the process at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(log(&self.home)).unwrap_or_default()
    }

    /// Says something in a conversation.
    pub(crate) async fn say(&self, conversation: &str, body: &serde_json::Value) -> Response {
        let path = format!("/v1/conversations/{conversation}/messages");
        http::post(&self.address, &path, &[], body.to_string().as_bytes()).await.unwrap()
    }
}

impl Drop for Cota {
    fn drop(&mut self) {
        // A process that has ended already is as good as one that is ended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("cota at {} logged:\n{}", self.address, self.logged());
        }
    }
}

fn log(home: &TempDir) -> PathBuf {
    home.path().join("log.txt")
}

fn folder(bot: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bots").join(bot)
}
