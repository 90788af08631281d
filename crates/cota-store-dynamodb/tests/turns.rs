//! What a turn costs, with the real driver: calls on the wire, and capacity.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

mod support;

use std::sync::Arc;

use cota_core::ids::{RunId, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_driver::conversation::Driven;
use cota_driver::store::{Acceptance, AfterAccept, ClaimOutcome, NewMessage, Store as _};
use cota_store_dynamodb::{DynamoStore, Options, Usage};
use cota_testkit::conformance::samples::{self, T0, driving, finish, going_on, holder};

use support::stage::{Stage, key, message};
use support::{Wire, table};

const QUERY: &str = "Query";
const WRITE: &str = "TransactWriteItems";

#[tokio::test]
async fn a_plain_turn_takes_three_calls_where_its_acceptor_drives_it() {
    let (wire, table, key) = (Wire::default(), table().await, key("three"));
    // Enough turns for two snapshots, each in a process that knows nothing of the ones before.
    for n in 0..50 {
        let store = Arc::new(DynamoStore::new(wire.client(), &table, &Options::default()));
        let stage = Stage::new(store.clone(), &format!("process {n}"));
        assert_eq!(stage.say(&key, &format!("m{n}"), &format!("question {n}")).await, Driven::Idle);
        assert_eq!(wire.taken(), [QUERY, WRITE, WRITE], "turn {n}");
        let usage = store.usage();
        assert_eq!(usage.calls, 3);
        assert!((0.0..=40.0).contains(&usage.read_units) && (6.0..=120.0).contains(&usage.write_units), "turn {n}: {usage:?}");
        println!("turn {n}: {} read and {} write capacity units", usage.read_units, usage.write_units);
    }
}

#[tokio::test]
async fn a_plain_turn_takes_four_calls_where_its_acceptor_rings() {
    let (wire, table, key) = (Wire::default(), table().await, key("four"));
    for n in 0..8 {
        let fresh = |name: &str| {
            let store = DynamoStore::new(wire.client(), &table, &Options::default());
            Stage::new(Arc::new(store), &format!("{name} {n}"))
        };
        let accepted = fresh("acceptor").post(&key, &format!("m{n}"), &format!("question {n}")).await;
        assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Ring, .. }), "{accepted:?}");
        assert!(fresh("driver").hear(&key).await);
        assert_eq!(wire.taken(), [WRITE, QUERY, WRITE, WRITE], "turn {n}");
    }
}

#[tokio::test]
async fn both_ways_in_may_take_turns_and_a_wrong_guess_takes_one_more_call() {
    let (wire, table, key) = (Wire::default(), table().await, key("mixed"));
    let stage = |name: &str| Stage::new(Arc::new(DynamoStore::new(wire.client(), &table, &Options::default())), name);
    stage("a").say(&key, "m1", "one").await;
    stage("b").post(&key, "m2", "two").await;
    wire.taken();
    let accepted = stage("c").post(&key, "m3", "three").await;
    assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Ring, .. }), "{accepted:?}");
    assert_eq!(wire.taken(), [WRITE, WRITE], "the refused guess brings the record");
    assert_eq!(stage("d").post(&key, "m2", "two").await, Acceptance::Repeated(cota_driver::store::Progress::Pending));
    assert_eq!(wire.taken(), [WRITE], "so does a repeat its own");
    assert!(stage("e").hear(&key).await);
    // Two turns under one claim: what waits is known, so the second is one call.
    assert_eq!(wire.taken(), [QUERY, WRITE, WRITE, WRITE]);
    stage("f").say(&key, "m4", "four").await;
    assert_eq!(wire.taken(), [QUERY, WRITE, WRITE]);
    let store = DynamoStore::new(wire.client(), &table, &Options::default());
    let events = store.events(&key, Seq(0), usize::MAX).await.unwrap();
    let said: Vec<_> = events.iter().filter(|event| event.message_id.is_some()).map(|event| event.run.clone()).collect();
    let order: Vec<_> = ["m1", "m2", "m3", "m4"].map(|id| run_of(&key, id)).into();
    let mut runs = said;
    runs.dedup();
    assert_eq!(runs, order);
}

#[tokio::test]
async fn the_two_thousandth_turn_reads_no_more_than_the_fiftieth() {
    let (wire, table) = (Wire::default(), table().await);
    let store = DynamoStore::new(wire.client(), &table, &Options::default());
    let key = samples::key("public", "long");
    let mut tracker = Tracker::default();
    let mut most = [0.0_f64; 2];
    for n in 1..=2000_u64 {
        let before = store.usage();
        wire.taken();
        let accepted = store.accept(&key, samples::message(&format!("m{n}")), &driving("a")).await.unwrap();
        let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else { panic!("turn {n}: {accepted:?}") };
        let loaded = claimed.loaded.unwrap();
        assert_eq!(loaded.tracker.head, Seq(3 * (n - 1)));
        let mut commit = finish(&claimed.claim, 1, loaded.tracker.head, &loaded.inbox);
        commit.events.iter().for_each(|event| tracker.apply(event));
        tracker.trim(0);
        if tracker.head.0 - tracker.snapshot.0 >= cota_core::limits::SNAPSHOT_EVENTS {
            tracker.snapshot = tracker.head;
            commit.snapshot = Some(tracker.clone());
        }
        store.commit(&key, &claimed.claim, &commit, &going_on(T0)).await.unwrap();
        assert_eq!(wire.taken(), [QUERY, WRITE, WRITE], "turn {n}");
        let read = read_units(before, store.usage());
        let early = usize::from(n > 100);
        most[early] = most[early].max(read);
    }
    println!("read capacity units of a load: at most {} in the first hundred turns, {} after", most[0], most[1]);
    assert!(most[1] <= most[0], "{most:?}");
}

