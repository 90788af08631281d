//! Bots of plain parts: a test says only what differs.

#![expect(clippy::expect_used, reason = "a test that names a bot wrongly fails by panicking")]

use serde_json::Map;

use cota_core::bot::{
    Action, ActionKind, BOT_UTTER, BotSource, Dialogue, DialogueStep, Executor, ExecutorKind, Expected, Form, Language, Llm, LlmKind, Mode,
    OnBusy, Policy, SELECTOR, Safety, Settings, Slot, USER_UTTER,
};
use cota_core::ids::{BotDigest, BotName};
use cota_core::limits;

/// A bot of `UserUtter`, `BotUtter`, `Selector` and these actions, with the format's defaults and no LLM.
///
/// # Panics
///
/// If no bot may have the name.
#[must_use]
pub fn source(name: &str, own: Vec<Action>) -> BotSource {
    let built_in = [(USER_UTTER, ActionKind::UserUtter), (BOT_UTTER, ActionKind::Utterance), (SELECTOR, ActionKind::Selector)];
    BotSource {
        name: BotName::new(name).expect("a bot's name"),
        digest: BotDigest::of(name.as_bytes()),
        language: Language::English,
        description: "A bot.".to_owned(),
        proxy_description: "A user.".to_owned(),
        settings: Settings {
            use_proxy_user: false,
            max_proxy_step: limits::PROXY_EXCHANGES,
            max_tokens: limits::ANSWER_TOKENS,
            max_steps: limits::TURN_ACTIONS,
            mode: Mode::Prompts,
            on_busy: OnBusy::Queue,
            max_queue: limits::WAITING_MESSAGES,
            max_history_tokens: limits::HISTORY_TOKENS,
            fallback: "Sorry.".to_owned(),
        },
        policies: vec![Policy::Trigger, Policy::Match],
        actions: built_in.into_iter().map(|(name, kind)| action(name, kind)).chain(own).collect(),
        llms: Vec::new(),
        examples: Vec::new(),
        rules: Vec::new(),
    }
}

/// An action without a prompt or an LLM of its own.
#[must_use]
pub fn action(name: &str, kind: ActionKind) -> Action {
    Action { name: name.to_owned(), description: format!("The action {name}."), prompt: None, llm: None, kind }
}

/// A form.
#[must_use]
pub fn form(name: &str, slots: Vec<Slot>, executor: Option<Executor>) -> Action {
    action(name, ActionKind::Form(Form { slots, executor }))
}

/// A slot of any text.
#[must_use]
pub fn slot(name: &str) -> Slot {
    Slot {
        name: name.to_owned(),
        description: format!("the {name}"),
        prompt: None,
        llm: None,
        values: Vec::new(),
        pattern: None,
        examples: Vec::new(),
    }
}

/// An executor that names no outputs.
#[must_use]
pub fn executor(kind: ExecutorKind, safety: Safety) -> Executor {
    Executor { kind, output: Vec::new(), timeout_ms: None, safety }
}

/// An example, or a rule.
#[must_use]
pub fn dialogue(title: &str, steps: Vec<DialogueStep>) -> Dialogue {
    Dialogue { title: title.to_owned(), during_form: true, steps }
}

/// A step whose result is one of these, or any where there are none.
#[must_use]
pub fn step(name: &str, thought: Option<&str>, results: &[&str]) -> DialogueStep {
    let result = if results.is_empty() { Expected::Any } else { Expected::OneOf(results.iter().map(ToString::to_string).collect()) };
    DialogueStep { name: name.to_owned(), thought: thought.map(str::to_owned), result }
}

/// An LLM that is asked once and has no other behind it.
#[must_use]
pub fn llm(name: &str) -> Llm {
    Llm {
        name: name.to_owned(),
        kind: LlmKind::OpenAi,
        model: "m".to_owned(),
        key: None,
        apibase: "http://localhost".to_owned(),
        extra: Map::new(),
        timeout_ms: None,
        attempts: 1,
        retry_delay_ms: 0,
        max_concurrent: None,
        rate_limit: None,
        fallback: None,
    }
}
