//! `wrangler dev` as a child process.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cota_testkit::services::{free_port, run};
use tempfile::TempDir;

/// However long it takes to build the Worker and its tools, it is no hang.
const READY: Duration = Duration::from_secs(1_800);

/// A `wrangler dev` that serves until it is dropped.
pub(crate) struct Wrangler {
    child: Child,
    home: TempDir,
    /// `host:port`.
    pub(crate) address: String,
}

impl Wrangler {
    /// Starts it for the bot in this folder, and waits until it listens.
    pub(crate) fn dev(bot: &str) -> Self {
        let mut tools = Command::new(env!("CARGO"));
        run(in_the_workspace(tools.args(["xtask", "worker", "--tools"])), "the Worker's tools cannot be installed");
        let home = tempfile::tempdir().unwrap();
        let log = File::create(home.path().join("log.txt")).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let programs = here().join("node_modules/.bin");
        let path = std::env::join_paths([programs.clone()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
        let mut wrangler = Command::new(programs.join("wrangler"));
        let (ip, port) = address.split_once(':').unwrap();
        in_the_workspace(&mut wrangler)
            .args(["dev", "--ip", ip, "--port", port, "--inspector-port", &free_port().to_string(), "--persist-to"])
            .arg(home.path().join("state"))
            .env("PATH", path.unwrap())
            .env("COTA_BOT", bot)
            // It is to ask nobody on the network for anything.
            .envs([("WRANGLER_SEND_METRICS", "false"), ("CLOUDFLARE_CF_FETCH_ENABLED", "false")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // With workerd, which it starts, it is a group of its own.
            .process_group(0);
        let child = wrangler.spawn().unwrap();
        let mut started = Self { child, home, address };
        started.wait();
        started
    }

    fn wait(&mut self) {
        let began = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < READY, "wrangler dev does not come up ({ended:?}):\n{}", self.logged());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.home.path().join("log.txt")).unwrap_or_default()
    }
}

impl Drop for Wrangler {
    fn drop(&mut self) {
        // Those that have ended already are as good as those that are ended here.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("wrangler dev at {} logged:\n{}", self.address, self.logged());
        }
    }
}

/// A command that is run in the workspace's folder, without what cargo tells the tests' own build.
fn in_the_workspace(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG") || text.starts_with("CARGO_MANIFEST") {
            command.env_remove(&name);
        }
    }
    command.current_dir(workspace())
}

pub(crate) fn workspace() -> PathBuf {
    here().join("../..").canonicalize().unwrap()
}

pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
