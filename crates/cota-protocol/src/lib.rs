//! Wire formats as pure codecs: bytes and text in, typed values or clear errors out, and back.
//!
//! This crate opens no socket, starts no timer and decides nothing about a conversation. The gateway and `cota-effects`
//! are its twins with I/O: they move the bytes, this crate says what the bytes mean.
//!
//! **Key decision: strict about clients, lenient about models.** What a client sends is parsed once, here, into names and
//! texts that are valid by type, and a refusal names the field and the way out. What a "compatible" LLM server sends is taken in
//! every shape that still has one meaning: such servers leave out fields, send objects where text belongs, and break streams.
//!
//! - [`sse`]: Server-Sent Events, decoded piece by piece and encoded.
//! - [`openai`]: chat completions as a client, with the `custom` format, and as a server.
//! - [`websocket`]: COTA's frames.
//! - [`socketio`]: Engine.IO and Socket.IO packets, and the server's side of a connection.
//! - [`rest`]: the bodies and the event stream of the conversation routes.
//! - [`rasa`]: the bodies of Rasa's REST channel. [`tracker`]: those of COTA's own routes.
//! - [`problem`]: every error code that a client may see, shared by HTTP and the frames.
//! - [`time`]: points in time as the frames write them.

mod fields;
#[doc(hidden)]
pub mod fuzzing;
pub mod openai;
pub mod problem;
pub mod rasa;
pub mod rest;
pub mod socketio;
pub mod sse;
pub mod time;
pub mod tracker;
pub mod websocket;
