//! The ports of a conversation host, and the loop that drives a turn through them.
//!
//! This crate performs what `cota-core` decides: it accepts messages durably, takes the claim of a conversation, polls the
//! turn, calls the effects, writes the commits and tells subscribers what is new. It opens no socket, file or timer itself and
//! knows no runtime: everything of the world is behind a port, so the same loop runs on a laptop, in a Lambda function and in
//! a Durable Object.
//!
//! **Key decision: the store is the only truth.** Memory holds nothing that a crash may not take: a claim with an epoch fences
//! whoever lost it, a commit id makes a repeated write harmless, and a doorbell carries a key and nothing else.
//!
//! - [`store`]: the store contract. [`claim`]: its rules. [`memory`]: the store of tests and tools.
//! - [`ledger`]: small records beside the conversations, such as API keys.
//! - [`failpoint`]: where a crash test ends the process.
//! - [`task`]: driving a task, whose steps are messages to its agents.
//! - [`ports`]: effects, clock, doorbell, bots, spawn. [`http`]: the port to services, with [`address`] as its gate.
//! - [`conversation`]: accepting and driving, on any target. [`host`]: the whole in one process, with its subscribers.

pub mod address;
mod cache;
pub mod claim;
pub mod conversation;
pub mod failpoint;
pub mod host;
pub mod http;
pub mod ledger;
pub mod memory;
pub mod metrics;
mod play;
pub mod ports;
mod signals;
pub mod store;
pub mod task;

pub use cache::{BoardCache, TrackerCache};
pub use signals::Signals;
