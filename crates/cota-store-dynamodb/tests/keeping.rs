//! What is kept, for how long, and what a deletion leaves: nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cota_core::ids::{ConversationKey, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_driver::ledger::{Ledger as _, Record};
use cota_driver::store::{Acceptance, AfterAccept, ClaimOutcome, Claimed, CommitError, NewMessage, Progress, Store as _, StoreError};
use cota_store_dynamodb::aws_sdk_dynamodb::types::AttributeValue;
use cota_store_dynamodb::{DynamoStore, Options};
use cota_testkit::conformance::samples::{T0, checkpoint, driving, finish, going_on, holder, key, message, ringing, said};
use futures_util::future::{join, join3};

use support::{client, table};

type Item = HashMap<String, AttributeValue>;

/// Far from now, for DynamoDB Local deletes what has expired, too.
const FAR: Timestamp = Timestamp(4_000_000_000_000);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const KEPT: Duration = Duration::from_millis(30 * DAY_MS);

/// Accepts a message at a time, and takes the claim.
async fn drive(store: &DynamoStore, key: &ConversationKey, id: &str, at: Timestamp) -> Claimed {
    match store.accept(key, NewMessage { at, ..message(id) }, &driving("a")).await.unwrap() {
        Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } => claimed,
        other => panic!("{id}: {other:?}"),
    }
}

/// A whole turn at a time; `tracker` is the conversation's state, with a snapshot where one is due.
async fn turn(store: &DynamoStore, key: &ConversationKey, id: &str, at: Timestamp, tracker: &mut Tracker) {
    let claimed = drive(store, key, id, at).await;
    let loaded = claimed.loaded.unwrap();
    let mut found = loaded.tracker.clone();
    found.trim(0);
    assert!(found == *tracker, "{id}: {} events, not {}", found.head, tracker.head);
    let mut commit = finish(&claimed.claim, 1, loaded.tracker.head, &loaded.inbox);
    commit.events.iter().for_each(|event| tracker.apply(event));
    tracker.trim(0);
    if tracker.head.0 - tracker.snapshot.0 >= 12 {
        tracker.snapshot = tracker.head;
        commit.snapshot = Some(tracker.clone());
    }
    store.commit(key, &claimed.claim, &commit, &going_on(at)).await.unwrap();
}

async fn items(table: &str) -> Vec<Item> {
    let mut pages = client().scan().table_name(table).consistent_read(true).into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        items.push(item.unwrap());
    }
    items
}

fn end_of(item: &Item) -> u64 {
    item["expires_at"].as_n().unwrap().parse().unwrap()
}

/// What DynamoDB does by itself, at once.
async fn expire(table: &str, now: Timestamp) -> usize {
    let mut expired = 0;
    for item in items(table).await {
        if end_of(&item) * 1000 < now.0 {
            let key = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
            client().delete_item().table_name(table).set_key(Some(key.into())).send().await.unwrap();
            expired += 1;
        }
    }
    expired
}

