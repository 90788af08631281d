//! The machine harness of tasks: random DAGs, outcomes in any order, failures, doubles, and crashes at every step.

mod plans;
mod world;

pub use world::TaskWorld;
