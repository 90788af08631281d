//! The names of everything in the database.

use cota_core::ids::{ContentDigest, ConversationKey};

/// The names of one deployment. All have one hash tag.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    tag: String,
}

/// Where the parts of a conversation are, in the order in which scripts are given them; the list of unfinished ones is last.
pub(crate) type Parts = [String; 5];

/// A part of a conversation, by its place in [`Parts`] as Lua counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A hash: the head, the snapshot, where the log goes on after it (`from`), the saved run.
    Conversation = 1,
    /// A hash: what waits, by its run.
    Inbox = 2,
    /// A list: the event of seq n at index n - 1.
    Log = 3,
    /// A hash: what became of each message, by its run.
    Recorded = 4,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { tag: format!("{{{prefix}}}") }
    }

    pub(crate) fn parts(&self, key: &ConversationKey) -> Parts {
        let name = ContentDigest::of(&[key.bot.as_str(), key.owner.as_str(), key.id.as_str()]).0;
        let part = |part: &str| format!("{}:c:{name}{part}", self.tag);
        [part(""), part(":inbox"), part(":log"), part(":recorded"), self.unfinished()]
    }

    /// A sorted set: the conversations with unfinished work, by the time before which nobody needs to look.
    pub(crate) fn unfinished(&self) -> String {
        format!("{}:unfinished", self.tag)
    }

    /// A record of the ledger, its name in the sorted set of all names, its end in the sorted set of all ends.
    pub(crate) fn record(&self, name: &str) -> [String; 3] {
        [self.value(name), self.names(), format!("{}:ledger:ends", self.tag)]
    }

    pub(crate) fn value(&self, name: &str) -> String {
        format!("{}:l:{name}", self.tag)
    }

    pub(crate) fn names(&self) -> String {
        format!("{}:ledger:names", self.tag)
    }
}
