//! What a turn asks of the world: LLM calls and executors, performed over an HTTP port.
//!
//! [`StandardEffects`] implements the driver's `Effects`. One call is one attempt: this crate never retries, sets no deadline and
//! decides nothing about a conversation; a failure is data that says what would help. It is neither an HTTP server nor a store.
//!
//! **Key decision: every outgoing address passes one gate.** An [`http::HttpRequest`] cannot be made for an address that
//! the driver's [`address`](cota_driver::address) forbids, so no caller can forget the check; a native client checks again what
//! a name stands for, at the moment it connects.
//!
//! - [`http`]: the driver's port, and with feature `native` its implementation for servers and laptops.
//! - [`executor`]: `http`, `mock` and `script` executors; the port for scripts.
//! - `llm`: the LLM client with its limits; `offline`: the cache of the models that need no network.

mod effects;
pub mod executor;
pub mod http;
mod llm;
mod offline;
mod redact;
#[cfg(test)]
mod testing;

pub use effects::StandardEffects;
