//! Deleting a conversation, however many items it has.
//!
//! The record is marked first: from then on the conversation is gone and whoever drives it is fenced. The items follow, some at a
//! time, and the record last. A deletion that dies half-way is finished by the next one, or by the next message.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};
use cota_core::ids::ConversationKey;
use cota_driver::failpoint::failpoint;

use crate::fault::Fault;
use crate::head::{DELETING, EPOCH, VERSION};
use crate::item::{at, number, number_of, sort_of};
use crate::place::{self, PARTITION, RECORD, ROOM};
use crate::read::pause;
use crate::table::{Names, Page, Range, Values};
use crate::write::{Condition, MOST_ITEMS, Obstacle, Transaction, Written};
use crate::{DynamoStore, TRIES};

/// Every item of a conversation. Those who follow it do so still when it is gone, so the note of them stays.
const ALL: (&str, &str) = ("!", "~");

impl DynamoStore {
    /// Deletes every item of the conversation, and nothing of one that begins in its place meanwhile.
    pub(crate) async fn forget(&self, key: &ConversationKey) -> Result<(), Fault> {
        self.driven.forget(key);
        let Some(epoch) = self.mark(key).await? else { return Ok(()) };
        let partition = place::conversation(key);
        let mut after = None;
        loop {
            let limit = i32::try_from(MOST_ITEMS - 1).ok();
            let range = Range { partition: &partition, from: ALL.0, to: ALL.1, descending: false, limit, after };
            let Page { items, next } = self.table.query(range).await?;
            let places: Vec<&str> = items.iter().map(sort_of).filter(|place| ![RECORD, ROOM].contains(place)).collect();
            if !places.is_empty() && !self.delete_marked(key, epoch, &places).await? {
                return Ok(());
            }
            failpoint("middle-of-delete");
            after = next;
            if after.is_none() {
                break;
            }
        }
        failpoint("before-delete-commit");
        self.delete_marked(key, epoch, &[RECORD]).await?;
        failpoint("after-delete-commit");
        Ok(())
    }

    /// Marks the record; its epoch, or none where there is no conversation.
    async fn mark(&self, key: &ConversationKey) -> Result<Option<u64>, Fault> {
        for attempt in 0..TRIES {
            let marked = self
                .table
                .client
                .update_item()
                .table_name(&self.table.name)
                .set_key(Some(at(&place::conversation(key), RECORD)))
                .update_expression("SET #deleting = :yes ADD #version :one")
                .condition_expression("attribute_exists(#pk)")
                .expression_attribute_names("#pk", PARTITION)
                .expression_attribute_names("#deleting", DELETING)
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":yes", AttributeValue::Bool(true))
                .expression_attribute_values(":one", number(1))
                .return_values(ReturnValue::AllNew)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            match marked {
                Ok(marked) => {
                    self.table.count_write(marked.consumed_capacity.iter());
                    let epoch = marked.attributes.as_ref().and_then(|item| number_of(item, EPOCH));
                    return epoch.map(Some).ok_or_else(|| Fault::unreadable("a conversation's record", "it has no epoch"));
                }
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(_)) => return Ok(None),
                    Some(UpdateItemError::TransactionConflictException(_)) => pause(attempt).await,
                    Some(_) | None => return Err(Fault::of(&self.table.name, &error)),
                },
            }
        }
        Err(Fault::Contended)
    }

    /// Deletes items as long as the record is the marked one; whether it still was.
    async fn delete_marked(&self, key: &ConversationKey, epoch: u64, places: &[&str]) -> Result<bool, Fault> {
        let partition = place::conversation(key);
        for attempt in 0..TRIES {
            let mut transaction = Transaction::new(&self.table);
            if places == [RECORD] {
                transaction.delete(at(&partition, RECORD), Some(marked(epoch)));
                if self.sweeps {
                    transaction.delete(at(place::UNFINISHED, partition.as_str()), None);
                }
            } else {
                transaction.check(at(&partition, RECORD), marked(epoch));
                places.iter().for_each(|place| transaction.delete(at(&partition, *place), None));
            }
            match transaction.send().await? {
                Written::Whole => return Ok(true),
                Written::Nothing(obstacles) if matches!(obstacles.first(), Some(Obstacle::Condition(_))) => return Ok(false),
                Written::Nothing(_) => pause(attempt).await,
            }
        }
        Err(Fault::Contended)
    }
}

/// The record is the one of this epoch, and marked.
fn marked(epoch: u64) -> Condition {
    Condition {
        expression: "#deleting = :yes AND #epoch = :epoch".to_owned(),
        names: Names::from([("#deleting".to_owned(), DELETING.to_owned()), ("#epoch".to_owned(), EPOCH.to_owned())]),
        values: Values::from([(":yes".to_owned(), AttributeValue::Bool(true)), (":epoch".to_owned(), number(epoch))]),
    }
}
