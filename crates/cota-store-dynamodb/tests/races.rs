//! Holders that race for one conversation: one wins, the fenced one performs nothing, and no message is lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

mod support;

use std::sync::Arc;

use cota_core::event::EventBody;
use cota_core::ids::{Seq, Timestamp};
use cota_core::limits::LEASE_MS;
use cota_driver::store::{Acceptance, AfterAccept, ClaimOutcome, Claimed, CommitError, Holder, Progress, Store as _};
use cota_store_dynamodb::{DynamoStore, Options};
use cota_testkit::conformance::samples::{self, T0, checkpoint, finish, going_on, holder, message, message_id, ringing, sender};
use futures_util::StreamExt as _;
use futures_util::future::join;
use futures_util::stream;

use support::stage::{Stage, key};
use support::{client, table};

const TRIES: usize = 1000;
const AT_ONCE: usize = 8;
const LAPSED: Timestamp = Timestamp(T0.0 + LEASE_MS);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_holders_one_wins_and_the_fenced_one_performs_nothing() {
    let table = table().await;
    let store = |_| Arc::new(DynamoStore::new(client(), &table, &Options::default()));
    let [a, b] = [0, 1].map(store);
    let tries = stream::iter(0..TRIES).map(|n| race(Arc::clone(&a), Arc::clone(&b), n));
    let finished_by_the_first: usize = tries.buffer_unordered(AT_ONCE).map(usize::from).fold(0, |sum, n| async move { sum + n }).await;
    println!("of {TRIES} races between a finish and a takeover, {finished_by_the_first} were won by the finish");
}

/// Two holders ask for the claim at once, and the one that has it finishes while the other takes over. Whether it was in time.
async fn race(a: Arc<DynamoStore>, b: Arc<DynamoStore>, n: usize) -> bool {
    let key = samples::key("public", &format!("race-{n}"));
    a.accept(&key, message("m1"), &ringing()).await.unwrap();
    let names = [holder("a"), holder("b")];
    let (by_a, by_b) = join(a.claim(&key, &names[0], T0), b.claim(&key, &names[1], T0)).await;
    let (first, other, claimed, other_name) = match (by_a.unwrap(), by_b.unwrap()) {
        (ClaimOutcome::Taken(claimed), ClaimOutcome::Held { .. }) => (&a, &b, claimed, &names[1]),
        (ClaimOutcome::Held { .. }, ClaimOutcome::Taken(claimed)) => (&b, &a, claimed, &names[0]),
        both => panic!("try {n}: exactly one has it: {both:?}"),
    };
    let inbox = claimed.loaded.as_ref().unwrap().inbox.clone();
    let finishing = finish(&claimed.claim, 1, Seq(0), &inbox);
    let (finished, taken) =
        join(first.commit(&key, &claimed.claim, &finishing, &going_on(T0)), other.claim(&key, other_name, LAPSED)).await;
    let in_time = match (finished, taken.unwrap()) {
        (Ok(_), ClaimOutcome::Idle) => true,
        (Err(CommitError::Fenced), ClaimOutcome::Taken(taken)) => {
            take_over(first, other, &key, claimed, taken).await;
            false
        }
        both => panic!("try {n}: one of them happened: {both:?}"),
    };
    let events = a.events(&key, Seq(0), usize::MAX).await.unwrap();
    let ends = events.iter().filter(|event| matches!(event.body, EventBody::TurnEnd(_))).count();
    assert_eq!((events.len(), ends), (3, 1), "try {n}: it is answered once");
    let recorded = b.recorded(&key, &sender("ann"), &message_id("m1")).await.unwrap().unwrap();
    assert_eq!(recorded.progress, Progress::Answered { first: Seq(1), last: Seq(3) });
    in_time
}

/// The one before is fenced before it may perform anything, and for good; its successor finishes.
async fn take_over(first: &DynamoStore, other: &DynamoStore, key: &cota_core::ids::ConversationKey, lost: Claimed, taken: Claimed) {
    assert!(taken.claim.epoch > lost.claim.epoch);
    let before_an_effect = checkpoint(&lost.claim, 2, b"about to pay");
    assert_eq!(first.commit(key, &lost.claim, &before_an_effect, &going_on(LAPSED)).await, Err(CommitError::Fenced));
    assert_eq!(first.renew(key, &lost.claim, LAPSED).await, Err(CommitError::Fenced));
    let inbox = taken.loaded.unwrap().inbox;
    other.commit(key, &taken.claim, &finish(&taken.claim, 1, Seq(0), &inbox), &going_on(LAPSED)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_processes_that_hear_one_doorbell_one_answers() {
    let table = table().await;
    let stages: Vec<Stage> =
        (0..4).map(|n| Stage::new(Arc::new(DynamoStore::new(client(), &table, &Options::default())), &format!("process {n}"))).collect();
    for n in 0..25 {
        let key = key(&format!("rung-{n}"));
        let before: usize = stages.iter().map(Stage::asked).sum();
        stages[n % 4].post(&key, "m1", "hello you").await;
        let heard = futures_util::future::join_all(stages.iter().map(|stage| stage.hear(&key))).await;
        assert_eq!(heard.iter().filter(|heard| **heard).count(), 1, "conversation {n}");
        let asked = stages.iter().map(Stage::asked).sum::<usize>() - before;
        assert_eq!(asked, 2, "the model is asked what to do and what to say, once each");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_messages_at_once_through_five_processes_are_answered_in_the_order_of_acceptance() {
    let table = table().await;
    let key = key("five");
    let stages: Vec<Stage> =
        (0..5).map(|n| Stage::new(Arc::new(DynamoStore::new(client(), &table, &Options::default())), &format!("process {n}"))).collect();
    let posted = stages.iter().enumerate().map(|(n, stage)| async move {
        let id = format!("m{n}");
        match stage.post(&self::key("five"), &id, &id).await {
            Acceptance::Accepted { position, then: AfterAccept::Ring | AfterAccept::Wait } => (position, id),
            other => panic!("{other:?}"),
        }
    });
    let mut accepted = futures_util::future::join_all(posted).await;
    accepted.sort();
    while futures_util::future::join_all(stages.iter().map(|stage| stage.hear(&key))).await.contains(&true) {}
    let events = stages[0].driver.store.events(&key, Seq(0), usize::MAX).await.unwrap();
    let answered: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::TurnEnd(end) => Some(end.message_ids.iter().map(ToString::to_string)),
            EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
        })
        .flatten()
        .collect();
    assert_eq!(answered, accepted.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn unfinished_work_of_a_holder_that_is_gone_is_due_when_its_lease_ends() {
    let store = support::store(true).await;
    let key = samples::key("public", "left");
    let accepted = store.accept(&key, message("m1"), &samples::driving("gone")).await.unwrap();
    let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else { panic!("{accepted:?}") };
    assert_eq!(store.unfinished(T0).await.unwrap(), [(key.clone(), claimed.claim.lease_until)]);
    let taken = store.claim(&key, &Holder("next".to_owned()), claimed.claim.lease_until).await.unwrap();
    let ClaimOutcome::Taken(taken) = taken else { panic!("{taken:?}") };
    assert_eq!((taken.claim.run.clone(), taken.claim.takeovers), (claimed.claim.run, 1));
    let inbox = taken.loaded.unwrap().inbox;
    store.commit(&key, &taken.claim, &finish(&taken.claim, 1, Seq(0), &inbox), &going_on(LAPSED)).await.unwrap();
    assert_eq!(store.unfinished(LAPSED).await.unwrap(), []);
}
