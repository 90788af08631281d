//! A tree of values that remembers where each came from.

use cota_core::decimal;
use serde::{Serialize, Serializer};
use serde_json::{Map as JsonMap, Number, Value as Json};

/// Index of a file among the sources of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub u32);

/// A place in a text: line and column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The line.
    pub(crate) line: u32,
    /// The column.
    pub(crate) column: u32,
}

/// From one place to another; the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Range {
    /// Where it starts.
    pub(crate) start: Place,
    /// Where it ends.
    pub(crate) end: Place,
}

/// Where a value or a key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    /// In which file.
    pub(crate) file: FileId,
    /// Where in it; unknown in a bundle, which keeps no positions.
    pub(crate) range: Option<Range>,
}

impl Span {
    /// Somewhere in a file.
    #[must_use]
    pub(crate) fn of_file(file: FileId) -> Self {
        Self { file, range: None }
    }

    /// The file without the place: for what concerns all of it.
    #[must_use]
    pub(crate) fn whole_file(self) -> Self {
        Self::of_file(self.file)
    }
}

/// A value and where it is written. Equality looks at values only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// The value.
    pub(crate) value: Value,
    /// Where it is written.
    pub(crate) span: Span,
    /// Whether part of it was taken from the environment, so that no message may show it.
    pub(crate) from_environment: bool,
}

/// What a value is.
///
/// A plain YAML scalar is a number only if its text is the number's JSON spelling: `7` is, `007` and `1.10` stay text. So
/// every scalar can be had again as it was written, from YAML and from a bundle alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value {
    /// Nothing: `null`, `~` or no value at all.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the author's order.
    Map(Map),
}

/// A map in the author's order. Its keys are distinct.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map {
    entries: Vec<Entry>,
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key is written.
    pub(crate) key_span: Span,
    /// The value.
    pub(crate) value: Node,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Map {
    /// A map of entries whose keys the caller has made distinct.
    #[must_use]
    pub(crate) fn of_distinct(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The value of a key.
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries in order.
    #[must_use]
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// Takes in the entries of keys that it does not have.
    #[cfg(feature = "yaml")]
    pub(crate) fn add_missing(&mut self, below: &Self) {
        for entry in &below.entries {
            if self.get(&entry.key).is_none() {
                self.entries.push(entry.clone());
            }
        }
    }

    /// Lays `over` on top: maps are merged key by key, everything else is replaced.
    pub(crate) fn overlay(&mut self, over: Self) {
        for entry in over.entries {
            match self.entries.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => known.value.overlay(entry.value),
                None => self.entries.push(entry),
            }
        }
    }
}

impl Node {
    /// A value of a file whose places are not known.
    #[must_use]
    pub(crate) fn new(value: Value, span: Span) -> Self {
        Self { value, span, from_environment: false }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => None,
        }
    }

    /// A scalar as it was written; nothing for a null, a list or a map.
    #[must_use]
    pub(crate) fn as_text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether it still waits for a variable of the environment.
    #[must_use]
    pub(crate) fn is_pending(&self) -> bool {
        self.from_environment && matches!(&self.value, Value::Text(text) if text.contains("${"))
    }

    /// Whether there is nothing.
    #[must_use]
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// A number, in whatever spelling.
    #[must_use]
    pub(crate) fn as_number(&self) -> Option<f64> {
        match &self.value {
            Value::Number(number) => number.as_f64(),
            Value::Text(text) => decimal::read(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// A yes or no, also in the words of YAML 1.1.
    #[must_use]
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(flag) => Some(*flag),
            Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What it is, for a message.
    #[must_use]
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value of a plain scalar.
    #[must_use]
    pub(crate) fn plain(text: &str) -> Value {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => canonical_number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number),
        }
    }

    pub(crate) fn overlay(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Map(below), Value::Map(above)) => below.overlay(above),
            (value, above) => {
                *value = above;
                self.span = over.span;
                self.from_environment = over.from_environment;
            }
        }
    }

    /// The tree as JSON, nothing lost but the places.
    #[must_use]
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(map) => map.entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<JsonMap<_, _>>().into(),
        }
    }

    /// The tree of a JSON value of a file.
    #[must_use]
    pub(crate) fn from_json(json: Json, file: FileId) -> Self {
        let span = Span::of_file(file);
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(flag),
            Json::Number(number) => Value::Number(number),
            Json::String(text) => Value::Text(text),
            Json::Array(items) => Value::List(items.into_iter().map(|item| Self::from_json(item, file)).collect()),
            Json::Object(fields) => Value::Map(Map::of_distinct(
                fields.into_iter().map(|(key, value)| Entry { key, key_span: span, value: Self::from_json(value, file) }).collect(),
            )),
        };
        Self::new(value, span)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Number(number) => number.serialize(serializer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(map) => serializer.collect_map(map.entries.iter().map(|entry| (&entry.key, &entry.value))),
        }
    }
}

/// A number if its JSON spelling is the text itself.
pub(crate) fn canonical_number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let number: Number = serde_json::from_slice(text.as_bytes()).ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_can_be_had_as_written() {
        for text in ["7", "-3", "0.5", "007", "1.10", "1e3", "0x1F", "99999999999999999999999", "yes", "True", "true", "a b"] {
            let node = Node::new(Node::plain(text), Span::default());
            assert_eq!(node.as_text().as_deref(), Some(text));
            assert_eq!(Node::from_json(node.to_json(), FileId(0)).as_text().as_deref(), Some(text));
        }
        assert_eq!(Node::plain("7"), Value::Number(7.into()));
        assert_eq!(Node::plain("007"), Value::Text("007".to_owned()));
    }

    #[test]
    fn numbers_and_flags_are_read_in_any_spelling() {
        let read = |text: &str| Node::new(Node::plain(text), Span::default());
        assert_eq!(read("1.10").as_number(), Some(1.1));
        assert_eq!(read("+5").as_number(), Some(5.0));
        assert_eq!(read("inf").as_number(), None);
        assert_eq!(read("Yes").as_bool(), Some(true));
        assert_eq!(read("OFF").as_bool(), Some(false));
        assert_eq!(read("maybe").as_bool(), None);
    }
}
