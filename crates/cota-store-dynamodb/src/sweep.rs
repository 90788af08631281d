//! Finding unfinished work, for a host whose doorbells die with it.
//!
//! A conversation with unfinished work has a note in a partition of its own, put and deleted by the writes that begin and end the
//! work. Where doorbells are durable nobody sweeps, and the notes are spared.

use cota_core::ids::{ConversationKey, Timestamp};

use crate::DynamoStore;
use crate::fault::Fault;
use crate::head::{Head, key_of};
use crate::item::{Item, at, sort_of};
use crate::place::{RECORD, UNFINISHED};

/// Conversations with unfinished work, and when to ring for each.
pub(crate) async fn unfinished(store: &DynamoStore, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, Fault> {
    if !store.sweeps {
        return Ok(Vec::new());
    }
    let notes = store.table.query_all(UNFINISHED, "!", "~").await?;
    let records = notes.iter().map(|note| at(sort_of(note), RECORD)).collect();
    let due = |item: &Item| -> Result<Option<(ConversationKey, Timestamp)>, Fault> {
        let head = Head::read(item)?;
        let due = head.record.due(now, false).filter(|_| !head.deleting);
        due.map(|due| Ok((key_of(item)?, due))).transpose()
    };
    store.table.get_all(records).await?.iter().filter_map(|item| due(item).transpose()).collect()
}
