//! The services that bots use in production, for tests: the real program on a free loopback port, ended with the test.
//!
//! One module for each service. What it needs is installed on first use: packages of npm and PyPI into a folder of tools, by
//! name and version (`COTA_TOOLS`, else the user's cache), Debian packages where the tests run as root. Where that cannot be
//! done the test ends with the command that does it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test that lacks a service ends with the way to get it"
)]

pub mod chromium;
pub mod cloudflare;
pub mod dynamodb;
mod install;
pub mod moto;
pub mod redis;
pub mod upstash;
pub mod workerd;

pub use install::{apt, npm, once, pip, run, tools};

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a service may take to be ready: a guard against hangs.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Where systems give no ports to clients: Linux begins at 32,768, others later.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A port of the loopback interface that nobody uses at the moment. It is none of those that the system gives to clients, so a
/// connection that is made meanwhile does not take it.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // Each process begins elsewhere.
    let mut ports = (0..PORTS.len()).map(|_| {
        let place = (std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) as usize % PORTS.len();
        PORTS.start + u16::try_from(place).unwrap_or_default()
    });
    ports.find(is_free).expect("the system has no free port")
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program that serves until it is dropped, with a folder of its own.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    folder: TempDir,
}

impl Service {
    /// Starts the program in an empty folder and waits until `is_ready` says so.
    #[must_use]
    pub fn start(name: &'static str, command: &mut Command, is_ready: impl FnMut() -> bool) -> Self {
        let folder = TempDir::new().expect("a service needs a folder");
        let log = File::create(folder.path().join(LOG)).expect("a service needs a log");
        let errors = log.try_clone().expect("a service needs a log");
        let child = command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error} ({command:?})"));
        let mut service = Self { name, child, folder };
        service.wait_until(is_ready);
        service
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        // One that has ended already is as good as one that is ended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it wrote.
    #[must_use]
    pub fn logged(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_ready() {
            let ended = self.child.try_wait().expect("the system knows the process");
            assert!(ended.is_none(), "{} ended ({ended:?}); it said: {}", self.name, self.logged());
            assert!(began.elapsed() < READY_WITHIN, "{} is not ready after {READY_WITHIN:?}; it said: {}", self.name, self.logged());
            std::thread::sleep(ASK_EVERY);
        }
    }
}

const LOG: &str = "log.txt";

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}
