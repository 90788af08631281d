//! What the file and the locks beside it are good for: restarts, several processes, wrong files, retention.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

use std::path::{Path, PathBuf};

use cota_core::ids::Seq;
use cota_core::limits::LEASE_MS;
use cota_driver::store::{Acceptance, AfterAccept, Claim, ClaimOutcome, CommitError, Holder, Progress, Store as _, StoreError};
use cota_store_sqlite::{Durability, OpenError, Options, SqliteStore};
use cota_testkit::conformance::samples::{T0, checkpoint, driving, finish, going_on, key, message, message_id, sender};
use futures_executor::block_on;
use futures_util::future::join;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn db(&self) -> PathBuf {
        self.0.path().join("new/folder/cota.db")
    }

    fn open(&self, holder: &str) -> SqliteStore {
        open(&self.db(), holder).unwrap()
    }
}

fn open(path: &Path, holder: &str) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, &Options { durability: Durability::Normal, holder: Holder(holder.to_owned()) })
}

fn refused(path: &Path) -> String {
    open(path, "a").err().unwrap().to_string().replace(&path.display().to_string(), "cota.db")
}

async fn drive(store: &SqliteStore, conversation: &str, id: &str, by: &str) -> Claim {
    match store.accept(&key("public", conversation), message(id), &driving(by)).await.unwrap() {
        Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } => claimed.claim,
        other => panic!("{other:?}"),
    }
}

async fn answer(store: &SqliteStore, conversation: &str, claim: &Claim) {
    let key = key("public", conversation);
    let loaded = store.load(&key).await.unwrap().unwrap();
    store.commit(&key, claim, &finish(claim, 9, loaded.tracker.head, &loaded.inbox[..1]), &going_on(T0)).await.unwrap();
}

#[test]
fn all_is_there_after_a_restart() {
    let folder = Folder::new();
    let key = key("public", "c");
    let before = block_on(async {
        let store = folder.open("a");
        let claim = drive(&store, "c", "m1", "a").await;
        answer(&store, "c", &claim).await;
        let claim = drive(&store, "c", "m2", "a").await;
        store.commit(&key, &claim, &checkpoint(&claim, 1, b"run"), &going_on(T0)).await.unwrap();
        (store.load(&key).await.unwrap(), store.events(&key, Seq(0), 99).await.unwrap())
    });
    block_on(async {
        let store = folder.open("b");
        assert_eq!((store.load(&key).await.unwrap(), store.events(&key, Seq(0), 99).await.unwrap()), before);
        let recorded = store.recorded(&key, &sender("ann"), &message_id("m1")).await.unwrap().unwrap();
        assert_eq!(recorded.progress, Progress::Answered { first: Seq(1), last: Seq(3) });
        assert_eq!(store.accept(&key, message("m2"), &driving("b")).await, Ok(Acceptance::Repeated(Progress::Pending)));
    });
}

#[test]
fn a_restart_takes_unfinished_runs_up_at_once() {
    for name in ["b", "a"] {
        let folder = Folder::new();
        block_on(async {
            let store = folder.open("a");
            drive(&store, "c", "m1", "a").await;
            assert_eq!(store.unfinished(T0).await.unwrap()[0].1, T0.plus_ms(LEASE_MS));
        });
        block_on(async {
            let store = folder.open(name);
            assert_eq!(store.unfinished(T0).await.unwrap(), [(key("public", "c"), T0)], "as {name}");
            let outcome = store.claim(&key("public", "c"), &Holder(name.to_owned()), T0).await.unwrap();
            assert!(matches!(&outcome, ClaimOutcome::Taken(claimed) if claimed.claim.takeovers == 1), "as {name}: {outcome:?}");
        });
    }
}

#[test]
fn a_file_with_larger_pages_is_served_as_it_is() {
    let folder = Folder::new();
    drop(folder.open("a"));
    let page_bytes = || {
        let db = rusqlite::Connection::open(folder.db()).unwrap();
        db.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(page_bytes(), 2048);
    std::fs::remove_file(folder.db()).unwrap();
    rusqlite::Connection::open(folder.db()).unwrap().execute_batch("PRAGMA page_size = 4096; VACUUM").unwrap();
    block_on(async {
        let store = folder.open("a");
        let claim = drive(&store, "c", "m1", "a").await;
        answer(&store, "c", &claim).await;
    });
    assert_eq!(page_bytes(), 4096);
}

#[test]
fn two_stores_share_a_file() {
    let folder = Folder::new();
    let (one, two) = (folder.open("one"), folder.open("two"));
    block_on(async {
        let claim = drive(&one, "c", "m1", "one").await;
        let key = key("public", "c");
        let held = ClaimOutcome::Held { until: claim.lease_until };
        assert_eq!(two.claim(&key, &Holder("two".to_owned()), T0).await, Ok(held), "the other store's holder lives");
        let accepted = two.accept(&key, message("m2"), &driving("two")).await.unwrap();
        assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Wait, .. }), "{accepted:?}");
        drop(one);
        let accepted = two.accept(&key, message("m3"), &driving("two")).await.unwrap();
        assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Ring, .. }), "its holder is gone: {accepted:?}");
        let ClaimOutcome::Taken(taken) = two.claim(&key, &Holder("two".to_owned()), T0).await.unwrap() else {
            panic!("its holder is gone");
        };
        assert_eq!(two.commit(&key, &claim, &checkpoint(&claim, 1, b""), &going_on(T0)).await, Err(CommitError::Fenced));
        answer(&two, "c", &taken.claim).await;
    });
}

