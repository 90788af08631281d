//! Who drives, and how one who no longer does is kept from writing.

use cota_core::ids::Timestamp;
use cota_core::limits::{LEASE_MS, TAKEOVERS};
use cota_core::turn::Then;
use cota_driver::store::{Acceptance, ClaimOutcome, CommitError, CommitTerms, Next};
use futures_util::future::join_all;

use super::samples::{T0, checkpoint, driving, going_on, key, message, ringing, run_of, stopping, waking};
use super::world::{ThenExt as _, World, handed_on};

const LAPSED: Timestamp = Timestamp(T0.0 + LEASE_MS);

pub(super) async fn a_conversation_without_work_is_idle(world: World) {
    assert_eq!(world.claim("a", T0).await, ClaimOutcome::Idle);
    let claim = world.drive("m1").await;
    world.finish(&claim, 1).await;
    assert_eq!(world.claim("b", LAPSED).await, ClaimOutcome::Idle);
}

pub(super) async fn a_live_claim_is_held(world: World) {
    let claim = world.drive("m1").await;
    for by in ["b", "a"] {
        assert_eq!(world.claim(by, Timestamp(LAPSED.0 - 1)).await, ClaimOutcome::Held { until: claim.lease_until });
    }
}

pub(super) async fn a_lapsed_claim_is_taken_over_for_the_same_run(world: World) {
    let first = world.drive("m1").await;
    let taken = world.take("b", LAPSED).await;
    assert_eq!((taken.claim.run, taken.claim.holder.0.as_str(), taken.claim.takeovers), (first.run, "b", 1));
    assert_eq!(taken.claim.lease_until, LAPSED.plus_ms(LEASE_MS));
    assert!(taken.claim.epoch > first.epoch);
}

pub(super) async fn one_of_several_claimants_wins(world: World) {
    let first = world.drive("m1").await;
    let names: Vec<String> = (0..8).map(|n| format!("holder-{n}")).collect();
    let outcomes = join_all(names.iter().map(|by| world.claim(by, LAPSED))).await;
    let (won, held): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|outcome| matches!(outcome, ClaimOutcome::Taken(_)));
    let [ClaimOutcome::Taken(taken)] = won.as_slice() else { panic!("one wins: {won:?}") };
    assert!(taken.claim.epoch > first.epoch);
    assert!(held.iter().all(|outcome| *outcome == ClaimOutcome::Held { until: taken.claim.lease_until }), "{held:?}");
}

pub(super) async fn whoever_lost_the_claim_is_fenced(world: World) {
    let first = world.drive("m1").await;
    let stale = world.finishing(&first, 1).await;
    let second = world.take("b", LAPSED).await.claim;
    assert_eq!(world.commit(&first, &stale, &going_on(LAPSED)).await, Err(CommitError::Fenced));
    assert_eq!(world.commit(&first, &checkpoint(&first, 1, b"run"), &going_on(LAPSED)).await, Err(CommitError::Fenced));
    assert_eq!(world.store.renew(&world.key, &first, LAPSED.plus_ms(LEASE_MS)).await, Err(CommitError::Fenced));
    assert!(world.events().await.is_empty());
    assert_eq!(world.load().await.saved, None);
    world.finish(&second, 1).await;
    let repeated = world.commit(&first, &stale, &going_on(LAPSED)).await;
    assert_eq!(repeated, Err(CommitError::Fenced), "the id is its successor's, whatever is in it");
    assert_eq!(world.commit(&first, &checkpoint(&first, 2, b"run"), &going_on(LAPSED)).await, Err(CommitError::Fenced));
    assert_eq!(world.events().await.len(), 3);
}

