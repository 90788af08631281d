//! The Lambda deployment: AWS's own tools on its template.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::tools;

/// What the template is checked with.
const SAM: &str = "aws-sam-cli==1.170.0";

/// Whether AWS's own tools find the template good.
///
/// # Errors
///
/// When they do not, or cannot be installed.
pub fn validate(root: &Path) -> Result<()> {
    let mut sam = Command::new(installed()?.join("bin/sam"));
    sam.current_dir(root).args(["validate", "--lint"]).env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "eu-central-1");
    process::run(&mut sam)
}

/// SAM from PyPI, in an environment of its own, once for each version.
fn installed() -> Result<PathBuf> {
    let folder = tools::cache()?.join(SAM.replace("==", "-"));
    if !folder.join("bin/sam").is_file() {
        println!("installing {SAM} once, in {}", folder.display());
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        process::run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", SAM]))?;
    }
    Ok(folder)
}
