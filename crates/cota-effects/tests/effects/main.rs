//! LLM calls and executors against a server on the loopback interface that misbehaves in every way a test asks for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking, as tests do")]

mod bots;
mod executors;
mod limits;
mod llm;
mod llm_failures;
mod logs;
mod server;
