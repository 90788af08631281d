//! What this process knows of the conversations that it drives: the record as it last wrote it, and what waited then.
//!
//! It saves reading before a write and is never the truth: every write is conditioned on the record, so one that relied on
//! something old is not written, and the next try reads.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cota_core::event::InboxMessage;
use cota_core::ids::{ConversationKey, Seq};

use crate::head::Head;
use crate::read::Lasting;

/// Most conversations that are known at a time.
const MOST: usize = 10_000;

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
