//! The host as its subscribers see it: isolation, order, busy conversations, streams, death and deletion.

#![expect(clippy::wildcard_enum_match_arm, reason = "any other question is the utterance")]

mod stage;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cota_core::bot::OnBusy;
use cota_core::event::{Control, EventBody, TurnOutcome};
use cota_core::ids::{Position, Seq};
use cota_core::limits;
use cota_core::turn::{Context, Fragment, Purpose, Turn};
use cota_driver::host::{Conversations, SendError, Sent, Update};
use cota_driver::store::Progress;
use futures_util::{FutureExt, StreamExt};
use stage::{Stage, TestClock, answered, bot, key, message, purpose, says, utters};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_conversations_at_once_are_each_told_their_own_secret() {
    let stage = Stage::new(bot(|_| {}), |job| {
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            match purpose(&job) {
                Purpose::Select => says(r#"{"action": "BotUtter"}"#),
                _ => utters(&stage::first_user_text(&job)),
            }
        }
        .boxed()
    });
    let told = (0..50).map(|n| {
        let host = stage.host.clone();
        async move {
            let key = key(&format!("c{n}"));
            stage::ask(&host, &key, "m1", &format!("the secret is {n}")).await;
            (n, stage::ask(&host, &key, "m2", "what is the secret?").await)
        }
    });
    let told: Vec<_> = futures_util::future::join_all(told).await;
    assert_eq!(told.len(), 50);
    for (n, reply) in told {
        assert_eq!(reply, [format!("the secret is {n}")]);
    }
}

#[tokio::test]
async fn five_messages_at_once_get_five_answers_in_the_order_of_acceptance() {
    let stage = Stage::new(bot(|_| {}), stage::echo);
    let key = key("c");
    let mut updates = stage.host.subscribe(&key, false);
    let sent = (0..5).map(|n| {
        let (host, key) = (&stage.host, &key);
        async move { host.send(key, message(&format!("m{n}"), &format!("question {n}"))).await }
    });
    let sent = futures_util::future::join_all(sent).await;
    assert!(sent.iter().all(|sent| matches!(sent, Ok(Sent::Accepted(_)))), "{sent:?}");
    let (mut accepted, mut done) = (Vec::new(), Vec::new());
    while done.len() < 5 {
        match updates.next().await.unwrap() {
            Update::Accepted(message) => accepted.push(message.message_id.as_str().to_owned()),
            Update::Durable(events) => done.extend(answered(&events)),
            Update::Fragment(_) | Update::Missed | Update::Forgotten => {}
        }
    }
    let ids: Vec<_> = done.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids, accepted);
    for (id, reply) in done {
        assert_eq!(reply, [format!("question {}", id.trim_start_matches('m'))]);
    }
}

#[tokio::test]
async fn a_busy_conversation_refuses_where_the_bot_says_so_and_records_nothing() {
    let (stage, gate) = Stage::gated(bot(|source| source.settings.on_busy = OnBusy::Reject));
    let key = key("c");
    stage.host.send(&key, message("m1", "one")).await.unwrap();
    assert_eq!(stage.host.send(&key, message("m2", "two")).await, Err(SendError::Busy));
    gate.add_permits(100);
    stage::settled(&stage, &key, "m1").await;
    assert_eq!(stage.host.progress(&key, &message("m2", "").sender, &message("m2", "").message_id).await, Ok(None));
}

#[tokio::test]
async fn too_many_waiting_messages_are_refused() {
    let (stage, gate) = Stage::gated(bot(|source| source.settings.max_queue = 2));
    let key = key("c");
    for n in 0..3 {
        stage.host.send(&key, message(&format!("m{n}"), "hi")).await.unwrap();
    }
    assert_eq!(stage.host.send(&key, message("m3", "hi")).await, Err(SendError::QueueFull));
    gate.add_permits(100);
    stage::settled(&stage, &key, "m2").await;
}

#[tokio::test]
async fn a_later_message_takes_the_place_of_the_running_one() {
    let (stage, gate) = Stage::gated(bot(|source| source.settings.on_busy = OnBusy::Latest));
    let key = key("c");
    for n in 0..3 {
        stage.host.send(&key, message(&format!("m{n}"), &format!("question {n}"))).await.unwrap();
    }
    gate.add_permits(100);
    stage::settled(&stage, &key, "m2").await;
    let ends = stage::ends(&stage, &key).await;
    let outcomes: Vec<_> = ends.iter().map(|end| end.outcome).collect();
    assert_eq!(outcomes, [TurnOutcome::Superseded, TurnOutcome::Superseded, TurnOutcome::Replied]);
    assert_eq!(ends[2].replies[0].text, "question 2");
}

