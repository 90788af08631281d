//! The way into a conversation: one message after the other, so that those who follow it hear of messages in the order in which
//! they were accepted. The store puts them in order, but its answers may overtake each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cota_core::ids::ConversationKey;
use futures_util::lock::{Mutex as Turnstile, OwnedMutexGuard};

/// The conversations that somebody is entering, each with its turnstile.
#[derive(Debug, Default)]
pub(super) struct Entrance(Mutex<HashMap<ConversationKey, Arc<Turnstile<()>>>>);

/// Nobody else enters the conversation before this is dropped.
#[derive(Debug)]
pub(super) struct Entered<'e> {
    _turn: OwnedMutexGuard<()>,
    _place: Place<'e>,
}

/// Somebody at the turnstile of a conversation, in front of it or in it.
#[derive(Debug)]
struct Place<'e> {
    entrance: &'e Entrance,
    key: &'e ConversationKey,
}

impl Entrance {
    /// Waits until those who came before have entered.
    pub(super) async fn enter<'e>(&'e self, key: &'e ConversationKey) -> Entered<'e> {
        let turnstile = Arc::clone(self.lock().entry(key.clone()).or_default());
        let place = Place { entrance: self, key };
        Entered { _turn: turnstile.lock_owned().await, _place: place }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Arc<Turnstile<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut turnstiles = self.entrance.lock();
        if turnstiles.get(self.key).is_some_and(|turnstile| Arc::strong_count(turnstile) == 1) {
            turnstiles.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use cota_core::ids::{BotName, ConversationId, Owner};
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn one_enters_after_the_other_and_nothing_is_kept_of_who_has_left() {
        let key = ConversationKey { bot: BotName::new("b").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() };
        let entrance = Entrance::default();
        let first = entrance.enter(&key).now_or_never().unwrap();
        let (mut second, mut impatient) = (Box::pin(entrance.enter(&key)), Box::pin(entrance.enter(&key)));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut impatient).now_or_never().is_none());
        drop(first);
        drop(impatient);
        drop(second.now_or_never().unwrap());
        assert!(entrance.lock().is_empty());
    }

    #[test]
    fn who_goes_away_last_leaves_nothing_behind() {
        let key = ConversationKey { bot: BotName::new("b").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() };
        let entrance = Entrance::default();
        let first = entrance.enter(&key).now_or_never().unwrap();
        let mut impatient = Box::pin(entrance.enter(&key));
        assert!((&mut impatient).now_or_never().is_none());
        drop(first);
        assert_eq!(entrance.lock().len(), 1);
        drop(impatient);
        assert!(entrance.lock().is_empty());
    }
}
