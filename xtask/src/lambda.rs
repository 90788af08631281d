//! The Lambda functions: built as they are shipped, and AWS's own tools on their template.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::metadata::target_directory;
use crate::process::{self, cargo};
use crate::tools::lambda::{LAMBDA_TARGET, cross_compiler, sam};

/// The functions: folders of `functions/`, and their programs.
pub const FUNCTIONS: [&str; 4] = ["api", "task", "turn", "websocket"];
/// A folder of functions that are built already; they are taken from there and not built.
pub const BUILT_VARIABLE: &str = "COTA_FUNCTIONS";

/// What makes a function small.
const PROFILE: &str = "lambda";
/// The C library of the runtime `provided.al2023`.
const GLIBC: &str = "2.34";
/// What Lambda starts.
const PROGRAM: &str = "bootstrap";

/// Builds the functions for Lambda's arm64, with the bots that `COTA_BOT` names. Yields the folder of their programs.
///
/// # Errors
///
/// When a tool is missing and cannot be installed, or the build fails.
pub fn build(root: &Path) -> Result<PathBuf> {
    let programs = cross_compiler()?;
    let mut path = vec![programs];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = cargo(root);
    command.env("PATH", std::env::join_paths(path)?).args(["zigbuild", "--target", &format!("{LAMBDA_TARGET}.{GLIBC}")]);
    process::run(command.args(of_functions()))?;
    Ok(target_directory(root)?.join(LAMBDA_TARGET).join(PROFILE))
}

/// Builds the functions for this machine with the bot of a folder, otherwise as [`build`] does: what is measured and not shipped.
///
/// # Errors
///
/// When the build fails.
pub fn build_here(root: &Path, bot: &str) -> Result<PathBuf> {
    process::run(cargo(root).arg("build").args(of_functions()).env("COTA_BOT", bot))?;
    Ok(target_directory(root)?.join(PROFILE))
}

/// Puts a function into a folder, as Lambda wants it. It is built, unless [`BUILT_VARIABLE`] says where it is.
///
/// # Errors
///
/// When there is no such function, or it cannot be built or copied.
pub fn place(root: &Path, function: &str, folder: &Path) -> Result<()> {
    ensure!(FUNCTIONS.contains(&function), "there is no function {function}; there are {}", FUNCTIONS.join(", "));
    let built = match std::env::var_os(BUILT_VARIABLE) {
        Some(built) => PathBuf::from(built),
        None => build(root)?,
    };
    let (from, to) = (built.join(function), folder.join(PROGRAM));
    fs::copy(&from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Whether AWS's own tools find the template good.
///
/// # Errors
///
/// When they do not, or cannot be installed.
pub fn validate(root: &Path) -> Result<()> {
    process::run(sam_at(root)?.args(["validate", "--lint"]))
}

/// Whether `sam build` packs each function of the template: with functions that are built already, in the folder `built`, for how
/// they are compiled does not change how they are packed.
///
/// # Errors
///
/// When it does not, or SAM cannot be installed.
pub fn pack(root: &Path, built: &Path) -> Result<()> {
    let packed = target_directory(root)?.join("sam");
    process::run(sam_at(root)?.args(["build", "--build-dir"]).arg(&packed).env(BUILT_VARIABLE, built))?;
    let mut functions = 0;
    for entry in fs::read_dir(&packed)? {
        functions += usize::from(entry?.path().join(PROGRAM).is_file());
    }
    ensure!(functions == FUNCTIONS.len(), "sam build has packed {functions} functions; there are {}", FUNCTIONS.len());
    Ok(())
}

fn of_functions() -> Vec<String> {
    let packages = FUNCTIONS.iter().flat_map(|function| ["--package".to_owned(), format!("cota-function-{function}")]);
    ["--profile".to_owned(), PROFILE.to_owned()].into_iter().chain(packages).collect()
}

fn sam_at(root: &Path) -> Result<Command> {
    let mut command = Command::new(sam()?);
    command.current_dir(root).env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "eu-central-1");
    Ok(command)
}
