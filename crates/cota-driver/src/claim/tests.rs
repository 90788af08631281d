use super::*;

use cota_core::event::{Control, Event, EventBody, MessageContent};
use cota_core::ids::{BotDigest, BotName, ConversationId, MessageId, Owner, SenderId};
use cota_core::turn::Answered;

const T0: Timestamp = Timestamp(1_000_000);

fn key() -> ConversationKey {
    ConversationKey { bot: BotName::new("bot").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() }
}

fn sender() -> SenderId {
    SenderId::new("ann").unwrap()
}

fn id(name: &str) -> MessageId {
    MessageId::new(name).unwrap()
}

fn run(name: &str) -> RunId {
    RunId::of(&key(), &sender(), &id(name))
}

fn holder(name: &str) -> Holder {
    Holder(name.to_owned())
}

fn accept(record: &mut ClaimRecord, name: &str, at: Timestamp, drive_as: Option<&str>) -> AcceptRule {
    let message = NewMessage { sender: sender(), message_id: id(name), at, content: MessageContent::default() };
    let terms = AcceptTerms { drive_as: drive_as.map(holder), max_queue: 2, reject_if_busy: false, wakes: false };
    record.accept(&key(), &message, &terms)
}

/// A conversation whose first message `m1` is driven by `a`.
fn driven() -> (ClaimRecord, Claim) {
    let mut record = ClaimRecord::new(T0);
    let AcceptRule::Write { then: AfterAccept::Drive(claimed), .. } = accept(&mut record, "m1", T0, Some("a")) else {
        panic!("a free conversation is the acceptor's");
    };
    (record, claimed.claim)
}

fn commit(run: &RunId, n: u32, first: u64, events: u64, then: Then) -> Commit {
    let event = |seq| Event {
        v: 1,
        seq: Seq(seq),
        run: run.clone(),
        at: T0,
        bot_digest: BotDigest::of(b"bot"),
        message_id: None,
        body: EventBody::Control(Control::Superseded),
    };
    let over = then == Then::Finish;
    Commit {
        commit_id: CommitId(format!("{run}/{n}").into()),
        events: (first..first + events).map(event).collect(),
        run: if over { RunState::Clear } else { RunState::Put(vec![1]) },
        snapshot: None,
        answered: if over { vec![Answered { position: Position(1), sender: sender(), message_id: id("m1") }] } else { Vec::new() },
        follow_up: None,
        then,
    }
}

fn terms(go_on: bool) -> CommitTerms {
    CommitTerms { now: T0, lease_until: T0.plus_ms(20_000), go_on, heard: None }
}

fn fate(rule: CommitRule) -> Fate {
    match rule {
        CommitRule::Write { fate, .. } | CommitRule::Repeated(fate) => fate,
    }
}

#[test]
fn a_message_waits_for_a_live_claim_and_rings_where_nobody_is_known_to_drive() {
    for (drive_as, at, expected) in
        [(Some("b"), T0, AfterAccept::Wait), (None, T0, AfterAccept::Wait), (Some("b"), T0.plus_ms(limits::LEASE_MS), AfterAccept::Ring)]
    {
        let (mut record, _) = driven();
        assert_eq!(accept(&mut record, "m2", at, drive_as), AcceptRule::Write { position: Position(2), then: expected });
    }
    let mut record = ClaimRecord::new(T0);
    assert_eq!(accept(&mut record, "m1", T0, None), AcceptRule::Write { position: Position(1), then: AfterAccept::Ring });
}

#[test]
fn the_running_message_does_not_count_as_waiting() {
    let (mut record, _) = driven();
    for (name, full) in [("m2", false), ("m3", false), ("m4", true)] {
        let refused = accept(&mut record, name, T0, None) == AcceptRule::Refuse(Acceptance::QueueFull);
        assert_eq!(refused, full, "{name}");
    }
    assert_eq!((record.pending, record.last), (3, Position(3)), "a refusal changes nothing");
}

