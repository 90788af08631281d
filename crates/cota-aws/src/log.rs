//! What happens, as JSON lines that CloudWatch reads: logs on standard error, metrics in its embedded format on standard output.
//!
//! Nothing that people said and no key is in them.

use std::io::{self, Write as _};

use serde_json::{Value as Json, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

use cota_core::event::{TurnEnd, TurnOutcome};
use cota_core::ids::{ConversationKey, RunId, Timestamp};

/// What the targets of this project's crates begin with. Libraries are left out: they might log addresses with keys in them.
const OURS: &str = "cota";
/// The namespace of the metrics.
const NAMESPACE: &str = "COTA";
const COUNTS: [&str; 5] = ["Turns", "Fallbacks", "LlmCalls", "PromptTokens", "CompletionTokens"];

/// Begins to log; only the first call in a process counts.
pub(crate) fn begin(level: LevelFilter) {
    let layer = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).with_writer(io::stderr);
    let ours = layer.with_filter(Targets::new().with_target(OURS, level));
    // Fails where somebody logs already.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ours));
}

/// Counts a turn that ended.
pub(crate) fn turn_ended(key: &ConversationKey, run: &RunId, end: &TurnEnd, now: Timestamp) {
    let line = measured(key, run, end, now);
    // A log that nobody takes must not end a turn.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn measured(key: &ConversationKey, run: &RunId, end: &TurnEnd, now: Timestamp) -> Json {
    let unit = |name: &&str| json!({"Name": name, "Unit": "Count"});
    let mut metrics: Vec<Json> = COUNTS.iter().map(unit).collect();
    metrics.push(json!({"Name": "TurnMs", "Unit": "Milliseconds"}));
    json!({
        "_aws": {
            "Timestamp": now.0,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Bot"]], "Metrics": metrics}],
        },
        "Bot": key.bot,
        "Turns": 1,
        "Fallbacks": u8::from(end.outcome == TurnOutcome::Fallback),
        "TurnMs": end.usage.ms,
        "LlmCalls": end.usage.llm_calls,
        "PromptTokens": end.usage.prompt_tokens,
        "CompletionTokens": end.usage.completion_tokens,
        "conversation": key.id,
        "run": run,
    })
}

#[cfg(test)]
mod tests {
    use cota_core::event::Usage;
    use cota_core::ids::{BotName, ConversationId, MessageId, Owner, SenderId};

    use super::*;

    /// The rules of CloudWatch's embedded metric format: what it cannot read it drops without a word.
    #[test]
    fn a_turn_is_a_line_that_cloudwatch_reads_as_metrics() {
        let (bot, id) = (BotName::new("weather").unwrap(), ConversationId::new("c1").unwrap());
        let key = ConversationKey { bot, owner: Owner::public(), id };
        let run = RunId::of(&key, &SenderId::new("ana").unwrap(), &MessageId::new("m1").unwrap());
        let usage = Usage { llm_calls: 3, prompt_tokens: 70, completion_tokens: 9, ms: 12 };
        let end = TurnEnd {
            outcome: TurnOutcome::Replied,
            message_ids: vec![MessageId::new("m1").unwrap()],
            replies: Vec::new(),
            slots: cota_core::event::Slots::new(),
            form: None,
            usage,
            steps: Vec::new(),
        };
        let line = measured(&key, &run, &end, Timestamp(1_795_899_782_025));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&line["_aws"]["Timestamp"], &directive["Namespace"]), (&json!(1_795_899_782_025_u64), &json!("COTA")));
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension} has no value at the top: {line}");
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        for metric in metrics {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric} has no value at the top: {line}");
            assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()), "{metric}");
        }
        assert_eq!(metrics.len(), 6);
        let text = line.to_string();
        assert!(!text.contains('\n') && text.len() < 1024, "one line, which CloudWatch charges by the byte");
    }
}
