//! What this crate's unit tests share.

use cota_core::bot::{Llm, LlmKind};
use serde_json::Map;

/// An endpoint with nothing special.
pub(crate) fn llm() -> Llm {
    Llm {
        name: "main".to_owned(),
        kind: LlmKind::OpenAi,
        model: "m".to_owned(),
        key: None,
        apibase: "http://localhost/v1".to_owned(),
        extra: Map::new(),
        timeout_ms: None,
        attempts: 1,
        retry_delay_ms: 0,
        max_concurrent: None,
        rate_limit: None,
        fallback: None,
    }
}
