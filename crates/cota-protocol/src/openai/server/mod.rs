//! Chat completions from the server's side: what an OpenAI client posts, and what it is answered.
//!
//! Clients send many keys. Those that would change what the answer is, and that a bot cannot honour, are refused: `tools`, `n`.
//! Those that only shape how a model samples mean nothing to a bot and are skipped.

mod answer;
mod error;
mod request;
#[cfg(test)]
mod tests;

pub use answer::{Answer, DONE, models};
pub use error::error_body;
pub use request::{BODY_BYTES, CompletionRequest, Said, Speaker};
