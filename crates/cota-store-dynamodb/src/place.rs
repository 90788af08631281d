//! Where each item stands: the keys of the table.
//!
//! The items of a conversation share a partition, and the names of their kinds stand in the order in which a turn is loaded
//! from the end: snapshot, saved run, who may follow, record, waiting messages, and the log from its newest item back to the
//! snapshot. What no turn needs (`id/`) stands before the log, where the query never comes.

use cota_core::ids::{ConversationKey, MessageId, Position, RunId, SenderId, Seq};

/// The partition key's name.
pub(crate) const PARTITION: &str = "pk";
/// The sort key's name.
pub(crate) const SORT: &str = "sk";
/// The attribute by which DynamoDB deletes an item in time.
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// The claim record of a conversation.
pub(crate) const RECORD: &str = "record";
/// The note that somebody may follow the conversation: right behind its record.
pub(crate) const ROOM: &str = "room";
/// Before the log's first item.
pub(crate) const LOG: &str = "log/";
/// Before the first waiting message.
pub(crate) const MESSAGES: &str = "message/";
/// Before the first part of a saved run.
pub(crate) const SAVED: &str = "saved/";
/// Before the first part of a snapshot.
pub(crate) const SNAPSHOT: &str = "snapshot/";

/// The partition of what a sweep looks at.
pub(crate) const UNFINISHED: &str = "unfinished";

/// The partition of a conversation.
pub(crate) fn conversation(key: &ConversationKey) -> String {
    format!("conversation/{}", key.hashed())
}

/// A part of the events of a commit whose last is `last`: whoever asks for the events after N finds the first item behind N.
pub(crate) fn log(last: Seq, part: usize) -> String {
    format!("{LOG}{:016}/{part:02}", last.0)
}

/// A waiting message.
pub(crate) fn message(position: Position) -> String {
    format!("{MESSAGES}{:016}", position.0)
}

/// What stands for a message id: the run's id is a hash of exactly the conversation, the sender and the message id.
pub(crate) fn id(key: &ConversationKey, sender: &SenderId, message: &MessageId) -> String {
    format!("id/{}", RunId::of(key, sender, message))
}

/// A part of the saved run.
pub(crate) fn saved(part: usize) -> String {
    format!("{SAVED}{part:02}")
}

/// A part of the snapshot.
pub(crate) fn snapshot(part: usize) -> String {
    format!("{SNAPSHOT}{part:02}")
}
