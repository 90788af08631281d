//! The store's operations within a transaction: read the rows, ask the rules of the claim, write what they decided.

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, MessageId, RunId, SenderId, Seq, Timestamp};
use cota_core::turn::{Commit, RunState};
use cota_driver::claim::{AcceptRule, ClaimRecord, CommitRule};
use cota_driver::store::{
    AcceptTerms, Acceptance, AfterAccept, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Progress,
    Recorded, Renewed,
};

use crate::fault::Fault;
use crate::holders::Holders;
use crate::rows::{Conversation, Rows, encode};

pub(crate) fn accept(
    rows: Rows<'_>,
    holders: &Holders,
    key: &ConversationKey,
    message: &NewMessage,
    terms: &AcceptTerms,
) -> Result<Acceptance, Fault> {
    let found = rows.conversation(key)?;
    let digest = message.digest();
    if let Some(conversation) = &found
        && let Some(recorded) = rows.recorded(conversation.number, &message.sender, &message.message_id)?
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
        AfterAccept::Drive(claimed) => {
            holders.hold(&claimed.claim.holder)?;
            AfterAccept::Drive(claimed)
        }
        AfterAccept::Wait if is_dead(holders, &record) => AfterAccept::Ring,
        AfterAccept::Wait | AfterAccept::Ring => then,
    };
    let number = match number {
        Some(number) => {
            rows.update_conversation(&Conversation { number, record }, message.at)?;
            number
        }
        None => rows.insert_conversation(key, &record, message.at)?,
    };
    rows.insert_waiting(number, &message.clone().at_position(position))?;
    Ok(Acceptance::Accepted { position, then })
}

pub(crate) fn claim(
    rows: Rows<'_>,
    holders: &Holders,
    key: &ConversationKey,
    holder: &Holder,
    now: Timestamp,
) -> Result<ClaimOutcome, Fault> {
    let Some(mut conversation) = rows.conversation(key)? else { return Ok(ClaimOutcome::Idle) };
    let first = rows.first_waiting(conversation.number)?.map(|message| run_of(key, &message));
    let dead = is_dead(holders, &conversation.record);
    let outcome = conversation.record.claim(first, holder, now, dead);
    match &outcome {
        ClaimOutcome::Taken(_) => {
            holders.hold(holder)?;
            rows.update_conversation(&conversation, now)?;
        }
        ClaimOutcome::Idle | ClaimOutcome::Held { .. } | ClaimOutcome::Parked { .. } => {}
    }
    Ok(outcome)
}

/// A commit with its large parts as they are written. The caller encodes them, so that the one thread that writes need not.
pub(crate) struct Encoded {
    commit: Commit,
    events: Vec<u8>,
    snapshot: Option<Vec<u8>>,
}

impl Encoded {
    pub(crate) fn new(commit: &Commit) -> Result<Self, Fault> {
        Ok(Self {
            events: encode("a turn's events", &commit.events)?,
            snapshot: commit.snapshot.as_ref().map(|snapshot| encode("a snapshot", snapshot)).transpose()?,
            commit: commit.clone(),
        })
    }
}

pub(crate) fn commit(
    rows: Rows<'_>,
    key: &ConversationKey,
    claim: &Claim,
    encoded: &Encoded,
    terms: &CommitTerms,
) -> Result<Result<Committed, CommitError>, Fault> {
    let commit = &encoded.commit;
    let Some(mut conversation) = rows.conversation(key)? else { return Ok(Err(CommitError::Fenced)) };
    let is_answered = |message: &InboxMessage| commit.answered.iter().any(|answered| answered.position == message.position);
    let (answered, mut waiting): (Vec<_>, Vec<_>) = rows.inbox(conversation.number)?.into_iter().partition(is_answered);
    let first_waiting = waiting.iter().chain(&commit.follow_up).next().map(|message| run_of(key, message));
    let was_saved = conversation.record.saved;
    let fate = match conversation.record.commit(claim, commit, terms, first_waiting) {
        Ok(CommitRule::Write { answered: progress, follow_up, fate }) => {
            let follow_up =
                commit.follow_up.clone().zip(follow_up).map(|(message, position)| NewMessage::from(message).at_position(position));
            write(rows, conversation.number, encoded, was_saved)?;
            if let Progress::Answered { first, last } = progress {
                answered.into_iter().try_for_each(|message| rows.set_answered(conversation.number, message, first, last))?;
            }
            follow_up.iter().try_for_each(|message| rows.insert_waiting(conversation.number, message))?;
            rows.update_conversation(&conversation, terms.now)?;
            waiting.extend(follow_up);
            fate
        }
        Ok(CommitRule::Repeated(fate)) => fate,
        Err(error) => return Ok(Err(error)),
    };
    let next = fate.next(|| Ok::<_, Fault>(waiting))?;
    Ok(Ok(Committed { head: conversation.record.head, next }))
}

