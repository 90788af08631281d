//! `cargo xtask bench`: builds what is measured and what measures it, both as they are shipped, and starts the latter. The first
//! word names the target.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::lambda;
use crate::measured;
use crate::metadata::target_directory;
use crate::process::{self, cargo};
use crate::worker::{self, Build};

/// The bots that the Worker has when it is measured; the first is the default one.
const BOTS_OF_THE_WORKER: [&str; 3] = ["examples/weather", "xtask/src/bench/bots/chat", "xtask/src/bench/bots/long"];

/// The bot that the functions are measured with.
const BOT: &str = "xtask/src/bench/bots/chat";

/// Runs the benchmark with the words of its command line: the server's, or that of the target that they begin with. Whether every
/// target was met.
///
/// # Errors
///
/// When a build fails.
pub fn run(root: &Path, words: &[&str]) -> Result<bool> {
    let variables = match words {
        ["lambda", ..] => functions(root)?,
        ["tasks", ..] => server_and_worker(root)?,
        ["workers", ..] => the_worker(root, &BOTS_OF_THE_WORKER)?,
        _ => server(root)?,
    };
    process::run(cargo(root).args(["bench", "--package", "xtask", "--bench", "bench", "--no-run"]))?;
    let mut bench = cargo(root);
    bench.args(["bench", "--quiet", "--package", "xtask", "--bench", "bench", "--"]).args(words).envs(variables);
    Ok(bench.status().context("cannot start the benchmark")?.success())
}

fn server(root: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    process::run(cargo(root).args(["build", "--release", "--package", "cota-cli", "--bin", "cota"]))?;
    Ok(vec![("COTA_BENCH_BINARY", target_directory(root)?.join("release/cota"))])
}

/// The Worker as it is deployed, with these bots, where its build is put.
fn the_worker(root: &Path, bots: &[&str]) -> Result<Vec<(&'static str, PathBuf)>> {
    worker::prepare(root)?;
    worker::build_with(root, Build::Deployed, bots)?;
    Ok(Vec::new())
}

/// The server of a laptop, and the Worker with the task that is measured on both.
fn server_and_worker(root: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    measured::write_chain(root)?;
    the_worker(root, &["examples/weather", measured::CHAIN])?;
    server(root)
}

/// The functions as they are shipped, and the same for this machine with the benchmark's bot.
fn functions(root: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    Ok(vec![("COTA_BENCH_SHIPPED", lambda::build(root)?), ("COTA_BENCH_FUNCTIONS", lambda::build_here(root, BOT)?)])
}
