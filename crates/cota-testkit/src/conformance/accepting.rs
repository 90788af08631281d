//! Who is acknowledged, who waits, who is refused.

use cota_core::ids::{Position, Seq};
use cota_core::limits;
use cota_driver::store::{AcceptTerms, Acceptance, AfterAccept, NewMessage, Progress};
use futures_util::future::join_all;

use super::samples::{T0, driving, message, ringing, run_of, saying, sender};
use super::world::World;

fn position(acceptance: &Acceptance) -> Position {
    match acceptance {
        Acceptance::Accepted { position, .. } => *position,
        other => panic!("it is accepted: {other:?}"),
    }
}

pub(super) async fn a_free_conversation_is_the_acceptors(world: World) {
    let Acceptance::Accepted { position, then: AfterAccept::Drive(claimed) } = world.accept(message("m1"), &driving("a")).await else {
        panic!("nobody else can have the claim");
    };
    assert!(position > Position(0));
    assert_eq!(claimed.claim.run, run_of(&world.key, "m1"));
    assert_eq!(claimed.claim.holder.0, "a");
    assert_eq!(claimed.claim.lease_until, T0.plus_ms(limits::LEASE_MS));
    assert_eq!((claimed.claim.takeovers, claimed.head, claimed.last_commit, claimed.saved), (0, Seq(0), None, false));
    let inbox = world.load().await.inbox;
    assert_eq!(inbox, [message("m1").at_position(position)]);
}

pub(super) async fn an_acceptor_that_does_not_drive_rings(world: World) {
    let accepted = world.accept(message("m1"), &ringing()).await;
    assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Ring, .. }), "{accepted:?}");
    let accepted = world.accept(message("m2"), &driving("a")).await;
    assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Ring, .. }), "an older message waits: {accepted:?}");
    assert_eq!(world.take("a", T0).await.claim.run, run_of(&world.key, "m1"));
}

pub(super) async fn a_message_waits_for_a_live_claim_and_rings_for_a_lapsed_one(world: World) {
    world.drive("m1").await;
    let accepted = world.accept(message("m2"), &driving("b")).await;
    assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Wait, .. }), "{accepted:?}");
    let late = NewMessage { at: T0.plus_ms(limits::LEASE_MS), ..message("m3") };
    let accepted = world.accept(late, &driving("b")).await;
    assert!(matches!(accepted, Acceptance::Accepted { then: AfterAccept::Ring, .. }), "{accepted:?}");
}

pub(super) async fn the_same_message_again_is_not_recorded_twice(world: World) {
    let claim = world.drive("m1").await;
    assert_eq!(world.accept(message("m1"), &driving("b")).await, Acceptance::Repeated(Progress::Pending));
    assert_eq!(world.progress("m1").await, Some(Progress::Pending));
    world.finish(&claim, 1).await;
    let answered = Progress::Answered { first: Seq(1), last: Seq(3) };
    let later = NewMessage { at: T0.plus_ms(60_000), ..message("m1") };
    assert_eq!(world.accept(later, &driving("b")).await, Acceptance::Repeated(answered));
    assert_eq!(world.progress("m1").await, Some(answered));
    assert!(world.waiting_ids().await.is_empty());
    assert_eq!(world.claim("b", T0).await, cota_driver::store::ClaimOutcome::Idle);
}

pub(super) async fn an_id_stands_for_one_text(world: World) {
    let claim = world.drive("m1").await;
    assert_eq!(world.accept(saying("m1", "another text"), &driving("a")).await, Acceptance::IdReused);
    world.finish(&claim, 1).await;
    assert_eq!(world.accept(saying("m1", "another text"), &driving("a")).await, Acceptance::IdReused);
    assert!(world.waiting_ids().await.is_empty());
}

pub(super) async fn ids_are_in_the_scope_of_their_sender(world: World) {
    world.drive("m1").await;
    let of_ben = NewMessage { sender: sender("ben"), ..saying("m1", "from Ben") };
    position(&world.accept(of_ben.clone(), &driving("a")).await);
    assert_eq!(world.accept(of_ben, &driving("a")).await, Acceptance::Repeated(Progress::Pending));
    assert_eq!(world.waiting_ids().await, ["m1", "m1"]);
}

pub(super) async fn messages_wait_in_the_order_of_acceptance(world: World) {
    let mut positions = Vec::new();
    for id in ["z", "a", "m", "b"] {
        positions.push(position(&world.accept(message(id), &driving("a")).await));
    }
    assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
    let inbox = world.load().await.inbox;
    assert_eq!(inbox.iter().map(|message| message.position).collect::<Vec<_>>(), positions);
    assert_eq!(world.waiting_ids().await, ["z", "a", "m", "b"]);
}

pub(super) async fn a_full_queue_refuses_and_records_nothing(world: World) {
    let claim = world.drive("m1").await;
    let terms = AcceptTerms { max_queue: 2, ..driving("a") };
    for id in ["m2", "m3"] {
        position(&world.accept(message(id), &terms).await);
    }
    assert_eq!(world.accept(message("m4"), &terms).await, Acceptance::QueueFull);
    assert_eq!(world.accept(message("m2"), &terms).await, Acceptance::Repeated(Progress::Pending), "a repeat is no new message");
    assert_eq!(world.progress("m4").await, None);
    world.finish(&claim, 1).await;
    position(&world.accept(message("m4"), &terms).await);
    assert_eq!(world.waiting_ids().await, ["m2", "m3", "m4"]);
}

pub(super) async fn a_busy_conversation_rejects_on_request(world: World) {
    let reject = AcceptTerms { reject_if_busy: true, ..driving("a") };
    position(&world.accept(message("m1"), &reject).await);
    assert_eq!(world.accept(message("m2"), &reject).await, Acceptance::Busy);
    assert_eq!(world.accept(message("m1"), &reject).await, Acceptance::Repeated(Progress::Pending));
    assert_eq!(world.progress("m2").await, None);
    assert_eq!(world.waiting_ids().await, ["m1"]);
}

pub(super) async fn messages_sent_at_once_get_places_of_their_own(world: World) {
    let names: Vec<String> = (0..16).map(|n| format!("m{n}")).collect();
    let accepted = join_all(names.iter().map(|id| world.accept(message(id), &TERMS))).await;
    let mut positions: Vec<Position> = accepted.iter().map(position).collect();
    positions.sort();
    positions.dedup();
    assert_eq!(positions.len(), names.len());
    assert_eq!(world.load().await.inbox.len(), names.len());
}

pub(super) async fn one_of_several_acceptors_at_once_drives(world: World) {
    let terms: Vec<AcceptTerms> = (0..8).map(|n| driving(&format!("holder-{n}"))).collect();
    let names: Vec<String> = (0..8).map(|n| format!("m{n}")).collect();
    let accepted = join_all(names.iter().zip(&terms).map(|(id, terms)| world.accept(message(id), terms))).await;
    let drivers = accepted.iter().filter(|accepted| matches!(accepted, Acceptance::Accepted { then: AfterAccept::Drive(_), .. })).count();
    assert_eq!(drivers, 1);
}

const TERMS: AcceptTerms = AcceptTerms { drive_as: None, max_queue: 16, reject_if_busy: false, wakes: false };
