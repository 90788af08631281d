//! Conversations and tasks as they were after their last turn here, so that the next one need not read them.
//!
//! An entry is used only if the claim says that the log has not moved since: the store stays the truth.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cota_core::ids::{CommitId, ConversationKey, Seq};
use cota_core::task::Board;
use cota_core::tracker::Tracker;

/// What conversations are folded into.
pub type TrackerCache = Cache<Tracker>;
/// What tasks are folded into.
pub type BoardCache = Cache<Board>;

/// A bounded cache of folds over logs.
#[derive(Debug)]
pub struct Cache<F> {
    entries: Mutex<Entries<F>>,
    most: usize,
}

#[derive(Debug)]
struct Entries<F> {
    by_key: HashMap<ConversationKey, Entry<F>>,
    clock: u64,
}

#[derive(Debug)]
struct Entry<F> {
    fold: F,
    /// The last event folded in.
    head: Seq,
    last_commit: CommitId,
    used: u64,
}

impl<F: Default> Cache<F> {
    /// A cache of at most `most` conversations; 0 keeps none.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { entries: Mutex::new(Entries { by_key: HashMap::new(), clock: 0 }), most }
    }

    /// The conversation, if it is still as the log says. A conversation without events needs no entry.
    pub(crate) fn current(&self, key: &ConversationKey, head: Seq, last_commit: Option<&CommitId>) -> Option<F> {
        let Some(last_commit) = last_commit else { return (head == Seq::default()).then(F::default) };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.by_key.remove(key)?;
        (entry.head == head && entry.last_commit == *last_commit).then_some(entry.fold)
    }

    pub(crate) fn put(&self, key: &ConversationKey, head: Seq, fold: F, last_commit: CommitId) {
        if self.most == 0 {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clock += 1;
        let used = entries.clock;
        entries.by_key.insert(key.clone(), Entry { fold, head, last_commit, used });
        if entries.by_key.len() > self.most {
            let half = used.saturating_sub(self.most as u64 / 2);
            entries.by_key.retain(|_, entry| entry.used > half);
        }
    }

    pub(crate) fn forget(&self, key: &ConversationKey) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).by_key.remove(key);
    }
}
