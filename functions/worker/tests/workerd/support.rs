//! What the tests share: a workerd that runs the Worker, a scripted model, clients.

use std::future::Future;

pub(crate) use cota_testkit::client::{Record, Socket, http};
pub(crate) use cota_testkit::proofs::model;
pub(crate) use cota_testkit::seeds::scatter;
pub(crate) use cota_testkit::targets::workerd::{Namespace, Workerd};

/// Where no model is.
pub(crate) const NO_MODEL: &str = "http://127.0.0.1:9/v1";

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    cota_testkit::targets::workerd::build_once();
    cota_testkit::proofs::run(test);
}
