//! Moving what the log (SQLite's WAL) has gathered into the database's file, beside the writer.
//!
//! It flushes the disk, which takes as long as hundreds of turns, so a thread of its own moves what is there, and once more what
//! came meanwhile. The little that is left then is moved by the writer: only a log that nothing is left of begins anew, and it
//! would grow for as long as the store is busy.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

/// Pages of the log that are gathered before they are moved. A page that many turns have changed is moved once: with SQLite's
/// own 1,000 a busy store would move many times a second.
pub(crate) const PAGES: u32 = 16_384;

/// How often the thread moves before the writer moves the rest: each time it is less.
const PASSES: u32 = 2;

/// The thread. It ends with the writer's connection; dropping this waits for it.
pub(crate) struct Checkpointer(Option<JoinHandle<()>>);

/// Whose turn it is.
struct Stage(AtomicU8);

impl Stage {
    const GATHERING: u8 = 0;
    const MOVING: u8 = 1;
    const MOVED: u8 = 2;
}

impl Checkpointer {
    /// Starts the thread, which moves over `mover` whenever `writer` has gathered so many pages.
    pub(crate) fn start(writer: &mut Connection, mover: Connection, pages: u32) -> io::Result<Self> {
        let stage = Arc::new(Stage(AtomicU8::new(Stage::GATHERING)));
        let (wake, woken) = mpsc::channel();
        let seen = Arc::clone(&stage);
        let thread = std::thread::Builder::new().name("sqlite-log".to_owned()).spawn(move || move_when_told(&mover, &woken, &seen))?;
        writer
            .wal_hook(Some(move |log: &mut Wal, gathered| {
                committed(log, u32::try_from(gathered).unwrap_or(0) >= pages, &stage, &wake);
                Ok(())
            }))
            .map_err(io::Error::other)?;
        Ok(Self(Some(thread)))
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// What the writer does after each of its commits.
fn committed(log: &mut Wal, is_full: bool, Stage(stage): &Stage, wake: &Sender<()>) {
    match stage.load(Ordering::Acquire) {
        Stage::MOVED => {
            // Where another process moves at this moment, the next time will do.
            let _ = log.checkpoint();
            stage.store(Stage::GATHERING, Ordering::Release);
        }
        Stage::GATHERING if is_full => {
            stage.store(Stage::MOVING, Ordering::Release);
            // Without the thread the log grows, and nothing is lost.
            let _ = wake.send(());
        }
        _ => {}
    }
}

fn move_when_told(mover: &Connection, woken: &Receiver<()>, Stage(stage): &Stage) {
    while woken.recv().is_ok() {
        for _ in 0..PASSES {
            // As above.
            let _ = mover.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
        stage.store(Stage::MOVED, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &std::path::Path) -> Connection {
        let db = Connection::open(path).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        db.pragma_update(None, "synchronous", "OFF").unwrap();
        db
    }

    #[test]
    fn the_log_of_a_store_that_never_rests_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cota.db");
        let mut writer = open(&path);
        writer.execute_batch("CREATE TABLE word (n INTEGER PRIMARY KEY, word BLOB)").unwrap();
        let pages = 64;
        let checkpointer = Checkpointer::start(&mut writer, open(&path), pages).unwrap();
        let log = folder.path().join("cota.db-wal");
        let bytes = || std::fs::metadata(&log).unwrap().len();
        // Without an end of the log it would have twenty times as many bytes.
        let mut written = 0;
        while written < 20 * u64::from(pages) {
            writer.execute("INSERT INTO word (word) VALUES (zeroblob(4000))", []).unwrap();
            written += 1;
        }
        assert!(bytes() < written * 4096, "{} bytes of log", bytes());
        let count: u64 = writer.query_row("SELECT count(*) FROM word", [], |row| row.get(0)).unwrap();
        assert_eq!(count, written);
        drop(writer);
        drop(checkpointer);
    }
}
