//! What the Cloudflare Worker is built, run and deployed with. Nothing is fetched but packages of crates.io and npm: the tools'
//! own downloads of binaries are not used.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Program, installed};
use crate::process;

const WORKER_BUILD_VERSION: &str = "0.8.7";

/// The programs that a build needs.
#[derive(Debug)]
pub struct WorkerTools {
    /// Builds the Worker.
    pub worker_build: PathBuf,
    /// Makes JavaScript for WebAssembly.
    pub wasm_bindgen: PathBuf,
    /// Makes WebAssembly small.
    pub wasm_opt: PathBuf,
}

/// The programs that a build needs, installed on first use (some minutes).
///
/// # Errors
///
/// When one cannot be installed.
pub fn worker_tools(root: &Path) -> Result<WorkerTools> {
    super::wasm_target()?;
    let bindgen = locked_version(root, "wasm-bindgen")?;
    // Its lock file names versions that do not build any more.
    let wasm_bindgen = installed(root, &Program { package: "wasm-bindgen-cli", name: "wasm-bindgen", version: &bindgen, locked: false })?;
    let worker_build =
        installed(root, &Program { package: "worker-build", name: "worker-build", version: WORKER_BUILD_VERSION, locked: true })?;
    let wasm_opt = node_packages(root)?.join(".bin/wasm-opt");
    Ok(WorkerTools { worker_build, wasm_bindgen, wasm_opt })
}

/// The npm packages beside the Worker, installed as their lock file says. Where they are.
///
/// # Errors
///
/// When npm is missing or cannot install them.
pub fn node_packages(root: &Path) -> Result<PathBuf> {
    let folder = root.join("functions/worker");
    let packages = folder.join("node_modules");
    let modified = |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let installed = modified(packages.join(".package-lock.json"));
    if installed.is_none() || installed < modified(folder.join("package-lock.json")) {
        process::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(&folder))
            .context("the Worker's tools come from npm; install Node with npm (Debian: apt-get install nodejs npm)")?;
    }
    Ok(packages)
}

/// The version of a package in Cargo.lock.
fn locked_version(root: &Path, name: &str) -> Result<String> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock cannot be read")?;
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    match version {
        Some(version) => Ok(version.to_owned()),
        None => bail!("Cargo.lock does not name {name}"),
    }
}
