//! The ledger in the same file, written by the same thread.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use cota_core::ids::Timestamp;
use cota_driver::ledger::{Ledger, Record};
use cota_driver::store::StoreError;

use crate::fault::Fault;
use crate::queue::Failpoints;
use crate::{READ, SqliteStore};

const LEDGER: Failpoints = Failpoints { before: "before-ledger-commit", after: "after-ledger-commit" };

/// Ended records that one write deletes: more than it adds, so they do not pile up.
const SWEEP: u32 = 4;

#[async_trait]
impl Ledger for SqliteStore {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let name = name.to_owned();
        Ok(self.reader.run(&READ, move |db| get(db, &name, now)).await?)
    }

    async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError> {
        let (name, expected) = (name.to_owned(), expected.map(<[u8]>::to_vec));
        Ok(self.writer.run(&LEDGER, move |db| replace(db, &name, expected.as_deref(), &record, now)).await?)
    }

    async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let name = name.to_owned();
        Ok(self.writer.run(&LEDGER, move |db| take(db, &name, now)).await?)
    }

    async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
        let prefix = prefix.to_owned();
        Ok(self.reader.run(&READ, move |db| list(db, &prefix, now)).await?)
    }
}

fn get(db: &Connection, name: &str, now: Timestamp) -> Result<Option<Record>, Fault> {
    let mut select = db.prepare_cached("SELECT value, expires_at FROM ledger WHERE name = ?1")?;
    let found = select.query_row([name], |row| record(row, 0)).optional()?;
    Ok(found.filter(|record| record.is_live(now)))
}

fn replace(db: &Connection, name: &str, expected: Option<&[u8]>, record: &Record, now: Timestamp) -> Result<bool, Fault> {
    if get(db, name, now)?.as_ref().map(|record| record.value.as_slice()) != expected {
        return Ok(false);
    }
    let mut sweep = db
        .prepare_cached("DELETE FROM ledger WHERE name IN (SELECT name FROM ledger WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)")?;
    sweep.execute(params![now.0, SWEEP])?;
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO ledger (name, value, expires_at) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![name, record.value, record.expires_at.map(|end| end.0)])?;
    Ok(true)
}

fn take(db: &Connection, name: &str, now: Timestamp) -> Result<Option<Record>, Fault> {
    let mut delete = db.prepare_cached("DELETE FROM ledger WHERE name = ?1 RETURNING value, expires_at")?;
    let taken = delete.query_row([name], |row| record(row, 0)).optional()?;
    Ok(taken.filter(|record| record.is_live(now)))
}

fn list(db: &Connection, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, Fault> {
    let mut select = db.prepare_cached("SELECT name, value, expires_at FROM ledger WHERE name >= ?1 ORDER BY name")?;
    let mut rows = select.query([prefix])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if !name.starts_with(prefix) {
            break;
        }
        let record = record(row, 1)?;
        if record.is_live(now) {
            found.push((name, record));
        }
    }
    Ok(found)
}

/// The record that begins at this column.
fn record(row: &Row<'_>, column: usize) -> rusqlite::Result<Record> {
    let expires_at: Option<u64> = row.get(column + 1)?;
    Ok(Record { value: row.get(column)?, expires_at: expires_at.map(Timestamp) })
}
