//! Reading the fields of a map: unknown keys are reported, values are read as what they should be.

use std::ops::RangeInclusive;

use crate::codes;
use crate::keys::{Keys, Old};
use crate::nearest::nearest;
use crate::node::{Entry, Map, Node, Span, Value};
use crate::report::{Report, say, shown};

/// A map whose keys were checked.
pub(crate) struct Fields<'n> {
    keys: &'static Keys,
    entries: &'n [Entry],
    /// Where the map is written.
    pub(crate) span: Span,
}

impl<'n> Fields<'n> {
    /// Checks a map's keys; nothing if it is no map, which is reported. A null counts as an empty map.
    pub(crate) fn read(node: &'n Node, keys: &'static Keys, report: &mut Report<'_>) -> Option<Self> {
        let fields = Self::read_open(node, keys, report)?;
        for entry in fields.entries {
            if !keys.known.contains(&entry.key.as_str()) && !keys.old.iter().any(|(old, _)| *old == entry.key) {
                report.add(&codes::UNKNOWN_KEY, entry.key_span, || {
                    say(format!("{} has no key `{}`", keys.what, entry.key)).suggest(nearest(&entry.key, keys.known.iter().copied()))
                });
            }
        }
        Some(fields)
    }

    /// The same for a map that may have more keys than are known.
    pub(crate) fn read_open(node: &'n Node, keys: &'static Keys, report: &mut Report<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Null => &[],
            Value::Map(map) => map.entries(),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                report.add(&codes::WRONG_TYPE, node.span, || say(format!("{} must be a map, this is {}", keys.what, node.kind())));
                return None;
            }
        };
        for entry in entries {
            report_old(keys, entry, report);
        }
        Some(Self { keys, entries, span: node.span })
    }

    /// The value of a key, or of one that stands for it. The format's own spelling wins.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The same with the key's place.
    pub(crate) fn entry(&self, key: &str) -> Option<&'n Entry> {
        let stands_for = |entry: &&Entry| {
            self.keys.old.iter().any(|(old, becomes)| match becomes {
                Old::Synonym(new) | Old::Means(new) => *old == entry.key && *new == key,
                Old::LeftOut(_) | Old::Converted => false,
            })
        };
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .or_else(|| self.entries.iter().find(stands_for))
            .filter(|entry| !entry.value.is_null())
    }

    /// The entries, as written.
    pub(crate) fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// A text; numbers and flags as written.
    pub(crate) fn text(&self, key: &str, report: &mut Report<'_>) -> Option<String> {
        text(self.get(key)?, &format!("`{key}`"), report)
    }

    /// A yes or no.
    pub(crate) fn flag(&self, key: &str, report: &mut Report<'_>) -> Option<bool> {
        let node = self.get(key)?;
        let flag = node.as_bool();
        if flag.is_none() && !node.is_pending() {
            report.add(&codes::WRONG_TYPE, node.span, || say(format!("`{key}` must be true or false, not {}", shown(node))));
        }
        flag
    }

    /// A whole number within bounds.
    pub(crate) fn whole(&self, key: &str, bounds: RangeInclusive<u32>, report: &mut Report<'_>) -> Option<u32> {
        let number = self.number(key, f64::from(*bounds.start())..=f64::from(*bounds.end()), report)?;
        if number.fract() == 0.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within the bounds of a u32")]
            return Some(number as u32);
        }
        let node = self.get(key)?;
        report.add(&codes::WRONG_VALUE, node.span, || say(format!("`{key}` must be a whole number, not {}", shown(node))));
        None
    }

    /// A number within bounds.
    pub(crate) fn number(&self, key: &str, bounds: RangeInclusive<f64>, report: &mut Report<'_>) -> Option<f64> {
        let node = self.get(key)?;
        let Some(number) = node.as_number() else {
            if node.is_pending() {
                return None;
            }
            report.add(&codes::WRONG_TYPE, node.span, || say(format!("`{key}` must be a number, not {}", shown(node))));
            return None;
        };
        if bounds.contains(&number) {
            return Some(number);
        }
        report.add(&codes::OVER_LIMIT, node.span, || {
            say(format!("`{key}` must be from {} to {}, not {}", bounds.start(), bounds.end(), shown(node)))
        });
        None
    }

    /// Seconds as milliseconds, at least one.
    pub(crate) fn seconds(&self, key: &str, most_ms: u64, report: &mut Report<'_>) -> Option<u64> {
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
        let seconds = self.number(key, 0.0..=most_ms as f64 / 1000.0, report)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and within the limit")]
        let ms = (seconds * 1000.0).round() as u64;
        Some(ms.max(1))
    }

    /// A text or a list of texts.
    pub(crate) fn texts(&self, key: &str, report: &mut Report<'_>) -> Vec<String> {
        self.get(key).map(|node| texts(node, &format!("`{key}`"), report)).unwrap_or_default()
    }

    /// The items of a list.
    pub(crate) fn list(&self, key: &str, report: &mut Report<'_>) -> &'n [Node] {
        self.get(key).and_then(|node| list(node, &format!("`{key}`"), report)).unwrap_or_default()
    }

    /// The entries of a map that has names for keys.
    pub(crate) fn named(&self, key: &str, report: &mut Report<'_>) -> &'n [Entry] {
        let Some(node) = self.get(key) else { return &[] };
        match node.as_map() {
            Some(map) => Map::entries(map),
            None => {
                report.add(&codes::WRONG_TYPE, node.span, || say(format!("`{key}` must be a map of names, this is {}", node.kind())));
                &[]
            }
        }
    }
}

/// A text; numbers and flags as written.
pub(crate) fn text(node: &Node, what: &str, report: &mut Report<'_>) -> Option<String> {
    let text = node.as_text();
    if text.is_none() && !node.is_null() {
        report.add(&codes::WRONG_TYPE, node.span, || say(format!("{what} must be text, this is {}", node.kind())));
    }
    text
}

/// A text or a list of texts.
pub(crate) fn texts(node: &Node, what: &str, report: &mut Report<'_>) -> Vec<String> {
    match node.as_list() {
        Some(items) => items.iter().filter_map(|item| text(item, what, report)).collect(),
        None => text(node, what, report).into_iter().collect(),
    }
}

/// The items of a list.
pub(crate) fn list<'n>(node: &'n Node, what: &str, report: &mut Report<'_>) -> Option<&'n [Node]> {
    let items = node.as_list();
    if items.is_none() && !node.is_null() {
        report.add(&codes::WRONG_TYPE, node.span, || say(format!("{what} must be a list, this is {}", node.kind())));
    }
    items
}

fn report_old(keys: &Keys, entry: &Entry, report: &mut Report<'_>) {
    let Some((_, becomes)) = keys.old.iter().find(|(old, _)| *old == entry.key) else { return };
    match becomes {
        Old::Means(new) => report
            .add(&codes::OLD_KEY, entry.key_span, || say(format!("`{}` is read as `{new}`", entry.key)).help(format!("write `{new}`"))),
        Old::LeftOut(why) => {
            report.add(&codes::OLD_KEY, entry.key_span, || say(format!("`{}` is left out", entry.key)).help((*why).to_owned()))
        }
        Old::Synonym(_) | Old::Converted => {}
    }
}
