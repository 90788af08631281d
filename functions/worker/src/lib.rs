//! The Cloudflare Worker: the gateway's routes in front of Durable Objects, one for each conversation.
//!
//! This crate is wiring for one platform: its clock, its fetch, its database, its alarms. It decides nothing about a dialogue, a
//! claim or a route: those are the pure crates', the driver's and the gateway's, as on a laptop.
//!
//! **Key decision: an object runs the same host that a laptop runs.** A conversation's object holds its inbox, log and claim in
//! its own SQLite database and takes its turns one after the other under the same contract. That there is only one object at a
//! time makes takeover immediate; nothing depends on it, since the epoch of the claim fences as everywhere.
//!
//! - `entry`: requests to the routes. `gateway`: what those pass, and frames on sockets. `remote`: conversations as a request
//!   reaches them. `wire`: what objects ask of each other.
//! - `conversation`: the object of a conversation. `store`: the store contract on the object's database, and its timers.
//! - `connection`: the object of a sender's sockets. `sessions`: how event streams and Socket.IO speak through it. `ledger`: the objects of small records.
//! - `bots`: where bots come from. `access`: who a caller is. `limits`: how much it may have.
//! - `platform`: the ports. `settings`: variables and secrets.

mod access;
mod bots;
mod connection;
mod conversation;
mod effects;
mod entry;
mod gateway;
mod ledger;
mod limits;
mod platform;
mod remote;
mod sessions;
mod settings;
mod socketio;
mod store;
#[cfg(feature = "tried")]
mod tried;
mod upgrade;
mod wire;

pub use connection::ConnectionObject;
pub use conversation::ConversationObject;
pub use ledger::LedgerObject;
#[cfg(feature = "tried")]
pub use tried::TriedObject;
