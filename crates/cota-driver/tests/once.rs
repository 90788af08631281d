//! One answer in a conversation that nobody keeps.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]
#![expect(clippy::wildcard_enum_match_arm, reason = "any other question is the utterance")]
#![allow(dead_code, reason = "each test file uses its part of the stage")]

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cota_core::bot::{Action, ActionKind, Executor, ExecutorKind, Form, MockCall, Safety};
use cota_core::event::{ActionRecord, EVENT_VERSION, Event, EventBody, ResultItem};
use cota_core::ids::{BotDigest, RunId, Seq};
use cota_core::turn::{Fragment, Outcome, Purpose};
use cota_driver::host::{Conversations as _, Once, OnceError, SendError};
use cota_driver::ports::Work;
use futures_channel::mpsc;
use futures_util::{FutureExt as _, StreamExt as _};
use stage::{Stage, answered, bot, key, message, purpose, says, utters};

/// What was said before, each sentence by `UserUtter` or `BotUtter`.
fn past(said: &[(&str, &str)]) -> Vec<Event> {
    let key = key("once");
    let first = message("past", "");
    let run = RunId::of(&key, &first.sender, &first.message_id);
    let event = |(n, (name, text)): (usize, &(&str, &str))| Event {
        v: EVENT_VERSION,
        seq: Seq(n as u64 + 1),
        run: run.clone(),
        at: first.at,
        bot_digest: BotDigest::of(b""),
        message_id: None,
        body: EventBody::from(ActionRecord {
            name: (*name).to_owned(),
            timestamp: 1.0,
            sender_id: "user".to_owned(),
            receiver_id: "bot".to_owned(),
            result: vec![ResultItem::text(*text)],
            slots: None,
            state: None,
        }),
    };
    said.iter().enumerate().map(event).collect()
}

fn once(said: &[(&str, &str)], text: &str) -> Once {
    Once { key: key("once"), past: past(said), message: message("m1", text) }
}

/// A host whose bot fills and runs the form `Dispatch`.
fn paying(safety: Safety) -> (Stage, Arc<AtomicUsize>) {
    let paid = Arc::<AtomicUsize>::default();
    let bot = bot(|source| {
        let executor = Executor { kind: ExecutorKind::Mock(MockCall { text: None }), output: Vec::new(), timeout_ms: None, safety };
        let kind = ActionKind::Form(Form { slots: Vec::new(), executor: Some(executor) });
        source.actions.push(Action { name: "Dispatch".to_owned(), description: "Dispatches.".to_owned(), prompt: None, llm: None, kind });
    });
    let count = paid.clone();
    let stage = Stage::new(bot, move |job| {
        let count = count.clone();
        async move {
            if let Work::Executor { .. } = job.work {
                count.fetch_add(1, Ordering::SeqCst);
                return Ok(Outcome::Executed { text: "paid".to_owned(), metadata: serde_json::Map::new() });
            }
            match purpose(&job) {
                Purpose::Select if count.load(Ordering::SeqCst) == 0 => says(r#"{"action": "Dispatch"}"#),
                Purpose::Select => says(r#"{"action": "BotUtter"}"#),
                _ => utters("done"),
            }
        }
        .boxed()
    });
    (stage, paid)
}

#[tokio::test]
async fn it_knows_what_was_said_before_and_leaves_nothing_behind() {
    let stage = Stage::new(bot(|_| {}), |job| {
        async move {
            match purpose(&job) {
                Purpose::Select => says(r#"{"action": "BotUtter"}"#),
                _ => utters(&stage::first_user_text(&job)),
            }
        }
        .boxed()
    });
    let said = [("UserUtter", "my name is Ana"), ("BotUtter", "hello Ana")];
    let events = stage.host.answer_once(once(&said, "what is my name?"), None).await.unwrap();
    assert_eq!(answered(&events), [("m1".to_owned(), vec!["my name is Ana".to_owned()])]);
    assert_eq!(events.first().map(|event| event.seq), Some(Seq(3)));
    assert_eq!(stage.store.load(&key("once")).await.unwrap(), None);
    assert_eq!(stage.host.metrics().replied.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_may_run_only_once_is_not_run() {
    let (stage, paid) = paying(Safety::AtMostOnce);
    let refused = stage.host.answer_once(once(&[], "dispatch"), None).await;
    assert_eq!(refused, Err(OnceError::AtMostOnce { action: "Dispatch".to_owned() }));
    assert_eq!(paid.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_may_run_twice_is_run() {
    for safety in [Safety::ReadOnly, Safety::Idempotent] {
        let (stage, paid) = paying(safety);
        let events = stage.host.answer_once(once(&[], "dispatch"), None).await.unwrap();
        assert_eq!((paid.load(Ordering::SeqCst), answered(&events)), (1, vec![("m1".to_owned(), vec!["done".to_owned()])]));
    }
}

#[tokio::test]
async fn its_reply_comes_piece_by_piece_where_that_is_wanted() {
    let (stage, gate) = Stage::streaming(bot(|_| {}));
    let (fragments, mut heard) = mpsc::unbounded();
    let (events, first) = tokio::join!(stage.host.answer_once(once(&[], "hi"), Some(fragments)), async {
        let first = heard.next().await;
        gate.add_permits(1);
        first
    });
    assert!(matches!(first, Some(Fragment::Delta { offset: 0, text, .. }) if text == "Hel"));
    assert_eq!(answered(&events.unwrap()), [("m1".to_owned(), vec!["Hello".to_owned()])]);
}

#[tokio::test]
async fn whoever_stops_waiting_ends_the_turn() {
    let (stage, gate) = Stage::gated(bot(|_| {}));
    let mut asked = Box::pin(stage.host.answer_once(once(&[], "hi"), None));
    assert!(asked.as_mut().now_or_never().is_none());
    drop(asked);
    gate.add_permits(100);
    tokio::task::yield_now().await;
    assert_eq!((gate.available_permits(), stage.host.metrics().replied.load(Ordering::SeqCst)), (100, 0));
}

#[tokio::test]
async fn a_text_that_is_too_long_is_refused() {
    let stage = Stage::new(bot(|_| {}), stage::echo);
    let refused = stage.host.answer_once(once(&[], &"x".repeat(20_000)), None).await;
    assert_eq!(refused, Err(OnceError::Refused(SendError::TextTooLong { bytes: 20_000 })));
}
