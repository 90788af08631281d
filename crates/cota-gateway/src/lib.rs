//! The outside of a conversation host: every HTTP route as one axum [`Router`](axum::Router), and the WebSocket's session.
//!
//! This crate reads requests and frames, asks a [`Conversations`](cota_driver::host::Conversations) host, and writes what comes
//! back. It opens no socket, starts no task and knows no runtime: `cota-cli` serves it on a laptop, functions on Lambda and
//! Workers. It decides nothing about a dialogue.
//!
//! **Key decision: a connection is a cursor over the log.** What is durable is read from the record after the cursor, whether
//! it comes as an update, as a replay, or after a slow reader missed some; pieces of a reply before its commit are a courtesy
//! on top. So delivery may stop and go on anywhere, and never slows a turn.
//!
//! - [`Gateway`]: the routes and what they share. [`Options`]: what a deployment decides.
//! - [`limits`]: how much anybody may have. [`ClientAddress`]: from where a request comes.
//! - [`Access`]: who a caller is. [`identity`]: how it proves that. [`origin`]: which pages may open a socket.
//! - [`websocket`]: COTA's frames over any socket. [`socketio`]: the same as events, and Rasa's.
//! - [`sse`]: COTA's frames over requests and event streams. [`sessions`]: where its sessions are, and Socket.IO's.
//! - Inside, a module for each other channel: `conversations`, `rasa`, `tracker_routes`, `openai`. Those that answer a
//!   request with a turn send and wait in one place, `wait`; those that follow a conversation do so with `follow`.

mod access;
mod address;
mod admit;
mod answer;
mod conversations;
mod follow;
mod gateway;
pub mod identity;
mod idle;
pub mod limits;
mod metrics;
mod openai;
mod operations;
pub mod origin;
mod page;
mod passes;
mod rasa;
mod request;
mod respond;
mod routes;
mod send;
pub mod sessions;
pub mod socketio;
pub mod sse;
mod tasks;
mod tracker_routes;
mod view;
mod wait;
pub mod websocket;

pub use access::{Access, Door, Identity, Scopes};
pub use address::ClientAddress;
pub use gateway::{Gateway, Options};
pub use respond::{problem, unreadable};
