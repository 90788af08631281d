//! Accepting without reading: a message for a conversation that is most likely free.
//!
//! The rules are asked about a record that is free. What they changed in it is written, and the condition says all that they can
//! have looked at. Where the guess is wrong nothing is written, and DynamoDB says what the record is instead.

use aws_sdk_dynamodb::types::AttributeValue;
use cota_core::ids::{ConversationKey, Position};
use cota_driver::claim::AcceptRule;
use cota_driver::failpoint::failpoint;
use cota_driver::store::{AcceptTerms, Acceptance, NewMessage};

use crate::DynamoStore;
use crate::accept::{put_message, repeated};
use crate::fault::Fault;
use crate::head::{DELETING, Head, TOUCHED, VERSION};
use crate::item::{Item, at, number, text_of};
use crate::place::{PARTITION, RECORD};
use crate::table::{Names, Values};
use crate::write::{Change, Condition, Obstacle, Transaction, Written};

/// What came of a guess.
pub(crate) enum Guess {
    Right(Acceptance),
    /// The record as it stands, where it was seen.
    Wrong(Option<Head>),
}

/// Accepts on the guess that the conversation is free. Positions may have gaps, so the present time is one that most likely
/// follows the last.
pub(crate) async fn guess(store: &DynamoStore, key: &ConversationKey, message: &NewMessage, terms: &AcceptTerms) -> Result<Guess, Fault> {
    let mut head = Head::new(message.at);
    head.record.last = Position(message.at.0.saturating_sub(1));
    let free = head.next(head.record.clone(), message.at).item(key)?;
    let mut record = head.record.clone();
    let AcceptRule::Write { position, then } = record.accept(key, message, terms) else { return Ok(Guess::Wrong(None)) };
    let mut accepted = head.next(record, message.at).item(key)?;
    store.retention.stamp_record(&mut accepted, message.at);
    let mut transaction = Transaction::new(&store.table);
    transaction.update(change(store, &free, accepted, message));
    put_message(store, &mut transaction, key, message, &message.clone().at_position(position))?;
    failpoint("before-accept-commit");
    match transaction.send().await? {
        Written::Whole => {
            failpoint("after-accept-commit");
            Ok(Guess::Right(Acceptance::Accepted { position, then }))
        }
        Written::Nothing(obstacles) => {
            let head = match obstacles.first() {
                Some(Obstacle::Condition(Some(record))) => Some(Head::read(record)?),
                Some(Obstacle::Condition(None) | Obstacle::None | Obstacle::Conflict) | None => None,
            };
            let is_gone = head.as_ref().is_some_and(|head| head.deleting || store.retention.is_over(head, message.at));
            match obstacles.into_iter().nth(1) {
                Some(Obstacle::Condition(Some(id))) if !is_gone => Ok(Guess::Right(repeated(&id, message)?)),
                Some(Obstacle::Condition(_) | Obstacle::None | Obstacle::Conflict) | None => Ok(Guess::Wrong(head)),
            }
        }
    }
}

/// Sets what differs between the two items, and the rest only where there is nothing yet.
fn change(store: &DynamoStore, free: &Item, accepted: Item, message: &NewMessage) -> Change {
    let mut names = Names::from([("#pk".to_owned(), PARTITION.to_owned()), ("#version".to_owned(), VERSION.to_owned())]);
    let mut values = Values::from([(":one".to_owned(), number(1)), (":zero".to_owned(), number(0))]);
    let mut sets = vec!["#version = if_not_exists(#version, :zero) + :one".to_owned()];
    let key = at(text_of(&accepted, PARTITION).unwrap_or_default(), RECORD);
    for (name, value) in accepted.into_iter().filter(|(name, _)| !key.contains_key(name) && name != VERSION) {
        let keeps = free.get(&name) == Some(&value) && name != TOUCHED;
        sets.push(if keeps { format!("#{name} = if_not_exists(#{name}, :{name})") } else { format!("#{name} = :{name}") });
        names.insert(format!("#{name}"), name.clone());
        values.insert(format!(":{name}"), value);
    }
    let mut expression = "attribute_not_exists(#pk) OR (attribute_not_exists(#claim) AND #saved = :not AND #pending = :zero \
                          AND #last < :last AND attribute_not_exists(#deleting)"
        .to_owned();
    if let Some(oldest) = store.retention.oldest(message.at) {
        expression.push_str(" AND #touched > :oldest");
        values.insert(":oldest".to_owned(), number(oldest.0));
    }
    expression.push(')');
    names.extend([("#claim".to_owned(), "claim".to_owned()), ("#deleting".to_owned(), DELETING.to_owned())]);
    values.insert(":not".to_owned(), AttributeValue::Bool(false));
    Change { key, expression: format!("SET {}", sets.join(", ")), condition: Condition { expression, names, values } }
}
