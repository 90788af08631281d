//! What the tests share: the binaries, bundles, and a client.

pub(crate) mod binaries;
pub(crate) mod bundles;
pub(crate) mod http;

use std::future::Future;
use std::time::Duration;

pub(crate) use binaries::program;
pub(crate) use bundles::Bundles;

/// A guard against hangs.
const HANG: Duration = Duration::from_secs(240);

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { tokio::time::timeout(HANG, test).await.expect("the test hangs") });
}
