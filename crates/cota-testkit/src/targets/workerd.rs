//! The Worker in the real workerd, without an account: built by `cargo xtask worker --test`, started, killed and started again.
//!
//! It takes Node with npm, which brings workerd; everything else is installed on first use.

mod build;
mod namespace;

use std::path::Path;

use serde_json::Value as Json;

use crate::client::http::{self, Response};
use crate::proofs::{Address, Server, Target};
use crate::services::workerd::{self, Bindings, Script};

pub use build::build_once;
pub use namespace::Namespace;

/// A workerd that serves the Worker. Dropping it kills it as `kill -9` does.
pub struct Workerd {
    process: workerd::Workerd,
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
        let mut script = script(build::modules());
        script.modules.insert(0, build::modules().join("tried.js"));
        script.objects.push(("TriedObject", "TRIED"));
        // Memory, where there is such a disk: what is tried is not the disk's speed.
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let bindings = Bindings { variables, bots: bots.map(|bots| bots.address.as_str()) };
        let process = workerd::Workerd::start(home, &script, bindings);
        let workerd = Self { address: process.address.clone(), process };
        workerd.ready().await;
        workerd
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again over what it had on disk.
    pub async fn start_again(&mut self) {
        self.process.start_again();
        self.ready().await;
    }

    /// Says something in a conversation.
    pub async fn say(&self, conversation: &str, body: &Json) -> Response {
        http::say(&self.address, conversation, body).await
    }

    /// What it logged.
    #[must_use]
    pub fn logged(&self) -> String {
        self.process.logged()
    }

    /// Waits until its script is compiled and its bots are read.
    async fn ready(&self) {
        let health = http::get(&self.address, "/health").await;
        assert!(health.is_ok(), "the Worker at {} does not come up:\n{}", self.address, self.logged());
    }
}

/// The Worker that was built into a folder, with its objects as wrangler.toml names them.
#[must_use]
pub fn script(built: &Path) -> Script {
    Script {
        modules: ["main.js", "panics.js", "index.js", "index_bg.wasm"].map(|module| built.join(module)).to_vec(),
        objects: vec![("ConversationObject", "CONVERSATIONS"), ("ConnectionObject", "CONNECTIONS"), ("LedgerObject", "LEDGER")],
    }
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
