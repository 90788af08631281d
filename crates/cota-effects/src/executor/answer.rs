//! What an executor's answer says.

use cota_core::limits::EXECUTOR_ANSWER_BYTES;
use cota_core::machine::EffectError;
use serde_json::{Map, Value as Json};

use super::template::plain;
use super::{Executed, rejected};

/// Reads `{text, metadata}`, or takes the whole as text: JSON without `text` as it stands, a JSON string unquoted.
pub(super) fn read(body: &[u8]) -> Executed {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
    let whole = || Executed { text: String::from_utf8_lossy(body).into_owned(), metadata: Map::new() };
    match serde_json::from_slice(body) {
        Ok(Json::String(text)) => Executed { text, metadata: Map::new() },
        Ok(Json::Object(mut fields)) => match fields.remove("text") {
            Some(text) => Executed { text: plain(&text), metadata: metadata(fields.remove("metadata")) },
            None => whole(),
        },
        Ok(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_)) | Err(_) => whole(),
    }
}

/// The failure of an answer beyond the limit.
pub(super) fn too_large() -> EffectError {
    rejected(format!("the executer's answer is larger than {EXECUTOR_ANSWER_BYTES} bytes"))
}

fn metadata(value: Option<Json>) -> Map<String, Json> {
    match value {
        Some(Json::Object(fields)) => fields,
        None | Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_with_text_is_taken_apart_and_all_else_is_text() {
        for (body, text, meta) in [
            (r#"{"text": "sunny", "metadata": {"t": 21}}"#, "sunny", json!({"t": 21})),
            (r#" {"text": "sunny", "more": 1} "#, "sunny", json!({})),
            (r#"{"text": "sunny", "metadata": [1]}"#, "sunny", json!({})),
            (r#"{"text": 21}"#, "21", json!({})),
            (r#"{"text": null}"#, "", json!({})),
            (r#"{"b": 1,  "a": 2}"#, r#"{"b": 1,  "a": 2}"#, json!({})),
            (r#"[{"text": "x"}]"#, r#"[{"text": "x"}]"#, json!({})),
            (r#""sunny""#, "sunny", json!({})),
            ("21.50", "21.50", json!({})),
            ("\u{feff}sunny\n", "sunny", json!({})),
            ("{not json", "{not json", json!({})),
            ("", "", json!({})),
        ] {
            let Executed { text: got, metadata } = read(body.as_bytes());
            assert_eq!((got.as_str(), Json::Object(metadata)), (text, meta), "{body}");
        }
        assert_eq!(read(b"caf\xe9").text, "caf\u{fffd}");
    }
}
