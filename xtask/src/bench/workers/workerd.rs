//! workerd, with one script and a disk of its own.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;

use super::{FILES, build};
use crate::processes::workspace;

/// What workerd runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// The Worker as it is deployed.
    Cota,
    /// A Worker and an object that do the least.
    Bare,
}

impl Script {
    /// Its files by their names.
    fn files(self) -> Vec<(&'static str, PathBuf)> {
        match self {
            Self::Cota => FILES.map(|name| (name, build().join(name))).to_vec(),
            Self::Bare => vec![("index.js", workspace().join("xtask/src/bench/workers/bare.js"))],
        }
    }

    /// The classes of its objects, each with the binding that reaches them.
    fn objects(self) -> &'static [(&'static str, &'static str)] {
        const CONVERSATIONS: (&str, &str) = ("ConversationObject", "CONVERSATIONS");
        match self {
            Self::Cota => &[CONVERSATIONS, ("ConnectionObject", "CONNECTIONS"), ("LedgerObject", "LEDGER")],
            Self::Bare => &[CONVERSATIONS],
        }
    }
}

/// A workerd that serves until it is dropped.
pub(crate) struct Workerd {
    child: Child,
    home: TempDir,
    /// `host:port`.
    pub(crate) address: String,
}

/// What workerd tells once it listens.
#[derive(Deserialize)]
struct Listens {
    port: u16,
}

const LOG: &str = "log.txt";
/// A workerd that takes longer to listen does not start.
const PATIENCE: Duration = Duration::from_secs(30);

impl Workerd {
    pub(crate) fn start(script: Script, variables: &[(&str, &str)]) -> Result<Self> {
        let home = tempfile::tempdir()?;
        fs::create_dir(home.path().join("disk"))?;
        for (name, file) in script.files() {
            fs::copy(&file, home.path().join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
        }
        fs::write(home.path().join("config.capnp"), config(&home, script, variables)?)?;
        let log = File::create(home.path().join(LOG))?;
        let program = workspace().join("functions/worker/node_modules/workerd/bin/workerd");
        let child = Command::new(&program)
            .args(["serve", "--control-fd=1", "config.capnp"])
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut workerd = Self { child, home, address: String::new() };
        workerd.listens()?;
        Ok(workerd)
    }

    /// What it logged.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(self.home.path().join(LOG)).unwrap_or_default()
    }

    fn listens(&mut self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE && self.child.try_wait()?.is_none() {
            if let Some(Listens { port }) = self.logged().lines().find_map(|line| serde_json::from_str(line).ok()) {
                self.address = format!("127.0.0.1:{port}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("workerd did not start: {}", self.logged())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        // A process that has ended by itself is as good as one that is ended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Variables of the Worker for a bot whose model is at this address. It logs what goes wrong.
pub(crate) fn variables<'v>(bot: &'v str, llm: &'v str) -> [(&'v str, &'v str); 3] {
    [("COTA_DEFAULT_BOT", bot), ("COTA_BENCH_LLM", llm), ("COTA_LOG_LEVEL", "warn")]
}

/// What wrangler.toml says, in workerd's own words.
fn config(home: &TempDir, script: Script, variables: &[(&str, &str)]) -> Result<String> {
    let (mut modules, mut namespaces, mut bindings) = (String::new(), String::new(), String::new());
    for (name, _) in script.files() {
        let kind = if name.ends_with(".wasm") { "wasm" } else { "esModule" };
        writeln!(modules, "    (name = {name:?}, {kind} = embed {name:?}),")?;
    }
    for (class, binding) in script.objects() {
        writeln!(namespaces, "    (className = {class:?}, uniqueKey = {class:?}, enableSql = true),")?;
        writeln!(bindings, "    (name = {binding:?}, durableObjectNamespace = {class:?}),")?;
    }
    for (name, value) in variables {
        writeln!(bindings, "    (name = {name:?}, text = {value:?}),")?;
    }
    Ok(format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "disk", disk = (path = "{}", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  compatibilityDate = "2026-06-01",
  modules = [
{modules}  ],
  durableObjectNamespaces = [
{namespaces}  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
{bindings}  ],
);
"#,
        home.path().join("disk").display(),
    ))
}
