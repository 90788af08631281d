//! Opening a database file: settings, schema and its migrations, the holder's lock.

use std::path::{Path, PathBuf};

use cota_driver::store::Holder;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use crate::fault::Fault;
use crate::holders::Holders;
use crate::operations;
use crate::queue::BUSY;
use crate::rows::Rows;
use crate::{Durability, Options};

/// The schema's steps, oldest first. A released step is never changed; a change is a new step.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// The size of a new file's pages. A turn's events are about as long, and every page that a turn touches is written whole: with
/// SQLite's own 4096 a turn writes twice as many bytes.
const PAGE_BYTES: u32 = 2048;

/// Most memory for pages, in KiB. A busy conversation has about six, and one transaction touches those of a hundred.
const CACHE_KIB: i64 = 16 * 1024;

/// Prepared statements that a connection keeps; more than there are.
const STATEMENTS: usize = 64;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the file cannot be made, or the locks beside it not be reached.
    #[error("cannot use the folder of {}: {source}; check its permissions", .path.display())]
    Folder {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is a file of another kind.
    #[error("{} is not an SQLite database; name another file, or move this one away", .path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// It is a database, but of another program.
    #[error("{} is a database of another program; name another file", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of COTA wrote it.
    #[error("{} was written by a newer COTA (its schema is {found}, this one knows up to {known}); use that version, or another file", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's schema.
        found: usize,
        /// The latest schema this build knows.
        known: usize,
    },
    /// Another process has the holder's name.
    #[error("{}: {fault}", .path.display())]
    Holder {
        /// The database file.
        path: PathBuf,
        /// What is wrong, and the way out.
        fault: String,
    },
    /// SQLite refused.
    #[error("cannot open the database {}: {fault}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        fault: String,
    },
}

/// A database ready for use.
pub(crate) struct Opened {
    pub(crate) writer: Connection,
    pub(crate) reader: Connection,
    /// The one that moves the log into the file.
    pub(crate) mover: Connection,
    pub(crate) holders: Holders,
}

pub(crate) fn open(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    let folder = |source| OpenError::Folder { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(folder)?;
    }
    let mut writer = connect(path, options.durability).map_err(|error| refused(path, error.into()))?;
    let holders = Holders::beside(path).map_err(folder)?;
    prepare(&mut writer, path, &holders, &options.holder)?;
    let reader = connect(path, options.durability).map_err(|error| refused(path, error.into()))?;
    reader.pragma_update(None, "query_only", true).map_err(|error| refused(path, error.into()))?;
    let mover = connect(path, options.durability).map_err(|error| refused(path, error.into()))?;
    Ok(Opened { writer, reader, mover, holders })
}

fn connect(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // Of no effect where the file has pages already.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Normal => "NORMAL",
        Durability::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // `checkpoint` sees to that.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// All that must not happen in two processes at once, in one write transaction.
fn prepare(db: &mut Connection, path: &Path, holders: &Holders, holder: &Holder) -> Result<(), OpenError> {
    let sql = |error: rusqlite::Error| refused(path, error.into());
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    migrate(&transaction, path)?;
    holders.hold(holder).map_err(|fault| refused(path, fault))?;
    holders.sweep().map_err(|source| OpenError::Folder { path: path.to_owned(), source })?;
    operations::end_leases(Rows(&transaction), holder).map_err(|fault| refused(path, fault))?;
    transaction.commit().map_err(sql)
}

fn migrate(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let sql = |error: rusqlite::Error| refused(path, error.into());
    let found = version(db).map_err(sql)?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sql)?;
    if found.is_none() && tables > 0 {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let found = found.unwrap_or(0);
    if found > MIGRATIONS.len() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    for step in MIGRATIONS.iter().skip(found) {
        db.execute_batch(step).map_err(sql)?;
    }
    db.execute_batch("CREATE TABLE IF NOT EXISTS cota_schema (version INTEGER NOT NULL) STRICT; DELETE FROM cota_schema;").map_err(sql)?;
    db.execute("INSERT INTO cota_schema (version) VALUES (?1)", [MIGRATIONS.len()]).map_err(sql)?;
    Ok(())
}

/// The schema's version; `None` where the file knows of none.
fn version(db: &Connection) -> rusqlite::Result<Option<usize>> {
    if !db.table_exists(None, "cota_schema")? {
        return Ok(None);
    }
    db.query_row("SELECT max(version) FROM cota_schema", [], |row| row.get(0)).optional()
}

fn refused(path: &Path, fault: Fault) -> OpenError {
    let path = path.to_owned();
    match fault {
        Fault::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path },
        Fault::Holder { .. } => OpenError::Holder { path, fault: fault.to_string() },
        Fault::Sql(_) | Fault::Unreadable { .. } | Fault::Unwritable { .. } | Fault::Gone => {
            OpenError::Database { path, fault: fault.to_string() }
        }
    }
}
