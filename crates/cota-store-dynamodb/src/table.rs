//! The table, and the calls that reach it: each is counted, with the capacity it took.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CancellationReason, ConsumedCapacity, KeySchemaElement, KeyType, KeysAndAttributes,
    ReturnConsumedCapacity, ScalarAttributeType, TableStatus, TimeToLiveSpecification, TransactWriteItem,
};

use crate::fault::Fault;
use crate::item::{Item, at, text};
use crate::place::{EXPIRES_AT, PARTITION, SORT};

/// Items that one call reads by their keys.
const BATCH: usize = 100;
/// Looks at a new table before it is said to be late.
const LOOKS: u32 = 120;

/// What was asked of DynamoDB so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Calls that were answered, retries of the SDK not counted.
    pub calls: u64,
    /// Read capacity units.
    pub read_units: f64,
    /// Write capacity units.
    pub write_units: f64,
}

/// A table of a client.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    usage: Mutex<Usage>,
}

/// Which items of a partition are read.
pub(crate) struct Range<'r> {
    pub(crate) partition: &'r str,
    /// The first sort key.
    pub(crate) from: &'r str,
    /// The last sort key, or what stands after it.
    pub(crate) to: &'r str,
    pub(crate) descending: bool,
    /// Most items of a page.
    pub(crate) limit: Option<i32>,
    /// Where the page before ended.
    pub(crate) after: Option<Item>,
}

/// Items, and where the next page begins.
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<Item>,
}

impl Table {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name, usage: Mutex::default() }
    }

    pub(crate) fn usage(&self) -> Usage {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One page, as everything that was written before stands.
    pub(crate) async fn query(&self, range: Range<'_>) -> Result<Page, Fault> {
        let Range { partition, from, to, descending, limit, after } = range;
        let asked = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .scan_index_forward(!descending)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_names("#sk", SORT)
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .set_limit(limit)
            .set_exclusive_start_key(after)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = asked.send().await.map_err(|error| Fault::of(&self.name, &error))?;
        self.count_read(answer.consumed_capacity.iter());
        Ok(Page { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
    }

    /// Every item of a range.
    pub(crate) async fn query_all(&self, partition: &str, from: &str, to: &str) -> Result<Vec<Item>, Fault> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let range = Range { partition, from, to, descending: false, limit: None, after };
            let page = self.query(range).await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    pub(crate) async fn get(&self, partition: &str, sort: &str) -> Result<Option<Item>, Fault> {
        let asked = self.client.get_item().table_name(&self.name).set_key(Some(at(partition, sort))).consistent_read(true);
        let answer =
            asked.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(|error| Fault::of(&self.name, &error))?;
        self.count_read(answer.consumed_capacity.iter());
        Ok(answer.item)
    }

    /// The items of these keys, in any order; those that do not exist are left out.
    pub(crate) async fn get_all(&self, keys: Vec<Item>) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        for keys in keys.chunks(BATCH) {
            let mut left = Some(keys.to_vec());
            while let Some(keys) = left.take().filter(|keys| !keys.is_empty()) {
                let asked = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
                let asked = asked.map_err(|error| Fault::unwritable("a request", error))?;
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.name, asked)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
                    .await
                    .map_err(|error| Fault::of(&self.name, &error))?;
                self.count_read(answer.consumed_capacity.iter().flatten());
                items.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
                left = answer.unprocessed_keys.and_then(|mut left| left.remove(&self.name)).map(|left| left.keys);
            }
        }
        Ok(items)
    }

    /// Writes all or nothing. The reasons say why it is nothing, one for each item.
    ///
    /// The SDK sends a token of its own with each transaction, so one that it repeats because an answer was lost is written once.
    pub(crate) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<Result<(), Vec<CancellationReason>>, Fault> {
        let asked = self.client.transact_write_items().set_transact_items(Some(items));
        match asked.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(answer) => {
                self.count_write(answer.consumed_capacity.iter().flatten());
                Ok(Ok(()))
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    self.count_write([]);
                    Ok(Err(cancelled.cancellation_reasons().to_vec()))
                }
                Some(_) | None => Err(Fault::of(&self.name, &error)),
            },
        }
    }

    /// Counts a call that read.
    pub(crate) fn count_read<'c>(&self, capacity: impl IntoIterator<Item = &'c ConsumedCapacity>) {
        self.count(|usage, units| usage.read_units += units, capacity);
    }

    /// Counts a call that wrote, or would have.
    pub(crate) fn count_write<'c>(&self, capacity: impl IntoIterator<Item = &'c ConsumedCapacity>) {
        self.count(|usage, units| usage.write_units += units, capacity);
    }

    fn count<'c>(&self, add: impl FnOnce(&mut Usage, f64), capacity: impl IntoIterator<Item = &'c ConsumedCapacity>) {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.calls += 1;
        add(&mut usage, capacity.into_iter().filter_map(|capacity| capacity.capacity_units).sum());
    }
}

/// Makes the table, unless there is one: charged by the request, with DynamoDB's deletion of what has expired. Returns once it can be used.
///
/// # Errors
/// If it cannot be made, with what DynamoDB says.
pub async fn create_table(client: &Client, name: &str) -> Result<(), TableError> {
    let failed = |why: String| TableError { table: name.to_owned(), why };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let attribute = |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let built = |error: aws_sdk_dynamodb::error::BuildError| failed(error.to_string());
    let made = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(PARTITION, KeyType::Hash).map_err(built)?)
        .key_schema(key(SORT, KeyType::Range).map_err(built)?)
        .attribute_definitions(attribute(PARTITION).map_err(built)?)
        .attribute_definitions(attribute(SORT).map_err(built)?)
        .send()
        .await;
    match made {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => return Ok(()),
        Err(error) => return Err(failed(Fault::of(name, &error).to_string())),
    }
    for _ in 0..LOOKS {
        let described =
            client.describe_table().table_name(name).send().await.map_err(|error| failed(Fault::of(name, &error).to_string()))?;
        if described.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
            return expire_items(client, name).await.map_err(|fault| failed(fault.to_string()));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(failed("it is not ready after a minute".to_owned()))
}

/// The table was not made.
#[derive(Debug, thiserror::Error)]
#[error("the table `{table}` was not made: {why}")]
pub struct TableError {
    table: String,
    why: String,
}

async fn expire_items(client: &Client, name: &str) -> Result<(), Fault> {
    let ends = TimeToLiveSpecification::builder().attribute_name(EXPIRES_AT).enabled(true).build();
    let ends = ends.map_err(|error| Fault::unwritable("a request", error))?;
    let asked = client.update_time_to_live().table_name(name).time_to_live_specification(ends);
    asked.send().await.map_err(|error| Fault::of(name, &error))?;
    Ok(())
}

/// The names and values of an expression.
pub(crate) type Names = HashMap<String, String>;
/// The values of an expression.
pub(crate) type Values = HashMap<String, AttributeValue>;
