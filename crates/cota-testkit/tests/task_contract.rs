//! The contract of tasks, under everything that can go wrong.

use cota_testkit::harness::{Tape, TaskWorld};
use proptest::prelude::*;

fn cases(full: u32) -> ProptestConfig {
    let cases = if std::env::var_os("COTA_QUICK").is_some() { full / 5 } else { full };
    ProptestConfig { cases, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn each_step_is_done_once_a_try_and_after_what_it_waits_for(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        TaskWorld::play(Tape::new(bytes), 30);
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn in_large_plans_too(bytes in prop::collection::vec(any::<u8>(), 1000..4000)) {
        TaskWorld::play(Tape::new(bytes), 200);
    }

    #[test]
    fn a_crash_at_any_single_step_changes_nothing(bytes in prop::collection::vec(any::<u8>(), 10..200)) {
        TaskWorld::play_with_a_crash_at_every_step(&Tape::new(bytes), 6);
    }
}
