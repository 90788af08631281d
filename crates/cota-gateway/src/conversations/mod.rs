//! The routes of a conversation: send a message, read its answer, the state and the record, forget it.

mod message;
mod read;
mod stream;

pub(crate) use message::{post_message, show_message};
pub(crate) use read::{forget, show, show_events};