#[tokio::test]
async fn messages_that_wait_are_merged_into_one() {
    let (stage, gate) = Stage::gated(bot(|source| source.settings.on_busy = OnBusy::Merge));
    let key = key("c");
    for n in 0..4 {
        stage.host.send(&key, message(&format!("m{n}"), &format!("part {n}"))).await.unwrap();
    }
    gate.add_permits(100);
    stage::settled(&stage, &key, "m3").await;
    let ends = stage::ends(&stage, &key).await;
    let ids: Vec<Vec<&str>> = ends.iter().map(|end| end.message_ids.iter().map(|id| id.as_str()).collect()).collect();
    assert_eq!(ids, [vec!["m0"], vec!["m1", "m2", "m3"]]);
    let first = stage.host.progress(&key, &message("m1", "").sender, &message("m1", "").message_id).await.unwrap();
    let last = stage.host.progress(&key, &message("m3", "").sender, &message("m3", "").message_id).await.unwrap();
    assert_eq!(first, last, "all their ids map to the one answer");
}

#[tokio::test]
async fn a_message_sent_again_is_not_run_again() {
    let stage = Stage::new(bot(|_| {}), stage::echo);
    let key = key("c");
    stage::ask(&stage.host, &key, "m1", "hi").await;
    let calls = stage.calls.load(Ordering::SeqCst);
    let again = stage.host.send(&key, message("m1", "hi")).await.unwrap();
    assert!(matches!(again, Sent::Repeated(Progress::Answered { first: Seq(1), last: Seq(4) })), "{again:?}");
    assert_eq!(stage.host.send(&key, message("m1", "other")).await, Err(SendError::IdReused));
    assert_eq!(stage.calls.load(Ordering::SeqCst), calls);
}

#[tokio::test]
async fn who_joins_in_the_middle_of_a_reply_gets_it_from_its_beginning() {
    let (stage, gate) = Stage::streaming(bot(|_| {}));
    let key = key("c");
    let mut first = stage.host.subscribe(&key, true);
    stage.host.send(&key, message("m1", "hi")).await.unwrap();
    let shown = stage::fragment(&mut first).await;
    assert!(matches!(shown, Fragment::Delta { offset: 0, ref text, .. } if text == "Hel"), "{shown:?}");
    let mut late = stage.host.subscribe(&key, true);
    assert_eq!(stage::fragment(&mut late).await, shown);
    gate.add_permits(1);
    for updates in [&mut first, &mut late] {
        let rest = stage::fragment(updates).await;
        assert!(matches!(rest, Fragment::Delta { offset: 3, ref text, .. } if text == "lo"), "{rest:?}");
    }
    assert_eq!(stage::settled(&stage, &key, "m1").await.replies[0].text, "Hello");
}

#[tokio::test]
async fn a_slow_subscriber_is_told_that_it_missed_something_and_never_slows_a_turn() {
    let stage = Stage::new(bot(|_| {}), stage::echo);
    let key = key("c");
    let mut slow = stage.host.subscribe(&key, false);
    for n in 0..200 {
        stage::ask(&stage.host, &key, &format!("m{n}"), "hi").await;
    }
    assert!(matches!(slow.next().await, Some(Update::Missed)));
    assert_eq!(stage.host.events(&key, Seq(0), usize::MAX).await.unwrap().len(), 800, "the log has it all");
}

#[tokio::test]
async fn a_forgotten_conversation_is_not_brought_back_by_its_running_turn() {
    let (stage, gate) = Stage::gated(bot(|_| {}));
    let key = key("c");
    let updates = stage.host.subscribe(&key, false);
    stage.host.send(&key, message("m1", "hi")).await.unwrap();
    stage.host.forget(&key).await.unwrap();
    gate.add_permits(100);
    stage::idle(&stage).await;
    assert!(stage.host.state(&key).await.unwrap().is_none());
    let forgotten = updates.any(|update| async move { matches!(update, Update::Forgotten) }).await;
    assert!(forgotten);
    stage::ask(&stage.host, &key, "m1", "hi again").await;
    assert_eq!(stage::ends(&stage, &key).await.len(), 1, "the id and the log begin anew");
}

#[tokio::test]
async fn a_dead_hosts_turn_is_taken_up_when_its_lease_ends() {
    let clock = TestClock::default();
    let (dead, _gate) = Stage::gated_at(bot(|_| {}), &clock);
    let key = key("c");
    dead.host.send(&key, message("m1", "are you there?")).await.unwrap();
    dead.stop_all();
    let alive = Stage::over(dead.store.clone(), bot(|_| {}), &clock, stage::echo);
    clock.jump(limits::LEASE_MS + 1);
    alive.watch();
    assert_eq!(stage::settled(&alive, &key, "m1").await.replies[0].text, "are you there?");
}

#[tokio::test]
async fn who_follows_a_conversation_here_hears_of_an_answer_that_was_given_elsewhere() {
    let clock = TestClock::default();
    let (driving, gate) = Stage::gated_at(bot(|_| {}), &clock);
    let following = Stage::over(driving.store.clone(), bot(|_| {}), &clock, stage::echo);
    let key = key("c");
    driving.host.send(&key, message("m1", "one")).await.unwrap();
    let mut updates = following.host.subscribe(&key, false);
    following.host.send(&key, message("m2", "two")).await.unwrap();
    gate.add_permits(100);
    while !matches!(updates.next().await, Some(Update::Missed)) {}
    let end = stage::settled(&following, &key, "m2").await;
    assert_eq!(end.replies[0].text, "two");
    assert_eq!(following.calls.load(Ordering::SeqCst), 0, "the other host has answered it");
}

