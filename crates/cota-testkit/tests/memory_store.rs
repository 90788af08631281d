//! The memory store keeps the store contract, and the memory ledger the ledger's.

use std::sync::Arc;

use cota_driver::ledger::MemoryLedger;
use cota_driver::memory::MemoryStore;
use cota_testkit::conformance::{self, random};
use futures_executor::block_on;
use proptest::prelude::*;

#[test]
fn it_conforms() {
    block_on(conformance::run(async || MemoryStore::new()));
}

#[test]
fn the_ledger_conforms() {
    for case in conformance::ledger::cases() {
        eprintln!("{}", case.name);
        block_on(case.run(Arc::<MemoryLedger>::default()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_model(operations in random::operations(60)) {
        block_on(random::agree(&MemoryStore::new(), &operations)).map_err(TestCaseError::fail)?;
    }
}
