//! The dialogue core: every decision of a turn, and no I/O.
//!
//! A turn is a [`machine::Machine`]: a driver polls it for steps (perform this effect, emit this fragment, commit this, wait,
//! park, done), performs them, feeds back one input and polls again. The core has no async, no clock, no randomness and no
//! files; `cota-driver` is its twin with I/O.
//!
//! **Key decision: the machine is a value.** It can be saved at any step and resumed by another process, so a crash, an
//! evicted object and a function out of time are one case, and a test is a table of inputs and steps.
//!
//! - [`tracker`]: dialogue state tracking (DST), a fold over the event record.
//! - [`dpl`]: dialogue policy, a pure function of bot and tracker.
//! - [`prompt`] and [`answer`]: what is put to an LLM, and what its answer means.
//! - [`turn`]: the machine that ties them together.
//! - [`task`]: several agents on one job, as a machine of the same kind.
//! - [`bot`]: what an author wrote, compiled.
//! - [`event`]: the record. [`limits`]: every limit. [`ids`]: every name. [`mod@gather`]: small maps and sets.
//!   [`mod@sort`]: sorting. [`decimal`]: numbers that stand as text.

pub mod answer;
pub mod bot;
pub mod decimal;
pub mod dpl;
pub mod event;
#[doc(hidden)]
pub mod fuzzing;
pub mod gather;
pub mod ids;
pub mod limits;
pub mod machine;
pub mod prompt;
pub mod sort;
pub mod task;
#[cfg(test)]
mod tests;
pub mod tracker;
pub mod turn;
