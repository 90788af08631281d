//! The tables, row by row: SQL and its encoding, and none of the rules.

use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::SqlStorageValue as Value;

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ContentDigest, ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_driver::claim::ClaimRecord;
use cota_driver::store::{NewMessage, Progress, Recorded};

use super::database::{Database, Fault, Row};
use super::known::Known;

/// Most bytes of one value. The platform takes 2 MB for a whole row.
const VALUE_BYTES: usize = 1_900_000;
/// Bytes of events after which a commit goes on in another row.
const EVENTS_BYTES: usize = 512 * 1024;
/// Rows of the log that are read at once.
const PAGE: i64 = 64;

/// A conversation's row.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    /// What its other rows refer to.
    pub(super) number: i64,
    /// Its record.
    pub(super) record: ClaimRecord,
}

/// The tables.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) database: &'a Database,
    pub(super) known: &'a Known,
}

impl Rows<'_> {
    pub(super) fn conversation(self, key: &ConversationKey) -> Result<Option<Conversation>, Fault> {
        if let Some(conversation) = self.known.conversation(key) {
            return Ok(Some(conversation));
        }
        let sql = "SELECT number, record FROM conversation WHERE bot = ? AND owner = ? AND id = ?";
        let Some(row) = self.database.row(sql, key_values(key))? else { return Ok(None) };
        let [number, record] = columns(row)?;
        let conversation = Conversation { number: integer(&number)?, record: decode("a conversation's record", &record)? };
        self.known.learn(key, &conversation, None);
        Ok(Some(conversation))
    }

    pub(super) fn insert_conversation(self, key: &ConversationKey, record: &ClaimRecord, touched: Timestamp) -> Result<i64, Fault> {
        let mut values = key_values(key);
        values.extend([encode("a conversation's record", record)?, time(touched)]);
        let sql = "INSERT INTO conversation (bot, owner, id, record, touched) VALUES (?, ?, ?, ?, ?) RETURNING number";
        let row = self.database.row(sql, values)?.ok_or_else(|| Fault::Refused("a new conversation has no number".to_owned()))?;
        let [number] = columns(row)?;
        let number = integer(&number)?;
        self.known.learn(key, &Conversation { number, record: record.clone() }, Some(Vec::new()));
        Ok(number)
    }

    pub(super) fn update_conversation(self, conversation: &Conversation, touched: Timestamp) -> Result<(), Fault> {
        let record = encode("a conversation's record", &conversation.record)?;
        self.database.run(
            "UPDATE conversation SET record = ?, touched = ? WHERE number = ?",
            vec![record, time(touched), Value::Integer(conversation.number)],
        )?;
        self.known.update(conversation);
        Ok(())
    }

    /// Every conversation.
    pub(super) fn conversations(self) -> Result<Vec<(ConversationKey, Conversation, Timestamp)>, Fault> {
        let rows = self.database.rows("SELECT number, record, bot, owner, id, touched FROM conversation", Vec::new())?;
        rows.into_iter()
            .map(|row| {
                let [number, record, bot, owner, id, touched] = columns(row)?;
                let key = ConversationKey { bot: name(bot)?, owner: name(owner)?, id: name(id)? };
                let conversation = Conversation { number: integer(&number)?, record: decode("a conversation's record", &record)? };
                Ok((key, conversation, Timestamp(whole(&touched)?)))
            })
            .collect()
    }

    /// Removes every row of the conversation.
    pub(super) fn delete(self, number: i64) -> Result<(), Fault> {
        for sql in [
            "DELETE FROM inbox WHERE conversation = ?",
            "DELETE FROM log WHERE conversation = ?",
            "DELETE FROM answered WHERE conversation = ?",
            "DELETE FROM snapshot WHERE conversation = ?",
            "DELETE FROM saved WHERE conversation = ?",
            "DELETE FROM conversation WHERE number = ?",
        ] {
            self.database.run(sql, vec![Value::Integer(number)])?;
        }
        self.known.forget();
        Ok(())
    }

    /// The messages that are not yet answered, in order.
    pub(super) fn inbox(self, number: i64) -> Result<Vec<InboxMessage>, Fault> {
        if let Some(inbox) = self.known.inbox(number) {
            return Ok(inbox);
        }
        let sql = "SELECT message FROM inbox WHERE conversation = ? ORDER BY position";
        let rows = self.database.rows(sql, vec![Value::Integer(number)])?;
        let inbox: Result<Vec<_>, _> =
            rows.into_iter().map(|row| columns(row).and_then(|[message]| decode("a waiting message", &message))).collect();
        inbox.inspect(|inbox| self.known.learn_inbox(number, inbox))
    }

    pub(super) fn insert_waiting(self, number: i64, message: &InboxMessage) -> Result<(), Fault> {
        let values = vec![Value::Integer(number), count(message.position.0)?, encode("a waiting message", message)?];
        self.database.run("INSERT INTO inbox (conversation, position, message) VALUES (?, ?, ?)", values)?;
        self.known.add_waiting(number, message);
        Ok(())
    }

    /// What became of a message: a waiting one is in the inbox, an answered one in a table of its own.
    pub(super) fn recorded(self, conversation: &Conversation, sender: &SenderId, id: &MessageId) -> Result<Option<Recorded>, Fault> {
        let number = conversation.number;
        let sql = "SELECT digest, first, last FROM answered WHERE conversation = ? AND sender = ? AND id = ?";
        let values = vec![Value::Integer(number), sender.as_str().into(), id.as_str().into()];
        if let Some(row) = self.database.row(sql, values)? {
            let [digest, first, last] = columns(row)?;
            let progress = Progress::Answered { first: Seq(whole(&first)?), last: Seq(whole(&last)?) };
            return Ok(Some(Recorded { digest: ContentDigest(text(digest)?), progress }));
        }
        if conversation.record.pending == 0 {
            return Ok(None);
        }
        let waiting = self.inbox(number)?.into_iter().find(|message| message.sender == *sender && message.message_id == *id);
        Ok(waiting.map(|message| Recorded { digest: NewMessage::from(message).digest(), progress: Progress::Pending }))
    }

    /// Records what answered a message, which leaves the inbox.
    pub(super) fn set_answered(self, number: i64, message: InboxMessage, first: Seq, last: Seq) -> Result<(), Fault> {
        let values = vec![Value::Integer(number), count(message.position.0)?];
        self.database.run("DELETE FROM inbox WHERE conversation = ? AND position = ?", values)?;
        self.known.remove_waiting(number, message.position);
        let message = NewMessage::from(message);
        let digest = message.digest().0;
        let values = vec![
            Value::Integer(number),
            message.sender.as_str().into(),
            message.message_id.as_str().into(),
            digest.into(),
            count(first.0)?,
            count(last.0)?,
        ];
        self.database
            .run("INSERT OR REPLACE INTO answered (conversation, sender, id, digest, first, last) VALUES (?, ?, ?, ?, ?, ?)", values)
    }

    /// Appends a commit's events.
    pub(super) fn append(self, number: i64, events: &[Event]) -> Result<(), Fault> {
        let mut row: Option<(Seq, Vec<u8>)> = None;
        for event in events {
            let encoded = json("an event", event)?;
            match &mut row {
                Some((_, bytes)) if bytes.len() + encoded.len() < EVENTS_BYTES => {
                    bytes.push(b',');
                    bytes.extend(encoded);
                }
                Some(_) | None => {
                    self.append_row(number, row.replace((event.seq, encoded)))?;
                }
            }
        }
        self.append_row(number, row)
    }

    fn append_row(self, number: i64, row: Option<(Seq, Vec<u8>)>) -> Result<(), Fault> {
        let Some((first, mut events)) = row else { return Ok(()) };
        events.insert(0, b'[');
        events.push(b']');
        let values = vec![Value::Integer(number), count(first.0)?, blob("a turn's events", events)?];
        self.database.run("INSERT INTO log (conversation, first, events) VALUES (?, ?, ?)", values)
    }

    /// The events after `after`, in order, at most `limit`.
    pub(super) fn events(self, number: i64, after: Seq, limit: usize) -> Result<Vec<Event>, Fault> {
        let sql = "SELECT first, events FROM log WHERE conversation = ?1 AND first >=
                       coalesce((SELECT max(first) FROM log WHERE conversation = ?1 AND first <= ?2), ?2)
                   ORDER BY first LIMIT ?3";
        let mut events: Vec<Event> = Vec::new();
        let mut from = after.next();
        while events.len() < limit {
            let rows = self.database.rows(sql, vec![Value::Integer(number), count(from.0)?, Value::Integer(PAGE)])?;
            let is_last = (rows.len() as i64) < PAGE;
            for row in rows {
                let [_, row] = columns(row)?;
                let commit: Vec<Event> = decode("a turn's events", &row)?;
                events.extend(commit.into_iter().filter(|event| event.seq >= from));
            }
            match events.last() {
                Some(last) if !is_last => from = last.seq.next(),
                Some(_) | None => break,
            }
        }
        events.truncate(limit);
        Ok(events)
    }

    pub(super) fn snapshot(self, number: i64) -> Result<Tracker, Fault> {
        let row = self.database.row("SELECT tracker FROM snapshot WHERE conversation = ?", vec![Value::Integer(number)])?;
        row.map_or_else(|| Ok(Tracker::default()), |row| columns(row).and_then(|[tracker]| decode("a snapshot", &tracker)))
    }

    /// Saves reading. One that is too large for a row is left out: the events before it are all there.
    pub(super) fn set_snapshot(self, number: i64, tracker: &Tracker) -> Result<(), Fault> {
        let encoded = json("a snapshot", tracker)?;
        if encoded.len() > VALUE_BYTES {
            return Ok(());
        }
        let values = vec![Value::Integer(number), Value::Blob(encoded)];
        self.database.run("INSERT OR REPLACE INTO snapshot (conversation, tracker) VALUES (?, ?)", values)
    }

    pub(super) fn saved(self, number: i64) -> Result<Option<Vec<u8>>, Fault> {
        let rows = self.database.rows("SELECT run FROM saved WHERE conversation = ? ORDER BY piece", vec![Value::Integer(number)])?;
        let mut saved = None;
        for row in rows {
            let [piece] = columns(row)?;
            saved.get_or_insert_with(Vec::new).extend(bytes(piece)?);
        }
        Ok(saved)
    }

    pub(super) fn set_saved(self, number: i64, run: &[u8]) -> Result<(), Fault> {
        self.delete_saved(number)?;
        // An empty run is a run, too.
        let pieces = run.chunks(VALUE_BYTES).map(<[u8]>::to_vec).chain(run.is_empty().then(Vec::new));
        for (piece, run) in (0i64..).zip(pieces) {
            let values = vec![Value::Integer(number), Value::Integer(piece), Value::Blob(run)];
            self.database.run("INSERT INTO saved (conversation, piece, run) VALUES (?, ?, ?)", values)?;
        }
        Ok(())
    }

    pub(super) fn delete_saved(self, number: i64) -> Result<(), Fault> {
        self.database.run("DELETE FROM saved WHERE conversation = ?", vec![Value::Integer(number)])
    }
}

