//! Conversations in Upstash Redis, over its REST API: external state for the laptop, Workers and Lambda alike.
//!
//! This crate keeps what `cota-driver`'s store contract says, and decides nothing itself. It speaks HTTP through the driver's
//! port, knows no runtime, and is not a client for Redis' own protocol.
//!
//! **Key decision: compare and write.** The rules of the claim run here, in Rust, on the conversation's *head*: the small record
//! that every write goes through. One script then writes all that was decided if the head is still the one that the rules were
//! asked about, and else returns the head as it is, and the rules are asked again. So each write is one atomic EVAL, and no
//! rule stands in Lua. Heads are remembered, so a process that goes on with a conversation needs one call for a write; one that
//! has not seen it, or that lost a race, needs two.
//!
//! Every read is a script as well: a database with replicas sends scripts to its primary, and a plain read perhaps not.
//!
//! All keys begin with one hash tag, the prefix in braces, so that a cluster keeps them in one slot. One tag for each
//! conversation would spread them, but then no script could write a conversation together with the list of unfinished ones.
//!
//! - [`Address`]: where the database is. [`UpstashStore`]: the store.
//! - `head`: what the rules are asked about. `change`: compare and write. `operations`, `reading`, `ledger`: the contract.

mod address;
mod api;
mod change;
mod fault;
mod head;
mod keys;
mod ledger;
mod operations;
mod reading;

use std::sync::Arc;

use async_trait::async_trait;

use cota_core::event::Event;
use cota_core::ids::{ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::turn::Commit;
use cota_driver::http::HttpSend;
use cota_driver::ports::Clock;
use cota_driver::store::{
    AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Recorded, Renewed,
    Store, StoreError,
};

pub use address::{Address, AddressError};

use api::Api;
use head::KnownHeads;
use keys::Keys;

/// Conversations in one Upstash database.
pub struct UpstashStore {
    api: Api,
    keys: Keys,
    heads: KnownHeads,
    /// How long a conversation is kept after its last turn; `None` for ever.
    retention_ms: Option<u64>,
}

impl UpstashStore {
    /// The database at `address`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the token has characters that no header can have.
    pub fn new(address: &Address, token: &str, http: Arc<dyn HttpSend>, clock: Arc<dyn Clock>) -> Result<Self, AddressError> {
        Ok(Self {
            api: Api::new(address.url().clone(), token, http, clock)?,
            keys: Keys::new(address.prefix()),
            heads: KnownHeads::default(),
            retention_ms: address.retention_ms(),
        })
    }
}

#[async_trait]
impl Store for UpstashStore {
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError> {
        Ok(operations::accept(self, key, &message, terms).await?)
    }

    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        Ok(operations::claim(self, key, holder, now).await?)
    }

    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        Ok(reading::load(self, key).await?)
    }

    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        operations::commit(self, key, claim, commit, terms).await?
    }

    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        operations::renew(self, key, claim, lease_until).await?
    }

    async fn release(&self, key: &ConversationKey, claim: &Claim, _now: Timestamp) -> Result<(), CommitError> {
        operations::release(self, key, claim).await?
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        Ok(reading::events(self, key, after, limit).await?)
    }

    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError> {
        Ok(reading::recorded(self, key, sender, message).await?)
    }

    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError> {
        Ok(operations::delete(self, key).await?)
    }

    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError> {
        Ok(reading::unfinished(self, now).await?)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(reading::ready(self).await?)
    }
}
