//! The states of rates, kept in the ledger so that they hold for every process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::lock::Mutex as AsyncMutex;

use cota_core::ids::Timestamp;
use cota_driver::ledger::Ledger;

use super::accounts::{Accounts, Draw, Refused};
use super::gcra::{PaidAt, Wait};

/// How often a write is tried that others get ahead of.
const TRIES: u32 = 16;
/// States that one process remembers.
const MOST_KNOWN: usize = 10_000;
/// How long to wait where too many others write the same state, in milliseconds.
const CONTENDED_MS: u64 = 1_000;

/// A state as it was last seen. Who changes it holds it, so that one process is never in its own way.
type Known = Arc<AsyncMutex<PaidAt>>;

/// The states.
pub(super) struct Rates {
    ledger: Arc<dyn Ledger>,
    known: Mutex<HashMap<String, Known>>,
}

impl Rates {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger, known: Mutex::default() }
    }

    /// Changes the state of this name, or leaves it as it is where that is refused. The state that was seen last is taken to be
    /// the ledger's until a write shows that it is not: mostly one call. What is refused because of it would be refused because
    /// of a later one, too.
    async fn change(&self, name: &str, draw: Draw, now: Timestamp) -> Result<(), Refused> {
        let known = self.known(name);
        let mut paid_at = known.lock().await;
        for _ in 0..TRIES {
            let next = draw.after(*paid_at, now).map_err(Refused::Wait)?;
            let seen = (now < paid_at.passes_at()).then(|| paid_at.to_bytes());
            if self.ledger.replace(name, seen.as_deref(), next.record(), now).await.map_err(Refused::Store)? {
                *paid_at = next;
                return Ok(());
            }
            *paid_at = self.read(name, now).await?;
        }
        Err(Refused::Wait(Wait(CONTENDED_MS)))
    }

    /// The state of this name as the ledger has it.
    async fn read(&self, name: &str, now: Timestamp) -> Result<PaidAt, Refused> {
        let record = self.ledger.get(name, now).await.map_err(Refused::Store)?;
        Ok(record.map(|record| PaidAt::from_bytes(&record.value)).unwrap_or_default())
    }

    fn known(&self, name: &str) -> Known {
        let mut known = self.lock();
        if let Some(state) = known.get(name) {
            return Arc::clone(state);
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        Arc::clone(known.entry(name.to_owned()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Accounts for Rates {
    async fn draw(&self, name: &str, draw: Draw, now: Timestamp) -> Result<(), Refused> {
        if draw.only_looks() {
            return draw.after(self.read(name, now).await?, now).map(drop).map_err(Refused::Wait);
        }
        self.change(name, draw, now).await
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use cota_driver::ledger::{MemoryLedger, Record};
    use cota_driver::store::StoreError;
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;
    use crate::limits::Rate;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn ten() -> Rate {
        Rate::new(NonZeroU32::new(10).unwrap(), NonZeroU32::new(10).unwrap())
    }

    async fn take(rates: &Rates, name: &str, now: Timestamp) -> Result<(), Refused> {
        rates.draw(name, Draw::one(ten()), now).await
    }

    /// Lets others write between any two calls.
    #[derive(Default)]
    struct Yielding {
        ledger: MemoryLedger,
        calls: AtomicUsize,
    }

    #[async_trait]
    impl Ledger for Yielding {
        async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
            tokio::task::yield_now().await;
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.ledger.get(name, now).await
        }

        async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError> {
            tokio::task::yield_now().await;
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.ledger.replace(name, expected, record, now).await
        }

        async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
            self.ledger.take(name, now).await
        }

        async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
            self.ledger.list(prefix, now).await
        }
    }

    #[tokio::test]
    async fn several_processes_give_away_no_more_than_one_would() {
        let ledger = Arc::new(Yielding::default());
        let processes: Vec<Rates> = (0..4).map(|_| Rates::new(ledger.clone())).collect();
        let asked = (0..40).map(|n| take(&processes[n % processes.len()], "a", NOW));
        let given = join_all(asked).await.iter().filter(|taken| taken.is_ok()).count();
        assert_eq!(given, 10);
        assert!(take(&processes[0], "b", NOW).await.is_ok(), "another name has a state of its own");
    }

    #[tokio::test]
    async fn a_process_alone_asks_the_ledger_once_and_not_at_all_where_it_refuses() {
        let ledger = Arc::new(Yielding::default());
        let rates = Rates::new(ledger.clone());
        for _ in 0..10 {
            take(&rates, "a", NOW).await.unwrap();
        }
        assert_eq!(ledger.calls.load(Ordering::Relaxed), 10);
        assert!(matches!(take(&rates, "a", NOW).await, Err(Refused::Wait(Wait(6_000)))));
        assert_eq!(ledger.calls.load(Ordering::Relaxed), 10);
        assert!(take(&rates, "a", NOW.plus_ms(600_000)).await.is_ok(), "a state that has passed is as none");
    }

    #[tokio::test]
    async fn a_race_that_is_always_lost_ends() {
        struct Lost;
        #[async_trait]
        impl Ledger for Lost {
            async fn get(&self, _: &str, _: Timestamp) -> Result<Option<Record>, StoreError> {
                Ok(None)
            }
            async fn replace(&self, _: &str, _: Option<&[u8]>, _: Record, _: Timestamp) -> Result<bool, StoreError> {
                Ok(false)
            }
            async fn take(&self, _: &str, _: Timestamp) -> Result<Option<Record>, StoreError> {
                Ok(None)
            }
            async fn list(&self, _: &str, _: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
                Ok(Vec::new())
            }
        }
        let refused = take(&Rates::new(Arc::new(Lost)), "a", NOW).now_or_never().unwrap();
        assert!(matches!(refused, Err(Refused::Wait(Wait(CONTENDED_MS)))));
    }
}
