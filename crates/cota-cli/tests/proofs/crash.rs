//! A process that dies at any moment loses nothing that it acknowledged, and answers nothing twice.
//!
//! The binary under test has failpoints: this package's development dependencies turn them on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cota_testkit::llm_server::{Settings, scripts};
use cota_testkit::services::upstash::Upstash;
use futures_util::future::join_all;
use serde_json::json;

use super::support::{self, Cota, Record, Socket, Store, model, scatter, seeds, socket};

/// How long a conversation may take to be whole again after a process died.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(30);
const MESSAGES: usize = 4;
const CONVERSATIONS: usize = 3;
/// Places between two writes at which the process ends, each with how often it is passed at least.
const FAILPOINTS: [(&str, u64); 5] = [
    ("before-accept-commit", 10),
    ("after-accept-commit", 10),
    ("before-turn-commit", 10),
    ("after-turn-commit", 10),
    ("middle-of-batch", 30),
];
/// Those that a store without group commit passes, each about as often as there are messages.
const LEASED_FAILPOINTS: [&str; 4] = ["before-accept-commit", "after-accept-commit", "before-turn-commit", "after-turn-commit"];

#[test]
fn a_process_that_ends_between_two_writes_answers_each_message_once_after_its_restart() {
    support::run(async {
        for (failpoint, passes) in FAILPOINTS {
            let mut deaths = 0;
            for seed in seeds(6, 2) {
                let nth = 1 + scatter(seed, passes);
                let setting = format!("{failpoint}:{nth}");
                println!("seed {seed}: {setting}");
                let home = tempfile::tempdir().unwrap();
                let store = Store::Sqlite(home.path().join("cota.db"));
                deaths += u32::from(dies_and_recovers(&store, &[("COTA_FAILPOINT", &setting)], None).await);
            }
            assert!(deaths > 0, "no process ever ended at {failpoint}");
        }
    });
}

#[test]
fn a_process_that_is_killed_answers_each_message_once_after_its_restart() {
    support::run(async {
        for seed in seeds(12, 3) {
            let after = Duration::from_millis(scatter(seed, 300));
            println!("seed {seed}: killed after {after:?}");
            let home = tempfile::tempdir().unwrap();
            dies_and_recovers(&Store::Sqlite(home.path().join("cota.db")), &[], Some(after)).await;
        }
    });
}

#[test]
fn a_process_that_dies_beside_upstash_answers_each_message_once_after_its_restart() {
    let upstash = Upstash::start();
    dies_beside(|name| Store::Upstash(format!("{}?prefix={name}", upstash.url())));
}

#[test]
fn a_process_that_dies_beside_dynamodb_answers_each_message_once_after_its_restart() {
    dies_beside(|name| Store::DynamoDb(name.to_owned()));
}

/// Nobody knows there that the dead process is dead, so its leases have to end first. The deaths therefore come at once.
fn dies_beside(store: impl Fn(&str) -> Store) {
    support::run(async {
        let at_failpoints = LEASED_FAILPOINTS.iter().enumerate().map(|(n, failpoint)| {
            let setting = format!("{failpoint}:{}", 1 + scatter(n as u64 + 1, 8));
            let store = store(failpoint);
            async move { assert!(dies_and_recovers(&store, &[("COTA_FAILPOINT", &setting)], None).await, "it never ended at {setting}") }
        });
        let killed = seeds(3, 1).map(|seed| {
            let (store, after) = (store(&format!("killed-{seed}")), Duration::from_millis(100 + scatter(seed, 400)));
            async move {
                dies_and_recovers(&store, &[], Some(after)).await;
            }
        });
        tokio::join!(join_all(at_failpoints), join_all(killed));
    });
}

/// Talks to a process until it dies (or has answered all, where its failpoint is never reached), starts another on the same
/// store, and looks at every conversation. Whether it died by itself.
async fn dies_and_recovers(store: &Store, environment: &[(&str, &str)], kill_after: Option<Duration>) -> bool {
    let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(5))).await;
    let mut cota = Cota::start_with(&["chat"], store, &llm.apibase(), environment);
    let address = cota.address.clone();
    let talks = tokio::spawn(async move { join_all((0..CONVERSATIONS).map(|n| talk(&address, n))).await });
    if let Some(after) = kill_after {
        tokio::time::sleep(after).await;
        cota.kill();
    }
    let acknowledged = talks.await.unwrap();
    let died = kill_after.is_none() && cota.has_ended();
    cota.kill();
    let again = Cota::start(&["chat"], store, &llm.apibase());
    join_all(acknowledged.iter().enumerate().map(|(n, ids)| is_whole(&again, n, ids))).await;
    join_all((0..CONVERSATIONS).map(|n| repeats(&again, n))).await;
    died
}

