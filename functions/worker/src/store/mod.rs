//! The store contract on an object's own SQLite database.
//!
//! Every operation is one block of statements with nothing awaited in it, so no other event of the object comes in between;
//! whoever is answered is answered only once it is on disk, which the platform's output gate sees to.

mod database;
mod known;
mod operations;
mod rows;
mod timers;

use std::sync::Arc;

use async_trait::async_trait;
use worker::Storage;

use cota_core::event::Event;
use cota_core::ids::{ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::turn::Commit;
use cota_driver::store::{
    AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Recorded, Renewed,
    Store, StoreError,
};

pub(crate) use database::{Database, Fault};
pub(crate) use rows::{bytes, columns, decode, encode, text, time, whole};
pub(crate) use timers::{Kind, Timers};

use known::Known;
use operations::{Alive, Change};
use rows::Rows;

/// The version of the schema that this build writes.
const SCHEMA: &str = include_str!("schema/1.sql");
/// Until a conversation is looked at again that is not free when its time is up, in milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Conversations in the database of an object.
pub(crate) struct ObjectStore {
    database: Database,
    known: Known,
    timers: Arc<Timers>,
    alive: Alive,
    /// How long a conversation is kept that nobody touches.
    keep_ms: Option<u64>,
}

impl ObjectStore {
    /// The conversation of the object with this storage, as `holder` drives it: claims of others are of incarnations that are
    /// gone.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub(crate) fn open(storage: Storage, holder: Holder, keep_ms: Option<u64>) -> Result<Self, Fault> {
        Self::with(storage, Alive::Only(holder), keep_ms)
    }

    /// Conversations that several holders drive at once.
    ///
    /// # Errors
    /// When the database cannot be used.
    #[cfg(feature = "tried")]
    pub(crate) fn shared(storage: Storage) -> Result<Self, Fault> {
        Self::with(storage, Alive::Anybody, None)
    }

    fn with(storage: Storage, alive: Alive, keep_ms: Option<u64>) -> Result<Self, Fault> {
        let database = Database::of(storage);
        prepare(&database)?;
        let timers = Arc::new(Timers::of(database.clone())?);
        Ok(Self { database, known: Known::default(), timers, alive, keep_ms })
    }

    /// The object's database.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The object's timers.
    pub(crate) fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    /// The conversation that the object keeps, if there is one.
    pub(crate) fn key(&self) -> Result<Option<ConversationKey>, Fault> {
        Ok(self.rows().conversations()?.into_iter().next().map(|(key, _, _)| key))
    }

    /// Whether a run of the conversation is parked. What cannot be read is not.
    pub(crate) fn is_parked(&self) -> bool {
        let conversations = self.rows().conversations().unwrap_or_default();
        conversations.iter().any(|(_, conversation, _)| conversation.record.claim.is_none() && conversation.record.parked_until.is_some())
    }

    /// Sets the timer for what is unfinished: now for what an incarnation that is gone had begun.
    pub(crate) fn watch(&self, now: Timestamp) -> Result<(), Fault> {
        let change = self.change_at(now);
        self.rows().conversations()?.iter().try_for_each(|(_, conversation, _)| change.watch(&conversation.record))
    }

    /// Deletes the conversation if its time is up; else sets the timer for then.
    pub(crate) fn retain(&self, now: Timestamp) -> Result<bool, Fault> {
        let Some(keep_ms) = self.keep_ms else { return Ok(false) };
        let Some((key, conversation, touched)) = self.rows().conversations()?.into_iter().next() else { return Ok(false) };
        let end = touched.plus_ms(keep_ms);
        if conversation.record.is_free() && end <= now {
            self.change(|rows| operations::delete(rows, &key))?;
            return Ok(true);
        }
        self.timers.set_by(Kind::Retention, end.max(now.plus_ms(AGAIN_MS)))?;
        Ok(false)
    }

    /// A change of the database: all of it or nothing.
    fn change<T>(&self, work: impl FnOnce(Rows<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.database.atomically(|| work(self.rows())).inspect_err(|_| {
            // What memory knows may not have been kept: the next attempt reads it again.
            self.known.forget();
            let _ = self.timers.read();
        })
    }

    /// A change after which somebody may have to look after a turn.
    fn drive<T>(&self, now: Timestamp, work: impl FnOnce(&Change<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.change(|_| work(&self.change_at(now)))
    }

    fn rows(&self) -> Rows<'_> {
        Rows { database: &self.database, known: &self.known }
    }

    fn change_at(&self, now: Timestamp) -> Change<'_> {
        Change { rows: self.rows(), alive: &self.alive, timers: &self.timers, now }
    }
}

/// Makes the tables where they are missing.
fn prepare(database: &Database) -> Result<(), Fault> {
    let is_there = database.row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'conversation'", Vec::new())?.is_some();
    if is_there { Ok(()) } else { database.atomically(|| database.run(SCHEMA, Vec::new())) }
}

#[async_trait]
impl Store for ObjectStore {
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError> {
        let now = message.at;
        Ok(self.drive(now, |change| {
            if let Some(keep_ms) = self.keep_ms {
                self.timers.set_by(Kind::Retention, now.plus_ms(keep_ms))?;
            }
            operations::accept(change, key, &message, terms)
        })?)
    }

    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        Ok(self.drive(now, |change| operations::claim(change, key, holder))?)
    }

    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        Ok(operations::load(self.rows(), key)?)
    }

    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        self.drive(terms.now, |change| operations::commit(change, key, claim, commit, terms))?
    }

    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        self.change(|rows| operations::renew(rows, key, claim, lease_until))?
    }

    async fn release(&self, key: &ConversationKey, claim: &Claim, now: Timestamp) -> Result<(), CommitError> {
        self.drive(now, |change| operations::release(change, key, claim))?
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        Ok(operations::events(self.rows(), key, after, limit)?)
    }

    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError> {
        Ok(operations::recorded(self.rows(), key, sender, message)?)
    }

    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError> {
        Ok(self.change(|rows| operations::delete(rows, key))?)
    }

    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError> {
        Ok(operations::unfinished(self.rows(), &self.alive, now)?)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.database.row("SELECT 1", Vec::new())?;
        Ok(())
    }
}
