//! What the tests share: the Worker built once, a workerd that runs it, a limit for hangs.

mod build;
mod namespace;
mod workerd;

use std::future::Future;
use std::time::Duration;

use cota_testkit::llm_server::{LlmServer, Settings};

pub(crate) use cota_testkit::client::{Record, Socket, http, socket};
pub(crate) use namespace::Namespace;
pub(crate) use workerd::Workerd;

/// Where no model is.
pub(crate) const NO_MODEL: &str = "http://127.0.0.1:9/v1";

const HANG: Duration = Duration::from_secs(600);

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    // However long it takes to build the Worker and its tools, it is no hang.
    build::modules();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { tokio::time::timeout(HANG, test).await.expect("the test hangs") });
}

/// A scripted model.
pub(crate) async fn model(settings: Settings) -> LlmServer {
    LlmServer::start(settings).await.unwrap()
}

/// A number that a seed stands for, below `limit`.
pub(crate) fn scatter(seed: u64, limit: u64) -> u64 {
    // The first steps of SplitMix64.
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z ^ (z >> 27)) % limit
}
