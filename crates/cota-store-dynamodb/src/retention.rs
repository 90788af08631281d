//! How long a conversation is kept: it is forgotten when nobody has touched it for so long.
//!
//! DynamoDB deletes each item by itself, some time after its end, so the ends are set such that what a turn is loaded from
//! outlasts the conversation, and the record outlasts the rest. The record says when the conversation is over; from then on it is
//! as good as gone, whatever of it is still there.

use std::time::Duration;

use cota_core::ids::Timestamp;

use crate::head::Head;
use crate::item::{Item, number, number_of};
use crate::place::EXPIRES_AT;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// DynamoDB deletes within a few days of an item's end. The record is there until everything else is gone.
const RECORD_MS: u64 = 7 * DAY_MS;

/// How long conversations are kept; by default for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Retention(Option<u64>);

impl Retention {
    pub(crate) fn new(kept: Option<Duration>) -> Self {
        Self(kept.map(|kept| u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Whether the conversation is over.
    pub(crate) fn is_over(self, head: &Head, now: Timestamp) -> bool {
        self.0.is_some_and(|kept| head.record.is_free() && head.touched.plus_ms(kept) <= now)
    }

    /// A conversation that was last touched then is over at `now`.
    pub(crate) fn oldest(self, now: Timestamp) -> Option<Timestamp> {
        self.0.map(|kept| Timestamp(now.0.saturating_sub(kept)))
    }

    /// Sets an item's end.
    pub(crate) fn stamp(self, item: &mut Item, now: Timestamp) {
        self.stamp_with(item, now, 0);
    }

    /// Sets the record's end.
    pub(crate) fn stamp_record(self, item: &mut Item, now: Timestamp) {
        self.stamp_with(item, now, RECORD_MS);
    }

    /// The new end, in seconds, of items that a turn is loaded from, if they would else be gone before the conversation is over.
    pub(crate) fn extended(self, earliest: Option<u64>, now: Timestamp) -> Option<u64> {
        let kept = self.0?;
        let needed = now.plus_ms(kept).0 / 1000;
        earliest.filter(|end| *end < needed).map(|_| end_of(kept, now))
    }

    fn stamp_with(self, item: &mut Item, now: Timestamp, more: u64) {
        if let Some(kept) = self.0 {
            item.insert(EXPIRES_AT.to_owned(), number(end_of(kept.saturating_add(more), now)));
        }
    }
}

/// The end that an item has.
pub(crate) fn end(item: &Item) -> Option<u64> {
    number_of(item, EXPIRES_AT)
}

/// A while longer than it must be, so that ends need not be moved with every turn.
fn end_of(kept: u64, now: Timestamp) -> u64 {
    now.plus_ms(kept).plus_ms(DAY_MS.max(kept / 8)).0 / 1000
}
