//! The ledger: small records beside the conversations, most of which end by themselves.
//!
//! API keys, tickets, invitations and the state of limits are kept here, so that they hold for every process of a deployment.
//! A record is bytes under a name; what they mean is its user's affair. Every method is atomic, and `cota-testkit` proves it of
//! each implementation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use cota_core::ids::Timestamp;

use crate::store::StoreError;

/// Where small records are kept. A record whose end has passed is nowhere to be seen, whether it is deleted already or not.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The record of this name.
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError>;

    /// Writes a record if `expected` is what the ledger has: the value of the record of this name, or `None` for no record. Says
    /// whether it was written.
    async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError>;

    /// Deletes the record and returns it. Of several callers at once one gets it.
    async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError>;

    /// The records whose names begin with `prefix`, in the order of their names.
    async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError>;
}

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub value: Vec<u8>,
    /// From when on it is gone; `None` for never.
    pub expires_at: Option<Timestamp>,
}

impl Record {
    /// Whether it is still to be seen.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A [`Ledger`] in memory, gone with the process.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    records: BTreeMap<String, Record>,
    /// How many records there may be before those that ended are looked for.
    sweep_at: usize,
}

/// Records below which looking for ended ones is not worth it.
const FEW: usize = 1024;

impl MemoryLedger {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn live(&self, name: &str, now: Timestamp) -> Option<&Record> {
        self.records.get(name).filter(|record| record.is_live(now))
    }

    /// Looks through all records only when their number has doubled since the last time.
    fn sweep(&mut self, now: Timestamp) {
        if self.records.len() >= self.sweep_at.max(FEW) {
            self.records.retain(|_, record| record.is_live(now));
            self.sweep_at = self.records.len().saturating_mul(2);
        }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        Ok(self.lock().live(name, now).cloned())
    }

    async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError> {
        let mut kept = self.lock();
        if kept.live(name, now).map(|record| record.value.as_slice()) != expected {
            return Ok(false);
        }
        kept.sweep(now);
        kept.records.insert(name.to_owned(), record);
        Ok(true)
    }

    async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        Ok(self.lock().records.remove(name).filter(|record| record.is_live(now)))
    }

    async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
        let kept = self.lock();
        let from = kept.records.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        Ok(from.filter(|(_, record)| record.is_live(now)).map(|(name, record)| (name.clone(), record.clone())).collect())
    }
}
