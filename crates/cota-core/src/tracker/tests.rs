use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ids::{BotDigest, BotName, ConversationId, ConversationKey, MessageId, Owner, RunId, SenderId, Timestamp};

fn event(seq: u64, name: &str, text: &str, state: Option<FormState>) -> Event {
    let key = ConversationKey { bot: BotName::new("b").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() };
    Event {
        v: 1,
        seq: Seq(seq),
        run: RunId::of(&key, &SenderId::new("u").unwrap(), &MessageId::new("m").unwrap()),
        at: Timestamp(seq),
        bot_digest: BotDigest::of(b""),
        message_id: None,
        body: EventBody::from(ActionRecord {
            name: name.to_owned(),
            timestamp: 0.0,
            sender_id: "u".to_owned(),
            receiver_id: "bot".to_owned(),
            result: vec![ResultItem::text(text)],
            slots: state.map(|_| json!({"city": text}).as_object().unwrap().clone()),
            state,
        }),
    }
}

fn fold(events: &[Event]) -> Tracker {
    events.iter().fold(Tracker::default(), |mut tracker, event| {
        tracker.apply(event);
        tracker
    })
}

#[test]
fn a_form_that_is_left_keeps_its_slots_and_one_that_ends_clears_them() {
    let mut tracker = fold(&[event(1, "UserUtter", "hi", None), event(2, "Weather", "Oslo", Some(FormState::Start))]);
    assert_eq!(tracker.active_form(), Some("Weather"));
    tracker.apply(&event(3, "Weather", "Oslo", Some(FormState::Break)));
    assert_eq!(tracker.active_form(), None);
    assert_eq!(tracker.form_slots("Weather").unwrap()["city"], "Oslo");
    tracker.apply(&event(4, "Weather", "Oslo", Some(FormState::End)));
    assert_eq!(tracker.form_slots("Weather"), None);
    assert_eq!(tracker.formless().map(|action| action.name.as_str()).collect::<Vec<_>>(), ["UserUtter", "Weather"]);
}

#[test]
fn the_same_event_twice_is_folded_once() {
    let once = fold(&[event(1, "UserUtter", "hi", None)]);
    let twice = fold(&[event(1, "UserUtter", "hi", None), event(1, "UserUtter", "hi", None)]);
    assert_eq!(once, twice);
}

#[test]
fn a_message_for_another_person_is_not_part_of_the_dialogue() {
    let mut relayed = event(1, "UserUtter", "psst", None);
    if let EventBody::Action(action) = &mut relayed.body {
        Arc::make_mut(action).receiver_id = "ann".to_owned();
    }
    assert_eq!(fold(&[relayed]).latest_user(), None);
}

proptest! {
    #[test]
    fn trimming_early_or_late_leaves_the_same(kinds in prop::collection::vec((0..4_u8, 0..400_usize), 0..200), at in 0..200_usize) {
        let events: Vec<Event> = kinds.iter().enumerate().map(|(index, (kind, length))| {
            let (name, state) = match kind {
                0 => ("UserUtter", None),
                1 => ("Selector", None),
                2 => ("Weather", Some(FormState::Start)),
                _ => ("BotUtter", None),
            };
            event(index as u64 + 1, name, &"x".repeat(*length), state)
        }).collect();
        let mut late = fold(&events);
        late.trim(3000);
        let (first, second) = events.split_at(at.min(events.len()));
        let mut early = fold(first);
        early.trim(3000);
        let saved: Tracker = serde_json::from_str(&serde_json::to_string(&early).unwrap()).unwrap();
        prop_assert_eq!(&saved, &early);
        early = saved;
        for event in second {
            early.apply(event);
        }
        early.trim(3000);
        prop_assert_eq!(early, late);
    }
}