fn write(rows: Rows<'_>, number: i64, encoded: &Encoded, was_saved: bool) -> Result<(), Fault> {
    if let Some(first) = encoded.commit.events.first() {
        rows.append(number, first.seq, &encoded.events)?;
    }
    if let Some(snapshot) = &encoded.snapshot {
        rows.set_snapshot(number, snapshot)?;
    }
    match &encoded.commit.run {
        RunState::Put(run) => rows.set_saved(number, run),
        RunState::Clear if was_saved => rows.delete_saved(number),
        RunState::Clear => Ok(()),
    }
}

pub(crate) fn renew(
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

pub(crate) fn release(rows: Rows<'_>, key: &ConversationKey, claim: &Claim, now: Timestamp) -> Result<Result<(), CommitError>, Fault> {
    let Some(mut conversation) = rows.conversation(key)? else { return Ok(Err(CommitError::Fenced)) };
    let released = conversation.record.release(claim);
    if released.is_ok() {
        rows.update_conversation(&conversation, now)?;
    }
    Ok(released)
}

pub(crate) fn load(rows: Rows<'_>, key: &ConversationKey) -> Result<Option<Loaded>, Fault> {
    let Some(Conversation { number, .. }) = rows.conversation(key)? else { return Ok(None) };
    let mut tracker = rows.snapshot(number)?;
    for event in rows.events(number, tracker.head, usize::MAX)? {
        tracker.apply(&event);
    }
    Ok(Some(Loaded { tracker, saved: rows.saved(number)?, inbox: rows.inbox(number)? }))
}

pub(crate) fn events(rows: Rows<'_>, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, Fault> {
    rows.conversation(key)?.map_or_else(|| Ok(Vec::new()), |conversation| rows.events(conversation.number, after, limit))
}

pub(crate) fn recorded(rows: Rows<'_>, key: &ConversationKey, sender: &SenderId, id: &MessageId) -> Result<Option<Recorded>, Fault> {
    rows.conversation(key)?.map_or(Ok(None), |conversation| rows.recorded(conversation.number, sender, id))
}

pub(crate) fn delete(rows: Rows<'_>, key: &ConversationKey) -> Result<(), Fault> {
    rows.conversation(key)?.map_or(Ok(()), |conversation| rows.delete(conversation.number))
}

/// Deletes those of the conversations that are still finished and untouched since `before`, and says how many.
pub(crate) fn purge(rows: Rows<'_>, numbers: &[i64], before: Timestamp) -> Result<u64, Fault> {
    let mut purged = 0;
    for number in numbers {
        if rows.is_untouched(*number, before)? {
            rows.delete(*number)?;
            purged += 1;
        }
    }
    Ok(purged)
}

pub(crate) fn unfinished(rows: Rows<'_>, holders: &Holders, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, Fault> {
    let unfinished = rows.unfinished()?;
    Ok(unfinished
        .into_iter()
        .filter_map(|(key, conversation)| Some((key, conversation.record.due(now, is_dead(holders, &conversation.record))?)))
        .collect())
}

/// Ends the leases of `holder`, whose name this process has just taken: whoever had it before is dead.
pub(crate) fn end_leases(rows: Rows<'_>, holder: &Holder) -> Result<(), Fault> {
    for (_, mut conversation) in rows.unfinished()? {
        if let Some(claim) = conversation.record.claim.as_mut().filter(|claim| claim.holder == *holder) {
            claim.lease_until = Timestamp::default();
            rows.update_conversation(&conversation, Timestamp::default())?;
        }
    }
    Ok(())
}

fn is_dead(holders: &Holders, record: &ClaimRecord) -> bool {
    record.claim.as_ref().is_some_and(|claim| holders.is_dead(&claim.holder))
}

fn run_of(key: &ConversationKey, message: &InboxMessage) -> RunId {
    RunId::of(key, &message.sender, &message.message_id)
}
