//! A conversation's head: what the rules of the claim are asked about, and the heads that were seen last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cota_core::event::InboxMessage;
use cota_core::ids::{ContentDigest, ConversationKey, Position, RunId, Timestamp};
use cota_driver::claim::ClaimRecord;
use cota_driver::store::NewMessage;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Heads that are remembered: two megabytes or so.
const MOST: usize = 1024;

/// The small record that every write of a conversation goes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// What the rules decide on.
    pub(crate) record: ClaimRecord,
    /// The messages that are not yet answered, in order.
    pub(crate) waiting: Vec<Waiting>,
}

/// A message that is not yet answered, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) position: Position,
    /// The run that answers it: it stands for sender and message id.
    pub(crate) run: RunId,
    pub(crate) digest: ContentDigest,
}

impl Waiting {
    pub(crate) fn new(key: &ConversationKey, message: &InboxMessage) -> Self {
        let run = RunId::of(key, &message.sender, &message.message_id);
        Self { position: message.position, run, digest: NewMessage::from(message.clone()).digest() }
    }
}

impl Head {
    /// The head of a conversation that begins now.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { record: ClaimRecord::new(now), waiting: Vec::new() }
    }

    /// When somebody should look at the conversation, if ever.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.record.due(Timestamp::default(), false)
    }
}

/// A head as it stands in the database: the text is what a write is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownHead {
    pub(crate) text: String,
    pub(crate) head: Head,
}

impl KnownHead {
    pub(crate) fn read(text: String) -> Result<Self, Fault> {
        let head = serde_json::from_str(&text);
        head.map(|head| Self { text, head }).map_err(|error| Fault::Unreadable { what: "a conversation's head", why: error.to_string() })
    }

    pub(crate) fn write(head: Head) -> Result<Self, Fault> {
        let text = serde_json::to_string(&head);
        text.map(|text| Self { text, head }).map_err(|error| Fault::Unwritable { what: "a conversation's head", why: error.to_string() })
    }
}

/// The heads that were seen last. One that is out of date costs a call, never more: each write compares.
#[derive(Debug, Default)]
pub(crate) struct KnownHeads(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<ConversationKey, (KnownHead, u64)>,
    clock: u64,
}

impl KnownHeads {
    pub(crate) fn get(&self, key: &ConversationKey) -> Option<KnownHead> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_key.get(key).map(|(head, _)| head.clone())
    }

    pub(crate) fn put(&self, key: &ConversationKey, head: Option<KnownHead>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(head) = head else {
            kept.by_key.remove(key);
            return;
        };
        kept.clock += 1;
        let used = kept.clock;
        kept.by_key.insert(key.clone(), (head, used));
        if kept.by_key.len() > MOST {
            kept.by_key.retain(|_, (_, last)| *last + MOST as u64 / 2 > used);
        }
    }
}
