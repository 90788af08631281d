//! A process that dies at any moment loses nothing that it acknowledged.
//!
//! This test starts itself again as a process that accepts and answers messages and says so on its standard output. That
//! process ends at a failpoint, or is killed from outside, and the database is opened again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use cota_core::event::EventBody;
use cota_core::ids::{ConversationKey, Seq};
use cota_driver::store::{Acceptance, AfterAccept, Claim, ClaimOutcome, Holder, Next, Progress, Store as _};
use cota_store_sqlite::{Durability, Options, SqliteStore};
use cota_testkit::conformance::samples::{T0, checkpoint, driving, finish, going_on, key, message, message_id, sender};
use futures_executor::block_on;
use tempfile::TempDir;

/// Clients of the process that dies, each with a conversation of its own.
const CLIENTS: usize = 4;
const FAILPOINTS: &[&str] = &["before-accept-commit", "after-accept-commit", "before-turn-commit", "after-turn-commit", "middle-of-batch"];
const SEEDS: std::ops::Range<u64> = 0..4;

fn main() {
    if let [_, command, path] = std::env::args().collect::<Vec<_>>().as_slice()
        && command == "talk"
    {
        return talk(Path::new(path));
    }
    let mut seeds = 0;
    for seed in SEEDS {
        let nth = 1 + (seed * 17) % 61;
        for failpoint in FAILPOINTS {
            survives(&format!("{failpoint}:{nth}"), |_| {});
        }
        survives("none", |child| {
            read_lines(child).nth(20 + nth as usize);
            child.kill().unwrap();
        });
        seeds += 1;
    }
    println!("{seeds} seeds: every acknowledged message is in the record, once");
}

/// Lets a process talk until it dies by `failpoint` or by `kill`, and looks at what it left.
fn survives(failpoint: &str, kill: impl FnOnce(&mut Child)) {
    println!("seed {failpoint}");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cota.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["talk".as_ref(), path.as_os_str()])
        .env("COTA_FAILPOINT", failpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    kill(&mut child);
    let (mut acknowledged, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for line in read_lines(&mut child) {
        match line.split_once(' ') {
            Some(("accepted", id)) => acknowledged.insert(id.to_owned()),
            Some(("answered", id)) => answered.insert(id.to_owned()),
            _ => panic!("not a line of the process: {line}"),
        };
    }
    assert_eq!(child.wait().unwrap().code(), None, "it dies by a signal");
    block_on(check(&path, &acknowledged, &answered));
}

fn read_lines(child: &mut Child) -> impl Iterator<Item = String> {
    // A line that the process did not finish before its end was not said.
    let mut reader = BufReader::new(child.stdout.as_mut().unwrap());
    std::iter::from_fn(move || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    })
}

async fn check(path: &Path, acknowledged: &BTreeSet<String>, answered: &BTreeSet<String>) {
    let store = open(path, "after");
    for id in acknowledged {
        let recorded = store.recorded(&of(id), &sender("ann"), &message_id(id)).await.unwrap();
        assert!(recorded.is_some(), "{id} was acknowledged");
    }
    for id in answered {
        let recorded = store.recorded(&of(id), &sender("ann"), &message_id(id)).await.unwrap().unwrap();
        assert!(matches!(recorded.progress, Progress::Answered { .. }), "{id} was answered");
    }
    let unfinished = store.unfinished(T0).await.unwrap();
    assert!(unfinished.iter().all(|(_, due)| *due == T0), "the holder is dead, so all is due at once: {unfinished:?}");
    for (key, _) in unfinished {
        let ClaimOutcome::Taken(claimed) = store.claim(&key, &Holder("after".to_owned()), T0).await.unwrap() else {
            panic!("a dead holder's claim is free");
        };
        answer_all(&store, &key, claimed.claim, 100, |_| {}).await;
    }
    let mut answers = BTreeMap::new();
    for client in 0..CLIENTS {
        let events = store.events(&conversation(client), Seq(0), usize::MAX).await.unwrap();
        assert!(events.iter().map(|event| event.seq.0).eq(1..=events.len() as u64), "no gap, nothing twice");
        for event in events {
            if let EventBody::TurnEnd(end) = event.body {
                end.message_ids.iter().for_each(|id| *answers.entry(id.to_string()).or_insert(0) += 1);
            }
        }
    }
    assert!(answers.values().all(|count| *count == 1), "each once: {answers:?}");
    assert!(acknowledged.iter().all(|id| answers.contains_key(id)), "all of {acknowledged:?}");
}

/// The process that dies: its clients send messages, two at a time, until then.
fn talk(path: &Path) {
    let store = Arc::new(open(path, "before"));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || block_on(chat(&store, client)))
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

async fn chat(store: &SqliteStore, client: usize) {
    let key = conversation(client);
    for n in 0..10_000 {
        let id = format!("c{client}-{n}");
        let accepted = store.accept(&key, message(&id), &driving("before")).await.unwrap();
        say("accepted", &id);
        // Every third turn is driven only once another message waits behind it.
        let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = accepted else { panic!("{accepted:?}") };
        if n % 3 == 0 {
            let id = format!("{id}-too");
            store.accept(&key, message(&id), &driving("before")).await.unwrap();
            say("accepted", &id);
        }
        answer_all(store, &key, claimed.claim, 1, |id| say("answered", id)).await;
    }
}

/// Answers what waits, with a checkpoint before each finish.
async fn answer_all(store: &SqliteStore, key: &ConversationKey, mut claim: Claim, n: u32, answered: impl Fn(&str)) {
    loop {
        store.commit(key, &claim, &checkpoint(&claim, n, b"run"), &going_on(T0)).await.unwrap();
        let loaded = store.load(key).await.unwrap().unwrap();
        let commit = finish(&claim, n + 1, loaded.tracker.head, &loaded.inbox[..1]);
        let committed = store.commit(key, &claim, &commit, &going_on(T0)).await.unwrap();
        answered(loaded.inbox[0].message_id.as_str());
        match committed.next {
            Next::Waiting { claim: next, .. } => claim = next,
            Next::Released { ring: false } => return,
            other @ (Next::Held | Next::Released { .. }) => panic!("{other:?}"),
        }
    }
}

fn say(what: &str, id: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {id}").and_then(|()| out.flush()).unwrap();
}

fn open(path: &Path, holder: &str) -> SqliteStore {
    SqliteStore::open(path, &Options { durability: Durability::Normal, holder: Holder(holder.to_owned()) }).unwrap()
}

fn conversation(client: usize) -> ConversationKey {
    key("public", &format!("c{client}"))
}

/// The conversation of a message: its id begins with it.
fn of(id: &str) -> ConversationKey {
    key("public", id.split('-').next().unwrap())
}