fn key_values(key: &ConversationKey) -> Row {
    vec![key.bot.as_str().into(), key.owner.as_str().into(), key.id.as_str().into()]
}

/// The values of a row that has `N` columns.
pub(crate) fn columns<const N: usize>(row: Row) -> Result<[Value; N], Fault> {
    row.try_into().map_err(|_| unreadable("a row", "it has other columns"))
}

fn name<T: TryFrom<String, Error = cota_core::ids::InvalidName>>(value: Value) -> Result<T, Fault> {
    T::try_from(text(value)?).map_err(|error| unreadable("a conversation's key", error))
}

/// A number that is not negative, as a value.
pub(crate) fn count(number: u64) -> Result<Value, Fault> {
    let number = i64::try_from(number).map_err(|_| Fault::Unwritable { what: "a number", why: "it is too large".to_owned() })?;
    Ok(Value::try_from_i64(number)?)
}

/// A time as a value; one that is too far away is never.
pub(crate) fn time(at: Timestamp) -> Value {
    Value::Integer(i64::try_from(at.0).unwrap_or(i64::MAX).min((1 << 53) - 1))
}

/// A value that is a whole number.
pub(crate) fn whole(value: &Value) -> Result<u64, Fault> {
    u64::try_from(integer(value)?).map_err(|error| unreadable("a number", error))
}

