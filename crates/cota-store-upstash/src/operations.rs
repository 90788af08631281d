//! The operations that write: ask the rules of the claim, write what they decided.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cota_core::event::InboxMessage;
use cota_core::ids::{ConversationKey, RunId, Seq, Timestamp};
use cota_core::turn::{Commit, RunState};
use cota_driver::claim::{AcceptRule, CommitRule, Fate};
use cota_driver::failpoint::failpoint;
use cota_driver::store::{
    AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, Claimed, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage,
    Progress, Recorded, Renewed,
};
use serde::Serialize;

use crate::UpstashStore;
use crate::change::{Asks, Change, Changed, Decision, Write, change, member};
use crate::fault::Fault;
use crate::head::{Head, Waiting};
use crate::keys::Part;

const DELETE: &str = "redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4]); return redis.call('ZREM', KEYS[5], ARGV[1])";

pub(crate) async fn accept(
    store: &UpstashStore,
    key: &ConversationKey,
    message: &NewMessage,
    terms: &AcceptTerms,
) -> Result<Acceptance, Fault> {
    failpoint("before-accept-commit");
    let run = RunId::of(key, &message.sender, &message.message_id);
    let asks = Asks { record: Some(&run), conversation: terms.drive_as.is_some() };
    let changed = change(store, key, asks, |head| {
        let mut head = head.unwrap_or_else(|| Head::new(message.at));
        let (position, then) = match head.record.accept(key, message, terms) {
            AcceptRule::Write { position, then } => (position, then),
            AcceptRule::Refuse(refusal) => return Ok(Decision::nothing(refusal)),
        };
        let message = message.clone().at_position(position);
        let waiting = Waiting::new(key, &message);
        let changes = put_waiting(&waiting, &message)?;
        head.waiting.push(waiting);
        let outcome = Acceptance::Accepted { position, then };
        Ok(Decision { outcome, write: Some(Write { head, changes }), tell_inbox: false })
    });
    let changed = changed.await?;
    failpoint("after-accept-commit");
    Ok(match changed {
        Changed::Done { outcome: Acceptance::Accepted { position, then: AfterAccept::Drive(claimed) }, before, .. } => {
            let message = message.clone().at_position(position);
            let with_it = |mut before: Loaded| {
                before.inbox.push(message);
                before
            };
            let claimed = Claimed { loaded: before.map(with_it).map(Box::new), ..claimed };
            Acceptance::Accepted { position, then: AfterAccept::Drive(claimed) }
        }
        Changed::Done { outcome, .. } => outcome,
        Changed::Known(Recorded { digest, progress }) if digest == message.digest() => Acceptance::Repeated(progress),
        Changed::Known(_) => Acceptance::IdReused,
    })
}

pub(crate) async fn claim(store: &UpstashStore, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, Fault> {
    let asks = Asks { record: None, conversation: true };
    let changed = change(store, key, asks, |head| {
        let Some(mut head) = head else { return Ok(Decision::nothing(ClaimOutcome::Idle)) };
        let first = head.waiting.first().map(|waiting| waiting.run.clone());
        let outcome = head.record.claim(first, holder, now, false);
        let write = matches!(outcome, ClaimOutcome::Taken(_)).then(|| Write { head, changes: Vec::new() });
        Ok(Decision { outcome, write, tell_inbox: false })
    });
    match changed.await? {
        Changed::Done { outcome: ClaimOutcome::Taken(claimed), before, .. } => {
            Ok(ClaimOutcome::Taken(Claimed { loaded: before.map(Box::new), ..claimed }))
        }
        changed @ (Changed::Done { .. } | Changed::Known(_)) => done(changed),
    }
}

pub(crate) async fn renew(
    store: &UpstashStore,
    key: &ConversationKey,
    claim: &Claim,
    lease_until: Timestamp,
) -> Result<Result<Renewed, CommitError>, Fault> {
    let renewed = change(store, key, Asks::default(), |head| {
        let Some(mut head) = head else { return Ok(Decision::nothing(Err(CommitError::Fenced))) };
        let outcome = head.record.renew(claim, lease_until);
        let write = outcome.is_ok().then(|| Write { head, changes: Vec::new() });
        Ok(Decision { outcome, write, tell_inbox: false })
    });
    done(renewed.await?)
}

pub(crate) async fn release(store: &UpstashStore, key: &ConversationKey, claim: &Claim) -> Result<Result<(), CommitError>, Fault> {
    let released = change(store, key, Asks::default(), |head| {
        let Some(mut head) = head else { return Ok(Decision::nothing(Err(CommitError::Fenced))) };
        let outcome = head.record.release(claim);
        let write = outcome.is_ok().then(|| Write { head, changes: Vec::new() });
        Ok(Decision { outcome, write, tell_inbox: false })
    });
    done(released.await?)
}

pub(crate) async fn commit(
    store: &UpstashStore,
    key: &ConversationKey,
    claim: &Claim,
    commit: &Commit,
    terms: &CommitTerms,
) -> Result<Result<Committed, CommitError>, Fault> {
    failpoint("before-turn-commit");
    let encoded = Encoded::new(commit)?;
    let decide = |head| decide_commit(key, head, claim, &encoded, terms);
    let Changed::Done { outcome, inbox, .. } = change(store, key, Asks::default(), decide).await? else { return Err(unasked()) };
    failpoint("after-turn-commit");
    let Decided { head, fate } = match outcome {
        Ok(decided) => decided,
        Err(error) => return Ok(Err(error)),
    };
    let next = fate.next(|| Ok::<_, Fault>(inbox))?;
    Ok(Ok(Committed { head, next }))
}

/// What the rules made of a commit.
struct Decided {
    head: Seq,
    fate: Fate,
}

fn decide_commit<'a>(
    key: &ConversationKey,
    head: Option<Head>,
    claim: &Claim,
    encoded: &'a Encoded<'a>,
    terms: &CommitTerms,
) -> Result<Decision<'a, Result<Decided, CommitError>>, Fault> {
    let Some(mut head) = head else { return Ok(Decision::nothing(Err(CommitError::Fenced))) };
    let commit = encoded.commit;
    let is_answered = |waiting: &Waiting| commit.answered.iter().any(|answered| answered.position == waiting.position);
    let (answered, waiting): (Vec<_>, Vec<_>) = head.waiting.iter().cloned().partition(is_answered);
    let follow_up_run = commit.follow_up.as_ref().map(|message| RunId::of(key, &message.sender, &message.message_id));
    let first_waiting = waiting.first().map(|waiting| waiting.run.clone()).or(follow_up_run);
    let was_saved = head.record.saved;
    let rule = match head.record.commit(claim, commit, terms, first_waiting) {
        Ok(rule) => rule,
        Err(error) => return Ok(Decision::nothing(Err(error))),
    };
    let (fate, write) = match rule {
        CommitRule::Repeated(fate) => (fate, None),
        CommitRule::Write { answered: progress, follow_up, fate } => {
            let mut changes = encoded.changes(was_saved);
            for answered in &answered {
                changes.extend(put_answered(answered, progress)?);
            }
            head.waiting = waiting;
            if let Some((message, position)) = commit.follow_up.clone().zip(follow_up) {
                let message = NewMessage::from(message).at_position(position);
                let waiting = Waiting::new(key, &message);
                changes.extend(put_waiting(&waiting, &message)?);
                head.waiting.push(waiting);
            }
            (fate, Some(changes))
        }
    };
    let tell_inbox = matches!(fate, Fate::Waiting(_));
    let outcome = Ok(Decided { head: head.record.head, fate });
    Ok(Decision { outcome, write: write.map(|changes| Write { head, changes }), tell_inbox })
}

