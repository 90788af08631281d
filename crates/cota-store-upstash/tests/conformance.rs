//! The Upstash store keeps the store contract, against a real Redis server behind Upstash's REST API.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends with what was found instead")]

#[allow(dead_code, reason = "some tests use a part of it")]
mod support;

use std::cell::Cell;
use std::sync::Arc;

use cota_testkit::conformance::{self, random};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::{Forgetful, Stage};

#[test]
fn it_conforms() {
    let stage = Stage::new();
    for (n, case) in conformance::cases().into_iter().enumerate() {
        eprintln!("{}", case.name);
        stage.run(case.run(Arc::new(stage.store(&format!("case-{n}")))));
    }
}

/// A head that is known saves a call and changes nothing.
#[test]
fn it_conforms_where_each_call_is_made_by_another_process() {
    let stage = Arc::new(Stage::new());
    let quick = |case: &conformance::Case| case.name != "a_thousand_turns_keep_their_order";
    for (n, case) in conformance::cases().into_iter().filter(quick).enumerate() {
        eprintln!("{}", case.name);
        let anew = Arc::clone(&stage);
        stage.run(case.run(Arc::new(Forgetful(move || anew.store(&format!("case-{n}"))))));
    }
}

#[test]
fn its_ledger_conforms() {
    let stage = Stage::new();
    for (n, case) in conformance::ledger::cases().into_iter().enumerate() {
        eprintln!("{}", case.name);
        stage.run(case.run(Arc::new(stage.store(&format!("case-{n}")))));
    }
}

#[test]
fn it_agrees_with_the_model() {
    let stage = Stage::new();
    let tried = Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
    let agrees = runner.run(&random::operations(60), |operations| {
        tried.set(tried.get() + 1);
        let store = stage.store(&format!("model-{}", tried.get()));
        stage.run(random::agree(&store, &operations)).map_err(TestCaseError::fail)
    });
    agrees.unwrap();
}
