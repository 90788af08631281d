//! `cargo xtask soak`: what a test tries a few times, tried many times.

use std::path::Path;

use anyhow::Result;

use crate::process::{self, cargo};

/// What tells the functions' tests how many seeds to try.
pub const SEEDS_VARIABLE: &str = "COTA_SOAK";
const SEEDS: u32 = 100;

/// Kills the Lambda functions again and again while people talk to them, each time at another seeded moment.
///
/// # Errors
///
/// When what was acknowledged is not answered once, or nothing can be built.
pub fn lambda(root: &Path) -> Result<()> {
    let mut test = cargo(root);
    test.args(["test", "--package", "cota-aws", "--test", "functions", "killed_at_any_moment", "--", "--nocapture"]);
    process::run(test.env(SEEDS_VARIABLE, SEEDS.to_string()))
}
