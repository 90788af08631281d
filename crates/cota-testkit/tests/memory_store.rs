//! The memory store keeps the store contract.

use cota_driver::memory::MemoryStore;
use cota_testkit::conformance::{self, random};
use futures_executor::block_on;
use proptest::prelude::*;

#[test]
fn it_conforms() {
    block_on(conformance::run(async || MemoryStore::new()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_model(operations in random::operations(60)) {
        block_on(random::agree(&MemoryStore::new(), &operations)).map_err(TestCaseError::fail)?;
    }
}
