//! How long a conversation is kept: Redis forgets a finished one by itself, and never one with work to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found"
)]

#[allow(dead_code, reason = "some tests use a part of it")]
mod support;

use cota_core::ids::Seq;
use cota_driver::store::{Acceptance, AfterAccept, Store};
use cota_testkit::conformance::samples::{T0, driving, finish, going_on, key, message};
use support::Stage;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[test]
fn a_finished_conversation_is_kept_for_the_days_after_its_last_turn_and_an_unfinished_one_until_it_is_finished() {
    let stage = Stage::new();
    let (store, key) = (stage.store("kept&days=2"), key("public", "kept"));
    let accepted = stage.run(store.accept(&key, message("m1"), &driving("a"))).unwrap();
    let claim = match accepted {
        Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } => claimed.claim,
        other => panic!("it is free: {other:?}"),
    };
    assert_eq!(stage.times_to_live("{kept}:c:*"), [-1, -1, -1], "head, inbox and record have no end");
    let inbox = stage.run(store.load(&key)).unwrap().expect("it exists").inbox;
    stage.run(store.commit(&key, &claim, &finish(&claim, 1, Seq(0), &inbox), &going_on(T0))).unwrap();
    let left = stage.times_to_live("{kept}:c:*");
    assert_eq!(left.len(), 3, "head, log and record");
    assert!(left.iter().all(|ms| (2 * DAY_MS - 60_000..=2 * DAY_MS).contains(ms)), "{left:?}");
    stage.run(store.accept(&key, message("m2"), &driving("a"))).unwrap();
    assert_eq!(stage.times_to_live("{kept}:c:*"), [-1; 4]);
    stage.run(store.delete(&key)).unwrap();
    assert!(stage.times_to_live("{kept}:*").is_empty(), "nothing is left of a deleted one");
}

#[test]
fn without_days_everything_is_kept() {
    let stage = Stage::new();
    let (store, key) = (stage.store("kept"), key("public", "kept"));
    stage.run(store.accept(&key, message("m1"), &driving("a"))).unwrap();
    assert_eq!(stage.times_to_live("{kept}:*"), [-1; 4]);
}
