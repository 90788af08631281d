use serde_json::{Value as Json, json};
pub(crate) fn document() -> Json { json!({}) }