pub(super) async fn a_renewed_lease_holds_longer_and_tells_of_newer_messages(world: World) {
    let claim = world.drive("m1").await;
    let until = T0.plus_ms(3 * LEASE_MS);
    let before = world.store.renew(&world.key, &claim, until).await.unwrap();
    assert_eq!(world.claim("b", LAPSED).await, ClaimOutcome::Held { until });
    world.wait("m2").await;
    let after = world.store.renew(&world.key, &claim, until).await.unwrap();
    assert!(after.last > before.last);
    assert_eq!(world.take("b", until).await.claim.takeovers, 1);
}

pub(super) async fn takeovers_are_counted_for_each_run(world: World) {
    world.drive("m1").await;
    world.wait("m2").await;
    let mut now = T0;
    for takeover in 1..=TAKEOVERS {
        now = now.plus_ms(LEASE_MS);
        let taken = world.take(&format!("holder-{takeover}"), now).await;
        assert_eq!(taken.claim.takeovers, takeover);
        let saved = checkpoint(&taken.claim, takeover, b"run");
        assert_eq!(world.commit(&taken.claim, &saved, &going_on(now)).await.unwrap().next, Next::Held);
    }
    let last = world.take("z", now.plus_ms(LEASE_MS)).await.claim;
    assert_eq!(last.takeovers, TAKEOVERS + 1);
    let (next, _) = handed_on(world.finish(&last, 9).await);
    assert_eq!((next.run, next.takeovers), (run_of(&world.key, "m2"), 0));
}

pub(super) async fn a_parked_run_is_resumed_at_its_time(world: World) {
    let claim = world.drive("m1").await;
    let until = T0.plus_ms(40_000);
    let park = checkpoint(&claim, 1, b"parked").then(Then::Park(until));
    let parked = world.commit(&claim, &park, &going_on(T0)).await.unwrap();
    assert_eq!(parked.next, Next::Released { ring: false });
    assert_eq!(world.claim("b", LAPSED).await, ClaimOutcome::Parked { until });
    assert_eq!(world.store.renew(&world.key, &claim, until).await, Err(CommitError::Fenced), "the claim is let go");
    let resumed = world.take("b", until).await;
    assert_eq!((resumed.claim.run.clone(), resumed.claim.takeovers, resumed.saved), (claim.run, 0, true));
    assert!(resumed.claim.epoch > claim.epoch);
    assert_eq!(world.load().await.saved.as_deref(), Some(&b"parked"[..]));
    world.finish(&resumed.claim, 2).await;
    assert_eq!(world.claim("c", until).await, ClaimOutcome::Idle);
}

pub(super) async fn a_claim_that_is_let_go_is_there_for_whoever_comes(world: World) {
    let claim = world.drive("m1").await;
    world.commit(&claim, &checkpoint(&claim, 1, b"run"), &going_on(T0)).await.unwrap();
    assert_eq!(world.store.release(&world.key, &claim, T0).await, Ok(()));
    assert_eq!(world.store.release(&world.key, &claim, T0).await, Err(CommitError::Fenced), "it is nobody's by now");
    assert_eq!(world.commit(&claim, &checkpoint(&claim, 2, b"late"), &going_on(T0)).await, Err(CommitError::Fenced));
    let accepted = world.accept(message("m2"), &waking()).await;
    assert!(matches!(accepted, Acceptance::Accepted { then: cota_driver::store::AfterAccept::Ring, .. }), "{accepted:?}");
    let next = world.take("b", T0).await;
    assert_eq!((next.claim.run, next.claim.takeovers, next.saved), (claim.run, 0, true));
    assert_eq!(world.load().await.saved.as_deref(), Some(&b"run"[..]));
}

pub(super) async fn a_saved_run_goes_before_a_newer_message(world: World) {
    let claim = world.drive("m1").await;
    let park = checkpoint(&claim, 1, b"parked").then(Then::Park(LAPSED));
    world.commit(&claim, &park, &going_on(T0)).await.unwrap();
    let accepted = world.accept(message("m2"), &driving("b")).await;
    assert!(matches!(accepted, Acceptance::Accepted { then: cota_driver::store::AfterAccept::Ring, .. }), "{accepted:?}");
    let resumed = world.take("b", LAPSED).await;
    assert_eq!((resumed.claim.run, resumed.saved), (claim.run, true));
    assert_eq!(world.waiting_ids().await, ["m1", "m2"]);
}

