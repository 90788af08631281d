//! The store's operations within a transaction: read the rows, ask the rules of the claim, write what they decided.

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, MessageId, RunId, SenderId, Seq, Timestamp};
use cota_core::turn::{Commit, RunState};
use cota_driver::claim::{AcceptRule, ClaimRecord, CommitRule};
use cota_driver::store::{
    AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Progress,
    Recorded, Renewed,
};

use super::database::Fault;
use super::rows::{Conversation, Rows};
use super::timers::{Kind, Timers};

/// After a lease's end, until somebody looks whether its holder is gone, in milliseconds.
const GRACE_MS: u64 = 1_000;

/// Whose claims are alive: those of the object as it is now, or those of anybody whose lease has not ended.
#[derive(Clone, Debug)]
pub(super) enum Alive {
    /// There is one object for a conversation, so another holder's claim is of an incarnation that is gone.
    Only(Holder),
    /// Nobody is known to be dead.
    #[cfg_attr(not(feature = "tried"), expect(dead_code, reason = "the rules are tried with several holders"))]
    Anybody,
}

impl Alive {
    pub(super) fn is_dead(&self, record: &ClaimRecord) -> bool {
        match self {
            Self::Only(holder) => record.claim.as_ref().is_some_and(|claim| claim.holder != *holder),
            Self::Anybody => false,
        }
    }
}

/// A change of conversations, within one transaction.
pub(super) struct Change<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) alive: &'a Alive,
    pub(super) timers: &'a Timers,
    pub(super) now: Timestamp,
}

impl Change<'_> {
    /// Writes the record of a conversation, and has somebody look after what it leaves unfinished.
    fn update(&self, conversation: &Conversation) -> Result<(), Fault> {
        self.rows.update_conversation(conversation, self.now)?;
        self.watch(&conversation.record)
    }

    fn insert(&self, key: &ConversationKey, record: &ClaimRecord) -> Result<i64, Fault> {
        let number = self.rows.insert_conversation(key, record, self.now)?;
        self.watch(record)?;
        Ok(number)
    }

    /// Sets the timer for what is unfinished: now for what an incarnation that is gone had begun.
    pub(super) fn watch(&self, record: &ClaimRecord) -> Result<(), Fault> {
        let dead = self.alive.is_dead(record);
        let Some(due) = record.due(self.now, dead) else { return Ok(()) };
        let grace = if record.claim.is_some() && !dead { GRACE_MS } else { 0 };
        self.timers.set_by(Kind::Turn, due.plus_ms(grace))
    }
}

pub(super) fn accept(change: &Change<'_>, key: &ConversationKey, message: &NewMessage, terms: &AcceptTerms) -> Result<Acceptance, Fault> {
    let Change { rows, alive, .. } = *change;
    let found = rows.conversation(key)?;
    let digest = message.digest();
    if let Some(conversation) = &found
        && let Some(recorded) = rows.recorded(conversation, &message.sender, &message.message_id)?
    {
        return Ok(if recorded.digest == digest { Acceptance::Repeated(recorded.progress) } else { Acceptance::IdReused });
    }
    let (number, mut record) = match found {
        Some(Conversation { number, record }) => (Some(number), record),
        None => (None, ClaimRecord::new(message.at)),
    };
    let (position, then) = match record.accept(key, message, terms) {
        AcceptRule::Write { position, then } => (position, then),
        AcceptRule::Refuse(refusal) => return Ok(refusal),
    };
    let then = match then {
        AfterAccept::Wait if alive.is_dead(&record) => AfterAccept::Ring,
        AfterAccept::Drive(_) | AfterAccept::Wait | AfterAccept::Ring => then,
    };
    let number = match number {
        Some(number) => {
            change.update(&Conversation { number, record })?;
            number
        }
        None => change.insert(key, &record)?,
    };
    rows.insert_waiting(number, &message.clone().at_position(position))?;
    Ok(Acceptance::Accepted { position, then })
}

pub(super) fn claim(change: &Change<'_>, key: &ConversationKey, holder: &Holder) -> Result<ClaimOutcome, Fault> {
    let Change { rows, alive, now, .. } = *change;
    let Some(mut conversation) = rows.conversation(key)? else { return Ok(ClaimOutcome::Idle) };
    let first = rows.inbox(conversation.number)?.first().map(|message| run_of(key, message));
    let dead = alive.is_dead(&conversation.record);
    let outcome = conversation.record.claim(first, holder, now, dead);
    match &outcome {
        ClaimOutcome::Taken(_) => change.update(&conversation)?,
        ClaimOutcome::Idle | ClaimOutcome::Held { .. } | ClaimOutcome::Parked { .. } => {}
    }
    Ok(outcome)
}

