//! What the tests share: a deployment and clients.

use std::future::Future;

pub(crate) use cota_testkit::client::{Record, Socket, http};
pub(crate) use cota_testkit::seeds::{scatter, seeds};
pub(crate) use cota_testkit::targets::lambda::{self, Bundles, Deployment, Plan, cota, program};

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    lambda::build_once();
    cota_testkit::proofs::run(test);
}
