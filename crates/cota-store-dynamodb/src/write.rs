//! One atomic write of several items.

use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use crate::fault::Fault;
use crate::item::{Item, at};
use crate::table::{Names, Table, Values};

/// Most items of a transaction.
pub(crate) const MOST_ITEMS: usize = 100;

/// What must hold of an item as it stands, for anything to be written.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) expression: String,
    pub(crate) names: Names,
    pub(crate) values: Values,
}

impl Condition {
    /// The item does not exist.
    pub(crate) fn absent() -> Self {
        let names = Names::from([("#pk".to_owned(), crate::place::PARTITION.to_owned())]);
        Self { expression: "attribute_not_exists(#pk)".to_owned(), names, values: Values::new() }
    }
}

/// What an item is changed to, and under which condition.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) key: Item,
    pub(crate) expression: String,
    pub(crate) condition: Condition,
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Written {
    /// All of it is written.
    Whole,
    /// None of it: for each item, what stood against it.
    Nothing(Vec<Obstacle>),
}

/// Why an item was not written.
#[derive(Clone, Debug)]
pub(crate) enum Obstacle {
    /// It was not the item's fault.
    None,
    /// Its condition does not hold: this is the item, where there is one.
    Condition(Option<Item>),
    /// Somebody else writes it at this moment, or too many do: try again.
    Conflict,
}

/// Items to be written at once.
pub(crate) struct Transaction<'t> {
    table: &'t Table,
    items: Vec<TransactWriteItem>,
    fault: Option<Fault>,
}

impl<'t> Transaction<'t> {
    pub(crate) fn new(table: &'t Table) -> Self {
        Self { table, items: Vec::new(), fault: None }
    }

    pub(crate) fn put(&mut self, item: Item, condition: Option<Condition>) {
        let put = Put::builder().table_name(&self.table.name).set_item(Some(item));
        let put = match condition {
            None => put,
            Some(Condition { expression, names, values }) => put
                .condition_expression(expression)
                .set_expression_attribute_names(filled(names))
                .set_expression_attribute_values(filled(values))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld),
        };
        let built = put.build();
        self.add(built.map(|put| TransactWriteItem::builder().put(put).build()));
    }

    pub(crate) fn update(&mut self, change: Change) {
        let Change { key, expression, condition } = change;
        let update = Update::builder()
            .table_name(&self.table.name)
            .set_key(Some(key))
            .update_expression(expression)
            .condition_expression(condition.expression)
            .set_expression_attribute_names(filled(condition.names))
            .set_expression_attribute_values(filled(condition.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.add(update.map(|update| TransactWriteItem::builder().update(update).build()));
    }

    pub(crate) fn delete(&mut self, key: Item, condition: Option<Condition>) {
        let delete = Delete::builder().table_name(&self.table.name).set_key(Some(key));
        let delete = match condition {
            None => delete,
            Some(Condition { expression, names, values }) => delete
                .condition_expression(expression)
                .set_expression_attribute_names(filled(names))
                .set_expression_attribute_values(filled(values)),
        };
        let built = delete.build();
        self.add(built.map(|delete| TransactWriteItem::builder().delete(delete).build()));
    }

    pub(crate) fn check(&mut self, key: Item, condition: Condition) {
        let check = ConditionCheck::builder()
            .table_name(&self.table.name)
            .set_key(Some(key))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(filled(condition.names))
            .set_expression_attribute_values(filled(condition.values))
            .build();
        self.add(check.map(|check| TransactWriteItem::builder().condition_check(check).build()));
    }

    /// Puts the parts of a value that had `before` parts, and deletes those that it has no more.
    pub(crate) fn put_parts(&mut self, partition: &str, parts: Vec<Item>, before: u64, place: impl Fn(usize) -> String) {
        let count = parts.len();
        parts.into_iter().for_each(|part| self.put(part, None));
        let before = usize::try_from(before).unwrap_or(MOST_ITEMS);
        (count..before).for_each(|part| self.delete(at(partition, place(part)), None));
    }

    pub(crate) async fn send(self) -> Result<Written, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.items.len() > MOST_ITEMS {
            let why = format!("it takes {} items, and DynamoDB writes at most {MOST_ITEMS} at once", self.items.len());
            return Err(Fault::unwritable("a write", why));
        }
        match self.table.transact(self.items).await? {
            Ok(()) => Ok(Written::Whole),
            Err(reasons) => reasons.into_iter().map(obstacle).collect::<Result<_, _>>().map(Written::Nothing),
        }
    }

    fn add(&mut self, item: Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError>) {
        match item {
            Ok(item) => self.items.push(item),
            Err(error) => self.fault = Some(Fault::unwritable("a request", error)),
        }
    }
}

fn obstacle(reason: CancellationReason) -> Result<Obstacle, Fault> {
    match reason.code() {
        None | Some("None") => Ok(Obstacle::None),
        Some("ConditionalCheckFailed") => Ok(Obstacle::Condition(reason.item)),
        Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => Ok(Obstacle::Conflict),
        Some(code) => Err(Fault::Service(format!("{code}: {}", reason.message().unwrap_or("no message")))),
    }
}

/// DynamoDB takes no empty maps.
fn filled<K, V>(map: std::collections::HashMap<K, V>) -> Option<std::collections::HashMap<K, V>> {
    Some(map).filter(|map| !map.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_told() {
        let of = |code: &str| obstacle(CancellationReason::builder().code(code).message("why").build());
        for passes in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert!(matches!(of(passes), Ok(Obstacle::Conflict)), "{passes}");
        }
        assert_eq!(of("ValidationError").unwrap_err().to_string(), "DynamoDB does not do its part (ValidationError: why)");
    }
}
