//! Random small bots: forms of every safety, rules, both modes, a chain of two LLMs.

use std::sync::Arc;

use cota_core::bot::{
    Action, ActionKind, Bot, BotSource, Executor, ExecutorKind, Llm, MockCall, Mode, OnBusy, Safety, TaskCall, USER_UTTER,
};
use cota_core::ids::BotName;
use cota_core::limits;

use super::tape::Tape;
use crate::bots::{action, dialogue, executor, form, llm, slot, source, step};

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
    let mut actions = vec![action("Greet", ActionKind::Utterance)];
    actions.extend(FORMS.iter().map(|(name, safety)| random_form(name, *safety, tape.below(3))));
    let rule = |text: &str, action: &str| dialogue(&format!("say {text}"), vec![step(USER_UTTER, None, &[text]), step(action, None, &[])]);
    let mut source = BotSource {
        llms: vec![tried("first", Some("second"), tape.below(3)), tried("second", None, tape.below(2))],
        rules: vec![rule("pay", "Pay"), rule("hello", "Greet")],
        ..source("random", actions)
    };
    source.settings.mode = mode;
    source.settings.on_busy = on_busy;
    source.settings.max_steps = max_steps;
    source.settings.max_proxy_step = 3;
    source.settings.max_queue = 100;
    source.settings.max_history_tokens = 500;
    Arc::new(Bot::compile(source))
}

fn random_form(name: &str, safety: Option<Safety>, slots: usize) -> Action {
    let kind = match name {
        TASK => ExecutorKind::Task(TaskCall { task: BotName::new("trip").expect("a name"), step: None }),
        _ => ExecutorKind::Mock(MockCall { text: None }),
    };
    let executor = safety.map(|safety| Executor { output: vec!["ok".to_owned()], ..executor(kind, safety) });
    form(name, ["city", "day"].into_iter().take(slots).map(slot).collect(), executor)
}

fn tried(name: &str, fallback: Option<&str>, again: usize) -> Llm {
    Llm {
        timeout_ms: Some(5_000),
        attempts: u16::try_from(again).unwrap_or(0) + 1,
        retry_delay_ms: 200,
        fallback: fallback.map(str::to_owned),
        ..llm(name)
    }
}
