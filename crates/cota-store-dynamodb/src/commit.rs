//! Writing a commit: the events, the answers, the state and the claim in one transaction.

use cota_core::event::InboxMessage;
use cota_core::ids::ConversationKey;
use cota_core::turn::{Commit, RunState};
use cota_driver::claim::{CommitRule, Fate};
use cota_driver::failpoint::failpoint;
use cota_driver::store::{Claim, CommitError, CommitTerms, Committed, NewMessage, Progress};

use crate::accept::{id_item, message_item};
use crate::claim::run_of;
use crate::fault::Fault;
use crate::head::Head;
use crate::item::{self, Item, at, encoded, number};
use crate::known::Known;
use crate::place::{self, EXPIRES_AT, PARTITION};
use crate::read::{self, EVENTS, LAST, Lasting, RUN, TRACKER, pause};
use crate::table::{Names, Values};
use crate::write::{Change, Condition, Transaction, Written};
use crate::{DynamoStore, TRIES};

/// A transaction holds 4 MB. The rest is for keys, names and the messages that it answers.
const MOST_BYTES: usize = 3_600_000;

/// A commit's large parts, as they are written.
struct Encoded {
    events: Vec<u8>,
    snapshot: Option<Vec<u8>>,
}

pub(crate) async fn commit(
    store: &DynamoStore,
    key: &ConversationKey,
    claim: &Claim,
    commit: &Commit,
    terms: &CommitTerms,
) -> Result<Result<Committed, CommitError>, Fault> {
    let encoded = Encoded::of(commit)?;
    let mut known = store.driven.get(key);
    for attempt in 0..TRIES {
        // What is known here may be old. It is good for a write, which fails then, and for no other decision.
        let (known, fresh) = match known.take() {
            Some(known) => (known, false),
            None => match read::waiting(store, key).await? {
                Some((head, inbox)) => (Known::read(head, inbox), true),
                None => return Ok(Err(CommitError::Fenced)),
            },
        };
        if known.head.deleting {
            return Ok(Err(CommitError::Fenced));
        }
        let mut record = known.head.record.clone();
        let (answered, mut waiting): (Vec<_>, Vec<_>) = known.inbox.iter().cloned().partition(|message| is_answered(commit, message));
        let first_waiting = waiting.iter().chain(&commit.follow_up).next().map(|message| run_of(key, message));
        match record.commit(claim, commit, terms, first_waiting) {
            Ok(CommitRule::Write { answered: progress, follow_up, fate }) => {
                let follow_up =
                    commit.follow_up.clone().zip(follow_up).map(|(message, position)| NewMessage::from(message).at_position(position));
                let before = &known.head;
                let after = encoded.head(commit, before.next(record, terms.now));
                let mut transaction = Transaction::new(&store.table);
                put_record(store, &mut transaction, key, before, &after, terms)?;
                put_state(store, &mut transaction, key, commit, &encoded, before, terms);
                put_messages(store, &mut transaction, key, answered, progress, follow_up.as_ref(), terms)?;
                let lasting = match &commit.snapshot {
                    Some(_) => Lasting::default(),
                    None => extend(store, &mut transaction, key, known.lasting, terms),
                };
                failpoint("before-turn-commit");
                if matches!(transaction.send().await?, Written::Whole) {
                    failpoint("after-turn-commit");
                    waiting.extend(follow_up);
                    let head = after.record.head;
                    let next = settle(store, key, Known { head: after, inbox: waiting, lasting }, fate);
                    return Ok(Ok(Committed { head, next }));
                }
                pause(attempt).await;
            }
            Ok(CommitRule::Repeated(fate)) if fresh => {
                let head = known.head.record.head;
                let next = settle(store, key, known, fate);
                return Ok(Ok(Committed { head, next }));
            }
            Err(error) if fresh => return Ok(Err(error)),
            Ok(CommitRule::Repeated(_)) | Err(_) => {}
        }
    }
    Err(Fault::Contended)
}

impl Encoded {
    fn of(commit: &Commit) -> Result<Self, Fault> {
        let events = encoded("a turn's events", &commit.events)?;
        let snapshot = commit.snapshot.as_ref().map(|snapshot| encoded("a snapshot", snapshot)).transpose()?;
        let run = match &commit.run {
            RunState::Put(run) => run.len(),
            RunState::Clear => 0,
        };
        let bytes = events.len() + snapshot.as_ref().map_or(0, Vec::len) + run;
        if bytes > MOST_BYTES {
            let why = format!("its events and its saved run have {bytes} bytes, and DynamoDB writes at most 4 MB at once");
            return Err(Fault::unwritable("a turn", why));
        }
        Ok(Self { events, snapshot })
    }

