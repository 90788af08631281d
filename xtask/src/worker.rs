//! `cargo xtask worker`: builds the Cloudflare Worker with tools that are installed on first use.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::tools::workers::{WorkerTools, node_packages, worker_tools};

/// For whom the Worker is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// For users: small and fast.
    Deployed,
    /// For its own tests: built quickly, with what tries the store inside an object.
    Tested,
}

/// Builds the Worker into a folder beside its source: `build`, or `build-test`. The bots of `COTA_BOT` are put in.
///
/// # Errors
///
/// When a tool is missing and cannot be installed, or the build fails.
pub fn build(root: &Path, build: Build) -> Result<()> {
    let WorkerTools { worker_build, wasm_bindgen, wasm_opt } = worker_tools(root)?;
    let mut command = Command::new(worker_build);
    command.current_dir(root).env("WASM_BINDGEN_BIN", wasm_bindgen).env("WASM_OPT_BIN", wasm_opt);
    match build {
        Build::Deployed => command.args(["--profile", "worker", "functions/worker"]),
        Build::Tested => {
            command.args(["--profile", "worker-test", "--no-opt", "--out-dir", "build-test", "functions/worker", "--features", "tried"])
        }
    };
    process::run(&mut command)
}

/// Prepares everything that building and running the Worker needs.
///
/// # Errors
///
/// When something cannot be installed.
pub fn prepare(root: &Path) -> Result<()> {
    worker_tools(root)?;
    node_packages(root)?;
    Ok(())
}