/// A commit with its large parts as they are written, however often it is tried.
struct Encoded<'c> {
    commit: &'c Commit,
    events: Vec<String>,
    snapshot: Option<[String; 4]>,
    run: Option<String>,
}

impl<'c> Encoded<'c> {
    fn new(commit: &'c Commit) -> Result<Self, Fault> {
        let snapshot = match &commit.snapshot {
            Some(tracker) => {
                let (from, tracker) = (tracker.head.0.to_string(), encode("a snapshot", tracker)?);
                Some(["from".to_owned(), from, "snapshot".to_owned(), tracker])
            }
            None => None,
        };
        let run = match &commit.run {
            RunState::Put(run) => Some(BASE64_STANDARD.encode(run)),
            RunState::Clear => None,
        };
        let events = commit.events.iter().map(|event| encode("an event", event)).collect::<Result<_, _>>()?;
        Ok(Self { commit, events, snapshot, run })
    }

    fn changes(&self, was_saved: bool) -> Vec<Change<'_>> {
        let mut changes = vec![Change::new("RPUSH", Part::Log, self.events.iter().map(String::as_str))];
        if let Some(snapshot) = &self.snapshot {
            changes.push(Change::new("HSET", Part::Conversation, snapshot.iter().map(String::as_str)));
        }
        match &self.run {
            Some(run) => changes.push(Change::new("HSET", Part::Conversation, ["saved", run])),
            None if was_saved => changes.push(Change::new("HDEL", Part::Conversation, ["saved"])),
            None => {}
        }
        changes
    }
}

/// Puts a message into the inbox and its id into the idempotency record.
fn put_waiting<'a>(waiting: &Waiting, message: &InboxMessage) -> Result<Vec<Change<'a>>, Fault> {
    let recorded = Recorded { digest: waiting.digest.clone(), progress: Progress::Pending };
    let (run, message) = (waiting.run.to_string(), encode("a waiting message", message)?);
    Ok(vec![Change::new("HSET", Part::Inbox, [run.clone(), message]), put_recorded(run, &recorded)?])
}

/// Takes a message out of the inbox and records what answered it.
fn put_answered<'a>(waiting: &Waiting, progress: Progress) -> Result<[Change<'a>; 2], Fault> {
    let recorded = Recorded { digest: waiting.digest.clone(), progress };
    let run = waiting.run.to_string();
    Ok([Change::new("HDEL", Part::Inbox, [run.clone()]), put_recorded(run, &recorded)?])
}

fn put_recorded<'a>(run: String, recorded: &Recorded) -> Result<Change<'a>, Fault> {
    Ok(Change::new("HSET", Part::Recorded, [run, encode("a message's record", recorded)?]))
}

pub(crate) async fn delete(store: &UpstashStore, key: &ConversationKey) -> Result<(), Fault> {
    store.heads.put(key, None);
    store.api.eval(DELETE, &store.keys.parts(key), &[member(key)?]).await?;
    Ok(())
}

fn done<T>(changed: Changed<T>) -> Result<T, Fault> {
    match changed {
        Changed::Done { outcome, .. } => Ok(outcome),
        Changed::Known(_) => Err(unasked()),
    }
}

/// An answer to a question that was not put.
fn unasked() -> Fault {
    Fault::Unreadable { what: "the answer to a write", why: "it tells of a message that nobody asked of".to_owned() }
}

fn encode(what: &'static str, value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Unwritable { what, why: error.to_string() })
}