pub(super) async fn a_message_for_a_parked_run_wakes_it(world: World) {
    let claim = world.drive("m1").await;
    let start = world.load().await.inbox;
    let far = T0.plus_ms(1_000_000_000);
    let park = checkpoint(&claim, 1, b"parked").then(Then::Park(far));
    let heard = CommitTerms { heard: start.last().map(|message| message.position), ..going_on(T0) };
    assert_eq!(world.commit(&claim, &park, &heard).await.unwrap().next, Next::Released { ring: false });
    assert_eq!(world.claim("b", LAPSED).await, ClaimOutcome::Parked { until: far });
    let accepted = world.accept(message("m2"), &waking()).await;
    assert!(matches!(accepted, Acceptance::Accepted { then: cota_driver::store::AfterAccept::Ring, .. }), "{accepted:?}");
    let woken = world.take("b", LAPSED).await;
    assert_eq!((woken.claim.run.clone(), woken.saved), (claim.run, true));
    let waiting = world.load().await.inbox;
    let answering = checkpoint(&woken.claim, 2, b"parked again").answering(&waiting[1..]).then(Then::Park(far));
    let heard = CommitTerms { heard: waiting.last().map(|message| message.position), ..going_on(LAPSED) };
    assert_eq!(world.commit(&woken.claim, &answering, &heard).await.unwrap().next, Next::Released { ring: false });
    assert_eq!(world.waiting_ids().await, ["m1"], "what was answered waits no more; the run's own message does");
    assert_eq!(world.claim("c", LAPSED).await, ClaimOutcome::Parked { until: far });
}

pub(super) async fn a_run_is_not_parked_past_a_message_that_it_has_not_heard(world: World) {
    let claim = world.drive("m1").await;
    let start = world.load().await.inbox;
    world.accept(message("m2"), &waking()).await;
    let far = T0.plus_ms(1_000_000_000);
    let park = checkpoint(&claim, 1, b"parked").then(Then::Park(far));
    let heard = CommitTerms { heard: start.last().map(|message| message.position), ..going_on(T0) };
    for _ in 0..2 {
        assert_eq!(world.commit(&claim, &park, &heard).await.unwrap().next, Next::Released { ring: true });
    }
    assert_eq!(world.take("b", T0).await.claim.run, claim.run);
}

pub(super) async fn unfinished_work_is_listed_with_its_time(world: World) {
    let until = T0.plus_ms(90_000);
    let [live, parked, waiting, left, done] =
        ["live", "parked", "waiting", "left", "done"].map(|id| World { key: key("unfinished", id), ..world.clone() });
    live.drive("m1").await;
    let claim = parked.drive("m1").await;
    parked.commit(&claim, &checkpoint(&claim, 1, b"run").then(Then::Park(until)), &going_on(T0)).await.unwrap();
    waiting.accept(message("m1"), &ringing()).await;
    let claim = left.drive("m1").await;
    left.wait("m2").await;
    let finish = left.finishing(&claim, 1).await;
    left.commit(&claim, &finish, &stopping(T0)).await.unwrap();
    let claim = done.drive("m1").await;
    done.finish(&claim, 1).await;
    for (now, live_at) in [(T0, LAPSED), (LAPSED.plus_ms(1), LAPSED.plus_ms(1))] {
        let mut listed = world.store.unfinished(now).await.unwrap();
        listed.retain(|(key, _)| key.owner == live.key.owner);
        listed.sort();
        let mut expected =
            vec![(live.key.clone(), live_at), (parked.key.clone(), until), (waiting.key.clone(), now), (left.key.clone(), now)];
        expected.sort();
        assert_eq!(listed, expected);
    }
}
