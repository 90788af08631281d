//! Texts with `{slot}` in them.

use cota_core::event::Slots;
use serde_json::Value as Json;

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece<'t> {
    /// Text as the author wrote it.
    Literal(&'t str),
    /// A slot's value.
    Slot {
        /// Its name.
        name: &'t str,
        /// What it holds.
        value: &'t Json,
    },
}

/// Cuts a template at its slots. Braces around anything but a slot's name are text.
pub(super) fn pieces<'t>(template: &'t str, slots: &'t Slots) -> Vec<Piece<'t>> {
    let mut pieces = Vec::new();
    let mut literal = template;
    let mut search_from = 0;
    while let Some((before, name, after)) = literal.get(search_from..).and_then(placeholder) {
        let open = search_from + before;
        if let (Some(value), Some(text)) = (slots.get(name), literal.get(..open)) {
            if !text.is_empty() {
                pieces.push(Piece::Literal(text));
            }
            pieces.push(Piece::Slot { name, value });
            literal = after;
            search_from = 0;
        } else {
            search_from = open + 1;
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    pieces
}

/// A single pass: what a slot holds is never taken for a template.
pub(super) fn fill(template: &str, slots: &Slots) -> String {
    pieces(template, slots)
        .into_iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.to_owned(),
            Piece::Slot { value, .. } => plain(value),
        })
        .collect()
}

/// A value as text: strings as they are, null as nothing, all else as JSON.
pub(super) fn plain(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

/// Where the first `{name}` opens, its name, and the text after it.
fn placeholder(text: &str) -> Option<(usize, &str, &str)> {
    let open = text.find('{')?;
    let (name, after) = text.get(open + 1..)?.split_once('}')?;
    Some((open, name, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn slots(value: Json) -> Slots {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn slots_are_filled_in_and_nothing_else_is_touched() {
        let slots = slots(json!({"city": "Oslo", "days": 3, "sure": true, "none": null, "list": [1, "a"], "日": "雨", "x": "{city}"}));
        for (template, filled) in [
            ("", ""),
            ("no slots", "no slots"),
            ("{city}", "Oslo"),
            ("in {city} for {days} days", "in Oslo for 3 days"),
            ("{city}{city}", "OsloOslo"),
            ("{none}|{sure}|{list}", r#"|true|[1,"a"]"#),
            ("{日}了", "雨了"),
            ("{x}", "{city}"),
            ("{unknown} {city}", "{unknown} Oslo"),
            (r#"{"a": "{city}"}"#, r#"{"a": "Oslo"}"#),
            ("{{city}}", "{Oslo}"),
            ("{ city } {", "{ city } {"),
            ("}{city", "}{city"),
        ] {
            assert_eq!(fill(template, &slots), filled, "{template}");
        }
    }

    proptest! {
        #[test]
        fn a_template_without_slots_is_itself(template in ".{0,60}") {
            prop_assert_eq!(fill(&template, &Slots::new()), template);
        }
    }
}
