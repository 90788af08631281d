//! Accepting a message.
//!
//! An acceptor that drives needs the conversation's state anyway: one query reads it, and the write is conditioned on the record
//! that it found, so the turn need not load it again. One that only rings need not know the state, and begins with a guess.

use cota_core::event::InboxMessage;
use cota_core::ids::{ContentDigest, ConversationKey, Seq};
use cota_driver::claim::AcceptRule;
use cota_driver::failpoint::failpoint;
use cota_driver::store::{AcceptTerms, Acceptance, AfterAccept, Claimed, Loaded, NewMessage, Progress, Recorded};

use crate::fault::Fault;
use crate::guess::{Guess, guess};
use crate::head::{self, Head};
use crate::item::{Item, at, bytes, encoded, number, number_of, text, text_of};
use crate::known::Known;
use crate::place::{self, RECORD};
use crate::read::{self, Lasting, MESSAGE, Whole, pause};
use crate::write::{Condition, Obstacle, Transaction, Written};
use crate::{DynamoStore, TRIES};

const DIGEST: &str = "digest";
const FIRST: &str = "first";
const LAST: &str = "last";

/// What was found of a conversation before a message is accepted.
enum Found {
    Nothing,
    Record(Head),
    Whole(Box<Whole>),
}

pub(crate) async fn accept(
    store: &DynamoStore,
    key: &ConversationKey,
    message: &NewMessage,
    terms: &AcceptTerms,
) -> Result<Acceptance, Fault> {
    let mut found = if terms.drive_as.is_some() {
        find_whole(store, key).await?
    } else {
        match guess(store, key, message, terms).await? {
            Guess::Right(acceptance) => return Ok(acceptance),
            Guess::Wrong(Some(head)) => Found::Record(head),
            Guess::Wrong(None) => find_record(store, key).await?,
        }
    };
    for attempt in 0..TRIES {
        if let Some(acceptance) = accept_into(store, key, message, terms, found).await? {
            return Ok(acceptance);
        }
        pause(attempt).await;
        found = if terms.drive_as.is_some() { find_whole(store, key).await? } else { find_record(store, key).await? };
    }
    Err(Fault::Contended)
}

/// What an id stands for, by its item.
pub(crate) fn recorded(item: &Item) -> Result<Recorded, Fault> {
    let digest = text_of(item, DIGEST).ok_or_else(|| Fault::unreadable("a message's id", "its digest is missing"))?;
    let progress = match (number_of(item, FIRST), number_of(item, LAST)) {
        (Some(first), Some(last)) => Progress::Answered { first: Seq(first), last: Seq(last) },
        (Some(_) | None, _) => Progress::Pending,
    };
    Ok(Recorded { digest: ContentDigest(digest.to_owned()), progress })
}

/// The item of an id.
pub(crate) fn id_item(key: &ConversationKey, message: &NewMessage, progress: Progress) -> Item {
    let mut item = at(&place::conversation(key), place::id(key, &message.sender, &message.message_id));
    item.insert(DIGEST.to_owned(), text(message.digest().0));
    if let Progress::Answered { first, last } = progress {
        item.extend([(FIRST.to_owned(), number(first.0)), (LAST.to_owned(), number(last.0))]);
    }
    item
}

/// The item of a message that waits.
pub(crate) fn message_item(key: &ConversationKey, message: &InboxMessage) -> Result<Item, Fault> {
    let mut item = at(&place::conversation(key), place::message(message.position));
    item.insert(MESSAGE.to_owned(), bytes(encoded("a message", message)?));
    Ok(item)
}

async fn find_whole(store: &DynamoStore, key: &ConversationKey) -> Result<Found, Fault> {
    Ok(read::whole(store, key).await?.map_or(Found::Nothing, |whole| Found::Whole(Box::new(whole))))
}

async fn find_record(store: &DynamoStore, key: &ConversationKey) -> Result<Found, Fault> {
    let record = store.table.get(&place::conversation(key), RECORD).await?;
    Ok(record.as_ref().map(Head::read).transpose()?.map_or(Found::Nothing, Found::Record))
}

