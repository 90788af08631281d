//! The tools that the tests need: found, else installed, else named with the command that installs them.

pub mod lambda;
pub mod workers;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, cargo};

/// The target that every portable crate is checked for: WebAssembly with no operating system.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

const CARGO_DENY_VERSION: &str = "0.20.2";

/// Makes sure of a C compiler, which builds the bundled SQLite.
///
/// # Errors
///
/// When there is none: it belongs to the system, so it is named and not installed.
pub fn c_compiler() -> Result<()> {
    let named = std::env::var("CC").ok();
    let found = named
        .iter()
        .map(String::as_str)
        .chain(["cc", "gcc", "clang"])
        .any(|compiler| process::succeeds(Command::new(compiler).arg("--version")));
    if !found {
        bail!("no C compiler found, SQLite needs one: `apt-get install gcc libc6-dev`, or set CC");
    }
    Ok(())
}

/// Makes sure of a component of the Rust toolchain by way of the cargo subcommand it brings.
///
/// # Errors
///
/// When it is missing and rustup cannot add it.
pub fn component(subcommand: &str, name: &str) -> Result<()> {
    if process::succeeds(Command::new("cargo").args([subcommand, "--version"])) {
        return Ok(());
    }
    rustup(&["component", "add", name])
}

/// Makes sure that the toolchain can compile for [`WASM_TARGET`].
///
/// # Errors
///
/// When the target is missing and rustup cannot add it.
pub fn wasm_target() -> Result<()> {
    target(WASM_TARGET)
}

/// Makes sure that the toolchain can compile for a target.
pub(crate) fn target(name: &str) -> Result<()> {
    let folder = process::read(Command::new("rustc").args(["--print", "target-libdir", "--target", name]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    rustup(&["target", "add", name])
}

/// The path of `cargo-deny`, built on first use (some minutes) and kept in the tool cache by version.
///
/// # Errors
///
/// When it cannot be built; the message names the command that was tried.
pub fn cargo_deny(root: &Path) -> Result<PathBuf> {
    installed(root, &Program { package: "cargo-deny", name: "cargo-deny", version: CARGO_DENY_VERSION, locked: true })
}

/// A program that cargo builds.
struct Program<'p> {
    package: &'p str,
    name: &'p str,
    version: &'p str,
    /// Whether with the versions that its authors tried.
    locked: bool,
}

/// The path of a program, built on first use and kept in the tool cache by version.
fn installed(root: &Path, wanted: &Program<'_>) -> Result<PathBuf> {
    let Program { package, name, version, locked } = wanted;
    let folder = cache()?.join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        eprintln!("building {package} {version} once, for {}", folder.display());
        let mut install = cargo(root);
        install.args(["install", package, "--quiet", "--version", version, "--root"]).arg(&folder);
        if *locked {
            install.arg("--locked");
        }
        process::run(&mut install)?;
    }
    Ok(program)
}

/// Where slow tools are kept between runs: `COTA_TOOLS`, else a folder in the user's cache.
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    folder("COTA_TOOLS")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("cota-tools")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache").join("cota-tools")))
        .context("no place to keep tools: set COTA_TOOLS to a folder")
}

fn rustup(arguments: &[&str]) -> Result<()> {
    process::run(Command::new("rustup").args(arguments))
        .with_context(|| format!("the Rust toolchain lacks something; run `rustup {}` yourself", arguments.join(" ")))
}