#[test]
fn a_lapsed_or_dead_claim_is_taken_over_for_the_same_run() {
    for (now, dead) in [(T0.plus_ms(limits::LEASE_MS), false), (T0, true)] {
        let (mut record, first) = driven();
        assert_eq!(record.claim(Some(run("m1")), &holder("b"), T0, false), ClaimOutcome::Held { until: first.lease_until });
        let ClaimOutcome::Taken(taken) = record.claim(Some(run("m1")), &holder("b"), now, dead) else { panic!("it can be taken") };
        assert_eq!((taken.claim.run, taken.claim.takeovers), (first.run, 1));
        assert!(taken.claim.epoch > first.epoch);
    }
}

#[test]
fn a_stranger_can_neither_commit_nor_renew() {
    let (mut record, first) = driven();
    record.claim(Some(run("m1")), &holder("b"), T0, true);
    let before = record.clone();
    let refused = record.commit(&first, &commit(&first.run, 1, 1, 1, Then::Finish), &terms(true), None);
    assert_eq!(refused, Err(CommitError::Fenced));
    assert_eq!(record.renew(&first, T0), Err(CommitError::Fenced));
    assert_eq!(record, before);
}

#[test]
fn a_finish_hands_the_claim_on_or_lets_it_go() {
    for (go_on, waiting, expected_run, ring) in
        [(true, true, Some("m2"), false), (false, true, None, true), (true, false, None, false), (false, false, None, false)]
    {
        let (mut record, claim) = driven();
        if waiting {
            accept(&mut record, "m2", T0, None);
        }
        let first_waiting = waiting.then(|| run("m2"));
        let rule = record.commit(&claim, &commit(&claim.run, 1, 1, 3, Then::Finish), &terms(go_on), first_waiting).unwrap();
        match (fate(rule), expected_run) {
            (Fate::Waiting(next), Some(name)) => {
                assert_eq!((next.run, next.takeovers, next.epoch, next.lease_until), (run(name), 0, claim.epoch, terms(go_on).lease_until));
            }
            (Fate::Released { ring: rings }, None) => assert_eq!(rings, ring),
            (other, _) => panic!("go_on {go_on}, waiting {waiting}: {other:?}"),
        }
        assert_eq!(record.head, Seq(3));
    }
}

#[test]
fn an_answer_spans_every_commit_of_its_run() {
    let (mut record, claim) = driven();
    record.commit(&claim, &commit(&claim.run, 1, 1, 2, Then::Hold), &terms(true), None).unwrap();
    record.claim(Some(run("m1")), &holder("b"), T0, true);
    let second = record.claim.clone().unwrap();
    let rule = record.commit(&second, &commit(&claim.run, 2, 3, 2, Then::Finish), &terms(true), None).unwrap();
    let CommitRule::Write { answered, .. } = rule else { panic!("it is new") };
    assert_eq!(answered, Progress::Answered { first: Seq(1), last: Seq(4) });
}

#[test]
fn events_that_do_not_follow_the_head_are_refused() {
    let (mut record, claim) = driven();
    let before = record.clone();
    for first in [0, 2] {
        let refused = record.commit(&claim, &commit(&claim.run, 1, first, 1, Then::Hold), &terms(true), None);
        assert_eq!(refused, Err(CommitError::Fenced), "first event {first}");
    }
    assert_eq!(record, before);
}

#[test]
fn a_repeated_finish_tells_what_became_of_the_claim() {
    for (go_on, waiting) in [(true, true), (false, true), (true, false)] {
        let (mut record, claim) = driven();
        if waiting {
            accept(&mut record, "m2", T0, None);
        }
        let finish = commit(&claim.run, 1, 1, 1, Then::Finish);
        let first = fate(record.commit(&claim, &finish, &terms(go_on), waiting.then(|| run("m2"))).unwrap());
        let before = record.clone();
        let again = record.commit(&claim, &finish, &terms(go_on), waiting.then(|| run("m2"))).unwrap();
        assert_eq!(again, CommitRule::Repeated(first));
        assert_eq!(record, before);
    }
}

#[test]
fn a_repeated_checkpoint_is_fenced_once_another_has_the_claim() {
    let (mut record, claim) = driven();
    let checkpoint = commit(&claim.run, 1, 1, 0, Then::Hold);
    record.commit(&claim, &checkpoint, &terms(true), None).unwrap();
    assert_eq!(record.commit(&claim, &checkpoint, &terms(true), None), Ok(CommitRule::Repeated(Fate::Held)));
    record.claim(Some(run("m1")), &holder("b"), T0, true);
    assert_eq!(record.commit(&claim, &checkpoint, &terms(true), None), Err(CommitError::Fenced));
}