pub(super) fn commit(
    change: &Change<'_>,
    key: &ConversationKey,
    claim: &Claim,
    commit: &Commit,
    terms: &CommitTerms,
) -> Result<Result<Committed, CommitError>, Fault> {
    let rows = change.rows;
    let Some(mut conversation) = rows.conversation(key)? else { return Ok(Err(CommitError::Fenced)) };
    let is_answered = |message: &InboxMessage| commit.answered.iter().any(|answered| answered.position == message.position);
    let (answered, mut waiting): (Vec<_>, Vec<_>) = rows.inbox(conversation.number)?.into_iter().partition(is_answered);
    let first_waiting = waiting.iter().chain(&commit.follow_up).next().map(|message| run_of(key, message));
    let was_saved = conversation.record.saved;
    let fate = match conversation.record.commit(claim, commit, terms, first_waiting) {
        Ok(CommitRule::Write { answered: progress, follow_up, fate }) => {
            let follow_up =
                commit.follow_up.clone().zip(follow_up).map(|(message, position)| NewMessage::from(message).at_position(position));
            write(rows, conversation.number, commit, was_saved)?;
            if let Progress::Answered { first, last } = progress {
                answered.into_iter().try_for_each(|message| rows.set_answered(conversation.number, message, first, last))?;
            }
            follow_up.iter().try_for_each(|message| rows.insert_waiting(conversation.number, message))?;
            change.update(&conversation)?;
            waiting.extend(follow_up);
            fate
        }
        Ok(CommitRule::Repeated(fate)) => fate,
        Err(error) => return Ok(Err(error)),
    };
    let next = fate.next(|| Ok::<_, Fault>(waiting))?;
    Ok(Ok(Committed { head: conversation.record.head, next }))
}

fn write(rows: Rows<'_>, number: i64, commit: &Commit, was_saved: bool) -> Result<(), Fault> {
    rows.append(number, &commit.events)?;
    if let Some(snapshot) = &commit.snapshot {
        rows.set_snapshot(number, snapshot)?;
    }
    match &commit.run {
        RunState::Put(run) => rows.set_saved(number, run),
        RunState::Clear if was_saved => rows.delete_saved(number),
        RunState::Clear => Ok(()),
    }
}

pub(super) fn renew(
    rows: Rows<'_>,
    key: &ConversationKey,
    claim: &Claim,
    lease_until: Timestamp,
) -> Result<Result<Renewed, CommitError>, Fault> {
    let Some(mut conversation) = rows.conversation(key)? else { return Ok(Err(CommitError::Fenced)) };
    let renewed = conversation.record.renew(claim, lease_until);
    if renewed.is_ok() {
        rows.update_conversation(&conversation, lease_until)?;
    }
    Ok(renewed)
}

pub(super) fn release(change: &Change<'_>, key: &ConversationKey, claim: &Claim) -> Result<Result<(), CommitError>, Fault> {
    let Some(mut conversation) = change.rows.conversation(key)? else { return Ok(Err(CommitError::Fenced)) };
    let released = conversation.record.release(claim);
    if released.is_ok() {
        change.update(&conversation)?;
    }
    Ok(released)
}

pub(super) fn load(rows: Rows<'_>, key: &ConversationKey) -> Result<Option<Loaded>, Fault> {
    let Some(Conversation { number, .. }) = rows.conversation(key)? else { return Ok(None) };
    let mut tracker = rows.snapshot(number)?;
    for event in rows.events(number, tracker.head, usize::MAX)? {
        tracker.apply(&event);
    }
    Ok(Some(Loaded { tracker, saved: rows.saved(number)?, inbox: rows.inbox(number)? }))
}

pub(super) fn events(rows: Rows<'_>, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, Fault> {
    rows.conversation(key)?.map_or_else(|| Ok(Vec::new()), |conversation| rows.events(conversation.number, after, limit))
}

pub(super) fn recorded(rows: Rows<'_>, key: &ConversationKey, sender: &SenderId, id: &MessageId) -> Result<Option<Recorded>, Fault> {
    rows.conversation(key)?.map_or(Ok(None), |conversation| rows.recorded(&conversation, sender, id))
}

pub(super) fn delete(rows: Rows<'_>, key: &ConversationKey) -> Result<(), Fault> {
    rows.conversation(key)?.map_or(Ok(()), |conversation| rows.delete(conversation.number))
}

/// What is unfinished, and when somebody should look after it.
pub(super) fn unfinished(rows: Rows<'_>, alive: &Alive, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, Fault> {
    let due = |conversation: &Conversation| conversation.record.due(now, alive.is_dead(&conversation.record));
    Ok(rows.conversations()?.into_iter().filter_map(|(key, conversation, _)| Some((key, due(&conversation)?))).collect())
}

fn run_of(key: &ConversationKey, message: &InboxMessage) -> RunId {
    RunId::of(key, &message.sender, &message.message_id)
}
