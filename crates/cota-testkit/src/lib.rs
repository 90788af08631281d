//! Scripted models, the machine harness and the store conformance suite. For tests only.

pub mod conformance;
pub mod harness;
#[cfg(feature = "server")]
pub mod llm_server;
