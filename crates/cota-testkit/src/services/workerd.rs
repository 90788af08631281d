//! workerd, the runtime of Cloudflare Workers: with any script, and a disk that outlives a kill.
//!
//! It comes with the packages of npm that the Worker's lock file names, which `cargo xtask worker --tools` installs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

use super::{free_port, root};

/// What workerd runs.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its modules; the first is the one that is entered.
    pub modules: Vec<PathBuf>,
    /// The classes of its objects, each with the name of the binding that reaches them.
    pub objects: Vec<(&'static str, &'static str)>,
}

/// What a script finds in its environment, apart from its objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bindings<'b> {
    /// Texts by their names.
    pub variables: &'b [(&'b str, &'b str)],
    /// A namespace of KV as `BOTS`: the `host:port` of the server that stands for it.
    pub bots: Option<&'b str>,
}

/// A workerd that serves until it is dropped, which kills it as `kill -9` does.
#[derive(Debug)]
pub struct Workerd {
    child: Child,
    home: TempDir,
    /// `host:port`.
    pub address: String,
}

/// What workerd tells once it listens.
#[derive(Deserialize)]
struct Listens {
    #[serde(rename = "port")]
    _port: u16,
}

const CONFIG: &str = "config.capnp";
const DISK: &str = "disk";
const LOG: &str = "log.txt";
/// A workerd that takes longer to listen does not start: a guard against hangs.
const LISTENS_WITHIN: Duration = Duration::from_secs(60);

impl Workerd {
    /// Starts one in an empty folder, where its disk is too; returns as soon as it listens.
    #[must_use]
    pub fn start(home: TempDir, script: &Script, bindings: Bindings) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        for module in &script.modules {
            fs::copy(module, home.path().join(name(module))).unwrap_or_else(|error| panic!("{}: {error}", module.display()));
        }
        fs::create_dir(home.path().join(DISK)).expect("the folder can be written");
        fs::write(home.path().join(CONFIG), config(home.path(), &address, script, bindings)).expect("the folder can be written");
        let child = spawn(&home);
        let mut workerd = Self { child, home, address };
        workerd.wait_from(0);
        workerd
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        // A process that has ended already is as good as one that is ended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts one that was killed again, over what it had on its disk and at the same address.
    pub fn start_again(&mut self) {
        let logged = self.logged().len();
        self.child = spawn(&self.home);
        self.wait_from(logged);
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logged, in all its lives.
    #[must_use]
    pub fn logged(&self) -> String {
        fs::read_to_string(self.home.path().join(LOG)).unwrap_or_default()
    }

    /// Waits until it says that it listens, in what it logs from this place on.
    fn wait_from(&mut self, place: usize) {
        let began = Instant::now();
        loop {
            let logged = self.logged();
            let new = logged.get(place..).unwrap_or_default();
            if new.lines().any(|line| serde_json::from_str::<Listens>(line).is_ok()) {
                return;
            }
            let ended = self.child.try_wait().expect("the system knows the process");
            assert!(ended.is_none() && began.elapsed() < LISTENS_WITHIN, "workerd does not come up at {}:\n{new}", self.address);
            // Benchmarks measure how long a start takes.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("workerd at {} logged:\n{}", self.address, self.logged());
        }
    }
}

fn spawn(home: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(home.path().join(LOG)).expect("a service needs a log");
    let program = root().join("functions/worker/node_modules/workerd/bin/workerd");
    Command::new(&program)
        .args(["serve", "--control-fd=1", CONFIG])
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a service needs a log"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask worker --tools` installs it", program.display()))
}

fn name(module: &Path) -> String {
    module.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a wrangler.toml says, in workerd's own words.
fn config(home: &Path, address: &str, script: &Script, Bindings { variables, bots }: Bindings) -> String {
    let modules = script.modules.iter().map(|module| {
        let name = name(module);
        let kind = if name.ends_with(".wasm") { "wasm" } else { "esModule" };
        format!("(name = {name:?}, {kind} = embed {name:?})")
    });
    let classes = script.objects.iter().map(|(class, _)| format!("(className = {class:?}, uniqueKey = {class:?}, enableSql = true)"));
    let objects = script.objects.iter().map(|(class, binding)| format!("(name = {binding:?}, durableObjectNamespace = {class:?})"));
    let texts = variables.iter().map(|(name, value)| format!("(name = {name:?}, text = {value:?})"));
    let namespace = bots.map(|_| r#"(name = "BOTS", kvNamespace = "bots")"#.to_owned());
    let server = bots.map(|bots| format!(r#"(name = "bots", external = (address = {bots:?}, http = ()))"#));
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "disk", disk = (path = {disk:?}, writable = true)),
    {services}
  ],
  sockets = [(name = "http", address = {address:?}, http = (), service = "main")],
);
const main :Workerd.Worker = (
  compatibilityDate = "2026-06-01",
  compatibilityFlags = ["durable_object_io_tasks_prevent_eviction"],
  modules = [{modules}],
  durableObjectNamespaces = [{classes}],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [{bindings}],
);
"#,
        disk = home.join(DISK),
        services = listed(server),
        modules = listed(modules),
        classes = listed(classes),
        bindings = listed(objects.chain(texts).chain(namespace)),
    )
}

fn listed(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(",\n    ")
}
