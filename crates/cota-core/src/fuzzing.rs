//! Fuzzed functions: they panic where an invariant breaks. The tests run them under proptest.

use crate::answer::{TextStream, proxy_user, utterance};

/// Decodes an LLM's answer, whole and in pieces. The first byte says how long the pieces are.
///
/// # Panics
/// When the pieces make another text than the whole, or a complete answer's text is not the one that was streamed.
pub fn answer(bytes: &[u8]) {
    let Some((cut, content)) = bytes.split_first() else { return };
    let content = String::from_utf8_lossy(content);
    let mut at_once = TextStream::new();
    at_once.feed(&content);

    let mut in_pieces = TextStream::new();
    let mut joined = String::new();
    let mut chars = content.chars().peekable();
    let mut length = usize::from(*cut);
    while chars.peek().is_some() {
        length = length * 5 % 13 + 1;
        let piece: String = chars.by_ref().take(length).collect();
        joined.push_str(&in_pieces.feed(&piece));
    }
    assert_eq!(in_pieces.text(), at_once.text(), "the pieces make another text than the whole");
    assert_eq!(joined, at_once.text(), "a piece was given out twice or not at all");

    let _ = proxy_user(&content);
    let said = utterance(&content);
    let complete = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&content).is_ok();
    if complete && !at_once.text().trim().is_empty() {
        assert_eq!(said.map(|said| said.text).ok().as_deref(), Some(at_once.text()), "what was streamed is not what was said");
    }
}
