//! Conversations in one SQLite file: the store of `cota run`.
//!
//! This crate keeps what `cota-driver`'s store contract says, and decides nothing itself: who may accept, drive and commit is
//! asked of the rules of the claim, inside the transaction that writes their answer. It is not a database for several
//! computers: the file and the locks beside it belong on a local disk. Several processes on one computer may share it.
//!
//! **Key decision: group commit.** A dedicated thread carries out whatever waits in one transaction and answers after it is
//! durable, so the price of a commit is shared by all conversations that are busy at the moment. Where nothing waits, whoever asks
//! carries it out without the thread. Reads have a thread and a connection of their own and see every write that was answered.
//!
//! A process holds an operating system's lock for each of its holders (`<file>.holders/`). A restart after a crash therefore
//! knows at once that the holder before it is dead and takes its runs up without waiting for their leases.

mod checkpoint;
mod fault;
mod holders;
mod ledger;
mod open;
mod operations;
mod queue;
mod rows;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::TransactionBehavior;

use cota_core::event::Event;
use cota_core::ids::{ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::turn::Commit;
use cota_driver::store::{
    AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Recorded, Renewed,
    Store, StoreError,
};

pub use crate::open::OpenError;

use crate::checkpoint::Checkpointer;
use crate::holders::Holders;
use crate::open::Opened;
use crate::operations::Encoded;
use crate::queue::{Failpoints, Manner, Queue};
use crate::rows::Rows;

/// How conversations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What survives a power failure.
    pub durability: Durability,
    /// The name of this process, which no other process has at the same time. Claims that an earlier process of this name
    /// left behind are taken to be dead.
    pub holder: Holder,
}

/// What survives. A crash of the process takes nothing in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power failure may take the last moments, never the order or the consistency of what is left.
    #[default]
    Normal,
    /// Whatever was acknowledged survives a power failure: one flush of the disk for each group of writes.
    Full,
}

/// Conversations in one SQLite file. Dropping it waits until all that was asked is written.
pub struct SqliteStore {
    writer: Queue,
    /// Dropped after the writer, with which its work ends, and before the reader, which is the last to close the file.
    _checkpointer: Checkpointer,
    reader: Queue,
    holders: Arc<Holders>,
}

const ACCEPT: Failpoints = Failpoints { before: "before-accept-commit", after: "after-accept-commit" };
const CLAIM: Failpoints = Failpoints { before: "before-claim-commit", after: "after-claim-commit" };
const TURN: Failpoints = Failpoints { before: "before-turn-commit", after: "after-turn-commit" };
const DELETE: Failpoints = Failpoints { before: "before-delete-commit", after: "after-delete-commit" };
const READ: Failpoints = Failpoints { before: "before-read-end", after: "after-read-end" };

/// Conversations that one transaction of [`SqliteStore::purge_before`] deletes, so that turns need not wait long for it.
const PURGE: u32 = 64;

impl SqliteStore {
    /// Opens the database at `path`; makes the file and its folder where they are missing.
    ///
    /// # Errors
    /// If it cannot be a database of ours, with the way out.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let Opened { mut writer, reader, mover, holders } = open::open(path, options)?;
        let no_thread = |error: std::io::Error| OpenError::Database { path: path.to_owned(), fault: error.to_string() };
        let checkpointer = Checkpointer::start(&mut writer, mover, checkpoint::PAGES).map_err(no_thread)?;
        let writing = Manner { behavior: TransactionBehavior::Immediate, is_slow: options.durability == Durability::Full };
        let reading = Manner { behavior: TransactionBehavior::Deferred, is_slow: false };
        Ok(Self {
            writer: Queue::start("sqlite-writer", writer, writing).map_err(no_thread)?,
            reader: Queue::start("sqlite-reader", reader, reading).map_err(no_thread)?,
            holders: Arc::new(holders),
            _checkpointer: checkpointer,
        })
    }

    /// Deletes the conversations that are finished and were not touched since `before`, and says how many: retention.
    ///
    /// # Errors
    /// If the database does not answer; what is deleted by then stays deleted.
    pub async fn purge_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let (mut purged, mut above) = (0, i64::MIN);
        loop {
            let numbers = self.reader.run(&READ, move |db| Rows(db).untouched(above, before, PURGE)).await?;
            let Some(last) = numbers.last() else { return Ok(purged) };
            above = *last;
            purged += self.writer.run(&DELETE, move |db| operations::purge(Rows(db), &numbers, before)).await?;
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError> {
        let (holders, key, terms) = (Arc::clone(&self.holders), key.clone(), terms.clone());
        Ok(self.writer.run(&ACCEPT, move |db| operations::accept(Rows(db), &holders, &key, &message, &terms)).await?)
    }

    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        let (holders, key, holder) = (Arc::clone(&self.holders), key.clone(), holder.clone());
        Ok(self.writer.run(&CLAIM, move |db| operations::claim(Rows(db), &holders, &key, &holder, now)).await?)
    }

    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        let key = key.clone();
        Ok(self.reader.run(&READ, move |db| operations::load(Rows(db), &key)).await?)
    }

    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        let (key, claim, commit, terms) = (key.clone(), claim.clone(), Encoded::new(commit)?, *terms);
        self.writer.run(&TURN, move |db| operations::commit(Rows(db), &key, &claim, &commit, &terms)).await?
    }

    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        let (key, claim) = (key.clone(), claim.clone());
        self.writer.run(&CLAIM, move |db| operations::renew(Rows(db), &key, &claim, lease_until)).await?
    }

    async fn release(&self, key: &ConversationKey, claim: &Claim, now: Timestamp) -> Result<(), CommitError> {
        let (key, claim) = (key.clone(), claim.clone());
        self.writer.run(&CLAIM, move |db| operations::release(Rows(db), &key, &claim, now)).await?
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        let key = key.clone();
        Ok(self.reader.run(&READ, move |db| operations::events(Rows(db), &key, after, limit)).await?)
    }

    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError> {
        let (key, sender, message) = (key.clone(), sender.clone(), message.clone());
        Ok(self.reader.run(&READ, move |db| operations::recorded(Rows(db), &key, &sender, &message)).await?)
    }

    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError> {
        let key = key.clone();
        Ok(self.writer.run(&DELETE, move |db| operations::delete(Rows(db), &key)).await?)
    }

    /// A holder is probed with its lock, so this asks the writer, whose transaction keeps other processes from doing the same.
    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError> {
        let holders = Arc::clone(&self.holders);
        Ok(self.writer.run(&READ, move |db| operations::unfinished(Rows(db), &holders, now)).await?)
    }

    /// Asks both threads, the writer for a write transaction.
    async fn ready(&self) -> Result<(), StoreError> {
        self.writer.run(&READ, |_| Ok(())).await?;
        Ok(self.reader.run(&READ, |db| Ok(db.query_row("SELECT 1", [], |_| Ok(()))?)).await?)
    }
}