/// Accepts into a conversation as it was found; none where it has changed since.
async fn accept_into(
    store: &DynamoStore,
    key: &ConversationKey,
    message: &NewMessage,
    terms: &AcceptTerms,
    found: Found,
) -> Result<Option<Acceptance>, Fault> {
    let (head, loaded, lasting) = match found {
        Found::Nothing => (Head::new(message.at), Some(Loaded::default()), Lasting::default()),
        Found::Record(head) => (head, None, Lasting::default()),
        Found::Whole(whole) => (whole.head, Some(whole.loaded), whole.lasting),
    };
    if head.deleting || store.retention.is_over(&head, message.at) {
        store.forget(key).await?;
        return Ok(None);
    }
    let mut record = head.record.clone();
    let (position, then) = match record.accept(key, message, terms) {
        AcceptRule::Write { position, then } => (position, then),
        AcceptRule::Refuse(refusal) => return Ok(Some(known_or(store, key, message, refusal).await?)),
    };
    let next = head.next(record, message.at);
    let mut transaction = Transaction::new(&store.table);
    let mut item = next.item(key)?;
    store.retention.stamp_record(&mut item, message.at);
    transaction.put(item, Some(head.unchanged()));
    let waiting = message.clone().at_position(position);
    put_message(store, &mut transaction, key, message, &waiting)?;
    if let Some(acceptance) = write(transaction, message, Acceptance::Accepted { position, then: then.clone() }).await? {
        return Ok(Some(match (acceptance, loaded) {
            (Acceptance::Accepted { position, then: AfterAccept::Drive(claimed) }, Some(loaded)) => {
                let loaded = Loaded { inbox: vec![waiting], ..loaded };
                store.rooms.begin(key);
                store.driven.keep(key, Known { head: next, inbox: loaded.inbox.clone(), lasting });
                let claimed = Claimed { loaded: Some(Box::new(loaded)), ..claimed };
                Acceptance::Accepted { position, then: AfterAccept::Drive(claimed) }
            }
            (acceptance, _) => acceptance,
        }));
    }
    Ok(None)
}

/// The message, its id, which must be new, and a note for whoever sweeps.
pub(crate) fn put_message(
    store: &DynamoStore,
    transaction: &mut Transaction<'_>,
    key: &ConversationKey,
    message: &NewMessage,
    waiting: &InboxMessage,
) -> Result<(), Fault> {
    let mut id = id_item(key, message, Progress::Pending);
    store.retention.stamp(&mut id, message.at);
    transaction.put(id, Some(Condition::absent()));
    let mut waiting = message_item(key, waiting)?;
    store.retention.stamp(&mut waiting, message.at);
    transaction.put(waiting, None);
    if store.sweeps {
        let mut note = at(place::UNFINISHED, place::conversation(key));
        note.extend(head::names_of(key));
        transaction.put(note, None);
    }
    Ok(())
}

/// Writes the record's item, the id's and more; the answer, or none where the record was another's.
async fn write(transaction: Transaction<'_>, message: &NewMessage, acceptance: Acceptance) -> Result<Option<Acceptance>, Fault> {
    failpoint("before-accept-commit");
    match transaction.send().await? {
        Written::Whole => {
            failpoint("after-accept-commit");
            Ok(Some(acceptance))
        }
        Written::Nothing(obstacles) => match obstacles.into_iter().nth(1) {
            Some(Obstacle::Condition(Some(item))) => Ok(Some(repeated(&item, message)?)),
            Some(Obstacle::Condition(None) | Obstacle::None | Obstacle::Conflict) | None => Ok(None),
        },
    }
}

/// The answer to a message whose id is known.
pub(crate) fn repeated(item: &Item, message: &NewMessage) -> Result<Acceptance, Fault> {
    let Recorded { digest, progress } = recorded(item)?;
    Ok(if digest == message.digest() { Acceptance::Repeated(progress) } else { Acceptance::IdReused })
}

/// A message that is refused may be one that was accepted before.
async fn known_or(store: &DynamoStore, key: &ConversationKey, message: &NewMessage, refusal: Acceptance) -> Result<Acceptance, Fault> {
    let id = store.table.get(&place::conversation(key), &place::id(key, &message.sender, &message.message_id)).await?;
    id.map_or(Ok(refusal), |item| repeated(&item, message))
}
