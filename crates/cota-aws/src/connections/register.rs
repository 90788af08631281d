use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use cota_core::ids::{ConversationKey, SenderId, Seq, Timestamp};
use cota_driver::ledger::{Ledger, Record};
use cota_driver::ports::Clock;
use cota_driver::store::StoreError;
use cota_gateway::limits::SharedPlaces;
use cota_protocol::websocket::RoomInfo;

use super::record::{Connection, ConnectionId, Seat};

/// API Gateway ends a connection after two hours; its records may last a little longer.
pub(crate) const LASTING_MS: u64 = 2 * 3_600_000 + 600_000;
/// Rooms of which it is remembered how far they were told.
const MOST_TOLD: usize = 10_000;
/// Tries of a change that others got ahead of.
const TRIES: usize = 16;

/// The records of connections and of their seats.
#[derive(Clone)]
pub(crate) struct Register {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    places: Option<SharedPlaces>,
    /// How far rooms were told from here, the last time.
    delivered: Arc<Mutex<HashMap<ConversationKey, Seq>>>,
}

impl Register {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, places: Option<SharedPlaces>) -> Self {
        Self { ledger, clock, places, delivered: Arc::default() }
    }

    /// Where the connections of each identity are counted, if they are.
    pub(crate) fn places(&self) -> Option<&SharedPlaces> {
        self.places.as_ref()
    }

    pub(crate) async fn open(&self, id: &ConnectionId, connection: &Connection) -> Result<(), StoreError> {
        self.change(&connection_name(id), |_: Option<Connection>| Some(connection.clone())).await.map(drop)
    }

    pub(crate) async fn find(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.get(&connection_name(id)).await
    }

    /// Takes a connection off the register, off its seats, and off its place. Yields what it was.
    pub(crate) async fn close(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        let now = self.clock.now();
        let Some(record) = self.ledger.take(&connection_name(id), now).await? else { return Ok(None) };
        let connection: Connection = read(&record)?;
        for sitting in &connection.rooms {
            self.ledger.take(&seat_name(&connection.key(&sitting.session), id), now).await?;
        }
        if let Some(places) = &self.places {
            places.give_back(&connection.owner, id.as_str()).await?;
        }
        Ok(Some(connection))
    }

    /// Changes a connection's record, if there is one; yields it as it is then.
    pub(crate) async fn update(&self, id: &ConnectionId, change: impl Fn(&mut Connection)) -> Result<Option<Connection>, StoreError> {
        let changed = |connection: Option<Connection>| {
            connection.map(|mut connection| {
                change(&mut connection);
                connection
            })
        };
        self.change(&connection_name(id), changed).await
    }

    pub(crate) async fn sit(&self, key: &ConversationKey, id: &ConnectionId, seat: &Seat) -> Result<(), StoreError> {
        let taken = |before: Option<Seat>| {
            let since = before.map_or(seat.since, |before| before.since);
            Some(Seat { since, ..seat.clone() })
        };
        self.change(&seat_name(key, id), taken).await.map(drop)
    }

    pub(crate) async fn rise(&self, key: &ConversationKey, id: &ConnectionId) -> Result<(), StoreError> {
        self.ledger.take(&seat_name(key, id), self.clock.now()).await.map(drop)
    }

    /// Who sits in a room, in the order in which they came.
    pub(crate) async fn seats(&self, key: &ConversationKey) -> Result<Vec<(ConnectionId, Seat)>, StoreError> {
        let prefix = room_name(key);
        let records = self.ledger.list(&prefix, self.clock.now()).await?;
        let seat = |(name, record): &(String, Record)| {
            let id = ConnectionId::new(name.strip_prefix(&prefix).unwrap_or_default());
            Ok((id, read(record)?))
        };
        let mut seats: Vec<(ConnectionId, Seat)> = records.iter().map(seat).collect::<Result<_, StoreError>>()?;
        seats.sort_by_key(|(_, seat)| seat.since);
        Ok(seats)
    }

    /// How far a room's connections were sent what is durable.
    pub(crate) async fn delivered(&self, key: &ConversationKey) -> Result<Seq, StoreError> {
        Ok(self.get(&delivered_name(key)).await?.unwrap_or_default())
    }

    pub(crate) async fn note_delivered(&self, key: &ConversationKey, seq: Seq) -> Result<(), StoreError> {
        let name = delivered_name(key);
        // Mostly the one who told it the last time tells it again: one call then.
        let known = self.told().get(key).copied().filter(|known| *known < seq);
        if let Some(known) = known {
            let now = self.clock.now();
            let (before, after) = (write(&known, now)?, write(&seq, now)?);
            if self.ledger.replace(&name, Some(&before.value), after, now).await? {
                self.told().insert(key.clone(), seq);
                return Ok(());
            }
        }
        let furthest = |before: Option<Seq>| Some(before.unwrap_or_default().max(seq));
        let noted = self.change(&name, furthest).await?;
        let mut told = self.told();
        if told.len() >= MOST_TOLD {
            told.clear();
        }
        told.insert(key.clone(), noted.unwrap_or(seq));
        Ok(())
    }

    fn told(&self) -> MutexGuard<'_, HashMap<ConversationKey, Seq>> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The conversation was forgotten: its record begins at its first place again.
    pub(crate) async fn begin_anew(&self, key: &ConversationKey, seats: &[(ConnectionId, Seat)]) -> Result<(), StoreError> {
        self.ledger.take(&delivered_name(key), self.clock.now()).await?;
        for (id, _) in seats {
            let reset = |seat: Option<Seat>| seat.map(|seat| Seat { after: Seq::default(), ..seat });
            self.change(&seat_name(key, id), reset).await?;
        }
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.ledger.get(name, self.clock.now()).await?.as_ref().map(read).transpose()
    }

    /// Writes what `change` makes of a record; nothing where it makes nothing.
    async fn change<T>(&self, name: &str, change: impl Fn(Option<T>) -> Option<T>) -> Result<Option<T>, StoreError>
    where
        T: Serialize + DeserializeOwned,
    {
        let now = self.clock.now();
        for _ in 0..TRIES {
            let before = self.ledger.get(name, now).await?;
            let Some(after) = change(before.as_ref().map(read).transpose()?) else { return Ok(None) };
            let record = write(&after, now)?;
            let expected = before.as_ref().map(|record| record.value.as_slice());
            if self.ledger.replace(name, expected, record, now).await? {
                return Ok(Some(after));
            }
        }
        Err(StoreError::Unavailable("a connection's record changes too fast".to_owned()))
    }
}

