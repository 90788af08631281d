//! Numbers that look like chance and are the same in every run.

use std::ops::RangeInclusive;

/// How many seeds a soak tries, where this is one.
#[must_use]
pub fn soak() -> Option<u64> {
    std::env::var("COTA_SOAK").ok()?.parse().ok()
}

/// How many seeds to try: few where `COTA_QUICK` is set, many in a soak.
#[must_use]
pub fn seeds(full: u64, quick: u64) -> RangeInclusive<u64> {
    let quick_run = std::env::var_os("COTA_QUICK").is_some();
    1..=soak().unwrap_or(if quick_run { quick } else { full })
}

/// A number that a seed stands for, below `limit`.
#[must_use]
pub fn scatter(seed: u64, limit: u64) -> u64 {
    // The first steps of SplitMix64.
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z ^ (z >> 27)) % limit
}
