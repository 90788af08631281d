//! What tests share: bots, scripted models, the machine harness, the store conformance suite, the proofs that every target passes,
//! and services of production.
//!
//! It is not part of any product: crates name it under `dev-dependencies` only.
//!
//! **Key decision: the contract is proven on the record.** Whatever a test makes go wrong, it then reads the log and asks
//! whether each message was handled once and in order; how a store or a driver got there is its own business.

pub mod bots;
#[cfg(feature = "server")]
pub mod client;
pub mod conformance;
pub mod harness;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "server")]
pub mod llm_server;
#[cfg(feature = "server")]
pub mod proofs;
pub mod seeds;
#[cfg(feature = "services")]
pub mod services;
#[cfg(feature = "targets")]
pub mod targets;
#[cfg(feature = "tokens")]
pub mod tokens;
