//! What the tests share: the binaries, bundles, and a client.

pub(crate) mod binaries;
pub(crate) mod bundles;
pub(crate) mod deployment;
pub(crate) mod http;
pub(crate) mod record;
pub(crate) mod socket;

use std::future::Future;
use std::time::Duration;

pub(crate) use binaries::{cota, program};
pub(crate) use bundles::Bundles;
pub(crate) use record::Record;
pub(crate) use socket::Socket;

/// A guard against hangs; a soak takes longer by far.
const HANG: Duration = Duration::from_secs(240);
const SOAK_HANG: Duration = Duration::from_secs(3_600);

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    binaries::build_once();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hang = if soak().is_some() { SOAK_HANG } else { HANG };
    runtime.block_on(async { tokio::time::timeout(hang, test).await.expect("the test hangs") });
}

/// How many seeds a soak tries, where this is one.
fn soak() -> Option<u64> {
    std::env::var("COTA_SOAK").ok()?.parse().ok()
}

/// How many seeds to try: few where `COTA_QUICK` is set, many in a soak.
pub(crate) fn seeds(full: u64, quick: u64) -> std::ops::RangeInclusive<u64> {
    let quick_run = std::env::var_os("COTA_QUICK").is_some();
    1..=soak().unwrap_or(if quick_run { quick } else { full })
}

/// A number that a seed stands for, below `limit`.
pub(crate) fn scatter(seed: u64, limit: u64) -> u64 {
    // The first steps of SplitMix64.
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z ^ (z >> 27)) % limit
}
