//! Connections that are open in a deployment whose processes come and go, counted in the ledger by whose they are.
//!
//! One record of an identity names its open connections, and is changed by comparing, so no two processes give away one place.
//! Each place has an end: whoever took it and died keeps it no longer than its connection could have lasted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use cota_core::ids::{Owner, Timestamp};
use cota_driver::ledger::{Ledger, Record};
use cota_driver::ports::{Clock, Spawn};
use cota_driver::store::StoreError;
use cota_protocol::problem::Problem;

use super::{Kind, StreamPlace, StreamPlaces, Who, is_identified, place, too_many};
use crate::respond;

/// How often a write is tried that others get ahead of.
const TRIES: u32 = 64;
/// Between two tries, in milliseconds.
const AGAIN_MS: u64 = 5;

/// The places of connections, for all processes of a deployment together.
#[derive(Clone)]
pub struct SharedPlaces(Arc<Shared>);

struct Shared {
    most: u32,
    streams: StreamTerms,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    spawn: Arc<dyn Spawn>,
    taken: AtomicU64,
}

/// The event streams of a process.
#[derive(Clone, Debug)]
pub struct StreamTerms {
    /// The process's name, which no other has.
    pub instance: String,
    /// How long one may be open, in milliseconds.
    pub longest_ms: u64,
}

/// An identity's open connections, by their names.
type Open = BTreeMap<String, Taken>;

/// For how long a place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    since: Timestamp,
    until: Timestamp,
}

/// Why there is no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    Full {
        /// How many there are.
        most: u32,
        /// The connections that have them, and since when: the one that came first before the others.
        open: Vec<(String, Timestamp)>,
    },
    /// The ledger does not answer.
    Store(StoreError),
}

/// A place that is given back when it is dropped.
struct Taking {
    places: SharedPlaces,
    owner: Owner,
    name: String,
}

impl SharedPlaces {
    /// At most so many places for each identity. What is given back when a stream ends is given back by a task of `spawn`.
    #[must_use]
    pub fn new(most: u32, streams: StreamTerms, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, spawn: Arc<dyn Spawn>) -> Self {
        Self(Arc::new(Shared { most, streams, ledger, clock, spawn, taken: AtomicU64::new(0) }))
    }

    /// Takes a place for the connection of this name, until it is given back or that time has come. Who is not identified needs
    /// none; a connection that has one keeps it.
    ///
    /// # Errors
    /// When all are taken, or that cannot be told.
    pub async fn take(&self, owner: &Owner, name: &str, until: Timestamp) -> Result<(), NoPlace> {
        let most = self.0.most as usize;
        let taken = |open: &mut Open, now| {
            open.remove(name);
            if open.len() >= most {
                return Err(NoPlace::Full { most: self.0.most, open: in_order(open) });
            }
            open.insert(name.to_owned(), Taken { since: now, until });
            Ok(())
        };
        self.change(owner, taken).await
    }

    /// Gives a place back, whether it is taken or not.
    ///
    /// # Errors
    /// If the ledger does not answer; the place is free when its time has come.
    pub async fn give_back(&self, owner: &Owner, name: &str) -> Result<(), StoreError> {
        let given_back = |open: &mut Open, _| {
            open.remove(name);
            Ok(())
        };
        match self.change(owner, given_back).await {
            Ok(()) | Err(NoPlace::Full { .. }) => Ok(()),
            Err(NoPlace::Store(error)) => Err(error),
        }
    }

    /// Writes what `change` makes of an identity's open connections, if it makes something else of them.
    async fn change(&self, owner: &Owner, change: impl Fn(&mut Open, Timestamp) -> Result<(), NoPlace>) -> Result<(), NoPlace> {
        if !is_identified(owner) {
            return Ok(());
        }
        let name = place(Kind::Connections, &Who::Owner(owner.clone()));
        let Shared { ledger, clock, .. } = self.0.as_ref();
        for _ in 0..TRIES {
            let now = clock.now();
            let before = ledger.get(&name, now).await?.map(|record| record.value);
            let known = before.as_deref().map(read).transpose()?.unwrap_or_default();
            let mut open = known.clone();
            open.retain(|_, taken| now < taken.until);
            change(&mut open, now)?;
            if open == known || ledger.replace(&name, before.as_deref(), record(&open, now)?, now).await? {
                return Ok(());
            }
            clock.sleep_until(now.plus_ms(AGAIN_MS)).await;
        }
        Err(NoPlace::Store(StoreError::Unavailable("an identity's connections change too fast".to_owned())))
    }
}

#[async_trait]
impl StreamPlaces for SharedPlaces {
    async fn stream(&self, owner: &Owner) -> Result<StreamPlace, Problem> {
        let Shared { streams, clock, taken, .. } = self.0.as_ref();
        let name = format!("{}-{:x}", streams.instance, taken.fetch_add(1, Ordering::Relaxed));
        self.take(owner, &name, clock.now().plus_ms(streams.longest_ms)).await?;
        Ok(Box::new(Taking { places: self.clone(), owner: owner.clone(), name }))
    }
}

