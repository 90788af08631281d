//! Calls of AWS services, signed as those of published bots are and sent over the HTTP port.
//!
//! DynamoDB has an SDK of its own; a queue, a parameter and a connection take one request each, for which another three SDKs
//! would be half of a function's size.

mod json;
mod signed;

pub(crate) use json::JsonService;
pub(crate) use signed::{Call, CallError, Signed};