#[test]
fn a_successors_commit_is_no_repeat_of_the_one_before() {
    let (mut record, first) = driven();
    record.claim(Some(run("m1")), &holder("b"), T0, true);
    let second = record.claim.clone().unwrap();
    record.commit(&second, &commit(&second.run, 1, 1, 2, Then::Finish), &terms(true), None).unwrap();
    let same_id = commit(&first.run, 1, 1, 3, Then::Finish);
    assert_eq!(record.commit(&first, &same_id, &terms(true), None), Err(CommitError::Fenced));
}

#[test]
fn a_parked_run_goes_on_at_its_time_with_its_takeovers() {
    let (mut record, _) = driven();
    record.claim(Some(run("m1")), &holder("b"), T0, true);
    let claim = record.claim.clone().unwrap();
    let until = T0.plus_ms(500);
    let park = commit(&claim.run, 1, 1, 0, Then::Park(until));
    assert_eq!(fate(record.commit(&claim, &park, &terms(true), None).unwrap()), Fate::Released { ring: false });
    assert_eq!(fate(record.commit(&claim, &park, &terms(true), None).unwrap()), Fate::Released { ring: false });
    assert_eq!(record.due(T0, false), Some(until));
    assert_eq!(record.claim(Some(run("m1")), &holder("c"), T0, false), ClaimOutcome::Parked { until });
    let ClaimOutcome::Taken(taken) = record.claim(Some(run("m1")), &holder("c"), until, false) else { panic!("it is time") };
    assert_eq!((taken.claim.takeovers, taken.saved), (1, true));
}

#[test]
fn a_run_that_has_moved_on_since_it_was_taken_over_is_parked_without_a_takeover() {
    let (mut record, _) = driven();
    record.claim(Some(run("m1")), &holder("b"), T0, true);
    let moved_on = Claim { takeovers: 0, ..record.claim.clone().unwrap() };
    record.commit(&moved_on, &commit(&moved_on.run, 1, 1, 0, Then::Park(T0)), &terms(true), None).unwrap();
    let ClaimOutcome::Taken(taken) = record.claim(Some(run("m1")), &holder("c"), T0, false) else { panic!("it is time") };
    assert_eq!(taken.claim.takeovers, 0);
}

#[test]
fn a_message_that_takes_a_parked_runs_place_wakes_it() {
    let (mut record, claim) = driven();
    let park = commit(&claim.run, 1, 1, 0, Then::Park(T0.plus_ms(500)));
    record.commit(&claim, &park, &terms(true), None).unwrap();
    let newer = NewMessage { sender: sender(), message_id: id("m2"), at: T0, content: MessageContent::default() };
    let latest = AcceptTerms { drive_as: Some(holder("b")), max_queue: 2, reject_if_busy: false, wakes: true };
    let AcceptRule::Write { then, .. } = record.accept(&key(), &newer, &latest) else { panic!("there is room") };
    assert_eq!((then, record.due(T0, false)), (AfterAccept::Ring, Some(T0)));
    let ClaimOutcome::Taken(taken) = record.claim(Some(run("m1")), &holder("b"), T0, false) else { panic!("it is awake") };
    assert_eq!((taken.claim.run, taken.saved), (run("m1"), true));
}

#[test]
fn work_is_due_at_once_unless_somebody_alive_has_it() {
    let (record, claim) = driven();
    assert_eq!(record.due(T0, false), Some(claim.lease_until));
    assert_eq!(record.due(T0, true), Some(T0));
    assert_eq!(record.due(T0.plus_ms(60_000), false), Some(T0.plus_ms(60_000)));
    assert_eq!(ClaimRecord::new(T0).due(T0, false), None);
}

#[test]
fn a_conversation_begun_again_never_repeats_an_epoch() {
    let mut record = ClaimRecord::new(T0);
    for _ in 0..1000 {
        record.take(run("m1"), &holder("a"), T0, 0);
    }
    assert!(record.epoch < ClaimRecord::new(T0.plus_ms(1)).epoch);
}
