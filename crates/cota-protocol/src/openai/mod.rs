//! Chat completions from the client's side: what OpenAI and the many servers "compatible" with it take and send.
//!
//! [`ChatRequest`] is what is posted; [`decode_completion`] reads a whole answer, [`Accumulator`] a streamed one, and
//! [`ApiError::decode`] the body of a refusal. [`custom`] is the format's own, simpler kind of endpoint. The types here are
//! neutral: they know nothing of a turn. [`server`] is the other side: bots that answer as if they were models.
//!
//! Servers differ in every detail that their clients do not check. An answer is taken in each shape that leaves only one
//! meaning; where text has to be invented (a missing tool call id, absent arguments), the value is documented.
//!
//! A streamed answer goes through two decoders, here over bytes cut anywhere:
//!
//! ```
//! use cota_protocol::{openai::Accumulator, sse::Decoder};
//!
//! let mut events = Decoder::new(64 * 1024);
//! let mut answer = Accumulator::new(1024 * 1024);
//! for chunk in ["data: {\"choices\":[{\"delta\":{\"con", "tent\":\"hi\"}}]}\n\ndata: [DONE]\n\n"] {
//!     events.feed(chunk.as_bytes());
//!     while let Some(event) = events.next_event()? {
//!         if let Some(piece) = answer.feed(&event.data)? {
//!             assert_eq!(piece, "hi");
//!         }
//!     }
//! }
//! assert_eq!(answer.finish()?.content.as_deref(), Some("hi"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod custom;
mod error;
mod lenient;
mod ordinary;
mod request;
mod response;
pub mod server;
mod stream;
#[cfg(test)]
mod tests;

pub use error::{ApiError, ResponseError, StreamError};
pub use request::{ChatMessage, ChatRequest, FunctionDefinition, ResponseFormat, Retrieval, Role, StreamOptions, ToolDefinition};
pub use response::{Completion, FinishReason, ToolCall, Usage, decode_completion};
pub use stream::Accumulator;
