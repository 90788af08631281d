//! What a model or an executor might come back with: right, wrong, or not at all.

use cota_core::machine::{EffectError, FailureKind};
use cota_core::turn::{Completion, Effect, Outcome, Purpose, ToolCall};

use super::tape::Tape;

const ACTIONS: [&str; 10] = ["BotUtter", "Greet", "Look", "Book", "Pay", "Note", "Plan", "Selector", "UserUtter", "Nonsense"];
const JUNK: [&str; 7] = ["[]", "null", "42", "{}", "{\"action\": 7}", "just prose", ""];
const FAILURES: [FailureKind; 4] = [FailureKind::Transient, FailureKind::RateLimited, FailureKind::Rejected, FailureKind::TimedOut];

/// An outcome for an effect.
pub(super) fn random(tape: &mut Tape, effect: &Effect) -> Result<Outcome, EffectError> {
    if tape.once_in(5) {
        return Err(EffectError::new(*tape.pick(&FAILURES), "it failed"));
    }
    Ok(match effect {
        Effect::CallLlm(call) => Outcome::Llm(completion(tape, &call.purpose)),
        Effect::RunExecutor { .. } => {
            Outcome::Executed { text: (*tape.pick(&["ok", "fine"])).to_owned(), metadata: serde_json::Map::new() }
        }
    })
}

fn completion(tape: &mut Tape, purpose: &Purpose) -> Completion {
    if tape.once_in(6) {
        return said(*tape.pick(&JUNK));
    }
    match purpose {
        Purpose::Select => said(format!("{{\"thought\": \"t\", \"action\": \"{}\"}}", tape.pick(&ACTIONS))),
        Purpose::Choose if tape.below(2) == 0 => said("a plain answer"),
        Purpose::Choose => {
            let calls =
                (0..=tape.below(2)).map(|_| ToolCall { name: (*tape.pick(&ACTIONS)).to_owned(), arguments: slots(tape).to_owned() });
            Completion { tool_calls: calls.collect(), ..Completion::default() }
        }
        Purpose::Fill { .. } => said(slots(tape)),
        Purpose::Utter { .. } => said("{\"thought\": \"t\", \"text\": \"an answer\"}"),
        Purpose::Think { .. } => said("a thought"),
        Purpose::ProxyUser => said("{\"text\": \"hi\", \"state\": \"stop\"}"),
    }
}

fn slots(tape: &mut Tape) -> &'static str {
    tape.pick::<&str>(&["{\"city\": \"Oslo\", \"day\": 0}", "{\"city\": \"Oslo\"}", "{}", "{\"day\": \"\"}"])
}

fn said(content: impl Into<String>) -> Completion {
    Completion { content: content.into(), ..Completion::default() }
}
