//! What this process knows of the conversations that it drives: the record as it last wrote it, and what waited then.
//!
//! It saves reading before a write and is never the truth: every write is conditioned on the record, so one that relied on
//! something old is not written, and the next try reads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cota_core::event::InboxMessage;
use cota_core::ids::{ConversationKey, Seq};
use cota_core::tracker::Tracker;

use crate::head::Head;
use crate::read::Lasting;

/// Most conversations that are known at a time.
const MOST: usize = 10_000;
/// Most conversations whose states are remembered. Each may take some ten KB.
const MOST_STATES: usize = 200;

/// A conversation as it was last written here.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) head: Head,
    pub(crate) inbox: Vec<InboxMessage>,
    pub(crate) lasting: Lasting,
}

impl Known {
    /// A conversation as it was just read; what its state was made of is not known then.
    pub(crate) fn read(head: Head, inbox: Vec<InboxMessage>) -> Self {
        Self { head, inbox, lasting: Lasting::default() }
    }
}

/// The conversations that are driven here.
#[derive(Debug, Default)]
pub(crate) struct Driven(Mutex<HashMap<ConversationKey, Known>>);

impl Driven {
    pub(crate) fn get(&self, key: &ConversationKey) -> Option<Known> {
        self.lock().get(key).cloned()
    }

    /// Keeps what was written, unless something newer is known.
    pub(crate) fn keep(&self, key: &ConversationKey, known: Known) {
        let mut driven = self.lock();
        if driven.len() >= MOST {
            driven.clear();
        }
        if driven.get(key).is_none_or(|present| known.head.is_after(&present.head)) {
            driven.insert(key.clone(), known);
        }
    }

    pub(crate) fn forget(&self, key: &ConversationKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to where the snapshots of conversations reached when they were last read here. A snapshot only ever reaches further, so a
/// query that begins there brings all that is needed and little else. Where a conversation has been begun again meanwhile, what
/// it brings does not fit together, and the whole is read.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(Mutex<HashMap<ConversationKey, Seq>>);

impl Snapshots {
    pub(crate) fn of(&self, key: &ConversationKey) -> Seq {
        self.lock().get(key).copied().unwrap_or_default()
    }

    pub(crate) fn note(&self, key: &ConversationKey, reaches: Seq) {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        if reaches == Seq::default() {
            known.remove(key);
        } else {
            known.insert(key.clone(), reaches);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Seq>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a conversation's state was made of when it was last read here, and what it was. Where the same bytes are read again, they
/// need not be understood again: that is the larger part of a turn's reading.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The snapshot as it is written; empty where there is none.
    pub(crate) snapshot: Vec<u8>,
    /// Up to where it reaches.
    pub(crate) reaches: Seq,
    /// The commits behind it as they are written, oldest first.
    pub(crate) commits: Vec<Vec<u8>>,
    /// The state after the last of them.
    pub(crate) tracker: Tracker,
}

/// The last readings of conversations.
#[derive(Debug, Default)]
pub(crate) struct Readings(Mutex<HashMap<ConversationKey, Arc<Reading>>>);

impl Readings {
    pub(crate) fn of(&self, key: &ConversationKey) -> Arc<Reading> {
        self.lock().get(key).map(Arc::clone).unwrap_or_default()
    }

    pub(crate) fn keep(&self, key: &ConversationKey, reading: Reading) {
        let mut readings = self.lock();
        if readings.len() >= MOST_STATES {
            readings.clear();
        }
        readings.insert(key.clone(), Arc::new(reading));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Arc<Reading>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
