//! The note that somebody may be following a conversation elsewhere.
//!
//! It stands among the conversation's items where every turn's query comes by, so whoever drives knows without another call
//! whether it is worth asking who that is. It ends by itself, and outlives the conversation: who follows does not leave when that
//! is forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cota_core::ids::{ConversationKey, Timestamp};
use cota_driver::store::StoreError;

use crate::fault::Fault;
use crate::head::{DELETING, VERSION};
use crate::item::{at, number};
use crate::place::{self, EXPIRES_AT, PARTITION, RECORD, ROOM};
use crate::read::pause;
use crate::table::{Names, Values};
use crate::write::{Change, Condition, Obstacle, Transaction, Written};
use crate::{DynamoStore, TRIES};

/// Most conversations of which it is remembered.
const MOST: usize = 10_000;

/// What is known of those who follow conversations, as of their last reading here.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<HashMap<ConversationKey, Room>>);

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Until when somebody may follow.
    until: Timestamp,
    /// Whether somebody may have come or gone since this process began to drive, or was told so the last time.
    changed: bool,
}

impl Rooms {
    /// A conversation was read.
    pub(crate) fn note(&self, key: &ConversationKey, until: Timestamp) {
        self.with(key, |room| room.until = until);
    }

    /// This process drives a conversation from here on.
    pub(crate) fn begin(&self, key: &ConversationKey) {
        self.with(key, |room| room.changed = false);
    }

    /// A conversation's record was found to be another than the one that was written last.
    pub(crate) fn change(&self, key: &ConversationKey, until: Timestamp) {
        self.with(key, |room| *room = Room { until, changed: true });
    }

    fn until(&self, key: &ConversationKey) -> Option<Timestamp> {
        self.lock().get(key).map(|room| room.until)
    }

    fn take_change(&self, key: &ConversationKey) -> bool {
        self.lock().get_mut(key).is_none_or(|room| std::mem::take(&mut room.changed))
    }

    fn with(&self, key: &ConversationKey, change: impl FnOnce(&mut Room)) {
        let mut rooms = self.lock();
        if rooms.len() >= MOST {
            rooms.clear();
        }
        change(rooms.entry(key.clone()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DynamoStore {
    /// Notes that somebody who is not in this process may follow the conversation until then, whether there is one yet or not.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn follow(&self, key: &ConversationKey, until: Timestamp) -> Result<(), StoreError> {
        let mut item = at(&place::conversation(key), ROOM);
        item.insert(EXPIRES_AT.to_owned(), number(until.0.div_ceil(1000)));
        Ok(self.write_note(|transaction| transaction.put(item.clone(), None)).await?)
    }

    /// Makes sure that whoever drives the conversation now knows that somebody [came](Self::is_followed) or
    /// [went](Self::take_change), once the turn at hand is written: the record's version changes, so it is read once more then.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn tell_driver(&self, key: &ConversationKey) -> Result<(), StoreError> {
        let names = [("#pk", PARTITION), ("#deleting", DELETING), ("#version", VERSION)];
        let condition = Condition {
            expression: "attribute_exists(#pk) AND attribute_not_exists(#deleting)".to_owned(),
            names: Names::from(names.map(|(name, attribute)| (name.to_owned(), attribute.to_owned()))),
            values: Values::from([(":one".to_owned(), number(1))]),
        };
        let expression = "SET #version = #version + :one".to_owned();
        let change = Change { key: at(&place::conversation(key), RECORD), expression, condition };
        Ok(self.write_note(|transaction| transaction.update(change.clone())).await?)
    }

    /// Whether somebody may follow the conversation, as of when it was last accepted into, claimed or committed to by this process;
    /// where that was never, somebody may. Nothing is asked.
    #[must_use]
    pub fn is_followed(&self, key: &ConversationKey, now: Timestamp) -> bool {
        self.rooms.until(key).is_none_or(|until| now < until)
    }

    /// Whether somebody may have begun or ceased to follow the conversation since this process accepted into it to drive it, or
    /// claimed it, or asked so the last time; only its driver may ask. Nothing is asked of DynamoDB.
    #[must_use]
    pub fn take_change(&self, key: &ConversationKey) -> bool {
        self.rooms.take_change(key)
    }

    /// Writes one item; where its condition does not hold, there is nothing to be written.
    async fn write_note(&self, write: impl Fn(&mut Transaction<'_>)) -> Result<(), Fault> {
        for attempt in 0..TRIES {
            let mut transaction = Transaction::new(&self.table);
            write(&mut transaction);
            match transaction.send().await? {
                Written::Whole => return Ok(()),
                Written::Nothing(obstacles) if matches!(obstacles.first(), Some(Obstacle::Condition(_))) => return Ok(()),
                Written::Nothing(_) => pause(attempt).await,
            }
        }
        Err(Fault::Contended)
    }
}
