//! What serves bots, started for a test as its users start it, and what it serves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test whose target cannot be started ends with the reason"
)]

#[cfg(feature = "lambda")]
pub mod lambda;
pub mod laptop;
pub mod workerd;

use std::path::{Path, PathBuf};

use crate::services::root;

/// The folder of a bot of the proofs.
#[must_use]
pub fn bot(name: &str) -> PathBuf {
    root().join("crates/cota-cli/tests/bots").join(name)
}

/// The folder of an example bot.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

/// A program that cargo has put beside the tests that run.
fn beside(program: &str) -> PathBuf {
    // A test is target/debug/deps/name-...
    let test = std::env::current_exe().expect("a test has a program");
    test.parent().and_then(Path::parent).expect("cargo builds tests into a folder of their own").join(program)
}
