//! `cargo xtask bench`: builds what is measured and what measures it, both as they are shipped, and starts the latter.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::process::{self, cargo};

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

/// Runs the benchmark with the words of its command line. Whether every target was met.
///
/// # Errors
///
/// When a build fails.
pub fn run(root: &Path, words: &[&str]) -> Result<bool> {
    process::run(cargo(root).args(["build", "--release", "--package", "cota-cli", "--bin", "cota"]))?;
    process::run(cargo(root).args(["bench", "--package", "xtask", "--bench", "bench", "--no-run"]))?;
    let text = process::read(cargo(root).args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cannot read the output of `cargo metadata`")?;
    let mut bench = cargo(root);
    bench.args(["bench", "--quiet", "--package", "xtask", "--bench", "bench", "--"]).args(words);
    bench.env("COTA_BENCH_BINARY", metadata.target_directory.join("release/cota"));
    Ok(bench.status().context("cannot start the benchmark")?.success())
}
