//! The Lambda functions as they are shipped: their size, how soon they answer, what a turn takes of them and of AWS.
//!
//! Each environment is a process of its own, between the doubles of `cota_testkit::lambda`, over DynamoDB Local and a queue. The
//! key decision: what AWS charges for is counted on the wire (`wire`) and by the doubles, never by the functions themselves, so
//! that nothing that they leave out of their own accounts is left out here.

mod asking;
mod cost;
mod deployment;
mod size;
mod start;
mod taken;
mod turns;
mod wire;

use std::path::PathBuf;

use crate::processes::workspace;
use crate::suite::{Part, Suite};

/// The deployment on AWS.
pub(crate) const SUITE: Suite = Suite {
    command: "cargo xtask bench lambda",
    title: "Benchmarks of the Lambda functions",
    page: "docs/benchmarks-lambda.md",
    needs: api,
    parts: &[
        Part { name: "size", measure: size::measure },
        Part { name: "start", measure: start::measure },
        Part { name: "turns", measure: turns::measure },
    ],
};

fn api() -> PathBuf {
    program("api")
}

/// The program of a function, built for this machine.
fn program(function: &str) -> PathBuf {
    folder("COTA_BENCH_FUNCTIONS", "target/lambda").join(function)
}

/// The program of a function as it is shipped.
fn shipped(function: &str) -> PathBuf {
    folder("COTA_BENCH_SHIPPED", "target/aarch64-unknown-linux-gnu/lambda").join(function)
}

fn folder(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| workspace().join(default), PathBuf::from)
}
