//! Taking the claim, renewing it and letting go of it.

use cota_core::event::InboxMessage;
use cota_core::ids::{ConversationKey, RunId, Timestamp};
use cota_driver::claim::ClaimRecord;
use cota_driver::failpoint::failpoint;
use cota_driver::store::{Claim, ClaimOutcome, Claimed, CommitError, Holder, Renewed};

use crate::fault::Fault;
use crate::head::Head;
use crate::known::Known;
use crate::read::{self, pause};
use crate::write::{Transaction, Written};
use crate::{DynamoStore, TRIES};

/// Takes the claim. Whoever gets it needs the conversation's state next, so one query reads the record and the state.
pub(crate) async fn claim(store: &DynamoStore, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, Fault> {
    for attempt in 0..TRIES {
        let Some(whole) = read::whole(store, key).await? else { return Ok(ClaimOutcome::Idle) };
        if whole.head.deleting || store.retention.is_over(&whole.head, now) {
            return Ok(ClaimOutcome::Idle);
        }
        let mut record = whole.head.record.clone();
        let first = whole.loaded.inbox.first().map(|message| run_of(key, message));
        let claimed = match record.claim(first, holder, now, false) {
            ClaimOutcome::Taken(claimed) => claimed,
            refused @ (ClaimOutcome::Idle | ClaimOutcome::Held { .. } | ClaimOutcome::Parked { .. }) => return Ok(refused),
        };
        let next = whole.head.next(record, now);
        if write(store, key, &whole.head, &next, now).await? {
            store.rooms.begin(key);
            store.driven.keep(key, Known { head: next, inbox: whole.loaded.inbox.clone(), lasting: whole.lasting });
            return Ok(ClaimOutcome::Taken(Claimed { loaded: Some(Box::new(whole.loaded)), ..claimed }));
        }
        pause(attempt).await;
    }
    Err(Fault::Contended)
}

/// Moves the lease's end.
pub(crate) async fn renew(
    store: &DynamoStore,
    key: &ConversationKey,
    claim: &Claim,
    lease_until: Timestamp,
) -> Result<Result<Renewed, CommitError>, Fault> {
    change(store, key, lease_until, |record| record.renew(claim, lease_until)).await
}

/// Lets go of the claim.
pub(crate) async fn release(
    store: &DynamoStore,
    key: &ConversationKey,
    claim: &Claim,
    now: Timestamp,
) -> Result<Result<(), CommitError>, Fault> {
    let released = change(store, key, now, |record| record.release(claim)).await?;
    store.driven.forget(key);
    Ok(released)
}

/// Changes the record alone, at first on what is known of it here.
async fn change<T>(
    store: &DynamoStore,
    key: &ConversationKey,
    touched: Timestamp,
    rule: impl Fn(&mut ClaimRecord) -> Result<T, CommitError>,
) -> Result<Result<T, CommitError>, Fault> {
    let mut known = store.driven.get(key);
    for attempt in 0..TRIES {
        let (known, fresh) = match known.take() {
            Some(known) => (known, false),
            None => match read::waiting(store, key).await? {
                Some((head, inbox)) => (Known::read(head, inbox), true),
                None => return Ok(Err(CommitError::Fenced)),
            },
        };
        let mut record = known.head.record.clone();
        match rule(&mut record) {
            Ok(_) if known.head.deleting => return Ok(Err(CommitError::Fenced)),
            Ok(changed) => {
                let next = known.head.next(record, known.head.touched);
                if write(store, key, &known.head, &next, touched).await? {
                    store.driven.keep(key, Known { head: next, ..known });
                    return Ok(Ok(changed));
                }
                pause(attempt).await;
            }
            Err(error) if fresh => return Ok(Err(error)),
            Err(_) => {}
        }
    }
    Err(Fault::Contended)
}

/// The run that answers a message.
pub(crate) fn run_of(key: &ConversationKey, message: &InboxMessage) -> RunId {
    RunId::of(key, &message.sender, &message.message_id)
}

/// Writes the record alone; whether it still was as it is known.
async fn write(store: &DynamoStore, key: &ConversationKey, before: &Head, after: &Head, now: Timestamp) -> Result<bool, Fault> {
    let mut item = after.item(key)?;
    store.retention.stamp_record(&mut item, now);
    let mut transaction = Transaction::new(&store.table);
    transaction.put(item, Some(before.unchanged()));
    failpoint("before-claim-commit");
    let written = matches!(transaction.send().await?, Written::Whole);
    if written {
        failpoint("after-claim-commit");
    }
    Ok(written)
}