#[tokio::test]
async fn a_conversation_that_nobody_touches_is_over_and_another_begins_in_its_place() {
    let (table, key) = (table().await, key("public", "over"));
    let store = DynamoStore::new(client(), &table, &Options { retention: Some(KEPT), ..Options::default() });
    turn(&store, &key, "m1", FAR, &mut Tracker::default()).await;
    let almost = NewMessage { at: FAR.plus_ms(29 * DAY_MS), ..message("m1") };
    let answered = Progress::Answered { first: Seq(1), last: Seq(3) };
    assert_eq!(store.accept(&key, almost, &driving("a")).await.unwrap(), Acceptance::Repeated(answered));
    for terms in [driving("a"), ringing()] {
        let later = FAR.plus_ms(if terms.drive_as.is_some() { 30 } else { 90 } * DAY_MS);
        assert_eq!(store.claim(&key, &holder("a"), later).await.unwrap(), ClaimOutcome::Idle);
        let accepted = store.accept(&key, NewMessage { at: later, ..message("m1") }, &terms).await.unwrap();
        assert!(matches!(accepted, Acceptance::Accepted { .. }), "{accepted:?}");
        assert_eq!(store.events(&key, Seq(0), 9).await.unwrap(), []);
        let claim = match accepted {
            Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } => claimed,
            _ => match store.claim(&key, &holder("a"), later).await.unwrap() {
                ClaimOutcome::Taken(claimed) => claimed,
                other => panic!("{other:?}"),
            },
        };
        let inbox = claim.loaded.unwrap().inbox;
        store.commit(&key, &claim.claim, &finish(&claim.claim, 1, Seq(0), &inbox), &going_on(later)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_turn_is_loaded_from_outlasts_the_conversation_and_old_events_do_not() {
    let (table, key) = (table().await, key("public", "slow"));
    let store = DynamoStore::new(client(), &table, &Options { retention: Some(KEPT), ..Options::default() });
    let (mut tracker, mut expired) = (Tracker::default(), 0);
    // One turn every twenty days: each comes before the conversation is over, and long after what the one before last wrote.
    for n in 0..24 {
        let now = FAR.plus_ms(n * 20 * DAY_MS);
        expired += expire(&table, now).await;
        turn(&store, &key, &format!("m{n}"), now, &mut tracker).await;
        let ends: Vec<(String, u64)> = items(&table).await.iter().map(|item| (item["sk"].as_s().unwrap().clone(), end_of(item))).collect();
        let last = ends.iter().max_by_key(|(_, end)| *end).unwrap();
        assert_eq!(last.0, "record", "the record is the last to go: {ends:?}");
    }
    assert!(expired > 24, "events and answers of a year ago are gone: {expired}");
    assert!(store.events(&key, Seq(0), 999).await.unwrap()[0].seq > Seq(1));
}

#[tokio::test]
async fn a_deletion_leaves_no_item_however_many_there_were() {
    let (table, key) = (table().await, key("public", "many"));
    let store = DynamoStore::new(client(), &table, &Options { sweeps: true, ..Options::default() });
    let mut tracker = Tracker::default();
    for n in 0..130 {
        turn(&store, &key, &format!("m{n}"), T0, &mut tracker).await;
    }
    let claimed = drive(&store, &key, "last", T0).await;
    store.accept(&key, message("waits"), &driving("b")).await.unwrap();
    let run = "0123456789".repeat(80_000);
    store.commit(&key, &claimed.claim, &checkpoint(&claimed.claim, 1, run.as_bytes()), &going_on(T0)).await.unwrap();
    assert!(items(&table).await.len() > 260);
    store.delete(&key).await.unwrap();
    assert_eq!(items(&table).await, Vec::<Item>::new());
    let end = finish(&claimed.claim, 2, tracker.head, &[]);
    assert_eq!(store.commit(&key, &claimed.claim, &end, &going_on(T0)).await, Err(CommitError::Fenced));
    assert_eq!(items(&table).await, Vec::<Item>::new());
}

#[tokio::test]
async fn a_deletion_that_died_half_way_is_as_good_as_done_and_the_next_message_finishes_it() {
    let (table, key) = (table().await, key("public", "half"));
    let store = DynamoStore::new(client(), &table, &Options::default());
    turn(&store, &key, "m1", T0, &mut Tracker::default()).await;
    let claimed = drive(&store, &key, "m2", T0).await;
    // As far as a deletion comes that dies after its first write.
    let record = items(&table).await.into_iter().find(|item| item["sk"] == AttributeValue::S("record".to_owned())).unwrap();
    let place = ["pk", "sk"].map(|name| (name.to_owned(), record[name].clone()));
    let marked = client()
        .update_item()
        .table_name(&table)
        .set_key(Some(place.into()))
        .update_expression("SET deleting = :yes ADD version :one")
        .expression_attribute_values(":yes", AttributeValue::Bool(true))
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
    marked.send().await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), None);
    assert_eq!(store.claim(&key, &holder("b"), T0.plus_ms(60_000)).await.unwrap(), ClaimOutcome::Idle);
    let end = finish(&claimed.claim, 1, Seq(3), &[]);
    assert_eq!(store.commit(&key, &claimed.claim, &end, &going_on(T0)).await, Err(CommitError::Fenced));
    assert_eq!(store.renew(&key, &claimed.claim, T0).await, Err(CommitError::Fenced));
    for terms in [driving("a"), ringing()] {
        let again = NewMessage { at: T0.plus_ms(1), ..message("m1") };
        let accepted = store.accept(&key, again, &terms).await.unwrap();
        assert!(matches!(accepted, Acceptance::Accepted { .. } | Acceptance::Repeated(Progress::Pending)), "{accepted:?}");
    }
    assert_eq!(items(&table).await.len(), 3, "the record, the message and its id");
    assert_eq!(store.load(&key).await.unwrap().unwrap().inbox.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_is_deleted_while_others_write_it_is_whole_or_gone() {
    let table = table().await;
    let store = |_| Arc::new(DynamoStore::new(client(), &table, &Options::default()));
    let [a, b, c] = [0, 1, 2].map(store);
    for n in 0..60 {
        let key = key("public", &format!("contended-{n}"));
        let claimed = drive(&a, &key, "m1", T0).await;
        let inbox = claimed.loaded.unwrap().inbox;
        let end = finish(&claimed.claim, 1, Seq(0), &inbox);
        let later = NewMessage { at: T0.plus_ms(5), ..message("m2") };
        let (committed, accepted, deleted) =
            join3(a.commit(&key, &claimed.claim, &end, &going_on(T0)), b.accept(&key, later, &ringing()), c.delete(&key)).await;
        deleted.unwrap();
        assert!(matches!(committed, Ok(_) | Err(CommitError::Fenced)), "{committed:?}");
        assert!(matches!(accepted.unwrap(), Acceptance::Accepted { .. }));
        // The deletion came before the message or after it.
        let loaded = c.load(&key).await.unwrap();
        let waits: Vec<String> = loaded.iter().flat_map(|loaded| &loaded.inbox).map(|message| message.message_id.to_string()).collect();
        assert!(loaded.is_none() || waits == ["m2"], "try {n}: {loaded:?}");
        let (again, once_more) = join(a.delete(&key), b.delete(&key)).await;
        again.and(once_more).unwrap();
        assert_eq!(c.load(&key).await.unwrap(), None);
    }
    assert_eq!(items(&table).await, Vec::<Item>::new());
}

#[tokio::test]
async fn a_turn_larger_than_a_transaction_is_refused_with_the_reason_and_the_conversation_goes_on() {
    let (table, key) = (table().await, key("public", "huge"));
    let store = DynamoStore::new(client(), &table, &Options::default());
    let claimed = drive(&store, &key, "m1", T0).await;
    let inbox = claimed.loaded.unwrap().inbox;
    let huge = vec![said(&claimed.claim, 1, &"x".repeat(4_000_000))];
    let commit = cota_core::turn::Commit { events: huge.into(), ..checkpoint(&claimed.claim, 1, b"") };
    let refused = store.commit(&key, &claimed.claim, &commit, &going_on(T0)).await.unwrap_err();
    assert!(refused.to_string().contains("DynamoDB writes at most 4 MB at once"), "{refused}");
    // A run of several items, and one after it that has fewer: no part of the first is left.
    for (n, length) in [(1, 3_000_000), (2, 10), (3, 800_000)] {
        let run = vec![b'x'; length];
        store.commit(&key, &claimed.claim, &checkpoint(&claimed.claim, n, &run), &going_on(T0)).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap().unwrap().saved, Some(run));
        let parts = items(&table).await.iter().filter(|item| item["sk"].as_s().unwrap().starts_with("saved/")).count();
        assert_eq!(parts, length.div_ceil(350 * 1024));
    }
    store.commit(&key, &claimed.claim, &finish(&claimed.claim, 4, Seq(0), &inbox), &going_on(T0)).await.unwrap();
    assert_eq!(store.load(&key).await.unwrap().unwrap().saved, None);
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_named() {
    let store = DynamoStore::new(client(), "no-such-table", &Options::default());
    let Err(StoreError::Unavailable(why)) = store.ready().await else { panic!("there is no such table") };
    assert!(why.contains("no DynamoDB table `no-such-table`"), "{why}");
    let accepted = store.accept(&key("public", "c"), message("m1"), &driving("a")).await;
    assert!(matches!(accepted, Err(StoreError::Unavailable(_))), "{accepted:?}");
}

#[tokio::test]
async fn a_record_of_the_ledger_ends_with_dynamodb_too() {
    let table = table().await;
    let store = DynamoStore::new(client(), &table, &Options::default());
    let record = Record { value: b"x".to_vec(), expires_at: Some(FAR.plus_ms(1)) };
    assert!(store.replace("ticket/t1", None, record, FAR).await.unwrap());
    assert_eq!(items(&table).await.iter().map(end_of).collect::<Vec<_>>(), [FAR.0 / 1000 + 1]);
}
