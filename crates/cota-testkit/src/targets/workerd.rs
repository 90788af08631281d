//! The Worker in the real workerd, without an account: built by `cargo xtask worker --test`, started, killed and started again.
//!
//! It takes Node with npm, which brings workerd; everything else is installed on first use.

mod build;
mod namespace;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::client::http::{self, Response};
use crate::proofs::{Address, Server, Target};
use crate::services::free_port;

pub use build::build_once;
pub use namespace::Namespace;

const READY: Duration = Duration::from_secs(60);

/// A workerd that serves the Worker. Dropping it kills it as `kill -9` does.
pub struct Workerd {
    child: Child,
    home: TempDir,
    port: u16,
    /// `host:port`.
    pub address: String,
}

impl Workerd {
    /// Starts one with this default bot, whose bots ask the model at `llm`.
    pub async fn start(bot: &str, llm: &str) -> Self {
        Self::start_with(&[("COTA_TEST_LLM", llm), ("COTA_DEFAULT_BOT", bot)]).await
    }

    /// Starts one with these variables.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_over(variables, None).await
    }

    /// Starts one with these variables, and with bots that are published in a namespace.
    pub async fn start_over(variables: &[(&str, &str)], bots: Option<&Namespace>) -> Self {
        // Memory, where there is such a disk: what is tried is not the disk's speed.
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let port = free_port();
        for module in ["index.js", "index_bg.wasm"] {
            fs::copy(build::modules().join(module), home.path().join(module)).unwrap();
        }
        fs::create_dir(home.path().join("disk")).unwrap();
        fs::write(home.path().join("config.capnp"), config(home.path(), port, variables, bots)).unwrap();
        let child = spawn(&home);
        let workerd = Self { child, home, port, address: format!("127.0.0.1:{port}") };
        workerd.ready().await;
        workerd
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again over what it had on disk.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.home);
        self.ready().await;
    }

    /// Says something in a conversation.
    pub async fn say(&self, conversation: &str, body: &Json) -> Response {
        http::say(&self.address, conversation, body).await
    }

    /// What it logged.
    #[must_use]
    pub fn logged(&self) -> String {
        fs::read_to_string(log(&self.home)).unwrap_or_default()
    }

    async fn ready(&self) {
        let began = Instant::now();
        while http::get(&self.address, "/health").await.is_err() {
            assert!(began.elapsed() < READY, "workerd on port {} does not come up:\n{}", self.port, self.logged());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        // A process that has ended already is as good as one that is ended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("workerd at {} logged:\n{}", self.address, self.logged());
        }
    }
}

fn spawn(home: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(log(home)).unwrap();
    Command::new(build::workerd())
        .args(["serve", "config.capnp"])
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn log(home: &TempDir) -> PathBuf {
    home.path().join("log.txt")
}

/// What wrangler.toml says, in workerd's own words.
fn config(home: &Path, port: u16, variables: &[(&str, &str)], bots: Option<&Namespace>) -> String {
    let variables: String = variables.iter().map(|(name, value)| format!("    (name = {name:?}, text = {value:?}),\n")).collect();
    let (service, binding) = bots.map_or_else(Default::default, |bots| {
        (
            format!("    (name = \"bots\", external = (address = {:?}, http = ())),\n", bots.address),
            "    (name = \"BOTS\", kvNamespace = \"bots\"),\n".to_owned(),
        )
    });
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "disk", disk = (path = "{disk}", writable = true)),
{service}  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  compatibilityDate = "2026-06-01",
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  durableObjectNamespaces = [
    (className = "ConversationObject", uniqueKey = "conversations", enableSql = true),
    (className = "ConnectionObject", uniqueKey = "connections", enableSql = true),
    (className = "LedgerObject", uniqueKey = "ledger", enableSql = true),
    (className = "TriedObject", uniqueKey = "tried", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "CONVERSATIONS", durableObjectNamespace = "ConversationObject"),
    (name = "CONNECTIONS", durableObjectNamespace = "ConnectionObject"),
    (name = "LEDGER", durableObjectNamespace = "LedgerObject"),
    (name = "TRIED", durableObjectNamespace = "TriedObject"),
{binding}{variables}  ],
);
"#,
        disk = home.join("disk").display(),
    )
}

/// workerd for proofs.
#[derive(Clone, Copy, Debug)]
pub struct OnWorkerd;

impl Target for OnWorkerd {
    type Server = Workerd;

    fn prepare(&self) {
        build_once();
    }

    async fn start(&self, bot: &str, llm: &str) -> Workerd {
        Workerd::start(bot, llm).await
    }
}

impl Server for Workerd {
    fn address(&self) -> Address {
        Address { http: self.address.clone(), sockets: self.address.clone() }
    }

    async fn restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    fn logged(&self) -> String {
        Self::logged(self)
    }
}