#[test]
fn two_stores_write_at_once() {
    let folder = Folder::new();
    let stores = [folder.open("one"), folder.open("two")];
    std::thread::scope(|scope| {
        for (n, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                block_on(async {
                    for m in 0..50 {
                        let conversation = format!("c{n}");
                        let claim = drive(store, &conversation, &format!("m{m}"), ["one", "two"][n]).await;
                        answer(store, &conversation, &claim).await;
                    }
                });
            });
        }
    });
    for conversation in ["c0", "c1"] {
        let events = block_on(stores[0].events(&key("public", conversation), Seq(0), usize::MAX)).unwrap();
        assert_eq!(events.len(), 150);
    }
}

#[test]
fn the_locks_of_the_dead_are_removed() {
    let folder = Folder::new();
    let locks = || std::fs::read_dir(folder.0.path().join("new/folder/cota.db.holders")).unwrap().count();
    let store = folder.open("a");
    std::fs::write(folder.0.path().join("new/folder/cota.db.holders/h-dead"), "").unwrap();
    let other = folder.open("Ünlaut / ..");
    assert_eq!(locks(), 2, "its own and the living one's");
    drop((store, other));
    assert_eq!(locks(), 0);
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let folder = Folder::new();
    let _living = folder.open("a");
    assert_eq!(
        refused(&folder.db()),
        "cota.db: the lock of holder `a` cannot be had (another store uses this name): give each process a name of its own"
    );
}

#[test]
fn a_file_of_another_kind_is_refused_with_the_way_out() {
    let folder = Folder::new();
    drop(folder.open("a"));
    let path = folder.0.path().join("text.db");
    std::fs::write(&path, "This is a text of more than a hundred characters, so that nobody takes it for an empty database. ".repeat(9))
        .unwrap();
    assert_eq!(refused(&path), "cota.db is not an SQLite database; name another file, or move this one away");

    let path = folder.0.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE song (title)").unwrap();
    assert_eq!(refused(&path), "cota.db is a database of another program; name another file");

    rusqlite::Connection::open(folder.db()).unwrap().execute("UPDATE cota_schema SET version = 99", []).unwrap();
    assert_eq!(
        refused(&folder.db()),
        "cota.db was written by a newer COTA (its schema is 99, this one knows up to 3); use that version, or another file"
    );
    assert!(refused(folder.0.path()).contains("cota.db"), "a folder is no file");
}

#[test]
fn an_unreadable_record_is_reported_and_harms_no_other_conversation() {
    let folder = Folder::new();
    let store = folder.open("a");
    block_on(async {
        for conversation in ["broken", "whole"] {
            drive(&store, conversation, "m1", "a").await;
        }
        rusqlite::Connection::open(folder.db()).unwrap().execute("UPDATE conversation SET record = x'00' WHERE id = 'broken'", []).unwrap();
        let (broken, whole) = (key("public", "broken"), key("public", "whole"));
        let terms = driving("a");
        let both = join(store.accept(&broken, message("m2"), &terms), store.accept(&whole, message("m2"), &terms)).await;
        assert!(matches!(both.0, Err(StoreError::Corrupt(_))), "{:?}", both.0);
        assert!(matches!(both.1, Ok(Acceptance::Accepted { .. })), "{:?}", both.1);
    });
}

#[test]
fn retention_deletes_what_is_finished_and_was_not_touched() {
    let folder = Folder::new();
    let store = folder.open("a");
    block_on(async {
        for n in 0..150 {
            let conversation = format!("c{n}");
            let claim = drive(&store, &conversation, "m1", "a").await;
            answer(&store, &conversation, &claim).await;
        }
        drive(&store, "c7", "m2", "a").await;
        assert_eq!(store.purge_before(T0).await, Ok(0));
        assert_eq!(store.purge_before(T0.plus_ms(1)).await, Ok(149));
        assert_eq!(store.load(&key("public", "c8")).await, Ok(None));
        assert_eq!(store.load(&key("public", "c7")).await.unwrap().unwrap().inbox.len(), 1);
        let left: i64 = rusqlite::Connection::open(folder.db())
            .unwrap()
            .query_row("SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM answered) + (SELECT count(*) FROM inbox)", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(left, 3, "one turn, its id, one waiting message");
    });
}
