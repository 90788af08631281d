//! The object's database: statements and values, all of a change or nothing of it.

use wasm_bindgen::prelude::*;
use worker::send::SendWrapper;
use worker::{SqlCursor, SqlStorage, SqlStorageValue, Storage};

use cota_driver::store::{CommitError, StoreError};

/// Why the database did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The platform refused.
    #[error("{0}")]
    Refused(String),
    /// A row holds what cannot be read.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// What the row should hold.
        what: &'static str,
        /// Why it does not.
        why: String,
    },
    /// Something cannot be written.
    #[error("{what} cannot be written: {why}")]
    Unwritable {
        /// What was to be written.
        what: &'static str,
        /// Why it cannot.
        why: String,
    },
}

/// The database of one object.
#[derive(Clone)]
pub(crate) struct Database {
    sql: SqlStorage,
    storage: std::sync::Arc<SendWrapper<Storage>>,
}

/// One row's values.
pub(crate) type Row = Vec<SqlStorageValue>;

#[wasm_bindgen]
extern "C" {
    type Transactional;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(this: &Transactional, work: &mut dyn FnMut() -> Result<JsValue, JsValue>) -> Result<JsValue, JsValue>;
}

impl Database {
    /// The database behind an object's storage.
    pub(crate) fn of(storage: Storage) -> Self {
        Self { sql: storage.sql(), storage: std::sync::Arc::new(SendWrapper(storage)) }
    }

    /// Runs statements that yield nothing.
    pub(crate) fn run(&self, sql: &str, values: Row) -> Result<(), Fault> {
        self.exec(sql, values)?;
        Ok(())
    }

    /// Every row that a statement yields.
    pub(crate) fn rows(&self, sql: &str, values: Row) -> Result<Vec<Row>, Fault> {
        self.exec(sql, values)?.raw().map(|row| row.map_err(Fault::from)).collect()
    }

    /// The first row that a statement yields.
    pub(crate) fn row(&self, sql: &str, values: Row) -> Result<Option<Row>, Fault> {
        self.exec(sql, values)?.raw().next().transpose().map_err(Fault::from)
    }

    fn exec(&self, sql: &str, values: Row) -> Result<SqlCursor, Fault> {
        let cursor = self.sql.exec(sql, values)?;
        if tracing::enabled!(tracing::Level::TRACE) {
            // What a turn costs is counted by this.
            tracing::trace!(rows = cursor.rows_written(), "rows are written");
        }
        Ok(cursor)
    }

    /// Does all of a change, or nothing where it fails. No other event of the object comes in between: nothing is awaited.
    pub(crate) fn atomically<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let mut work = Some(work);
        let mut outcome = None;
        let raw: &JsValue = self.storage.0.as_raw().as_ref();
        let rolled_back = raw
            .unchecked_ref::<Transactional>()
            .transaction_sync(&mut || {
                let done = work.take().map(|work| work());
                let failed = matches!(done, Some(Err(_)));
                outcome = done;
                // What is thrown rolls the transaction back.
                if failed { Err(JsValue::from_str("rolled back")) } else { Ok(JsValue::UNDEFINED) }
            })
            .map_err(|error| Fault::from(worker::Error::from(error)));
        match (outcome, rolled_back) {
            (Some(Err(fault)), _) | (_, Err(fault)) => Err(fault),
            (Some(Ok(done)), Ok(_)) => Ok(done),
            (None, Ok(_)) => Err(Fault::Refused("the transaction did not run".to_owned())),
        }
    }

    /// Has the object woken at a time, in milliseconds since 1970. It is written with whatever else the event writes.
    pub(crate) fn set_alarm(&self, at_ms: u64) -> Result<(), Fault> {
        // Milliseconds of this age are far within what a float keeps exactly.
        let date = worker::js_sys::Date::new(&JsValue::from_f64(at_ms as f64));
        tracing::trace!(rows = 1, "an alarm is set");
        // Like every write it is done when it is called; the output gate waits for the disk.
        let _written = self.storage.0.as_raw().set_alarm(date, JsValue::UNDEFINED.unchecked_into()).map_err(worker::Error::from)?;
        Ok(())
    }
}

impl From<worker::Error> for Fault {
    fn from(error: worker::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreadable { .. } => Self::Corrupt(fault.to_string()),
            Fault::Refused(_) | Fault::Unwritable { .. } => Self::Unavailable(fault.to_string()),
        }
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}