impl From<StoreError> for NoPlace {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<NoPlace> for Problem {
    fn from(refused: NoPlace) -> Self {
        match refused {
            NoPlace::Full { most, open: _ } => too_many("one identity", most),
            NoPlace::Store(error) => respond::unreadable(&error),
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let (places, owner, name) = (self.places.clone(), self.owner.clone(), std::mem::take(&mut self.name));
        self.places.0.spawn.spawn(Box::pin(async move {
            if let Err(error) = places.give_back(&owner, &name).await {
                tracing::warn!(%error, "the place of a stream that has ended could not be given back; it ends by itself");
            }
        }));
    }
}

/// The one that came first before the others.
fn in_order(open: &Open) -> Vec<(String, Timestamp)> {
    let mut open: Vec<_> = open.iter().map(|(name, taken)| (name.clone(), taken.since)).collect();
    open.sort_by_key(|(_, since)| *since);
    open
}

fn read(value: &[u8]) -> Result<Open, StoreError> {
    serde_json::from_slice(value).map_err(|error| corrupt(&error))
}

/// The record is gone when the last place is free.
fn record(open: &Open, now: Timestamp) -> Result<Record, StoreError> {
    let value = serde_json::to_vec(open).map_err(|error| corrupt(&error))?;
    Ok(Record { value, expires_at: Some(open.values().map(|taken| taken.until).max().unwrap_or(now)) })
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("an identity's connections: {error}"))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use cota_driver::ledger::MemoryLedger;
    use futures_util::FutureExt as _;
    use futures_util::future::{BoxFuture, join_all, ready};
    use std::sync::Mutex;

    use super::*;

    const START: Timestamp = Timestamp(1_000_000);
    const END: Timestamp = Timestamp(2_000_000);

    /// A ledger between whose calls others get their turn, and a clock that stands still.
    #[derive(Default)]
    struct World {
        ledger: MemoryLedger,
        passed_ms: AtomicU64,
        tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
    }

    #[async_trait]
    impl Ledger for World {
        async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
            tokio::task::yield_now().await;
            self.ledger.get(name, now).await
        }
        async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError> {
            tokio::task::yield_now().await;
            self.ledger.replace(name, expected, record, now).await
        }
        async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
            self.ledger.take(name, now).await
        }
        async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
            self.ledger.list(prefix, now).await
        }
    }

    impl Clock for World {
        fn now(&self) -> Timestamp {
            START.plus_ms(self.passed_ms.load(Ordering::Relaxed))
        }
        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            ready(()).boxed()
        }
    }

    impl Spawn for World {
        fn spawn(&self, future: BoxFuture<'static, ()>) {
            self.tasks.lock().unwrap().push(future);
        }
    }

    fn process(world: &Arc<World>, instance: &str) -> SharedPlaces {
        let streams = StreamTerms { instance: instance.to_owned(), longest_ms: 25_000 };
        SharedPlaces::new(2, streams, world.clone(), world.clone(), world.clone())
    }

    fn ana() -> Owner {
        Owner::new("ana").unwrap()
    }

    #[tokio::test]
    async fn several_processes_give_away_no_more_places_than_there_are() {
        let world = Arc::<World>::default();
        let processes = ["a", "b", "c", "d"].map(|name| process(&world, name));
        let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
        let owner = ana();
        let asked = names.iter().zip(processes.iter().cycle()).map(|(name, process)| process.take(&owner, name, END));
        let taken = join_all(asked).await;
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 2);
        assert!(taken.iter().all(|taken| matches!(taken, Ok(()) | Err(NoPlace::Full { most: 2, .. }))), "{taken:?}");
        assert_eq!(processes[0].take(&Owner::new("bo").unwrap(), "c0", END).await, Ok(()), "another one's places");
        assert_eq!(processes[0].take(&Owner::public(), "c1", END).await, Ok(()), "who is nobody is not counted");
    }

    #[tokio::test]
    async fn a_place_is_free_when_it_is_given_back_or_its_time_has_come() {
        let world = Arc::<World>::default();
        let (places, owner) = (process(&world, "a"), ana());
        assert_eq!(places.take(&owner, "c1", END).await, Ok(()));
        assert_eq!(places.take(&owner, "c2", START.plus_ms(10)).await, Ok(()));
        assert_eq!(places.take(&owner, "c2", START.plus_ms(10)).await, Ok(()), "whoever has a place keeps it");
        world.passed_ms.store(5, Ordering::Relaxed);
        let full = places.take(&owner, "c3", END).await;
        let open = vec![("c1".to_owned(), START), ("c2".to_owned(), START)];
        assert_eq!(full, Err(NoPlace::Full { most: 2, open }));
        world.passed_ms.store(10, Ordering::Relaxed);
        assert_eq!(places.take(&owner, "c3", END).await, Ok(()));
        for name in ["c1", "c3", "never"] {
            places.give_back(&owner, name).await.unwrap();
        }
        assert_eq!(world.ledger.list("", world.now()).await.unwrap(), [], "who has none open is forgotten");
    }

    #[tokio::test]
    async fn a_stream_gives_its_place_back_when_it_is_dropped() {
        let world = Arc::<World>::default();
        let (one, other, owner) = (process(&world, "a"), process(&world, "b"), ana());
        let first = one.stream(&owner).await.unwrap();
        let second = other.stream(&owner).await.unwrap();
        assert!(one.stream(&owner).await.is_err_and(|problem| problem.status() == 429));
        drop(first);
        let tasks = std::mem::take(&mut *world.tasks.lock().unwrap());
        join_all(tasks).await;
        assert!(one.stream(&owner).await.is_ok());
        drop(second);
        world.passed_ms.store(25_000, Ordering::Relaxed);
        assert!(one.stream(&owner).await.is_ok(), "the task that gives it back may never run");
    }
}
