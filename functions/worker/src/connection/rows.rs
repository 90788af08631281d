//! The sockets in the object's database.

use std::collections::HashMap;

use super::socket::Socket;
use crate::store::{Database, Fault, columns, decode, encode, text};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS socket (id TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT, WITHOUT ROWID";

/// Makes the table where it is missing.
pub(super) fn prepare(database: &Database) -> Result<(), Fault> {
    database.run(SCHEMA, Vec::new())
}

/// Every socket by its id.
pub(super) fn read(database: &Database) -> Result<HashMap<String, Socket>, Fault> {
    let rows = database.rows("SELECT id, state FROM socket", Vec::new())?;
    rows.into_iter()
        .map(|row| {
            let [id, state] = columns(row)?;
            Ok((text(id)?, decode("a socket", &state)?))
        })
        .collect()
}

/// Writes how a socket stands.
pub(super) fn write(database: &Database, id: &str, socket: &Socket) -> Result<(), Fault> {
    database.run("INSERT OR REPLACE INTO socket (id, state) VALUES (?, ?)", vec![id.into(), encode("a socket", socket)?])
}

/// Forgets a socket.
pub(super) fn delete(database: &Database, id: &str) -> Result<(), Fault> {
    database.run("DELETE FROM socket WHERE id = ?", vec![id.into()])
}
