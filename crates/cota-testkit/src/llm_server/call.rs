//! A request as a script sees it.

use bytes::Bytes;
use serde_json::Value as Json;

/// A chat completion that somebody asked for.
#[derive(Clone, Debug)]
pub struct Call {
    number: u64,
    body: Bytes,
}

impl Call {
    pub(super) fn new(number: u64, body: Bytes) -> Self {
        Self { number, body }
    }

    /// Its place among the server's calls, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The body as it came, JSON escapes included. Empty where it is no UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The body parsed; null where it is no JSON.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the answer is wanted in pieces.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.text().contains("\"stream\":true")
    }

    /// Whether tools are offered.
    #[must_use]
    pub fn offers_tools(&self) -> bool {
        self.text().contains("\"tools\":[")
    }

    /// The contents of all messages, one below the other.
    #[must_use]
    pub fn prompt(&self) -> String {
        let contents: Vec<String> = self.messages().iter().map(|message| field(message, "content")).collect();
        contents.join("\n")
    }

    /// The role and the content of the last message.
    #[must_use]
    pub fn last_message(&self) -> (String, String) {
        self.messages().last().map(|message| (field(message, "role"), field(message, "content"))).unwrap_or_default()
    }

    /// The last word of the body that begins with `#`, without it: letters, digits and dashes.
    #[must_use]
    pub fn last_tag(&self) -> Option<&str> {
        self.text().rmatch_indices('#').find_map(|(at, mark)| {
            let rest = self.text().get(at + mark.len()..)?;
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
            rest.get(..end).filter(|word| !word.is_empty())
        })
    }

    fn messages(&self) -> Vec<Json> {
        self.json().get("messages").and_then(Json::as_array).cloned().unwrap_or_default()
    }
}

fn field(message: &Json, name: &str) -> String {
    message.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}
