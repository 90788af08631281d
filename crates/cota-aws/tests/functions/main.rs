//! The functions as they are shipped, each environment a process, between doubles of what Lambda puts around them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what a test does not expect fails it")]

mod answering;
mod connecting;
mod deploying;
mod dying;
mod events;
mod following;
mod mixing;
mod parking;
mod promises;
mod streaming;
mod support;
mod tasks;
