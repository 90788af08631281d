//! What invocations ask of DynamoDB, told in the log at the level `debug`: what a turn costs can be read off there.

use std::sync::{Arc, Mutex, PoisonError};

use cota_store_dynamodb::{DynamoStore, Usage};

/// Tells what was asked since it told last.
#[derive(Default)]
pub(crate) struct Meter {
    store: Option<Arc<DynamoStore>>,
    told: Mutex<Usage>,
}

impl Meter {
    pub(crate) fn new(store: Arc<DynamoStore>) -> Self {
        Self { store: Some(store), told: Mutex::default() }
    }

    pub(crate) fn tell(&self) {
        let Some(store) = &self.store else { return };
        let usage = store.usage();
        let before = std::mem::replace(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner), usage);
        let calls = usage.calls.saturating_sub(before.calls);
        let (read_units, write_units) = (usage.read_units - before.read_units, usage.write_units - before.write_units);
        tracing::debug!(calls, read_units, write_units, "DynamoDB");
    }
}
