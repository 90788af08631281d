//! What the tests share: a deployment and clients.

use std::future::Future;

use cota_testkit::lambda::Function;
use serde_json::Value as Json;

pub(crate) use cota_testkit::client::{Record, Socket, http};
pub(crate) use cota_testkit::seeds::{scatter, seeds};
pub(crate) use cota_testkit::targets::lambda::{self, Bundles, Deployment, Plan, cota, program};

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    lambda::build_once();
    cota_testkit::proofs::run(test);
}

/// How often DynamoDB was asked in each invocation of a function, which has to log at the level `debug`.
pub(crate) fn calls(function: &Function) -> Vec<u64> {
    let logged = function.logged();
    let lines = logged.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    lines.filter(|line| line["message"] == "DynamoDB").map(|line| line["calls"].as_u64().unwrap()).collect()
}
