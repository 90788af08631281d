use std::hash::{BuildHasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use cota_driver::store::Holder;

/// A name for this process that no other has: not at the same time, not after a restart, not in another container.
#[must_use]
pub fn unique_holder() -> Holder {
    let process = std::process::id();
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    // The hasher's keys come from the operating system's source of randomness.
    let chance = RandomState::new().hash_one((process, began));
    Holder(format!("{process}-{began:x}-{chance:016x}"))
}
