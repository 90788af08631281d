//! Long lives, several owners, and the end of a conversation.

use cota_core::ids::Seq;
use cota_core::limits::LEASE_MS;
use cota_driver::store::{Acceptance, AfterAccept, ClaimOutcome, CommitError, NewMessage};

use super::samples::{T0, checkpoint, driving, finish, going_on, key, message};
use super::world::World;

pub(super) async fn a_thousand_turns_keep_their_order(world: World) {
    let mut tracker = world.store.load(&world.key).await.unwrap().unwrap_or_default().tracker;
    for n in 1..=1000_u64 {
        let claim = world.drive(&format!("m{n}")).await;
        let inbox = world.load().await.inbox;
        let mut commit = finish(&claim, 1, tracker.head, &inbox);
        commit.events.iter().for_each(|event| tracker.apply(event));
        tracker.trim(0);
        if n % 20 == 0 {
            tracker.snapshot = tracker.head;
            commit.snapshot = Some(tracker.clone());
        }
        let committed = world.commit(&claim, &commit, &going_on(T0)).await.unwrap();
        assert_eq!(committed.head, Seq(3 * n));
    }
    let (mut after, mut read) = (Seq(0), Vec::new());
    loop {
        let page = world.store.events(&world.key, after, 700).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        read.extend(page.iter().map(|event| event.seq.0));
    }
    assert_eq!(read, (1..=3000).collect::<Vec<_>>());
    assert_eq!(world.load().await.tracker, tracker);
}

pub(super) async fn the_same_id_under_two_owners_is_two_conversations(world: World) {
    let other = World { key: key("somebody", world.key.id.as_str()), ..world.clone() };
    let claim = world.drive("m1").await;
    assert_ne!(claim.run, other.drive("m1").await.run);
    world.finish(&claim, 1).await;
    assert!(other.events().await.is_empty());
    world.store.delete(&world.key).await.unwrap();
    assert_eq!(other.waiting_ids().await, ["m1"]);
}

pub(super) async fn a_deleted_conversation_leaves_nothing(world: World) {
    let claim = world.drive("m1").await;
    world.finish(&claim, 1).await;
    let claim = world.drive("m2").await;
    world.wait("m3").await;
    world.commit(&claim, &checkpoint(&claim, 1, b"run"), &going_on(T0)).await.unwrap();
    world.store.delete(&world.key).await.unwrap();
    assert_eq!(world.store.load(&world.key).await.unwrap(), None);
    assert!(world.events().await.is_empty());
    for id in ["m1", "m2", "m3"] {
        assert_eq!(world.progress(id).await, None);
    }
    assert_eq!(world.claim("b", T0.plus_ms(LEASE_MS)).await, ClaimOutcome::Idle);
    let unfinished = world.store.unfinished(T0).await.unwrap();
    assert!(unfinished.iter().all(|(key, _)| *key != world.key));
}

pub(super) async fn deleting_fences_a_running_turn(world: World) {
    let claim = world.drive("m1").await;
    let finish = world.finishing(&claim, 1).await;
    world.store.delete(&world.key).await.unwrap();
    assert_eq!(world.commit(&claim, &finish, &going_on(T0)).await, Err(CommitError::Fenced));
    assert_eq!(world.store.renew(&world.key, &claim, T0).await, Err(CommitError::Fenced));
    assert_eq!(world.store.load(&world.key).await.unwrap(), None, "the turn does not bring it back");
}

pub(super) async fn a_conversation_begun_again_starts_at_the_first_seq(world: World) {
    for n in 1..=40 {
        let claim = world.drive(&format!("m{n}")).await;
        world.finish(&claim, 1).await;
    }
    let old = world.drive("m1-again").await;
    let stale = world.finishing(&old, 1).await;
    world.store.delete(&world.key).await.unwrap();
    let again = NewMessage { at: T0.plus_ms(1), ..message("m1") };
    let Acceptance::Accepted { then: AfterAccept::Drive(claimed), .. } = world.accept(again, &driving("a")).await else {
        panic!("a new conversation is free");
    };
    assert!(claimed.claim.epoch > old.epoch);
    assert_eq!((claimed.head, claimed.last_commit.clone(), claimed.saved), (Seq(0), None, false));
    assert_eq!(world.commit(&old, &stale, &going_on(T0)).await, Err(CommitError::Fenced));
    assert_eq!(world.finish(&claimed.claim, 1).await.head, Seq(3));
    assert_eq!(world.events().await[0].seq, Seq(1));
}

pub(super) async fn the_store_is_ready(world: World) {
    assert_eq!(world.store.ready().await, Ok(()));
}
