//! The `cota` command: bots on the laptop.
//!
//! This crate puts the parts together for one machine. It decides nothing about a conversation: `cota-driver` drives,
//! `cota-gateway` speaks HTTP, `cota-config` says what is wrong with a bot.
//!
//! **Key decision: every command talks to the same host.** `run` serves it, `shell` and `test` hold it in their own process, so
//! what is tried on the terminal is what is served.
//!
//! - [`server`]: the HTTP and WebSocket server of `cota run`.
//! - [`native`]: the ports of a machine: clock, tasks, bot folders with reload, scripts, stores.
//! - `commands`: one module for each command. `arguments`, `output`, `failure`: what they share. `identity`: how a
//!   server knows its callers. `published`: bots that are not read from folders.

mod arguments;
mod bots;
mod commands;
mod explain;
mod failure;
mod identity;
mod limits;
mod log;
pub mod native;
mod output;
mod published;
pub mod server;
mod talk;

use std::process::ExitCode;

/// Runs the command that the process was called with.
#[must_use]
pub fn main() -> ExitCode {
    match commands::run(lexopt::Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::tell(format_args!("error: {message}"));
            }
            failure.exit_code()
        }
    }
}
