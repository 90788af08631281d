//! The shape in which a streaming answer comes: a JSON head, eight zero bytes, the body.

use serde::Deserialize;
use serde_json::Map;

const SEPARATOR: [u8; 8] = [0; 8];

/// The head of a streaming answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    pub(super) status_code: u16,
    #[serde(default)]
    pub(super) headers: Map<String, serde_json::Value>,
    #[serde(default)]
    pub(super) cookies: Vec<String>,
}

/// Takes the head off the beginning of an answer once all of it is there.
pub(super) fn split(bytes: &mut Vec<u8>) -> Option<Head> {
    let end = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)?;
    let head = serde_json::from_slice(bytes.get(..end)?).expect("a streaming answer begins with its head as JSON");
    bytes.drain(..end + SEPARATOR.len());
    Some(head)
}