/// Everybody in a room, each once.
pub(super) fn users(seats: &[(ConnectionId, Seat)]) -> Vec<SenderId> {
    let mut users: Vec<SenderId> = Vec::new();
    for (_, seat) in seats {
        if !users.contains(&seat.sender) {
            users.push(seat.sender.clone());
        }
    }
    users
}

/// A room with those who sit in it.
pub(crate) fn room_info(key: &ConversationKey, seats: &[(ConnectionId, Seat)]) -> RoomInfo {
    RoomInfo::new(key.id.as_str(), users(seats))
}

fn connection_name(id: &ConnectionId) -> String {
    format!("connection/{}", id.as_str())
}

fn room_name(key: &ConversationKey) -> String {
    format!("room/{}/", key.hashed())
}

fn seat_name(key: &ConversationKey, id: &ConnectionId) -> String {
    format!("{}{}", room_name(key), id.as_str())
}

fn delivered_name(key: &ConversationKey) -> String {
    format!("delivered/{}", key.hashed())
}

fn read<T: DeserializeOwned>(record: &Record) -> Result<T, StoreError> {
    serde_json::from_slice(&record.value).map_err(|error| StoreError::Corrupt(format!("a connection's record: {error}")))
}

fn write<T: Serialize>(content: &T, now: Timestamp) -> Result<Record, StoreError> {
    let value = serde_json::to_vec(content).map_err(|error| StoreError::Corrupt(format!("a connection's record: {error}")))?;
    Ok(Record { value, expires_at: Some(now.plus_ms(LASTING_MS)) })
}
