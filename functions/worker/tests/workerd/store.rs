//! The store and the ledger keep the rules that every store keeps, and a clock its times, tried inside workerd.

use cota_testkit::conformance::{self, ledger};

use super::support::{self, Workerd};

#[test]
fn the_rules_hold_inside_objects() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        let store = conformance::cases().into_iter().map(|case| format!("/tried/store/{}", case.name));
        let ledger = ledger::cases().into_iter().map(|case| format!("/tried/ledger/{}", case.name));
        for path in store.chain(ledger) {
            support::keeps(&workerd, &path).await;
        }
    });
}

#[test]
fn sleepers_that_share_a_timer_are_woken_at_their_times() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        support::keeps(&workerd, "/tried/clock/sleepers").await;
    });
}

#[test]
fn what_is_rolled_back_is_not_remembered() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        support::keeps(&workerd, "/tried/store/rolled-back").await;
    });
}
