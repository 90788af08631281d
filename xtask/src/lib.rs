//! Set-up, tests and tidiness of the workspace: what `cargo xtask` runs.
//!
//! It is not part of COTA: nothing that is shipped depends on it, and it depends on nothing that has
//! to be installed beforehand but Rust, a C compiler and git. What is missing it installs or names.
//!
//! The key decision: every rule of the house is code that returns its violations as plain text
//! ([`tidy`], [`dependencies`]), so that the same rule is a command and an ordinary test, and
//! `cargo test` alone already enforces it.

pub mod benchmark;
pub mod dependencies;
pub mod lambda;
pub mod measured;
pub mod metadata;
pub mod process;
pub mod soak;
pub mod steps;
pub mod suite;
pub mod tidy;
pub mod tools;
pub mod worker;
