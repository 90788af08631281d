//! Conversations in one DynamoDB table: the store of the Lambda functions, and of `cota run --store dynamodb:TABLE`.
//!
//! This crate keeps what `cota-driver`'s store contract says, and decides nothing itself: who may accept, drive and commit is
//! asked of the rules of the claim, on a record that was read or guessed, and what they decided is written by one transaction on
//! the condition that the record is still so. A lost race is read again and tried again, a bounded number of times. No item grows
//! with the conversation.
//!
//! **Key decision: three calls a turn.** Each kind of item stands in the conversation's partition such that one query from the
//! end, of bounded size, brings all that a turn starts from. An acceptor that drives makes this query first, so accepting,
//! claiming and loading are one read and one write; the finish is the third call, on the record as this process wrote it last. An
//! acceptor that only rings writes without reading, on the guess that the conversation is free; whoever hears the doorbell claims
//! with the same query and one write, and finishes with another: four in all.
//!
//! A holder is never known to be dead here: its claim is taken over when its lease ends.
//!
//! The SDK calls over the HTTP port (`transport`): a process has one pool of connections, and reads certificates once.

mod accept;
mod address;
mod claim;
mod client;
mod commit;
mod fault;
mod forget;
mod guess;
mod head;
mod item;
mod known;
mod ledger;
mod place;
mod read;
mod retention;
mod room;
mod sweep;
mod table;
mod transport;
mod write;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;

use cota_core::event::Event;
use cota_core::ids::{ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::turn::Commit;
use cota_driver::store::{
    AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Recorded, Renewed,
    Store, StoreError,
};

pub use aws_sdk_dynamodb;

pub use crate::address::{Address, AddressError};
pub use crate::client::{AccessError, client_from_environment, config};
pub use crate::table::{TableError, Usage, create_table};

use crate::known::{Driven, Readings, Snapshots};
use crate::retention::Retention;
use crate::room::Rooms;
use crate::table::Table;

/// How often a write that lost a race is tried.
const TRIES: u32 = 40;

/// How conversations are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How long a conversation is kept that nobody touches; for ever where it is not said. The table's time to live must be on,
    /// for the attribute `expires_at`.
    pub retention: Option<Duration>,
    /// Whether unfinished work can be listed: for a host whose doorbells die with it. It costs two more items a turn.
    pub sweeps: bool,
}

/// Conversations in one DynamoDB table.
#[derive(Debug)]
pub struct DynamoStore {
    table: Table,
    driven: Driven,
    snapshots: Snapshots,
    readings: Readings,
    rooms: Rooms,
    retention: Retention,
    sweeps: bool,
}

impl DynamoStore {
    /// The store in `table`. Nothing is asked of DynamoDB yet.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, options: &Options) -> Self {
        Self {
            table: Table::new(client, table.into()),
            driven: Driven::default(),
            snapshots: Snapshots::default(),
            readings: Readings::default(),
            rooms: Rooms::default(),
            retention: Retention::new(options.retention),
            sweeps: options.sweeps,
        }
    }

    /// Whether the table can be used.
    ///
    /// # Errors
    /// If it does not exist, or DynamoDB cannot be reached, with the way out.
    pub async fn check(&self) -> Result<(), StoreError> {
        Ok(self.table.get("ready", "ready").await.map(|_| ())?)
    }

    /// What was asked of DynamoDB so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.table.usage()
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError> {
        Ok(accept::accept(self, key, &message, terms).await?)
    }

    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        Ok(claim::claim(self, key, holder, now).await?)
    }

    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        let whole = read::whole(self, key).await?;
        let is_there = |whole: &read::Whole| !whole.head.deleting && !self.retention.is_over(&whole.head, now());
        Ok(whole.filter(is_there).map(|whole| whole.loaded))
    }

    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        commit::commit(self, key, claim, commit, terms).await?
    }

    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        claim::renew(self, key, claim, lease_until).await?
    }

    async fn release(&self, key: &ConversationKey, claim: &Claim, now: Timestamp) -> Result<(), CommitError> {
        claim::release(self, key, claim, now).await?
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        Ok(read::events(&self.table, key, after, limit).await?)
    }

    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError> {
        let item = self.table.get(&place::conversation(key), &place::id(key, sender, message)).await?;
        Ok(item.as_ref().map(accept::recorded).transpose()?)
    }

    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError> {
        Ok(self.forget(key).await?)
    }

    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError> {
        Ok(sweep::unfinished(self, now).await?)
    }

    /// Asks for an item that does not exist: the permission to read is all it takes.
    async fn ready(&self) -> Result<(), StoreError> {
        self.check().await
    }
}

/// The time, for reading what may be over: the contract gives a reader none.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
