//! The turn contract, under everything that can go wrong.

use cota_testkit::harness::{Chaos, Tape, World};
use proptest::prelude::*;

fn cases(full: u32) -> ProptestConfig {
    let cases = if std::env::var_os("COTA_QUICK").is_some() { full / 5 } else { full };
    ProptestConfig { cases, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn the_record_is_as_if_each_message_had_been_handled_once_in_order(bytes in prop::collection::vec(any::<u8>(), 0..1500), messages in 1..6_usize) {
        World::play(Tape::new(bytes), messages, Chaos { crashes: true, resumes: true });
    }

    #[test]
    fn without_crashes_too(bytes in prop::collection::vec(any::<u8>(), 0..800), messages in 1..6_usize) {
        World::play(Tape::new(bytes), messages, Chaos { crashes: false, resumes: false });
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_crash_at_any_single_step_changes_nothing(bytes in prop::collection::vec(any::<u8>(), 20..300), messages in 1..4_usize) {
        World::play_with_a_crash_at_every_step(&Tape::new(bytes), messages);
    }
}
