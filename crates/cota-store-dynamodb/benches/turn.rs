//! How long each operation of a plain turn takes, and what it takes of DynamoDB, against DynamoDB Local on this machine.
//!
//! `cargo bench -p cota-store-dynamodb -- [turns]`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::future::Future;
use std::time::{Duration, Instant};

use cota_core::ids::Timestamp;
use cota_driver::store::{AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, Loaded, NewMessage, Store as _};
use cota_store_dynamodb::{DynamoStore, Options};
use cota_testkit::conformance::samples::{T0, driving, finish, going_on, holder, key, message, ringing};

/// What one operation took, each time.
struct Taken {
    name: &'static str,
    calls: u64,
    times: Vec<Duration>,
    read: f64,
    write: f64,
}

impl Taken {
    fn new(name: &'static str) -> Self {
        Self { name, calls: 0, times: Vec::new(), read: 0.0, write: 0.0 }
    }

    async fn time<T>(&mut self, store: &DynamoStore, operation: impl Future<Output = T>) -> T {
        let (before, began) = (store.usage(), Instant::now());
        let done = operation.await;
        self.times.push(began.elapsed());
        let after = store.usage();
        self.calls += after.calls - before.calls;
        self.read += after.read_units - before.read_units;
        self.write += after.write_units - before.write_units;
        done
    }

    fn print(mut self) {
        self.times.sort();
        let times = self.times.len();
        let ms = |part: usize| self.times[times * part / 100].as_secs_f64() * 1000.0;
        let each = |sum: f64| sum / times as f64;
        println!(
            "{:34} {:.2} calls  {:6.2} ms median  {:6.2} ms 99%  {:5.1} read  {:5.1} write units",
            self.name,
            each(self.calls as f64),
            ms(50),
            ms(99),
            each(self.read),
            each(self.write)
        );
    }
}

#[tokio::main]
async fn main() {
    let turns = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(500);
    let store = DynamoStore::new(support::client(), support::table().await, &Options::default());
    let mut taken = ["accept, claim and load", "finish", "accept, ringing", "claim and load, after a doorbell", "finish, after a doorbell"]
        .map(Taken::new);
    for n in 0..turns {
        let at = T0.plus_ms(n * 1000);
        let accepted = taken[0].time(&store, accept(&store, "driven", n, at, &driving("a"))).await;
        let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else { panic!("{accepted:?}") };
        taken[1].time(&store, end(&store, "driven", &claimed.claim, *claimed.loaded.unwrap())).await;
        taken[2].time(&store, accept(&store, "rung", n, at, &ringing())).await;
        let claimed = taken[3].time(&store, async { store.claim(&key("public", "rung"), &holder("a"), at).await.unwrap() }).await;
        let ClaimOutcome::Taken(claimed) = claimed else { panic!("{claimed:?}") };
        taken[4].time(&store, end(&store, "rung", &claimed.claim, *claimed.loaded.unwrap())).await;
    }
    println!("{turns} turns each way, against DynamoDB Local:");
    taken.into_iter().for_each(Taken::print);
}

async fn accept(store: &DynamoStore, id: &str, n: u64, at: Timestamp, terms: &AcceptTerms) -> Acceptance {
    store.accept(&key("public", id), NewMessage { at, ..message(&format!("m{n}")) }, terms).await.unwrap()
}

/// Ends the turn, with a snapshot as often as a turn takes one.
async fn end(store: &DynamoStore, id: &str, claim: &Claim, loaded: Loaded) {
    let mut tracker = loaded.tracker;
    let mut commit = finish(claim, 1, tracker.head, &loaded.inbox);
    commit.events.iter().for_each(|event| tracker.apply(event));
    if tracker.head.0 - tracker.snapshot.0 >= cota_core::limits::SNAPSHOT_EVENTS {
        tracker.trim(18_000);
        tracker.snapshot = tracker.head;
        commit.snapshot = Some(tracker);
    }
    store.commit(&key("public", id), claim, &commit, &going_on(T0)).await.unwrap();
}