/// Says everything and listens until all is answered or the process is gone. Returns the ids that were acknowledged.
async fn talk(address: &str, n: usize) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    let Some(mut socket) = Socket::try_join(address, &sender(n), &session(n), &json!({})).await else { return acknowledged };
    for m in 0..MESSAGES {
        socket.say(&session(n), &id(m), &text(n, m)).await;
    }
    let mut answers = 0;
    while answers < MESSAGES {
        let Some(frame) = socket.next().await else { break };
        if socket::is_from(&frame, "user") {
            acknowledged.insert(frame["message_id"].as_str().unwrap().to_owned());
        } else if socket::is_from(&frame, "bot") {
            answers += 1;
        }
    }
    acknowledged
}

/// Waits until every acknowledged message is answered, and checks the record.
async fn is_whole(cota: &Cota, n: usize, acknowledged: &BTreeSet<String>) {
    if acknowledged.is_empty() {
        return;
    }
    let began = Instant::now();
    let mut socket = Socket::join(&cota.address, "watcher", &session(n), &json!({"after": 0})).await;
    let mut open = acknowledged.clone();
    while !open.is_empty() {
        let left = TAKEN_UP_WITHIN.saturating_sub(began.elapsed());
        let frame = tokio::time::timeout(left, socket.next()).await;
        let frame = frame.unwrap_or_else(|_| panic!("{}: {open:?} not answered within {TAKEN_UP_WITHIN:?}", session(n)));
        let frame = frame.unwrap_or_else(|| panic!("{}: the socket was closed before {open:?} were answered", session(n)));
        if socket::is_from(&frame, "bot") {
            open.remove(frame["reply_to"].as_str().unwrap_or_default());
        }
    }
    let recorded = Record::read(&cota.address, &session(n)).await.answered_in_order();
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !recorded.contains(id)).collect();
    assert!(lost.is_empty(), "{}: lost {lost:?}", session(n));
    // One sender's messages are accepted in the order they were sent.
    assert!(recorded.is_sorted(), "{}: out of order: {recorded:?}", session(n));
}

/// Sends every message once more, as a client does that is not sure: each gets its answer, and none stands in the record twice.
async fn repeats(cota: &Cota, n: usize) {
    for m in 0..MESSAGES {
        let answer = cota.say(&session(n), &json!({"text": text(n, m), "sender_id": sender(n), "message_id": id(m)})).await;
        assert_eq!(answer.replies(), [reply(n, m)], "{answer:?}");
    }
    let record = Record::read(&cota.address, &session(n)).await;
    assert_eq!(record.answered_in_order().len(), MESSAGES);
    assert_eq!(record.replies(), (0..MESSAGES).map(|m| reply(n, m)).collect::<Vec<_>>());
}

#[test]
fn of_two_processes_on_one_file_the_other_takes_up_what_the_killed_one_left() {
    support::run(async {
        for seed in seeds(6, 2) {
            let after = Duration::from_millis(20 + scatter(seed, 200));
            println!("seed {seed}: the first is killed after {after:?}");
            let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(10))).await;
            let home = tempfile::tempdir().unwrap();
            let store = Store::Sqlite(home.path().join("cota.db"));
            let mut first = Cota::start(&["chat"], &store, &llm.apibase());
            let second = Arc::new(Cota::start(&["chat"], &store, &llm.apibase()));
            let addresses = [first.address.clone(), second.address.clone()];
            let talks = tokio::spawn(async move {
                let talks = (0..CONVERSATIONS * 2).map(|n| talk(&addresses[n % 2], n));
                join_all(talks).await
            });
            tokio::time::sleep(after).await;
            first.kill();
            let acknowledged = talks.await.unwrap();
            join_all(acknowledged.iter().enumerate().map(|(n, ids)| is_whole(&second, n, ids))).await;
            join_all((0..CONVERSATIONS * 2).map(|n| repeats(&second, n))).await;
        }
    });
}

fn session(n: usize) -> String {
    format!("crash-{n}")
}

fn sender(n: usize) -> String {
    format!("sender-{n}")
}

fn id(m: usize) -> String {
    format!("m{m}")
}

fn text(n: usize, m: usize) -> String {
    format!("this is #{n}-{m}")
}

fn reply(n: usize, m: usize) -> String {
    format!("It is #{n}-{m}.")
}
