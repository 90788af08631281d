//! Finds the JSON in an LLM's answer.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value as Json};

/// How many places in an answer are tried for an object, so that a megabyte of braces costs little more than reading it.
const TRIES: usize = 16;

/// What an answer is.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// A JSON object, alone or inside prose.
    Object(Map<String, Json>),
    /// As a whole a JSON value that is no object.
    Other(Json),
    /// Anything else.
    Nothing,
}

/// The answer's JSON. Inside prose the first object counts that is `wanted`; others are part of what the prose is about.
pub(super) fn find(content: &str, wanted: impl Fn(&Map<String, Json>) -> bool) -> Found {
    match whole(content) {
        Some(Json::Object(object)) => return Found::Object(object),
        Some(other) => return Found::Other(other),
        None => {}
    }
    objects(content).find(wanted).map_or(Found::Nothing, Found::Object)
}

/// The answer as one JSON value, alone or in a code fence.
pub(super) fn whole(content: &str) -> Option<Json> {
    let content = content.trim();
    parse(content).or_else(|| parse(fenced(content)?))
}

/// Whether a text that holds no usable object was meant as one: a brace, then the key of an answer.
pub(super) fn is_broken_answer(text: &str) -> bool {
    text.split('{').skip(1).any(|after| {
        let key = after.trim_start();
        ["\"thought\"", "\"text\"", "'thought'", "'text'"]
            .iter()
            .any(|name| key.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':')))
    })
}

fn fenced(content: &str) -> Option<&str> {
    let (_language, body) = content.strip_prefix("```")?.split_once('\n')?;
    let body = body.trim_end();
    Some(body.strip_suffix("```").unwrap_or(body).trim())
}

/// The objects inside prose, those inside objects left out.
fn objects(content: &str) -> impl Iterator<Item = Map<String, Json>> {
    let mut rest = content;
    let mut tries = 0;
    std::iter::from_fn(move || {
        while tries < TRIES {
            let (_, after) = rest.split_once('{')?;
            rest = after;
            if !after.trim_start().starts_with(['"', '}']) {
                continue;
            }
            tries += 1;
            if let Some((json, tail)) = balanced(after)
                && let Some(Json::Object(object)) = parse(&json)
            {
                rest = tail;
                return Some(object);
            }
        }
        None
    })
}

/// The object whose opening brace stands before `text`, mended where models slip, and what follows it. Mended are line breaks
/// inside a string and a comma before a closing bracket.
fn balanced(text: &str) -> Option<(String, &str)> {
    let mut json = String::from("{");
    let mut depth = 1_usize;
    let mut in_string = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if in_string {
            match c {
                '\\' => {
                    json.push(c);
                    json.extend(chars.next().map(|(_, escaped)| escaped));
                }
                c if c < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => {
                    in_string = c != '"';
                    json.push(c);
                }
            }
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth -= 1;
                if json.trim_end().ends_with(',') {
                    json.truncate(json.trim_end().len() - 1);
                }
            }
            _ => {}
        }
        json.push(c);
        if depth == 0 {
            return Some((json, text.get(at + 1..).unwrap_or_default()));
        }
    }
    None
}

fn parse(json: &str) -> Option<Json> {
    // An object's first value for a key counts, as it does for a reader that streams.
    let object: Result<FirstWins, _> = serde_json::from_slice(json.as_bytes());
    match object {
        Ok(FirstWins(object)) => Some(Json::Object(object)),
        Err(_) => serde_json::from_slice(json.as_bytes()).ok(),
    }
}

struct FirstWins(Map<String, Json>);

impl<'de> Deserialize<'de> for FirstWins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FirstWinsVisitor)
    }
}

struct FirstWinsVisitor;

impl<'de> Visitor<'de> for FirstWinsVisitor {
    type Value = FirstWins;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<FirstWins, A::Error> {
        let mut object = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Json>()? {
            object.entry(key).or_insert(value);
        }
        Ok(FirstWins(object))
    }
}
