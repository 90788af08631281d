//! What was written comes back, whole and in order.

use std::sync::Arc;

use cota_core::bot::USER_UTTER;
use cota_core::event::{Event, EventBody, MessageContent, ResultItem};
use cota_core::ids::Seq;
use cota_core::limits::MESSAGE_BYTES;
use cota_core::tracker::Tracker;
use cota_core::turn::Commit;
use cota_driver::store::{Acceptance, NewMessage};
use serde_json::json;

use super::samples::{T0, action, checkpoint, driving, going_on, message, said, saying};
use super::world::World;

pub(super) async fn nothing_is_known_of_a_conversation_that_never_was(world: World) {
    assert_eq!(world.store.load(&world.key).await.unwrap(), None);
    assert_eq!(world.events().await, Vec::<Event>::new());
    assert_eq!(world.progress("m1").await, None);
    world.store.delete(&world.key).await.unwrap();
}

pub(super) async fn events_come_in_pages_without_gaps(world: World) {
    let claim = world.drive("m1").await;
    let mut head = 0;
    for (n, count) in (1..).zip([1, 5, 2, 3]) {
        let events = (head + 1..=head + count).map(|seq| said(&claim, seq, &format!("text {seq}"))).collect();
        head += count;
        world.commit(&claim, &Commit { events, ..checkpoint(&claim, n, b"run") }, &going_on(T0)).await.unwrap();
    }
    for limit in [0, 1, 3, 4, 11, 100, usize::MAX] {
        for after in 0..=head + 1 {
            let page = world.store.events(&world.key, Seq(after), limit).await.unwrap();
            let seqs: Vec<u64> = page.iter().map(|event| event.seq.0).collect();
            let expected: Vec<u64> = (after + 1..=head).take(limit).collect();
            assert_eq!(seqs, expected, "after {after}, at most {limit}");
        }
    }
}

pub(super) async fn a_snapshot_and_the_events_after_it_make_the_same_state(world: World) {
    let mut fold = Tracker::default();
    for n in 1..=12_u64 {
        let claim = world.drive(&format!("m{n}")).await;
        let mut commit = world.finishing(&claim, 1).await;
        commit.events.iter().for_each(|event| fold.apply(event));
        if n % 5 == 0 {
            fold.snapshot = fold.head;
            commit.snapshot = Some(fold.clone());
        }
        world.commit(&claim, &commit, &going_on(T0)).await.unwrap();
        assert_eq!(world.load().await.tracker, fold, "after turn {n}");
    }
    let mut from_the_log = Tracker::default();
    world.events().await.iter().for_each(|event| from_the_log.apply(event));
    from_the_log.snapshot = fold.snapshot;
    assert_eq!(from_the_log, fold);
}

pub(super) async fn every_character_and_number_comes_back(world: World) {
    let texts = [
        "Grüße, 北京 🌦️ — e\u{301} \u{202e}right to left".to_owned(),
        "quotes \" ' ` back\\slash {{task}} \u{0} \u{1f} \r\n\t\u{2028}".to_owned(),
        "é".repeat(MESSAGE_BYTES / 2),
    ];
    let metadata = json!({"pi": 0.1 + 0.2, "small": 1e-300, "big": u64::MAX, "negative": i64::MIN, "none": null, "deep": [[{"ü": ""}]]});
    let metadata = metadata.as_object().unwrap().clone();
    for (n, text) in texts.iter().enumerate() {
        let content = MessageContent {
            text: text.clone(),
            metadata: metadata.clone(),
            payload: Some(json!({"src": "https://example.com/å.png"})),
            ..MessageContent::default()
        };
        let message = NewMessage { content, ..message(&format!("m{n}")) };
        let Acceptance::Accepted { position, then: cota_driver::store::AfterAccept::Drive(claimed) } =
            world.accept(message.clone(), &driving("a")).await
        else {
            panic!("the conversation is free");
        };
        let loaded = world.load().await;
        assert_eq!(loaded.inbox, [message.at_position(position)]);
        let item = ResultItem { metadata: metadata.clone(), ..ResultItem::text(text.clone()) };
        let mut commit = world.finishing(&claimed.claim, 1).await;
        if let Some(first) = Arc::make_mut(&mut commit.events).first_mut() {
            *first = action(&claimed.claim, first.seq.0, USER_UTTER, vec![item]);
        }
        world.commit(&claimed.claim, &commit, &going_on(T0)).await.unwrap();
        assert_eq!(world.store.events(&world.key, loaded.tracker.head, 9).await.unwrap(), *commit.events);
    }
}

pub(super) async fn a_turn_larger_than_an_item_of_a_service_comes_back(world: World) {
    let claim = world.drive("m1").await;
    let large = "0123456789abcdef".repeat(450 * 1024 / 16);
    let events = vec![said(&claim, 1, &large), said(&claim, 2, "small"), said(&claim, 3, &large)];
    let held = Commit { events: events.clone().into(), ..checkpoint(&claim, 1, large.as_bytes()) };
    world.commit(&claim, &held, &going_on(T0)).await.unwrap();
    assert_eq!(world.events().await, events);
    assert_eq!(world.store.events(&world.key, Seq(1), 1).await.unwrap(), events[1..2]);
    let loaded = world.load().await;
    assert_eq!(loaded.tracker.actions().map(|action| action.result[0].text.len()).collect::<Vec<_>>(), [large.len(), 5, large.len()]);
    assert_eq!(loaded.saved.as_deref(), Some(large.as_bytes()));
    world.finish(&claim, 2).await;
    assert!(matches!(world.events().await.last().map(|event| &event.body), Some(EventBody::TurnEnd(_))));
}

pub(super) async fn a_saved_run_comes_back_byte_by_byte(world: World) {
    let claim = world.drive("m1").await;
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    for (n, run) in (1..).zip([every_byte.as_slice(), b"\0", b"", b"{\"not\": utf-8 \xff}"]) {
        world.commit(&claim, &checkpoint(&claim, n, run), &going_on(T0)).await.unwrap();
        assert_eq!(world.load().await.saved.as_deref(), Some(run), "commit {n}");
    }
    assert_eq!(world.accept(saying("m1", "other"), &driving("a")).await, Acceptance::IdReused);
}
