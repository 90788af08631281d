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

mod chat;
mod forgotten;
mod keys;
mod kills;
mod limits;
mod panics;
mod parks;
mod published;
mod sockets;
mod store;
mod support;
mod tasks;
mod tokens;

/// What every target promises.
mod promises {
    cota_testkit::proofs!(cota_testkit::targets::workerd::OnWorkerd);
    cota_testkit::proofs!(rooms: cota_testkit::targets::workerd::OnWorkerd);
}
