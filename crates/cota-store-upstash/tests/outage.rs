//! A database that is gone: everybody is told to try again, and nothing is taken for broken.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

#[allow(dead_code, reason = "some tests use a part of it")]
mod support;

use cota_core::ids::Seq;
use cota_driver::ledger::Ledger;
use cota_driver::store::{Acceptance, AfterAccept, CommitError, Store, StoreError};
use cota_testkit::conformance::samples::{T0, driving, finish, going_on, key, message};
use support::Stage;

#[test]
fn a_database_that_is_gone_is_unavailable() {
    let mut stage = Stage::new();
    let (store, key) = (stage.store("gone"), key("public", "gone"));
    let claim = match stage.run(store.accept(&key, message("m1"), &driving("a"))).unwrap() {
        Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } => claimed.claim,
        other => panic!("it is free: {other:?}"),
    };
    let inbox = stage.run(store.load(&key)).unwrap().unwrap().inbox;
    stage.upstash.redis().kill();
    let unavailable = |error: StoreError| assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    unavailable(stage.run(store.ready()).unwrap_err());
    unavailable(stage.run(store.accept(&key, message("m2"), &driving("a"))).unwrap_err());
    unavailable(stage.run(store.load(&key)).unwrap_err());
    unavailable(stage.run(store.unfinished(T0)).unwrap_err());
    unavailable(stage.run(store.get("record", T0)).unwrap_err());
    let committed = stage.run(store.commit(&key, &claim, &finish(&claim, 1, Seq(0), &inbox), &going_on(T0)));
    assert!(matches!(committed, Err(CommitError::Unavailable(_))), "{committed:?}");
}

#[test]
fn a_write_beyond_what_the_service_takes_is_told_before_it_is_sent() {
    let stage = Stage::new();
    let (store, key) = (stage.store("large"), key("public", "large"));
    let mut large = message("m1");
    large.content.text = "x".repeat(11 * 1024 * 1024);
    let before = stage.upstash.calls();
    let refused = stage.run(store.accept(&key, large, &driving("a"))).unwrap_err();
    assert!(refused.to_string().contains("and Upstash takes 10485760"), "{refused}");
    assert_eq!(stage.upstash.calls(), before);
}