#[tokio::test]
async fn a_turn_that_kills_every_process_is_given_up_at_the_fourth_takeover() {
    let clock = TestClock::default();
    let stage = Stage::at(bot(|_| {}), &clock, |_| async { panic!("a defect in an effect") }.boxed());
    let key = key("c");
    stage.host.send(&key, message("m1", "boom")).await.unwrap();
    stage::idle(&stage).await;
    for _ in 0..limits::TAKEOVERS {
        clock.jump(limits::LEASE_MS + 1);
        stage.watch();
        stage::idle(&stage).await;
    }
    let end = stage::settled(&stage, &key, "m1").await;
    assert_eq!(end.outcome, TurnOutcome::Fallback);
    let events = stage.host.events(&key, Seq(0), usize::MAX).await.unwrap();
    assert!(events.iter().any(|event| event.body == EventBody::Control(Control::GaveUp { takeovers: 4 })));
}

#[tokio::test]
async fn a_newer_message_takes_a_parked_runs_place_at_once_where_the_latest_counts() {
    let latest = bot(|source| source.settings.on_busy = OnBusy::Latest);
    let stage = Stage::new(latest.clone(), stage::echo);
    let key = key("c");
    stage::parked(&stage, &key, |claimed| {
        let first = message("m1", "one");
        let at = first.at;
        let turn =
            Turn::start(&latest, key.clone(), claimed.claim.run.clone(), vec![first.at_position(Position(1))], Context::default(), at);
        let mut saved: serde_json::Value = serde_json::from_slice(&turn.save(at).unwrap()).unwrap();
        saved["counters"]["commits"] = 1.into();
        serde_json::to_vec(&saved).unwrap()
    })
    .await;
    assert_eq!(stage::ask(&stage.host, &key, "m2", "two").await, ["two"]);
    let ends: Vec<_> = stage::ends(&stage, &key).await.into_iter().map(|end| end.outcome).collect();
    assert_eq!(ends, [TurnOutcome::Superseded, TurnOutcome::Replied]);
    assert_eq!(stage.calls.load(Ordering::SeqCst), 2, "the first made no call any more");
}

#[tokio::test]
async fn a_saved_run_that_cannot_be_read_is_given_up_with_the_fallback_reply() {
    let clock = TestClock::default();
    let stage = Stage::at(bot(|_| {}), &clock, stage::echo);
    let key = key("c");
    stage::parked(&stage, &key, |_| br#"{"schema": 99}"#.to_vec()).await;
    clock.jump(3_600_001);
    stage.watch();
    let end = stage::settled(&stage, &key, "m1").await;
    assert_eq!((end.outcome, end.replies[0].text.as_str()), (TurnOutcome::Fallback, "Sorry."));
    assert_eq!(stage.calls.load(Ordering::SeqCst), 0, "nothing is performed that may have been performed before");
    assert_eq!(stage::ask(&stage.host, &key, "m2", "two").await, ["two"]);
}

#[tokio::test]
async fn stopping_refuses_new_messages_and_ends_what_runs() {
    let (stage, gate) = Stage::gated(bot(|_| {}));
    let key = key("c");
    stage.host.send(&key, message("m1", "hi")).await.unwrap();
    let stopping = tokio::spawn({
        let host = stage.host.clone();
        async move { host.stop().await }
    });
    while stage.host.send(&key, message("m2", "late")).await != Err(SendError::Stopping) {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    stopping.await.unwrap();
    assert_eq!(stage::ends(&stage, &key).await[0].outcome, TurnOutcome::Replied);
}

#[tokio::test]
async fn a_text_over_the_limit_is_refused_before_it_is_recorded() {
    let stage = Stage::new(bot(|_| {}), stage::echo);
    let text = "x".repeat(limits::MESSAGE_BYTES + 1);
    let refused = stage.host.send(&key("c"), message("m1", &text)).await;
    assert_eq!(refused, Err(SendError::TextTooLong { bytes: limits::MESSAGE_BYTES + 1 }));
}

#[test]
fn the_metrics_count_turns_by_how_they_ended() {
    let counts: BTreeMap<&str, u64> = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let stage = Stage::new(bot(|_| {}), stage::echo);
        stage::ask(&stage.host, &key("c"), "m1", "hi").await;
        let metrics = stage.host.metrics();
        [("replied", &metrics.replied), ("accepted", &metrics.accepted), ("llm_calls", &metrics.llm_calls)]
            .map(|(name, counter)| (name, counter.load(Ordering::SeqCst)))
            .into()
    });
    assert_eq!(counts, BTreeMap::from([("replied", 1), ("accepted", 1), ("llm_calls", 2)]));
}