#[tokio::test]
async fn a_message_that_comes_while_a_turn_runs_costs_its_finish_a_read_and_a_write() {
    let (wire, table) = (Wire::default(), table().await);
    let store = DynamoStore::new(wire.client(), &table, &Options::default());
    let other = DynamoStore::new(support::client(), &table, &Options::default());
    let key = samples::key("public", "busy");
    let accepted = store.accept(&key, samples::message("m1"), &driving("a")).await.unwrap();
    let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else { panic!("{accepted:?}") };
    let inbox = claimed.loaded.unwrap().inbox;
    other.accept(&key, samples::message("m2"), &driving("b")).await.unwrap();
    wire.taken();
    let committed = store.commit(&key, &claimed.claim, &finish(&claimed.claim, 1, Seq(0), &inbox), &going_on(T0)).await.unwrap();
    assert_eq!(wire.taken(), [WRITE, QUERY, WRITE]);
    assert!(matches!(committed.next, cota_driver::store::Next::Waiting { .. }), "{committed:?}");
    assert!(matches!(other.claim(&key, &holder("b"), T0).await.unwrap(), ClaimOutcome::Held { .. }));
}

#[tokio::test]
async fn whoever_drives_knows_without_a_call_whether_the_conversation_is_followed() {
    let (wire, table) = (Wire::default(), table().await);
    let store = DynamoStore::new(wire.client(), &table, &Options::default());
    let other = DynamoStore::new(support::client(), &table, &Options::default());
    // DynamoDB itself deletes what has ended, by its own clock.
    let (key, later) = (samples::key("public", "followed"), Timestamp(4_000_000_000_000));
    assert!(store.is_followed(&key, T0), "it may be, as nobody has looked");
    let mut head = Seq(0);
    for (message, is_followed) in [("m1", false), ("m2", true), ("m3", true)] {
        wire.taken();
        let accepted = store.accept(&key, samples::message(message), &driving("a")).await.unwrap();
        let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else { panic!("{accepted:?}") };
        assert_eq!(store.is_followed(&key, T0), is_followed, "{message}");
        assert!(!store.is_followed(&key, later.plus_ms(1_000)), "the note has an end, in whole seconds");
        let commit = finish(&claimed.claim, 1, head, &claimed.loaded.unwrap().inbox);
        let calls: &[&str] = if message == "m1" {
            // Somebody comes while the turn runs: the finish is told, which is a read and a write more.
            other.follow(&key, later).await.unwrap();
            other.tell_driver(&key).await.unwrap();
            &[QUERY, WRITE, WRITE, QUERY, WRITE]
        } else {
            &[QUERY, WRITE, WRITE]
        };
        head = store.commit(&key, &claimed.claim, &commit, &going_on(T0)).await.unwrap().head;
        assert_eq!(wire.taken(), calls, "{message}");
        assert_eq!(store.take_change(&key), message == "m1", "{message}");
        assert!(!store.take_change(&key), "it is told once");
        assert!(store.is_followed(&key, T0), "{message}");
    }
    other.delete(&key).await.unwrap();
    assert_eq!(store.claim(&key, &holder("a"), T0).await.unwrap(), ClaimOutcome::Idle);
    assert!(store.is_followed(&key, T0), "who follows does not leave when the conversation is forgotten");
    other.tell_driver(&key).await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), None, "nobody drives, and nothing is written");
}

#[tokio::test]
async fn what_is_remembered_of_a_conversation_does_not_mislead_where_another_was_begun_in_its_place() {
    let (wire, table) = (Wire::default(), table().await);
    let remembers = DynamoStore::new(wire.client(), &table, &Options::default());
    let other = DynamoStore::new(support::client(), &table, &Options::default());
    let key = samples::key("public", "again");
    // The second life's snapshot ends before the first's did, and its log behind it.
    for (life, turns, snapshot_every) in [(0, 40, 12), (1, 50, 100), (2, 3, 12)] {
        let mut tracker = Tracker::default();
        for n in 0..turns {
            let message = NewMessage { at: T0.plus_ms(1000 * life), ..samples::message(&format!("m{n}")) };
            let accepted = other.accept(&key, message, &driving("a")).await.unwrap();
            let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else { panic!("{accepted:?}") };
            let mut commit = finish(&claimed.claim, 1, tracker.head, &claimed.loaded.unwrap().inbox);
            commit.events.iter().for_each(|event| tracker.apply(event));
            if tracker.head.0 - tracker.snapshot.0 >= snapshot_every {
                tracker.snapshot = tracker.head;
                commit.snapshot = Some(tracker.clone());
            }
            other.commit(&key, &claimed.claim, &commit, &going_on(T0)).await.unwrap();
        }
        assert!(remembers.load(&key).await.unwrap().unwrap().tracker == tracker, "life {life}");
        wire.taken();
        assert!(remembers.load(&key).await.unwrap().unwrap().tracker == tracker, "life {life}, once more");
        assert_eq!(wire.taken(), [QUERY]);
        if life < 2 {
            other.delete(&key).await.unwrap();
        }
    }
}

fn read_units(before: Usage, after: Usage) -> f64 {
    after.read_units - before.read_units
}

fn run_of(key: &cota_core::ids::ConversationKey, id: &str) -> RunId {
    let NewMessage { sender, message_id, .. } = message(id, "");
    RunId::of(key, &sender, &message_id)
}
