//! Random small bots: forms of every safety, rules, both modes, a chain of two LLMs.

use std::sync::Arc;

use cota_core::bot::{
    Action, ActionKind, BOT_UTTER, Bot, BotSource, Dialogue, DialogueStep, Executor, ExecutorKind, Expected, Form, Language, Llm, LlmKind,
    MockCall, Mode, OnBusy, Policy, SELECTOR, Safety, Settings, Slot, TaskCall, USER_UTTER,
};
use cota_core::ids::{BotDigest, BotName};
use cota_core::limits;

use super::tape::Tape;

/// The form that starts a task.
const TASK: &str = "Plan";

/// The random bot's forms, each with its executor's safety; `None` where it has no executor.
pub const FORMS: [(&str, Option<Safety>); 5] = [
    ("Look", Some(Safety::ReadOnly)),
    ("Book", Some(Safety::Idempotent)),
    ("Pay", Some(Safety::AtMostOnce)),
    ("Note", None),
    (TASK, Some(Safety::Idempotent)),
];

/// A bot drawn from the tape.
#[must_use]
pub fn random(tape: &mut Tape) -> Arc<Bot> {
    let mode = *tape.pick(&[Mode::Prompts, Mode::Tools]);
    let on_busy = *tape.pick(&[OnBusy::Queue, OnBusy::Latest, OnBusy::Merge]);
    let max_steps = *tape.pick(&[limits::TURN_ACTIONS, 3, 6]);
    let mut actions = vec![
        utterance(USER_UTTER, ActionKind::UserUtter),
        utterance(BOT_UTTER, ActionKind::Utterance),
        utterance(SELECTOR, ActionKind::Selector),
        utterance("Greet", ActionKind::Utterance),
    ];
    actions.extend(FORMS.iter().map(|(name, safety)| form(name, *safety, tape.below(3))));
    let rule = |text: &str, action: &str| Dialogue {
        title: format!("say {text}"),
        during_form: true,
        steps: vec![step(USER_UTTER, &[text]), step(action, &[])],
    };
    Arc::new(Bot::compile(BotSource {
        name: BotName::new("random").expect("a name"),
        digest: BotDigest::of(b"random"),
        language: Language::English,
        description: "A bot.".to_owned(),
        proxy_description: "A user.".to_owned(),
        settings: Settings {
            use_proxy_user: false,
            max_proxy_step: 3,
            max_tokens: 100,
            max_steps,
            mode,
            on_busy,
            max_queue: 100,
            max_history_tokens: 500,
            fallback: "Sorry.".to_owned(),
        },
        policies: vec![Policy::Trigger, Policy::Match],
        actions,
        llms: vec![llm("first", Some("second"), tape.below(3)), llm("second", None, tape.below(2))],
        examples: Vec::new(),
        rules: vec![rule("pay", "Pay"), rule("hello", "Greet")],
    }))
}

fn utterance(name: &str, kind: ActionKind) -> Action {
    Action { name: name.to_owned(), description: format!("The action {name}."), prompt: None, llm: None, kind }
}

fn form(name: &str, safety: Option<Safety>, slots: usize) -> Action {
    let slot = |name: &&str| Slot {
        name: (*name).to_owned(),
        description: String::new(),
        prompt: None,
        llm: None,
        values: Vec::new(),
        pattern: None,
        examples: Vec::new(),
    };
    let executor = safety.map(|safety| Executor {
        kind: match name {
            TASK => ExecutorKind::Task(TaskCall { task: BotName::new("trip").expect("a name"), step: None }),
            _ => ExecutorKind::Mock(MockCall { text: None }),
        },
        output: vec!["ok".to_owned()],
        timeout_ms: None,
        safety,
    });
    let form = Form { slots: ["city", "day"].iter().take(slots).map(slot).collect(), executor };
    Action { kind: ActionKind::Form(form), ..utterance(name, ActionKind::Utterance) }
}

fn step(name: &str, results: &[&str]) -> DialogueStep {
    let result = if results.is_empty() { Expected::Any } else { Expected::OneOf(results.iter().map(ToString::to_string).collect()) };
    DialogueStep { name: name.to_owned(), thought: None, result }
}

fn llm(name: &str, fallback: Option<&str>, tries: usize) -> Llm {
    Llm {
        name: name.to_owned(),
        kind: LlmKind::OpenAi,
        model: "m".to_owned(),
        key: None,
        apibase: "http://localhost".to_owned(),
        extra: serde_json::Map::new(),
        timeout_ms: Some(5_000),
        attempts: u16::try_from(tries).unwrap_or(0) + 1,
        retry_delay_ms: 200,
        max_concurrent: None,
        rate_limit: None,
        fallback: fallback.map(str::to_owned),
    }
}