fn integer(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Integer(number) => Ok(*number),
        Value::Null | Value::Boolean(_) | Value::Float(_) | Value::String(_) | Value::Blob(_) => Err(unreadable("a number", "it is none")),
    }
}

/// A value that is a text.
pub(crate) fn text(value: Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Float(_) | Value::Blob(_) => Err(unreadable("a text", "it is none")),
    }
}

/// A value that is bytes.
pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, Fault> {
    match value {
        Value::Blob(bytes) => Ok(bytes),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {
            Err(unreadable("bytes", "there are none"))
        }
    }
}

/// A value's JSON in a row.
pub(crate) fn encode(what: &'static str, value: &impl Serialize) -> Result<Value, Fault> {
    blob(what, json(what, value)?)
}

fn json(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|error| Fault::Unwritable { what, why: error.to_string() })
}

fn blob(what: &'static str, bytes: Vec<u8>) -> Result<Value, Fault> {
    match bytes.len() {
        size if size > VALUE_BYTES => Err(Fault::Unwritable { what, why: format!("it has {size} bytes, a row takes {VALUE_BYTES}") }),
        _ => Ok(Value::Blob(bytes)),
    }
}

/// The value whose JSON stands in a row.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, value: &Value) -> Result<T, Fault> {
    match value {
        Value::Blob(bytes) => serde_json::from_slice(bytes).map_err(|error| unreadable(what, error)),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => Err(unreadable(what, "it is no JSON")),
    }
}

fn unreadable(what: &'static str, why: impl ToString) -> Fault {
    Fault::Unreadable { what, why: why.to_string() }
}
