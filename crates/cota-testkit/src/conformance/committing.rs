//! What a commit writes, once, and what becomes of the claim with it.

use cota_core::event::{InboxMessage, MessageContent};
use cota_core::ids::{CommitId, Position, Seq};
use cota_core::limits::LEASE_MS;
use cota_core::turn::Commit;
use cota_driver::store::{Acceptance, ClaimOutcome, CommitError, Next, Progress};

use super::samples::{T0, checkpoint, driving, finish, going_on, message, message_id, run_of, said, saying, sender, stopping};
use super::world::{World, handed_on, ids};

pub(super) async fn a_finish_answers_its_message(world: World) {
    let claim = world.drive("m1").await;
    let commit = world.finishing(&claim, 1).await;
    let committed = world.commit(&claim, &commit, &going_on(T0)).await.unwrap();
    assert_eq!((committed.head, committed.next), (Seq(3), Next::Released { ring: false }));
    assert_eq!(world.events().await, *commit.events);
    assert_eq!(world.progress("m1").await, Some(Progress::Answered { first: Seq(1), last: Seq(3) }));
    assert!(world.load().await.inbox.is_empty());
    assert_eq!(world.load().await.tracker.head, Seq(3));
    let again = world.drive("m2").await;
    assert!(again.epoch > claim.epoch);
    assert_eq!(world.finish(&again, 1).await.head, Seq(6));
    assert_eq!(world.progress("m2").await, Some(Progress::Answered { first: Seq(4), last: Seq(6) }));
}

pub(super) async fn a_finish_hands_the_claim_to_the_next_message(world: World) {
    let claim = world.drive("m1").await;
    for id in ["m2", "m3"] {
        world.wait(id).await;
    }
    let later = T0.plus_ms(5_000);
    let commit = world.finishing(&claim, 1).await;
    let (next, inbox) = handed_on(world.commit(&claim, &commit, &going_on(later)).await.unwrap());
    assert_eq!((next.run.clone(), next.epoch, next.takeovers), (run_of(&world.key, "m2"), claim.epoch, 0));
    assert_eq!(next.lease_until, later.plus_ms(LEASE_MS));
    assert_eq!(ids(&inbox), ["m2", "m3"]);
    assert_eq!(world.claim("b", later).await, ClaimOutcome::Held { until: next.lease_until });
    let (last, _) = handed_on(world.finish(&next, 1).await);
    assert_eq!(world.finish(&last, 1).await.next, Next::Released { ring: false });
    assert_eq!(world.events().await.len(), 9);
}

pub(super) async fn a_commit_of_the_run_before_is_fenced(world: World) {
    let claim = world.drive("m1").await;
    world.wait("m2").await;
    let (next, _) = handed_on(world.finish(&claim, 1).await);
    let late = world.commit(&claim, &checkpoint(&claim, 2, b"late"), &going_on(T0)).await;
    assert_eq!(late, Err(CommitError::Fenced), "it bears the present epoch and moves no event, and yet its run is over");
    assert_eq!(world.load().await.saved, None);
    let taken = world.take("b", T0.plus_ms(2 * LEASE_MS)).await;
    assert_eq!(taken.claim.run, next.run);
}

pub(super) async fn a_message_accepted_between_load_and_finish_is_not_lost(world: World) {
    let claim = world.drive("m1").await;
    let commit = world.finishing(&claim, 1).await;
    world.wait("m2").await;
    let (next, inbox) = handed_on(world.commit(&claim, &commit, &going_on(T0)).await.unwrap());
    assert_eq!((next.run, ids(&inbox)), (run_of(&world.key, "m2"), vec!["m2".to_owned()]));
}

