//! `cargo xtask bench`: how fast and how small COTA is, measured against the least that can be done.
//!
//! It is not a micro-benchmark: it starts the real `cota` binary, a scripted OpenAI-compatible server and a bare proxy that
//! makes the same upstream calls and nothing else, each in a process of its own, and talks to them over sockets. The key
//! decision: whatever is compared is measured in one run and in turns (proxy, memory, SQLite, proxy, ...), and the median of
//! the rounds counts, so that noise of the machine hits all of them alike. What is measured together is a [`Suite`]: the server
//! of a laptop, or another target by its name.
//!
//! The program starts itself in the roles of the helpers; see `roles`.

mod lambda;
mod load;
mod machine;
mod measure;
mod plan;
mod processes;
mod report;
mod roles;
mod suite;
mod tasks;
mod workers;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::plan::Plan;
use crate::suite::Suite;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every figure is within its target.
fn run() -> Result<bool> {
    // `cargo bench` adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["role", name, settings] => roles::play(name, settings).map(|()| true),
        ["lambda", words @ ..] => measure(&lambda::SUITE, words),
        ["tasks", words @ ..] => measure(&tasks::SUITE, words),
        ["workers", words @ ..] => measure(&workers::SUITE, words),
        words => measure(&measure::SUITE, words),
    }
}

fn measure(suite: &Suite, words: &[&str]) -> Result<bool> {
    match Plan::parse(words, &suite.names()) {
        Some(plan) => suite.run(&plan),
        None => bail!("usage: {} [--quick] [--only {}]", suite.command, suite.names().join("|")),
    }
}
