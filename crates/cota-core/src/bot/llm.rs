//! The LLMs of endpoints.yml.

use std::fmt;

use serde_json::{Map, Value as Json};

/// One entry of `llms`.
#[derive(Clone, Debug)]
pub struct Llm {
    /// Its name in endpoints.yml.
    pub name: String,
    /// What it speaks.
    pub kind: LlmKind,
    /// The model to ask for.
    pub model: String,
    /// The bearer key.
    pub key: Option<Secret>,
    /// Where: the base of the API, or for `custom` the address itself.
    pub apibase: String,
    /// Sampling and whatever other keys go into the request as they are.
    pub extra: Map<String, Json>,
    /// One attempt's time in milliseconds; absent: the default, cut to the invocation's budget.
    pub timeout_ms: Option<u64>,
    /// Tries in all, the first included.
    pub attempts: u16,
    /// Before the second try; doubled before each further one.
    pub retry_delay_ms: u64,
    /// Calls at one time, in one process.
    pub max_concurrent: Option<u32>,
    /// Calls a minute, in one process.
    pub rate_limit: Option<u32>,
    /// The entry to ask when this one fails.
    pub fallback: Option<String>,
}

/// What an LLM speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LlmKind {
    /// OpenAI's chat completions.
    OpenAi,
    /// The same with a retrieval tool over a knowledge base of the vendor's.
    OpenAiRag {
        /// Which knowledge base.
        knowledge_id: String,
        /// How what was found is put to the model.
        prompt: Option<String>,
    },
    /// `{model, messages, ...}` posted to `apibase` itself.
    Custom,
    /// The offline model: the bot's own annotated dialogues.
    Examples,
}

/// A text that never shows itself: not in a log, not in an error, not in a trace.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
