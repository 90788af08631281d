//! The DynamoDB store keeps the store contract, and the ledger's, on DynamoDB Local.

#![allow(clippy::unwrap_used, reason = "a test ends with what was found instead")]

mod support;

use std::sync::Arc;

use cota_testkit::conformance::{self, random};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use support::store;

#[tokio::test]
async fn it_conforms() {
    for case in conformance::cases() {
        eprintln!("{}", case.name);
        case.run(Arc::new(store(true).await)).await;
    }
}

#[tokio::test]
async fn its_ledger_conforms() {
    for case in conformance::ledger::cases() {
        eprintln!("{}", case.name);
        case.run(Arc::new(store(false).await)).await;
    }
}

#[tokio::test]
async fn it_agrees_with_the_model() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for _ in 0..30 {
        let operations = random::operations(60).new_tree(&mut runner).unwrap().current();
        let agreed = random::agree(&store(false).await, &operations).await;
        agreed.unwrap_or_else(|error| panic!("{error}, of {operations:?}"));
    }
}