pub(super) async fn a_driver_that_does_not_go_on_releases_and_rings(world: World) {
    let claim = world.drive("m1").await;
    world.wait("m2").await;
    let commit = world.finishing(&claim, 1).await;
    assert_eq!(world.commit(&claim, &commit, &stopping(T0)).await.unwrap().next, Next::Released { ring: true });
    let taken = world.take("b", T0).await;
    assert_eq!((taken.claim.run.clone(), taken.claim.takeovers, taken.head), (run_of(&world.key, "m2"), 0, Seq(3)));
    assert!(taken.claim.epoch > claim.epoch);
    assert_eq!(taken.last_commit, Some(commit.commit_id));
    let commit = world.finishing(&taken.claim, 1).await;
    assert_eq!(world.commit(&taken.claim, &commit, &stopping(T0)).await.unwrap().next, Next::Released { ring: false });
}

pub(super) async fn a_repeated_commit_is_written_once(world: World) {
    let claim = world.drive("m1").await;
    let held = Commit { events: [said(&claim, 1, "one moment")].into(), ..checkpoint(&claim, 1, b"run") };
    for _ in 0..3 {
        let committed = world.commit(&claim, &held, &going_on(T0)).await.unwrap();
        assert_eq!((committed.head, committed.next), (Seq(1), Next::Held));
    }
    let commit = world.finishing(&claim, 2).await;
    for _ in 0..3 {
        let committed = world.commit(&claim, &commit, &going_on(T0)).await.unwrap();
        assert_eq!((committed.head, committed.next), (Seq(4), Next::Released { ring: false }));
    }
    assert_eq!(world.events().await.len(), 4);
    let next = world.drive("m2").await;
    assert_eq!(world.finish(&next, 1).await.head, Seq(7), "the repeats left the conversation free");
}

pub(super) async fn a_repeated_finish_still_hands_the_claim_on(world: World) {
    let claim = world.drive("m1").await;
    world.wait("m2").await;
    let commit = world.finishing(&claim, 1).await;
    let first = world.commit(&claim, &commit, &going_on(T0)).await.unwrap();
    world.wait("m3").await;
    let again = world.commit(&claim, &commit, &going_on(T0)).await.unwrap();
    let ((claim_of_first, _), (next, inbox)) = (handed_on(first), handed_on(again));
    assert_eq!(claim_of_first, next);
    assert_eq!(ids(&inbox), ["m2", "m3"], "what came meanwhile is told as well");
    assert_eq!(world.events().await.len(), 3);
    world.finish(&next, 1).await;
    assert_eq!(world.events().await.len(), 6);
}

pub(super) async fn a_repeated_commit_with_the_same_id_ignores_other_content(world: World) {
    let claim = world.drive("m1").await;
    world.commit(&claim, &checkpoint(&claim, 1, b"first"), &going_on(T0)).await.unwrap();
    let other = Commit { events: [said(&claim, 1, "no")].into(), ..checkpoint(&claim, 1, b"second") };
    assert_eq!(world.commit(&claim, &other, &going_on(T0)).await.unwrap().head, Seq(0));
    assert_eq!(world.load().await.saved.as_deref(), Some(&b"first"[..]));
    let second = world.take("b", T0.plus_ms(2 * LEASE_MS)).await.claim;
    assert_eq!(world.commit(&claim, &other, &going_on(T0)).await, Err(CommitError::Fenced), "another drives the run by now");
    world.finish(&second, 2).await;
}

pub(super) async fn a_checkpoint_saves_the_run_and_a_finish_clears_it(world: World) {
    let claim = world.drive("m1").await;
    world.commit(&claim, &checkpoint(&claim, 1, b"one"), &going_on(T0)).await.unwrap();
    world.commit(&claim, &checkpoint(&claim, 2, b"two"), &going_on(T0)).await.unwrap();
    assert_eq!(world.load().await.saved.as_deref(), Some(&b"two"[..]));
    world.finish(&claim, 3).await;
    assert_eq!(world.load().await.saved, None);
    let next = world.drive("m2").await;
    assert_eq!(next.takeovers, 0);
}

