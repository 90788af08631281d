//! The SQLite store keeps the store contract.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

use cota_driver::store::Holder;
use cota_store_sqlite::{Durability, Options, SqliteStore};
use cota_testkit::conformance::{self, random};
use futures_executor::block_on;
use proptest::prelude::*;
use tempfile::TempDir;

fn open(folder: &TempDir, n: usize, durability: Durability) -> SqliteStore {
    let options = Options { durability, holder: Holder("test".to_owned()) };
    SqliteStore::open(folder.path().join(format!("{n}.db")), &options).unwrap()
}

#[test]
fn it_conforms() {
    let folder = TempDir::new().unwrap();
    for (n, case) in conformance::cases().into_iter().enumerate() {
        eprintln!("{}", case.name);
        block_on(case.run(std::sync::Arc::new(open(&folder, n, Durability::Normal))));
    }
}

#[test]
fn it_conforms_with_full_durability() {
    let folder = TempDir::new().unwrap();
    let store = std::sync::Arc::new(open(&folder, 0, Durability::Full));
    let quick = |case: &conformance::Case| case.name != "a_thousand_turns_keep_their_order";
    for case in conformance::cases().into_iter().filter(quick) {
        eprintln!("{}", case.name);
        block_on(case.run(store.clone()));
    }
}

#[test]
fn its_ledger_conforms() {
    let folder = TempDir::new().unwrap();
    for (n, case) in conformance::ledger::cases().into_iter().enumerate() {
        eprintln!("{}", case.name);
        block_on(case.run(std::sync::Arc::new(open(&folder, n, Durability::Normal))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_model(operations in random::operations(60)) {
        let folder = TempDir::new().unwrap();
        block_on(random::agree(&open(&folder, 0, Durability::Normal), &operations)).map_err(TestCaseError::fail)?;
    }
}
