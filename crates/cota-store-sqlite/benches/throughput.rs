//! How many turns and writes a second the store takes: plain chat turns (accept, finish) of many clients at once.
//!
//! `cargo bench -p cota-store-sqlite -- [clients] [turns of each] [full]`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends with what was found instead"
)]

use std::sync::Arc;
use std::time::Instant;

use cota_core::event::{CallTrace, Cause, EventBody, StepTrace};
use cota_core::ids::Seq;
use cota_core::tracker::Tracker;
use cota_core::turn::Commit;
use cota_driver::memory::MemoryStore;
use cota_driver::store::{Acceptance, AfterAccept, Claim, Holder, Store};
use cota_store_sqlite::{Durability, Options, SqliteStore};
use cota_testkit::conformance::samples::{T0, driving, finish, going_on, key, message};
use futures_executor::block_on;
use futures_util::future::join_all;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |place: usize, usual: u64| arguments.get(place).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (clients, turns) = (number(0, 100), number(1, 500));
    let durability = if arguments.iter().any(|word| word == "full") { Durability::Full } else { Durability::Normal };

    measure("memory", Arc::new(MemoryStore::new()), clients, turns);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cota.db");
    let store = SqliteStore::open(&path, &Options { durability, holder: Holder("a".to_owned()) }).unwrap();
    measure(&format!("sqlite, {durability:?}"), Arc::new(store), clients, turns);
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("{} bytes of file a turn", bytes / (clients * turns));
}

/// Runs the clients on two threads, as futures that wait for the store and for nothing else.
fn measure(name: &str, store: Arc<dyn Store>, clients: u64, turns: u64) {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let store = &store;
            scope.spawn(move || {
                let mine = (0..clients).filter(|client| client % 2 == thread);
                block_on(join_all(mine.map(|client| chat(store.as_ref(), client, turns))));
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let each = (clients * turns) as f64 / seconds;
    println!("{name}: {clients} clients, {each:.0} turns/s, {:.0} writes/s", each * 2.0);
}

async fn chat(store: &dyn Store, client: u64, turns: u64) {
    let key = key("public", &format!("conversation-{client}"));
    let mut tracker = Tracker::default();
    for turn in 0..turns {
        let id = format!("4d1f8a52-{client:08}-{turn:08}");
        let Acceptance::Accepted { position, then: AfterAccept::Drive(claimed) } =
            store.accept(&key, message(&id), &driving("a")).await.unwrap()
        else {
            panic!("a client waits for its answer");
        };
        let inbox = [message(&id).at_position(position)];
        let mut commit = with_trace(finish(&claimed.claim, 1, tracker.head, &inbox));
        commit.events.iter().for_each(|event| tracker.apply(event));
        tracker.trim(6000 * 3);
        if turn % 20 == 19 {
            tracker.snapshot = tracker.head;
            commit.snapshot = Some(tracker.clone());
        }
        finish_turn(store, &key, &claimed.claim, &commit).await;
    }
}

async fn finish_turn(store: &dyn Store, key: &cota_core::ids::ConversationKey, claim: &Claim, commit: &Commit) {
    store.commit(key, claim, commit, &going_on(T0)).await.unwrap();
}

/// A turn's end as a bot with an LLM writes it: two steps, two calls.
fn with_trace(mut commit: Commit) -> Commit {
    for event in Arc::make_mut(&mut commit.events) {
        if let EventBody::TurnEnd(end) = &mut event.body {
            let step = |action: &str, purpose: &str| StepTrace {
                seq: Seq(1),
                action: action.to_owned(),
                cause: Cause::Llm,
                examples: vec!["ask for the weather".to_owned()],
                calls: vec![CallTrace {
                    llm: "default".to_owned(),
                    purpose: purpose.to_owned(),
                    ms: 812,
                    prompt_tokens: 731,
                    completion_tokens: 42,
                    error: None,
                }],
                ms: 812,
            };
            end.steps = vec![step("Selector", "select"), step("BotUtter", "utter")];
        }
    }
    commit
}
