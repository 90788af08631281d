//! The ledger: one item a record, apart from the conversations.
//!
//! A name's first two segments choose its partition: `room/r1/c1` stands with the other members of the room, one query away, while
//! rooms, tickets and limits are spread over several partitions, so that no single one takes the load of all. A record's end is
//! also DynamoDB's, which deletes it some time later; until then it is there and not seen.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure};
use cota_core::ids::{ContentDigest, Timestamp};
use cota_driver::ledger::{Ledger, Record};
use cota_driver::store::StoreError;
use futures_util::future::try_join_all;

use crate::fault::Fault;
use crate::item::{Item, at, bytes, bytes_of, number, number_of, sort_of, text};
use crate::place::{EXPIRES_AT, PARTITION, SORT};
use crate::read::pause;
use crate::{DynamoStore, TRIES};

/// How many partitions share the names of one first segment.
const SPREAD: u8 = 8;
const VALUE: &str = "value";
/// The end in milliseconds.
const ENDS: &str = "ends";
/// Drawn for each write, so that one whose answer was lost is known again.
const NONCE: &str = "nonce";

#[async_trait]
impl Ledger for DynamoStore {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let item = self.table.get(&partition_of(name), &sort_of_name(name)).await?;
        Ok(item.as_ref().map(record).transpose()?.filter(|record| record.is_live(now)))
    }

    async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.put(name, expected, record, now).await?)
    }

    async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        Ok(self.delete(name).await?.as_ref().map(record).transpose()?.filter(|record| record.is_live(now)))
    }

    async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
        let items = match partitions_of(prefix) {
            Some(partitions) => {
                let (from, to) = (sort_of_name(prefix), format!("{}\u{10ffff}", sort_of_name(prefix)));
                let queries = partitions.iter().map(|partition| self.table.query_all(partition, &from, &to));
                try_join_all(queries).await?.into_iter().flatten().collect()
            }
            None => self.scan(prefix).await?,
        };
        let mut records = Vec::new();
        for item in &items {
            let (name, record) = (sort_of(item).chars().skip(1).collect::<String>(), record(item)?);
            if record.is_live(now) && name.starts_with(prefix) {
                records.push((name, record));
            }
        }
        records.sort_unstable_by(|one, next| one.0.cmp(&next.0));
        Ok(records)
    }
}

impl DynamoStore {
    async fn put(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, Fault> {
        let nonce = fastrand::u64(..).to_string();
        let mut item = at(&partition_of(name), sort_of_name(name));
        item.extend([(VALUE.to_owned(), bytes(record.value)), (NONCE.to_owned(), text(&nonce))]);
        if let Some(end) = record.expires_at {
            item.extend([(ENDS.to_owned(), number(end.0)), (EXPIRES_AT.to_owned(), number(end.0.div_ceil(1000)))]);
        }
        for attempt in 0..TRIES {
            let put = self
                .table
                .client
                .put_item()
                .table_name(&self.table.name)
                .set_item(Some(item.clone()))
                .expression_attribute_names("#ends", ENDS)
                .expression_attribute_values(":now", number(now.0))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let put = match expected {
                None => put.condition_expression("attribute_not_exists(#pk) OR #ends <= :now").expression_attribute_names("#pk", PARTITION),
                Some(expected) => put
                    .condition_expression("#value = :value AND (attribute_not_exists(#ends) OR #ends > :now)")
                    .expression_attribute_names("#value", VALUE)
                    .expression_attribute_values(":value", bytes(expected)),
            };
            match put.send().await {
                Ok(put) => {
                    self.table.count_write(put.consumed_capacity.iter());
                    return Ok(true);
                }
                Err(error) => match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                        self.table.count_write([]);
                        let present = refused.item.as_ref().and_then(|item| item.get(NONCE)?.as_s().ok());
                        return Ok(present == Some(&nonce));
                    }
                    Some(PutItemError::TransactionConflictException(_)) => pause(attempt).await,
                    Some(_) | None => return Err(Fault::of(&self.table.name, &error)),
                },
            }
        }
        Err(Fault::Contended)
    }

    /// Deletes the item, if it is there, and returns it.
    async fn delete(&self, name: &str) -> Result<Option<Item>, Fault> {
        let deleted = self
            .table
            .client
            .delete_item()
            .table_name(&self.table.name)
            .set_key(Some(at(&partition_of(name), sort_of_name(name))))
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#pk", PARTITION)
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match deleted {
            Ok(deleted) => {
                self.table.count_write(deleted.consumed_capacity.iter());
                Ok(deleted.attributes)
            }
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => {
                    self.table.count_write([]);
                    Ok(None)
                }
                Some(_) | None => Err(Fault::of(&self.table.name, &error)),
            },
        }
    }

    /// The slow way, for a beginning that says not even the first segment: all of the table is read.
    async fn scan(&self, prefix: &str) -> Result<Vec<Item>, Fault> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .table
                .client
                .scan()
                .table_name(&self.table.name)
                .consistent_read(true)
                .filter_expression("begins_with(#pk, :ledger) AND begins_with(#sk, :prefix)")
                .expression_attribute_names("#pk", PARTITION)
                .expression_attribute_names("#sk", SORT)
                .expression_attribute_values(":ledger", text(LEDGER))
                .expression_attribute_values(":prefix", text(sort_of_name(prefix)))
                .set_exclusive_start_key(after)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| Fault::of(&self.table.name, &error))?;
            self.table.count_read(page.consumed_capacity.iter());
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(items);
            }
        }
    }
}

const LEDGER: &str = "ledger/";

/// A sort key may not be empty, a name may.
fn sort_of_name(name: &str) -> String {
    format!("/{name}")
}

fn partition_of(name: &str) -> String {
    let (first, rest) = name.split_once('/').unwrap_or((name, ""));
    let second = rest.split_once('/').map_or(rest, |(second, _)| second);
    format!("{LEDGER}{first}/{}", shard_of(second))
}

/// The partitions in which names may begin so; none where the first segment is not known to its end.
fn partitions_of(prefix: &str) -> Option<Vec<String>> {
    let (first, rest) = prefix.split_once('/')?;
    Some(match rest.split_once('/') {
        Some((second, _)) => vec![format!("{LEDGER}{first}/{}", shard_of(second))],
        None => (0..SPREAD).map(|shard| format!("{LEDGER}{first}/{shard}")).collect(),
    })
}

fn shard_of(segment: &str) -> u8 {
    ContentDigest::of(&[segment]).0.bytes().fold(0, u8::wrapping_add) % SPREAD
}

fn record(item: &Item) -> Result<Record, Fault> {
    let value = bytes_of(item, VALUE).ok_or_else(|| Fault::unreadable("a record of the ledger", "its value is missing"))?;
    Ok(Record { value: value.to_vec(), expires_at: number_of(item, ENDS).map(Timestamp) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_share_two_segments_share_a_partition_and_a_shorter_beginning_finds_them_all() {
        assert_eq!(partition_of("room/r1/a"), partition_of("room/r1/b"));
        assert_eq!(partitions_of("room/r1/"), Some(vec![partition_of("room/r1/a")]));
        let all = partitions_of("room/").unwrap();
        assert!((0..100).all(|n| all.contains(&partition_of(&format!("room/r{n}/a")))));
        let used: std::collections::BTreeSet<_> = (0..100).map(|n| partition_of(&format!("limit/{n}"))).collect();
        assert_eq!(used.len(), usize::from(SPREAD), "a hundred names are spread");
        assert_eq!(partitions_of("roo"), None);
    }
}