    /// The head once these parts are written.
    fn head(&self, commit: &Commit, head: Head) -> Head {
        let count = |bytes: usize| bytes.div_ceil(item::PART).max(1) as u64;
        let saved_parts = match &commit.run {
            RunState::Put(run) => count(run.len()),
            RunState::Clear => 0,
        };
        let snapshot_parts = self.snapshot.as_ref().map_or(head.snapshot_parts, |snapshot| count(snapshot.len()));
        Head { saved_parts, snapshot_parts, ..head }
    }
}

fn put_record(
    store: &DynamoStore,
    transaction: &mut Transaction<'_>,
    key: &ConversationKey,
    before: &Head,
    after: &Head,
    terms: &CommitTerms,
) -> Result<(), Fault> {
    let mut item = after.item(key)?;
    store.retention.stamp_record(&mut item, terms.now);
    transaction.put(item, Some(before.unchanged()));
    if store.sweeps && after.record.is_free() {
        transaction.delete(at(place::UNFINISHED, place::conversation(key)), None);
    }
    Ok(())
}

/// The events, the snapshot and the saved run.
fn put_state(
    store: &DynamoStore,
    transaction: &mut Transaction<'_>,
    key: &ConversationKey,
    commit: &Commit,
    encoded: &Encoded,
    before: &Head,
    terms: &CommitTerms,
) {
    let partition = place::conversation(key);
    let stamped = |mut item: Item| {
        store.retention.stamp(&mut item, terms.now);
        item
    };
    let parts = |name, value: &[u8], place: &dyn Fn(usize) -> String| -> Vec<Item> {
        item::parts(&partition, name, value, place).into_iter().map(stamped).collect()
    };
    if let Some(last) = commit.events.last() {
        for mut part in parts(EVENTS, &encoded.events, &|part| place::log(last.seq, part)) {
            part.insert(LAST.to_owned(), number(last.seq.0));
            transaction.put(part, None);
        }
    }
    if let Some(snapshot) = &encoded.snapshot {
        transaction.put_parts(&partition, parts(TRACKER, snapshot, &place::snapshot), before.snapshot_parts, place::snapshot);
    }
    let saved = match &commit.run {
        RunState::Put(run) => parts(RUN, run, &place::saved),
        RunState::Clear => Vec::new(),
    };
    transaction.put_parts(&partition, saved, before.saved_parts, place::saved);
}

/// Answered messages leave the inbox, and a follow-up comes into it.
fn put_messages(
    store: &DynamoStore,
    transaction: &mut Transaction<'_>,
    key: &ConversationKey,
    answered: Vec<InboxMessage>,
    progress: Progress,
    follow_up: Option<&InboxMessage>,
    terms: &CommitTerms,
) -> Result<(), Fault> {
    let mut put = |mut item: Item| {
        store.retention.stamp(&mut item, terms.now);
        transaction.put(item, None);
    };
    if let Some(message) = follow_up {
        put(message_item(key, message)?);
        put(id_item(key, &NewMessage::from(message.clone()), Progress::Pending));
    }
    let gone: Vec<Item> = answered.iter().map(|message| at(&place::conversation(key), place::message(message.position))).collect();
    answered.into_iter().for_each(|message| put(id_item(key, &NewMessage::from(message), progress)));
    gone.into_iter().for_each(|key| transaction.delete(key, None));
    Ok(())
}

/// Moves the ends of the items that the state is made of, where they would be gone before the conversation is.
fn extend(store: &DynamoStore, transaction: &mut Transaction<'_>, key: &ConversationKey, lasting: Lasting, terms: &CommitTerms) -> Lasting {
    let Some(end) = store.retention.extended(lasting.earliest, terms.now) else { return lasting };
    for place in &lasting.places {
        transaction.update(Change {
            key: at(&place::conversation(key), place.as_str()),
            expression: "SET #end = :end".to_owned(),
            condition: Condition {
                expression: "attribute_exists(#pk)".to_owned(),
                names: Names::from([("#end".to_owned(), EXPIRES_AT.to_owned()), ("#pk".to_owned(), PARTITION.to_owned())]),
                values: Values::from([(":end".to_owned(), number(end))]),
            },
        });
    }
    Lasting { earliest: Some(end), ..lasting }
}

/// What becomes of the claim, and of what is known of the conversation here.
fn settle(store: &DynamoStore, key: &ConversationKey, known: Known, fate: Fate) -> cota_driver::store::Next {
    let inbox = known.inbox.clone();
    match fate {
        Fate::Held | Fate::Waiting(_) => store.driven.keep(key, known),
        Fate::Released { .. } => store.driven.forget(key),
    }
    let Ok(next) = fate.next(|| Ok::<_, std::convert::Infallible>(inbox));
    next
}

fn is_answered(commit: &Commit, message: &InboxMessage) -> bool {
    commit.answered.iter().any(|answered| answered.position == message.position)
}
