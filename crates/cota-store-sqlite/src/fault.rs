//! What can go wrong inside a transaction, and what the caller is told.

use cota_driver::store::{CommitError, Holder, StoreError};
use rusqlite::ErrorCode;

/// Why an operation was not carried out. The transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    #[error("{what} cannot be read: {why}")]
    Unreadable { what: &'static str, why: String },
    #[error("{what} cannot be written: {why}")]
    Unwritable { what: &'static str, why: String },
    #[error("the lock of holder `{}` cannot be had ({why}): give each process a name of its own", .holder.0)]
    Holder { holder: Holder, why: String },
    #[error("the database's connection has ended: open the store again")]
    Gone,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let text = fault.to_string();
        match fault {
            Fault::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
                Some(_) | None => Self::Unavailable(text),
            },
            Fault::Unreadable { .. } => Self::Corrupt(text),
            Fault::Unwritable { .. } | Fault::Holder { .. } | Fault::Gone => Self::Unavailable(text),
        }
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}
