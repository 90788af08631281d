//! Values as attributes, and large values in parts.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value as Json};

use crate::fault::Fault;
use crate::place::{PARTITION, SORT};

/// An item as DynamoDB has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Most bytes of a value in one item. An item holds 400 KB with its keys and names.
pub(crate) const PART: usize = 350 * 1024;

const PARTS: &str = "parts";

/// An item with its keys and nothing else.
pub(crate) fn at(partition: &str, sort: impl Into<String>) -> Item {
    HashMap::from([(PARTITION.to_owned(), text(partition)), (SORT.to_owned(), text(sort))])
}

pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(crate) fn text_of<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn number_of(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(crate) fn bytes_of<'i>(item: &'i Item, name: &str) -> Option<&'i [u8]> {
    item.get(name)?.as_b().ok().map(AsRef::as_ref)
}

/// The sort key; empty where there is none, which no item has.
pub(crate) fn sort_of(item: &Item) -> &str {
    text_of(item, SORT).unwrap_or_default()
}

/// The value of the attribute `name`.
pub(crate) fn decoded<T: DeserializeOwned>(item: &Item, name: &'static str) -> Result<T, Fault> {
    let encoded = bytes_of(item, name).ok_or_else(|| Fault::unreadable(name, "it is missing"))?;
    serde_json::from_slice(encoded).map_err(|error| Fault::unreadable(name, error))
}

pub(crate) fn encoded(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|error| Fault::unwritable(what, error))
}

/// The items of a value, each a part of it under the attribute `name`; a value of nothing is one item, too.
pub(crate) fn parts(partition: &str, name: &str, value: &[u8], place: impl Fn(usize) -> String) -> Vec<Item> {
    let chunks: Vec<&[u8]> = if value.is_empty() { vec![value] } else { value.chunks(PART).collect() };
    let count = chunks.len() as u64;
    let item = |(n, chunk): (usize, &[u8])| {
        let mut item = at(partition, place(n));
        item.extend([(name.to_owned(), bytes(chunk)), (PARTS.to_owned(), number(count))]);
        item
    };
    chunks.into_iter().enumerate().map(item).collect()
}

/// Parts of a value on their way back, in either order of their places.
#[derive(Debug, Default)]
pub(crate) struct Gathered(Vec<(String, Vec<u8>)>);

impl Gathered {
    /// Adds a part; the whole value once its last part is there. What most values are is one part, which is not copied.
    pub(crate) fn add(&mut self, mut item: Item, name: &str) -> Option<Vec<u8>> {
        let count = number_of(&item, PARTS).unwrap_or(1);
        let AttributeValue::B(part) = item.remove(name)? else { return None };
        if count <= 1 {
            return Some(part.into_inner());
        }
        self.0.push((sort_of(&item).to_owned(), part.into_inner()));
        if (self.0.len() as u64) < count {
            return None;
        }
        let mut parts = std::mem::take(&mut self.0);
        parts.sort_unstable_by(|one, next| one.0.cmp(&next.0));
        Some(parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().concat())
    }
}

/// A flat JSON object as attributes. What is null is left out, and what has parts of its own is kept as JSON text.
pub(crate) fn attributes(object: Map<String, Json>) -> Item {
    let attribute = |(name, value): (String, Json)| {
        let value = match value {
            Json::Null => return None,
            Json::Bool(holds) => AttributeValue::Bool(holds),
            Json::Number(number) => AttributeValue::N(number.to_string()),
            Json::String(text) => AttributeValue::S(text),
            nested @ (Json::Array(_) | Json::Object(_)) => AttributeValue::M(HashMap::from([(JSON.to_owned(), text(nested.to_string()))])),
        };
        Some((name, value))
    };
    object.into_iter().filter_map(attribute).collect()
}

/// The flat JSON object that [`attributes`] made an item of, with the item's other attributes beside it.
pub(crate) fn object(item: &Item) -> Map<String, Json> {
    let nested = |value: &AttributeValue| serde_json::from_str(text_of(value.as_m().ok()?, JSON)?).ok();
    let value = |value: &AttributeValue| {
        let number = || value.as_n().ok()?.parse::<u64>().ok().map(|number| Json::Number(Number::from(number)));
        let text = || value.as_s().ok().map(|text| Json::String(text.clone()));
        value.as_bool().ok().map(|holds| Json::Bool(*holds)).or_else(number).or_else(text).or_else(|| nested(value))
    };
    item.iter().filter_map(|(name, attribute)| Some((name.clone(), value(attribute)?))).collect()
}

/// The one attribute of a map that stands for a nested value.
const JSON: &str = "json";
