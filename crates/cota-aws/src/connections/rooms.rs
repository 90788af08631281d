use std::sync::Arc;

use cota_core::ids::{ConversationKey, Timestamp};
use cota_driver::store::StoreError;
use cota_store_dynamodb::DynamoStore;

use super::register::LASTING_MS;

/// In whose rooms anybody may sit, as far as the conversations themselves say so: whoever has read one for a turn need not ask.
#[derive(Clone, Default)]
pub(crate) struct Rooms(Option<Arc<DynamoStore>>);

impl Rooms {
    /// Those of the conversations in this store.
    pub(crate) fn of(store: Arc<DynamoStore>) -> Self {
        Self(Some(store))
    }

    /// Notes that somebody sits down.
    pub(crate) async fn enter(&self, key: &ConversationKey, now: Timestamp) -> Result<(), StoreError> {
        match &self.0 {
            // Boxed, as what a store's other calls are: the SDK's futures are deep.
            Some(store) => Box::pin(store.follow(key, now.plus_ms(LASTING_MS))).await,
            None => Ok(()),
        }
    }

    /// Makes sure that whoever drives the conversation knows when a turn ends that somebody sat down, or rose.
    pub(crate) async fn tell_driver(&self, key: &ConversationKey) -> Result<(), StoreError> {
        match &self.0 {
            Some(store) => Box::pin(store.tell_driver(key)).await,
            None => Ok(()),
        }
    }

    /// Whether anybody may sit there, as of when this process last read the conversation for a turn.
    pub(crate) fn may_be_taken(&self, key: &ConversationKey, now: Timestamp) -> bool {
        self.0.as_ref().is_none_or(|store| store.is_followed(key, now))
    }

    /// Whether somebody may have sat down or risen since this process began to drive the conversation, or asked so the last time.
    pub(crate) fn take_change(&self, key: &ConversationKey) -> bool {
        self.0.as_ref().is_none_or(|store| store.take_change(key))
    }
}
