//! What the Lambda functions share: a conversation host in an invocation, the doorbell, connections, settings.
//!
//! `functions/api` answers HTTP, `functions/websocket` takes the events of a WebSocket API, `functions/turn` hears doorbells,
//! `functions/task` does what the state machine of tasks wants done; each is a `main` that calls its module here. This crate decides nothing about a conversation: `cota-driver` drives it and
//! `cota-gateway` reads requests. It keeps nothing between two invocations that a new environment would lack.
//!
//! **Key decision: nothing runs on after the answer.** An environment is frozen when its answer is out. So a turn runs inside the
//! invocation that accepted it, or the one that heard its doorbell; all that is begun meanwhile is waited for (`invocation`),
//! and what has no time any more is left to the next doorbell. A doorbell is rung before a message is accepted, so that no death
//! in between leaves it lying.
//!
//! - [`api`], [`websocket`], [`turn`], [`task`]: the functions.
//! - `host`: the conversations. `doorbell`: the queue that wakes `turn`. `connections`: who is connected, and what is sent.
//!   `stops`: turns that their task no longer waits for.
//! - `runtime`: Lambda's Runtime API, which hands over events and takes answers.
//! - `aws`: signed calls of AWS services. `settings`, `secrets`, `bundles`, `published`, `identity`, `log`, `meter`: what a function
//!   begins with.

/// A turn is many small allocations: the system's allocator takes a seventh of its processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod api;
mod aws;
mod bundles;
mod clock;
mod connections;
mod doorbell;
mod event;
mod failure;
mod function;
mod host;
mod identity;
mod invocation;
mod log;
mod meter;
mod published;
mod runtime;
mod secrets;
mod settings;
mod stops;
pub mod task;
pub mod turn;
pub mod websocket;
