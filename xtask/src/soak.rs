//! `cargo xtask soak`: what a test tries a few times, tried many times.

use std::path::Path;

use anyhow::Result;

use crate::process::{self, cargo};

/// What tells a target's tests how many seeds to try.
pub const SEEDS_VARIABLE: &str = "COTA_SOAK";
const SEEDS: u32 = 100;

/// Kills the Lambda functions again and again while people talk to them, each time at another seeded moment.
///
/// # Errors
///
/// When what was acknowledged is not answered once, or nothing can be built.
pub fn lambda(root: &Path) -> Result<()> {
    kill(root, ["--package", "cota-aws", "--test", "functions", "killed_at_any_moment"])
}

/// The same of workerd, while people talk to the Worker.
///
/// # Errors
///
/// As [`lambda`].
pub fn workers(root: &Path) -> Result<()> {
    kill(root, ["--package", "cota-worker", "--test", "workerd", "kills::"])
}

fn kill(root: &Path, test: [&str; 5]) -> Result<()> {
    let mut command = cargo(root);
    command.arg("test").args(test).args(["--", "--nocapture"]);
    process::run(command.env(SEEDS_VARIABLE, SEEDS.to_string()))
}
