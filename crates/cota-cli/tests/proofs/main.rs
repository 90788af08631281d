//! Proofs of the whole: the real `cota` binary as a process, a scripted model behind a real socket, clients that race, die and
//! misbehave. Each test has a limit of time that only catches a hang.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what a proof does not expect fails it"
)]

mod bad_model;
mod bad_user;
mod crash;
mod isolation;
mod on_busy;
mod streaming;
mod support;
