//! The processes of a measurement: cota itself, and helpers in their roles. Each ends when its handle is dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tempfile::TempDir;

use crate::load::{Figures, Load};
use crate::roles::Asked;

/// A helper in its role.
pub(crate) struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub(crate) ready: String,
}

impl Helper {
    pub(crate) fn start(role: &str, settings: &impl Serialize) -> Result<Self> {
        let mut child = itself(role, settings)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut helper = Self { child, input, lines, ready: String::new() };
        helper.ready = helper.line().with_context(|| format!("the role {role} did not start"))?;
        Ok(helper)
    }

    /// What the scripted model has been asked so far.
    pub(crate) fn asked(&mut self) -> Result<Asked> {
        writeln!(self.input.as_mut().context("no standard input")?)?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn line(&mut self) -> Result<String> {
        read_line(&mut self.lines)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.input = None;
        end(&mut self.child);
    }
}

/// Runs clients in a process of their own.
pub(crate) fn load(load: &Load) -> Result<Figures> {
    let output = itself("load", load)?.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the clients failed");
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn itself(role: &str, settings: &impl Serialize) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["role", role, &serde_json::to_string(settings)?]);
    Ok(command)
}

/// Where a server keeps its conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Sqlite,
}

impl Store {
    pub(crate) const ALL: [Self; 2] = [Self::Memory, Self::Sqlite];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
        }
    }
}

/// `cota run`, with a folder of its own.
pub(crate) struct Cota {
    child: Child,
    _output: BufReader<ChildStdout>,
    /// `host:port`.
    pub(crate) address: String,
    _home: TempDir,
}

impl Cota {
    /// Serves bots, each a folder, whose model is at `apibase`.
    pub(crate) fn start(store: Store, bots: &[PathBuf], apibase: &str) -> Result<Self> {
        Self::start_with(store, bots, apibase, &[])
    }

    /// As [`start`](Self::start), with more options.
    pub(crate) fn start_with(store: Store, bots: &[PathBuf], apibase: &str, options: &[&str]) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let log = home.path().join("log.txt");
        let store = match store {
            Store::Memory => "memory".to_owned(),
            Store::Sqlite => format!("sqlite:{}", home.path().join("cota.db").display()),
        };
        let mut child = Command::new(binary())
            .current_dir(home.path())
            .arg("run")
            .args(bots)
            .args(["--port", "0", "--log-level", "warn", "--store", &store])
            .args(options)
            .env("COTA_BENCH_LLM", apibase)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", binary().display()))?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
        let line = match read_line(&mut output) {
            Ok(line) => line,
            Err(_) => {
                end(&mut child);
                bail!("cota did not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
        };
        let address = address_in(&line).with_context(|| format!("no address in `{line}`"))?;
        Ok(Self { child, _output: output, address, _home: home })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Cota {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The binary that is measured.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("COTA_BENCH_BINARY").map_or_else(|| workspace().join("target/release/cota"), PathBuf::from)
}

/// The folder of one of the benchmark's bots.
pub(crate) fn bot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench/bots").join(name)
}

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn address_in(line: &str) -> Option<String> {
    let rest = line.split_once("http://")?.1;
    let end = rest.find(|c: char| c != ':' && c != '.' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    rest.get(..end).map(str::to_owned)
}

fn read_line(lines: &mut BufReader<ChildStdout>) -> Result<String> {
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        bail!("it ended");
    }
    Ok(line.trim_end().to_owned())
}

/// A process that has ended by itself is as good as one that is ended here.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
