//! What surrounds a Lambda function, for tests: the Runtime API, a Function URL, a queue's poller, a WebSocket
//! API, and Lambda's own API as a state machine calls it.
//!
//! The functions under test are the real binaries, each environment a process of its own, and what they find around them behaves
//! as AWS's own does in what they can tell: an environment has one invocation at a time, is frozen when its answer is out, and is
//! ended when its time is up. `kill -9` is a method.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test whose surroundings cannot be set up ends with the reason"
)]

mod environment;
mod function;
mod function_url;
mod http_call;
mod invoke_api;
mod payload;
mod query;
mod queue;
mod runtime_api;
mod websocket_api;

pub use function::{Failed, Function, Settings};
pub use function_url::FunctionUrl;
pub use invoke_api::InvokeApi;
pub use queue::{Mischief, Poller, Queue};
pub use websocket_api::WebSocketApi;
