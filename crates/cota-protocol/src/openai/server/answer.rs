use serde_json::{Value as Json, json};

use cota_core::event::Usage;
use cota_core::ids::{BotName, Timestamp};

/// The payload that ends a stream.
pub const DONE: &str = "[DONE]";

/// What all parts of an answer share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its id.
    pub id: String,
    /// When it was begun.
    pub created: Timestamp,
    /// The bot.
    pub model: BotName,
}

impl Answer {
    /// The whole answer.
    #[must_use]
    pub fn completion(&self, text: &str, usage: Usage) -> Json {
        let message = json!({"role": "assistant", "content": text, "refusal": null});
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
        self.part("chat.completion", json!([choice]), Some(usage))
    }

    /// The piece that begins a stream.
    #[must_use]
    pub fn begin(&self) -> Json {
        self.chunk(json!({"role": "assistant", "content": ""}), Json::Null)
    }

    /// A piece of the text.
    #[must_use]
    pub fn piece(&self, text: &str) -> Json {
        self.chunk(json!({ "content": text }), Json::Null)
    }

    /// The piece that says that the text is complete.
    #[must_use]
    pub fn end(&self) -> Json {
        self.chunk(json!({}), json!("stop"))
    }

    /// The piece that says what the answer cost.
    #[must_use]
    pub fn usage(&self, usage: Usage) -> Json {
        self.part("chat.completion.chunk", json!([]), Some(usage))
    }

    fn chunk(&self, delta: Json, finish_reason: Json) -> Json {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        self.part("chat.completion.chunk", json!([choice]), None)
    }

    fn part(&self, object: &str, choices: Json, usage: Option<Usage>) -> Json {
        let created = self.created.0 / 1000;
        json!({"id": self.id, "object": object, "created": created, "model": self.model, "choices": choices, "usage": usage.map(counts)})
    }
}

/// The body of `GET /v1/models`. Bots do not say when they were made: that is told as 0.
#[must_use]
pub fn models(bots: &[BotName]) -> Json {
    let models: Vec<Json> = bots.iter().map(|bot| json!({"id": bot, "object": "model", "created": 0, "owned_by": "cota"})).collect();
    json!({"object": "list", "data": models})
}

fn counts(usage: Usage) -> Json {
    let Usage { prompt_tokens, completion_tokens, .. } = usage;
    let total_tokens = prompt_tokens.saturating_add(completion_tokens);
    json!({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total_tokens})
}
