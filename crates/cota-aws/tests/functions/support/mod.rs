//! What the tests share: the binaries, bundles, a deployment, and clients.

pub(crate) mod binaries;
pub(crate) mod bundles;
pub(crate) mod deployment;

use std::future::Future;

pub(crate) use binaries::{cota, program};
pub(crate) use bundles::Bundles;
pub(crate) use cota_testkit::client::{Record, Socket, http};
pub(crate) use cota_testkit::seeds::{scatter, seeds};

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    binaries::build_once();
    cota_testkit::proofs::run(test);
}
