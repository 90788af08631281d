//! How large a function is in its deployment package.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::shipped;
use crate::plan::Plan;
use crate::report::{Row, Section};

const MOST_ZIPPED: f64 = 4.0 * MB;
const MB: f64 = 1_000_000.0;

pub(super) fn measure(_plan: &Plan) -> Result<Vec<Section>> {
    let mut rows = Vec::new();
    for function in ["api", "turn", "websocket", "task"] {
        let (plain, zipped) = sizes(function)?;
        let cells = vec![function.to_owned(), format!("{:.2} MB", plain / MB), format!("{:.2} MB", zipped / MB)];
        rows.push(match function {
            "api" => Row::with(cells, "at most 4 MB zipped", zipped <= MOST_ZIPPED),
            _ => Row::plain(cells),
        });
    }
    let note = "For arm64, with one bot in it, zipped by Python's `zipfile` as SAM does it. 1 MB is a million bytes.".to_owned();
    Ok(vec![Section { title: "Size", note, head: vec!["function", "program", "zipped"], rows }])
}

/// The bytes of a function's program, and of its deployment package.
fn sizes(function: &str) -> Result<(f64, f64)> {
    let program = shipped(function);
    let folder = tempfile::tempdir()?;
    let bootstrap = folder.path().join("bootstrap");
    fs::copy(&program, &bootstrap).with_context(|| format!("{} is not there", program.display()))?;
    let zip = folder.path().join("package.zip");
    let status = Command::new("python3").args(["-m", "zipfile", "-c"]).arg(&zip).arg(&bootstrap).status()?;
    ensure!(status.success(), "{function} could not be zipped ({status})");
    Ok((fs::metadata(&bootstrap)?.len() as f64, fs::metadata(&zip)?.len() as f64))
}
