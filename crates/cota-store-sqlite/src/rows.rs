//! The tables, row by row: SQL and its encoding, and none of the rules.

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ContentDigest, ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_driver::claim::ClaimRecord;
use cota_driver::store::{NewMessage, Progress, Recorded};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::Fault;

/// A conversation's row.
pub(crate) struct Conversation {
    /// What its other rows refer to.
    pub(crate) number: i64,
    /// Its record.
    pub(crate) record: ClaimRecord,
}

/// The tables within one transaction.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a>(pub(crate) &'a Connection);

impl Rows<'_> {
    pub(crate) fn conversation(self, key: &ConversationKey) -> Result<Option<Conversation>, Fault> {
        let mut select = self.0.prepare_cached("SELECT number, record FROM conversation WHERE bot = ?1 AND owner = ?2 AND id = ?3")?;
        let found: Option<(i64, Vec<u8>)> =
            select.query_row([key.bot.as_str(), key.owner.as_str(), key.id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        found.map(|(number, record)| Ok(Conversation { number, record: decode("a conversation's record", &record)? })).transpose()
    }

    pub(crate) fn insert_conversation(self, key: &ConversationKey, record: &ClaimRecord, touched: Timestamp) -> Result<i64, Fault> {
        self.execute(
            "INSERT INTO conversation (bot, owner, id, record, unfinished, touched) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                key.bot.as_str(),
                key.owner.as_str(),
                key.id.as_str(),
                encode("a conversation's record", record)?,
                !record.is_free(),
                touched.0
            ],
        )?;
        Ok(self.0.last_insert_rowid())
    }

    pub(crate) fn update_conversation(self, conversation: &Conversation, touched: Timestamp) -> Result<(), Fault> {
        let record = encode("a conversation's record", &conversation.record)?;
        self.execute(
            "UPDATE conversation SET record = ?2, unfinished = ?3, touched = ?4 WHERE number = ?1",
            params![conversation.number, record, !conversation.record.is_free(), touched.0],
        )
    }

    /// Every conversation with unfinished work.
    pub(crate) fn unfinished(self) -> Result<Vec<(ConversationKey, Conversation)>, Fault> {
        // Whoever has a claim has it for a message that waits, so no index over the conversations need be kept for this.
        let mut select = self.0.prepare_cached(
            "SELECT number, record, bot, owner, id FROM conversation
             WHERE number IN (SELECT place >> 32 FROM inbox UNION SELECT conversation FROM saved)",
        )?;
        let mut rows = select.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let record: Vec<u8> = row.get(1)?;
            let key = ConversationKey { bot: name(row, 2)?, owner: name(row, 3)?, id: name(row, 4)? };
            found.push((key, Conversation { number: row.get(0)?, record: decode("a conversation's record", &record)? }));
        }
        Ok(found)
    }

    /// Finished conversations with numbers above `above` that nobody touched since `before`, at most `limit`.
    pub(crate) fn untouched(self, above: i64, before: Timestamp, limit: u32) -> Result<Vec<i64>, Fault> {
        let mut select = self.0.prepare_cached(
            "SELECT number FROM conversation WHERE number > ?1 AND touched < ?2 AND unfinished = 0 ORDER BY number LIMIT ?3",
        )?;
        let numbers = select.query_map(params![above, before.0, limit], |row| row.get(0))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    /// Whether the conversation is finished and nobody touched it since `before`.
    pub(crate) fn is_untouched(self, number: i64, before: Timestamp) -> Result<bool, Fault> {
        let mut select = self.0.prepare_cached("SELECT 1 FROM conversation WHERE number = ?1 AND touched < ?2 AND unfinished = 0")?;
        Ok(select.exists(params![number, before.0])?)
    }

    /// Removes every row of the conversation.
    pub(crate) fn delete(self, number: i64) -> Result<(), Fault> {
        for statement in ["DELETE FROM inbox WHERE place BETWEEN ?1 AND ?2", "DELETE FROM log WHERE place BETWEEN ?1 AND ?2"] {
            self.execute(statement, params![place(number, 0)?, last_place(number)?])?;
        }
        for statement in [
            "DELETE FROM answered WHERE conversation = ?1",
            "DELETE FROM snapshot WHERE conversation = ?1",
            "DELETE FROM saved WHERE conversation = ?1",
            "DELETE FROM conversation WHERE number = ?1",
        ] {
            self.execute(statement, params![number])?;
        }
        Ok(())
    }

    /// The messages that are not yet answered, in order.
    pub(crate) fn inbox(self, number: i64) -> Result<Vec<InboxMessage>, Fault> {
        let mut select = self.0.prepare_cached("SELECT message FROM inbox WHERE place BETWEEN ?1 AND ?2 ORDER BY place")?;
        let mut rows = select.query(params![place(number, 0)?, last_place(number)?])?;
        let mut inbox = Vec::new();
        while let Some(row) = rows.next()? {
            inbox.push(decode("a waiting message", row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?)?);
        }
        Ok(inbox)
    }

    pub(crate) fn first_waiting(self, number: i64) -> Result<Option<InboxMessage>, Fault> {
        self.blob(
            "SELECT message FROM inbox WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT 1",
            params![place(number, 0)?, last_place(number)?],
        )?
        .map(|message| decode("a waiting message", &message))
        .transpose()
    }

    pub(crate) fn insert_waiting(self, number: i64, message: &InboxMessage) -> Result<(), Fault> {
        let encoded = encode("a waiting message", message)?;
        self.execute("INSERT INTO inbox (place, message) VALUES (?1, ?2)", params![place(number, message.position.0)?, encoded])
    }

    /// What became of a message: a waiting one is in the inbox, an answered one in a table of its own.
    pub(crate) fn recorded(self, number: i64, sender: &SenderId, id: &MessageId) -> Result<Option<Recorded>, Fault> {
        let mut select =
            self.0.prepare_cached("SELECT digest, first, last FROM answered WHERE conversation = ?1 AND sender = ?2 AND id = ?3")?;
        let answered = select
            .query_row(params![number, sender.as_str(), id.as_str()], |row| {
                let progress = Progress::Answered { first: Seq(row.get(1)?), last: Seq(row.get(2)?) };
                Ok(Recorded { digest: ContentDigest(row.get(0)?), progress })
            })
            .optional()?;
        if answered.is_some() {
            return Ok(answered);
        }
        let waiting = self.inbox(number)?.into_iter().find(|message| message.sender == *sender && message.message_id == *id);
        Ok(waiting.map(|message| Recorded { digest: NewMessage::from(message).digest(), progress: Progress::Pending }))
    }

    /// Records what answered a message, which leaves the inbox.
    pub(crate) fn set_answered(self, number: i64, message: InboxMessage, first: Seq, last: Seq) -> Result<(), Fault> {
        self.execute("DELETE FROM inbox WHERE place = ?1", params![place(number, message.position.0)?])?;
        let message = NewMessage::from(message);
        self.execute(
            "INSERT OR REPLACE INTO answered (conversation, sender, id, digest, first, last) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![number, message.sender.as_str(), message.message_id.as_str(), message.digest().0, first.0, last.0],
        )
    }

    /// Appends a commit's events, the first of which is `first`.
    pub(crate) fn append(self, number: i64, first: Seq, events: &[u8]) -> Result<(), Fault> {
        self.execute("INSERT INTO log (place, events) VALUES (?1, ?2)", params![place(number, first.0)?, events])
    }

    /// The events after `after`, in order, at most `limit`.
    pub(crate) fn events(self, number: i64, after: Seq, limit: usize) -> Result<Vec<Event>, Fault> {
        let mut select = self.0.prepare_cached(
            "SELECT events FROM log WHERE place BETWEEN
               coalesce((SELECT max(place) FROM log WHERE place BETWEEN ?1 AND ?2), ?2) AND ?3
             ORDER BY place",
        )?;
        let mut rows = select.query(params![place(number, 0)?, place(number, after.next().0)?, last_place(number)?])?;
        let mut events = Vec::new();
        while events.len() < limit
            && let Some(row) = rows.next()?
        {
            let commit: Vec<Event> = decode("a turn's events", row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?)?;
            events.extend(commit.into_iter().filter(|event| event.seq > after));
        }
        events.truncate(limit);
        Ok(events)
    }

    pub(crate) fn snapshot(self, number: i64) -> Result<Tracker, Fault> {
        let found = self.blob("SELECT tracker FROM snapshot WHERE conversation = ?1", params![number])?;
        found.map_or_else(|| Ok(Tracker::default()), |tracker| decode("a snapshot", &tracker))
    }

    pub(crate) fn set_snapshot(self, number: i64, tracker: &[u8]) -> Result<(), Fault> {
        self.execute("INSERT OR REPLACE INTO snapshot (conversation, tracker) VALUES (?1, ?2)", params![number, tracker])
    }

    pub(crate) fn saved(self, number: i64) -> Result<Option<Vec<u8>>, Fault> {
        self.blob("SELECT run FROM saved WHERE conversation = ?1", params![number])
    }

    pub(crate) fn set_saved(self, number: i64, run: &[u8]) -> Result<(), Fault> {
        self.execute("INSERT OR REPLACE INTO saved (conversation, run) VALUES (?1, ?2)", params![number, run])
    }

    pub(crate) fn delete_saved(self, number: i64) -> Result<(), Fault> {
        self.execute("DELETE FROM saved WHERE conversation = ?1", params![number])
    }

    fn execute(self, sql: &str, params: impl Params) -> Result<(), Fault> {
        self.0.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }

    fn blob(self, sql: &str, params: impl Params) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
    }
}

/// Where the row of a position or a seq stands.
fn place(number: i64, within: u64) -> Result<i64, Fault> {
    let within = u32::try_from(within).map_err(|_| too_large("a conversation of more than four thousand million events"))?;
    let upper = i64::from(i32::try_from(number).map_err(|_| too_large("a database of more than two thousand million conversations"))?);
    Ok(upper << 32 | i64::from(within))
}

fn last_place(number: i64) -> Result<i64, Fault> {
    place(number, u64::from(u32::MAX))
}

fn too_large(what: &'static str) -> Fault {
    Fault::Unwritable { what, why: "its numbers run out".to_owned() }
}

fn name<T: TryFrom<String, Error = cota_core::ids::InvalidName>>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    let text: String = row.get(column)?;
    T::try_from(text).map_err(|error| Fault::Unreadable { what: "a conversation's key", why: error.to_string() })
}

pub(crate) fn encode(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|error| Fault::Unwritable { what, why: error.to_string() })
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::Unreadable { what, why: error.to_string() })
}
