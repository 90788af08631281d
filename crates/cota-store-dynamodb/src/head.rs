//! The claim record as an item: what every write of a conversation is conditioned on.

use aws_sdk_dynamodb::types::AttributeValue;
use cota_core::ids::{ConversationKey, Timestamp};
use cota_driver::claim::ClaimRecord;
use serde_json::Value as Json;

use crate::fault::Fault;
use crate::item::{Item, at, attributes, number, number_of, object, text_of};
use crate::place::{self, RECORD};
use crate::table::{Names, Values};
use crate::write::Condition;

/// Raised by every write.
pub(crate) const VERSION: &str = "version";
/// The last epoch given out.
pub(crate) const EPOCH: &str = "epoch";
const SNAPSHOT_PARTS: &str = "snapshot_parts";
const SAVED_PARTS: &str = "saved_parts";
/// When it was last written.
pub(crate) const TOUCHED: &str = "touched";
const KEY: [&str; 3] = ["bot", "owner", "id"];
/// Set while the conversation's items are being deleted: it is as good as gone.
pub(crate) const DELETING: &str = "deleting";

/// The claim record, and what the store must know beside it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) record: ClaimRecord,
    /// Raised by every write. Together with the epoch it never repeats, even where a conversation is deleted and begun again.
    pub(crate) version: u64,
    /// Items of the snapshot.
    pub(crate) snapshot_parts: u64,
    /// Items of the saved run.
    pub(crate) saved_parts: u64,
    /// The last write.
    pub(crate) touched: Timestamp,
    pub(crate) deleting: bool,
}

impl Head {
    /// The head of a conversation that does not exist yet.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { record: ClaimRecord::new(now), version: 0, snapshot_parts: 0, saved_parts: 0, touched: now, deleting: false }
    }

    /// Whether it was never written.
    pub(crate) fn is_new(&self) -> bool {
        self.version == 0
    }

    /// Whether it is newer than `other`, of the same conversation.
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        (self.record.epoch, self.version) > (other.record.epoch, other.version)
    }

    pub(crate) fn read(item: &Item) -> Result<Self, Fault> {
        let number = |name| number_of(item, name).unwrap_or_default();
        let record =
            serde_json::from_value(Json::Object(object(item))).map_err(|error| Fault::unreadable("a conversation's record", error))?;
        Ok(Self {
            record,
            version: number(VERSION),
            snapshot_parts: number(SNAPSHOT_PARTS),
            saved_parts: number(SAVED_PARTS),
            touched: Timestamp(number(TOUCHED)),
            deleting: item.contains_key(DELETING),
        })
    }

    /// The head after the next write, at `now`.
    pub(crate) fn next(&self, record: ClaimRecord, now: Timestamp) -> Self {
        Self { record, version: self.version + 1, touched: self.touched.max(now), ..self.clone() }
    }

    pub(crate) fn item(&self, key: &ConversationKey) -> Result<Item, Fault> {
        let Ok(Json::Object(record)) = serde_json::to_value(&self.record) else {
            return Err(Fault::unwritable("a conversation's record", "it is no object"));
        };
        let mut item = at(&place::conversation(key), RECORD);
        item.extend(attributes(record));
        let numbers =
            [(VERSION, self.version), (SNAPSHOT_PARTS, self.snapshot_parts), (SAVED_PARTS, self.saved_parts), (TOUCHED, self.touched.0)];
        item.extend(numbers.map(|(name, value)| (name.to_owned(), number(value))));
        item.extend(names_of(key));
        Ok(item)
    }

    /// That the record still stands as it was read.
    pub(crate) fn unchanged(&self) -> Condition {
        if self.is_new() {
            return Condition::absent();
        }
        Condition {
            expression: "#version = :version AND #epoch = :epoch".to_owned(),
            names: Names::from([("#version".to_owned(), VERSION.to_owned()), ("#epoch".to_owned(), EPOCH.to_owned())]),
            values: Values::from([(":version".to_owned(), number(self.version)), (":epoch".to_owned(), number(self.record.epoch))]),
        }
    }
}

/// A conversation's key as attributes, for whoever finds the item.
pub(crate) fn names_of(key: &ConversationKey) -> [(String, AttributeValue); 3] {
    let [bot, owner, id] = KEY;
    [(bot, key.bot.as_str()), (owner, key.owner.as_str()), (id, key.id.as_str())]
        .map(|(name, value)| (name.to_owned(), crate::item::text(value)))
}

/// The key that [`names_of`] wrote.
pub(crate) fn key_of(item: &Item) -> Result<ConversationKey, Fault> {
    let [bot, owner, id] = KEY.map(|name| text_of(item, name).unwrap_or_default());
    let unreadable = |error: cota_core::ids::InvalidName| Fault::unreadable("a conversation's key", error);
    Ok(ConversationKey {
        bot: bot.parse().map_err(unreadable)?,
        owner: owner.parse().map_err(unreadable)?,
        id: id.parse().map_err(unreadable)?,
    })
}