pub(super) async fn a_checkpoint_without_events_leaves_the_head(world: World) {
    let claim = world.drive("m1").await;
    let committed = world.commit(&claim, &checkpoint(&claim, 1, b"run"), &going_on(T0)).await.unwrap();
    assert_eq!((committed.head, committed.next), (Seq(0), Next::Held));
    let taken = world.take("b", T0.plus_ms(2 * LEASE_MS)).await;
    assert_eq!((taken.head, taken.last_commit, taken.saved), (Seq(0), Some(CommitId(format!("{}/1", claim.run).into())), true));
}

pub(super) async fn events_that_do_not_follow_the_head_are_refused(world: World) {
    let claim = world.drive("m1").await;
    let inbox = world.load().await.inbox;
    let gap = finish(&claim, 1, Seq(5), &inbox);
    assert_eq!(world.commit(&claim, &gap, &going_on(T0)).await, Err(CommitError::Fenced));
    assert!(world.events().await.is_empty());
    assert_eq!(world.finish(&claim, 1).await.head, Seq(3));
}

pub(super) async fn several_messages_share_one_answer(world: World) {
    let claim = world.drive("m1").await;
    for id in ["m2", "m3", "m4"] {
        world.wait(id).await;
    }
    let inbox = world.load().await.inbox;
    let merged = finish(&claim, 1, Seq(0), &inbox[..3]);
    let (next, rest) = handed_on(world.commit(&claim, &merged, &going_on(T0)).await.unwrap());
    assert_eq!((next.run, ids(&rest)), (run_of(&world.key, "m4"), vec!["m4".to_owned()]));
    for id in ["m1", "m2", "m3"] {
        assert_eq!(world.progress(id).await, Some(Progress::Answered { first: Seq(1), last: Seq(3) }));
    }
    assert_eq!(world.progress("m4").await, Some(Progress::Pending));
}

pub(super) async fn an_answer_spans_every_commit_of_its_run(world: World) {
    let first = world.drive("m1").await;
    world.wait("m2").await;
    let held = Commit { events: [said(&first, 1, "one"), said(&first, 2, "two")].into(), ..checkpoint(&first, 1, b"run") };
    world.commit(&first, &held, &going_on(T0)).await.unwrap();
    let second = world.take("b", T0.plus_ms(2 * LEASE_MS)).await.claim;
    let (third, _) = handed_on(world.finish(&second, 2).await);
    world.finish(&third, 1).await;
    assert_eq!(world.progress("m1").await, Some(Progress::Answered { first: Seq(1), last: Seq(5) }));
    assert_eq!(world.progress("m2").await, Some(Progress::Answered { first: Seq(6), last: Seq(8) }));
}

pub(super) async fn a_follow_up_waits_like_any_message(world: World) {
    let claim = world.drive("m1").await;
    world.wait("m2").await;
    let content = MessageContent { text: "next exchange".to_owned(), proxy_exchange: Some(2), ..MessageContent::default() };
    let follow_up = InboxMessage { position: Position(0), sender: sender("ann"), message_id: message_id("follow-up"), at: T0, content };
    let commit = Commit { follow_up: Some(follow_up.clone()), ..world.finishing(&claim, 1).await };
    let (next, inbox) = handed_on(world.commit(&claim, &commit, &going_on(T0)).await.unwrap());
    assert_eq!(ids(&inbox), ["m2", "follow-up"]);
    assert!(inbox.is_sorted_by_key(|message| message.position));
    assert_eq!(inbox.last().map(|message| &message.content), Some(&follow_up.content));
    assert_eq!(world.load().await.inbox, inbox);
    assert_eq!(world.accept(saying("follow-up", "next exchange"), &driving("a")).await, Acceptance::Repeated(Progress::Pending));
    assert_eq!(world.accept(message("follow-up"), &driving("a")).await, Acceptance::IdReused);
    let (last, _) = handed_on(world.finish(&next, 1).await);
    assert_eq!(last.run, run_of(&world.key, "follow-up"));
    assert_eq!(world.finish(&last, 1).await.next, Next::Released { ring: false });
    assert_eq!(world.progress("follow-up").await, Some(Progress::Answered { first: Seq(7), last: Seq(9) }));
}
