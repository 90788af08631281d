//! What a turn costs: how many calls are made for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

#[allow(dead_code, reason = "some tests use a part of it")]
mod support;

use cota_core::ids::Seq;
use cota_core::limits::LEASE_MS;
use cota_driver::store::{Acceptance, AfterAccept, ClaimOutcome, Claimed, Next, Store};
use cota_store_upstash::UpstashStore;
use cota_testkit::conformance::samples::{T0, driving, finish, going_on, holder, key, message, ringing};
use support::Stage;

/// Counts the calls that something makes.
macro_rules! calls {
    ($stage:expr, $work:expr) => {{
        let before = $stage.upstash.calls();
        let outcome = $stage.run($work);
        (outcome, $stage.upstash.calls() - before)
    }};
}

fn driver(acceptance: Acceptance) -> Claimed {
    match acceptance {
        Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } => claimed,
        other => panic!("the conversation is free: {other:?}"),
    }
}

/// A whole turn, and the calls for accept, load and finish.
fn turn(stage: &Stage, store: &UpstashStore, id: &str) -> [u64; 3] {
    let key = key("public", "calls");
    let (accepted, accept) = calls!(stage, store.accept(&key, message(id), &driving("a")));
    let Claimed { claim, loaded, .. } = driver(accepted.unwrap());
    let (read, load) = calls!(stage, async {
        match loaded {
            Some(told) => *told,
            None => store.load(&key).await.unwrap().unwrap(),
        }
    });
    assert_eq!(stage.run(store.load(&key)).unwrap(), Some(read.clone()), "what the claim tells is what is there");
    let commit = finish(&claim, 1, read.tracker.head, &read.inbox);
    let (committed, finish) = calls!(stage, store.commit(&key, &claim, &commit, &going_on(T0)));
    assert_eq!(committed.unwrap().next, Next::Released { ring: false });
    [accept, load, finish]
}

#[test]
fn a_plain_turn_costs_three_calls() {
    let stage = Stage::new();
    let store = stage.store("calls");
    assert_eq!(turn(&stage, &store, "m1"), [1, 1, 1], "a new conversation");
    assert_eq!(turn(&stage, &store, "m2"), [1, 1, 1], "one that this process has seen");
    assert_eq!(turn(&stage, &stage.store("calls"), "m3"), [2, 0, 1], "one that it has not: the first try tells what is there");
    assert_eq!(turn(&stage, &store, "m4"), [2, 0, 1], "one that another process has gone on with");
}

#[test]
fn a_turn_of_an_acceptor_that_only_rings_costs_four_calls() {
    let stage = Stage::new();
    let (acceptor, store, key) = (stage.store("calls"), stage.store("calls"), key("public", "rung"));
    let (_, accept) = calls!(stage, acceptor.accept(&key, message("m1"), &ringing()));
    assert_eq!(accept, 1);
    let ((), rest) = calls!(stage, async {
        let claimed = match store.claim(&key, &holder("b"), T0).await.unwrap() {
            ClaimOutcome::Taken(claimed) => claimed,
            other => panic!("it is free: {other:?}"),
        };
        let loaded = claimed.loaded.expect("the claim tells what is there");
        let commit = finish(&claimed.claim, 1, Seq(0), &loaded.inbox);
        store.commit(&key, &claimed.claim, &commit, &going_on(T0)).await.unwrap();
    });
    assert_eq!(rest, 3, "the claim costs two and tells what a load would");
}

#[test]
fn a_renewal_and_a_repeat_cost_one_call() {
    let stage = Stage::new();
    let (store, key) = (stage.store("calls"), key("public", "calls"));
    let Claimed { claim, .. } = driver(stage.run(store.accept(&key, message("m1"), &driving("a"))).unwrap());
    let (renewed, calls) = calls!(stage, store.renew(&key, &claim, T0.plus_ms(2 * LEASE_MS)));
    assert_eq!((renewed.is_ok(), calls), (true, 1));
    let (repeated, calls) = calls!(stage, stage.store("calls").accept(&key, message("m1"), &driving("b")));
    assert!(matches!(repeated, Ok(Acceptance::Repeated(_))), "{repeated:?}");
    assert_eq!(calls, 1);
}
