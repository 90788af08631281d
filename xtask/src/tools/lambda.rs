//! What the Lambda functions are built, packed and checked with. Nothing is fetched but packages of PyPI.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// What the template is checked and packed with.
const SAM: &str = "aws-sam-cli==1.170.0";
/// What links for other processors, and how cargo comes to use it.
const ZIG: [&str; 2] = ["cargo-zigbuild==0.23.4", "ziglang==0.15.2"];

/// What the functions run on.
pub const LAMBDA_TARGET: &str = "aarch64-unknown-linux-gnu";

/// The `sam` command.
///
/// # Errors
///
/// When it cannot be installed.
pub fn sam() -> Result<PathBuf> {
    make()?;
    Ok(python(&[SAM])?.join("sam"))
}

/// A folder of programs with which `cargo zigbuild` builds for [`LAMBDA_TARGET`], whatever this machine is.
///
/// # Errors
///
/// When they cannot be installed.
pub fn cross_compiler() -> Result<PathBuf> {
    super::target(LAMBDA_TARGET)?;
    python(&ZIG)
}

/// SAM builds with it.
fn make() -> Result<()> {
    let found = || process::succeeds(Command::new("make").arg("--version"));
    let install = || process::succeeds(Command::new("apt-get").args(["install", "-y", "-q", "make"]));
    if found() || install() && found() {
        return Ok(());
    }
    bail!("`make` was not found, `sam build` needs it: `apt-get install make`")
}

/// The programs of packages from PyPI, in an environment of its own, once for each version of the first one.
fn python(packages: &[&str]) -> Result<PathBuf> {
    let name = packages.first().context("no package is named")?;
    let folder = super::cache()?.join(name.replace("==", "-"));
    let programs = folder.join("bin");
    let is_whole = programs.join(".installed");
    if !is_whole.is_file() {
        eprintln!("installing {} once, in {}", packages.join(" and "), folder.display());
        let python = "Python 3 is needed (Debian: apt-get install python3 python3-venv)";
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).context(python)?;
        process::run(Command::new(programs.join("pip")).args(["install", "--quiet"]).args(packages))?;
        std::fs::write(is_whole, "")?;
    }
    Ok(programs)
}
