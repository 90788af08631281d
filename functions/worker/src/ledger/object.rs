//! One of the ledger's objects.

#![expect(missing_docs, reason = "the platform's macro documents nothing of what it makes")]

use worker::{DurableObject, Env, Request, Response, SqlStorageValue as Value, State, durable_object};

use cota_core::ids::Timestamp;
use cota_gateway::limits::{Draw, Wait};

use super::{Ask, Call, Kept};
use crate::platform;
use crate::store::{Database, Fault, bytes, columns, text, time, whole};
use crate::wire::asked;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS ledger (name TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at INTEGER) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS ledger_ends ON ledger (expires_at) WHERE expires_at IS NOT NULL;";

/// Ended records that one write deletes: more than it adds, so they do not pile up.
const SWEEP: i32 = 4;

/// The object.
#[durable_object(fetch)]
pub struct LedgerObject {
    state: State,
}

impl DurableObject for LedgerObject {
    fn new(state: State, env: Env) -> Self {
        platform::begin(&env);
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let call: Call = asked(&mut request).await?;
        let records = Records(Database::of(self.state.storage()));
        records.answer(call).map_err(|fault| worker::Error::RustError(fault.to_string()))?
    }
}

struct Records(Database);

impl Records {
    fn answer(&self, call: Call) -> Result<worker::Result<Response>, Fault> {
        self.0.run(SCHEMA, Vec::new())?;
        let Call { now, ask } = call;
        Ok(match ask {
            Ask::Get { name } => Response::from_json(&self.get(&name, now)?),
            Ask::Replace { name, expected, record } => {
                Response::from_json(&self.0.atomically(|| self.replace(&name, expected.as_deref(), record, now))?)
            }
            Ask::Take { name } => Response::from_json(&self.0.atomically(|| self.take(&name, now))?),
            Ask::List { prefix } => Response::from_json(&self.list(&prefix, now)?),
            Ask::Draw { name, draw } => Response::from_json(&self.0.atomically(|| self.draw(&name, draw, now))?),
        })
    }

    fn get(&self, name: &str, now: Timestamp) -> Result<Option<Kept>, Fault> {
        let row = self.0.row("SELECT value, expires_at FROM ledger WHERE name = ?", vec![name.into()])?;
        Ok(row.map(|row| columns(row).and_then(|[value, end]| kept(value, &end))).transpose()?.filter(|kept| is_live(kept, now)))
    }

    fn replace(&self, name: &str, expected: Option<&[u8]>, record: Kept, now: Timestamp) -> Result<bool, Fault> {
        if self.get(name, now)?.as_ref().map(|kept| kept.value.as_slice()) != expected {
            return Ok(false);
        }
        self.write(name, record, now)?;
        Ok(true)
    }

    fn draw(&self, name: &str, draw: Draw, now: Timestamp) -> Result<Result<(), Wait>, Fault> {
        let before = self.get(name, now)?;
        match draw.on(before.as_ref().map(|kept| kept.value.as_slice()), now) {
            Ok(Some(record)) => self.write(name, record.into(), now).map(Ok),
            Ok(None) => Ok(Ok(())),
            Err(wait) => Ok(Err(wait)),
        }
    }

    fn write(&self, name: &str, record: Kept, now: Timestamp) -> Result<(), Fault> {
        self.0.run(
            "DELETE FROM ledger WHERE name IN (SELECT name FROM ledger WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
            vec![time(now), SWEEP.into()],
        )?;
        let end = record.expires_at.map_or(Value::Null, time);
        self.0.run(
            "INSERT OR REPLACE INTO ledger (name, value, expires_at) VALUES (?, ?, ?)",
            vec![name.into(), Value::Blob(record.value), end],
        )
    }

    fn take(&self, name: &str, now: Timestamp) -> Result<Option<Kept>, Fault> {
        let taken = self.get(name, now)?;
        self.0.run("DELETE FROM ledger WHERE name = ?", vec![name.into()])?;
        Ok(taken)
    }

    fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Kept)>, Fault> {
        let rows = self.0.rows("SELECT name, value, expires_at FROM ledger WHERE name >= ? ORDER BY name", vec![prefix.into()])?;
        let mut found = Vec::new();
        for row in rows {
            let [name, value, end] = columns(row)?;
            let name = text(name)?;
            if !name.starts_with(prefix) {
                break;
            }
            found.push((name, kept(value, &end)?));
        }
        found.retain(|(_, kept)| is_live(kept, now));
        Ok(found)
    }
}

fn kept(value: Value, end: &Value) -> Result<Kept, Fault> {
    let expires_at = match end {
        Value::Null => None,
        Value::Boolean(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) | Value::Blob(_) => Some(Timestamp(whole(end)?)),
    };
    Ok(Kept { value: bytes(value)?, expires_at })
}

fn is_live(kept: &Kept, now: Timestamp) -> bool {
    kept.expires_at.is_none_or(|end| now < end)
}
