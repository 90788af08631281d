//! The Worker in the real workerd, without an account: built by `cargo xtask worker --test`, started, killed and started again.
//!
//! Needs Node with npm, which brings workerd; everything else is installed on first use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, its helpers too"
)]

mod bad_model;
mod chat;
mod isolation;
mod kills;
mod on_busy;
mod published;
mod sockets;
mod store;
mod support;
mod tasks;
mod transcript;
