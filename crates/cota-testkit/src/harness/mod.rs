//! The machine harness: random bots, messages and answers, outcomes in any order, duplicates, failures, lost commit answers, a
//! second holder taking over, a crash or a save-and-resume at every step; and then the turn contract, checked on the record.
//!
//! Time, stores and processes are simulated in one thread, so a failing run is replayed from its seed alone.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a broken contract stops the test here")]

mod answers;
pub mod bots;
mod holder;
mod tape;
mod tasks;
mod world;

pub use tape::Tape;
pub use tasks::TaskWorld;
pub use world::{Chaos, World};
