//! `tools` mode: choosing, filling and answering in one call.

use serde_json::json;

use super::stage::{Answer, Stage, says, weather};
use crate::bot::{Bot, Mode};
use crate::event::{Cause, TurnOutcome};

fn bot() -> Bot {
    weather(|source| source.settings.mode = Mode::Tools)
}

#[test]
fn a_greeting_is_one_call_and_a_filled_form_two() {
    let mut stage = Stage::new(bot());
    let greeting = stage.say("hi there", [says("Hello!")]);
    assert_eq!(greeting.said(), ["Hello!"]);
    assert_eq!(greeting.end().usage.llm_calls, 1);
    assert_eq!(greeting.end().steps[1].cause, Cause::Tools);
    let call = Answer::Calls(vec![("Weather", json!({"city": "Oslo", "day": "today"}))]);
    let form = stage.say("weather in Oslo today", [call, Answer::Executes("rain"), says("Rain.")]);
    assert_eq!(form.lines(), ["UserUtter:weather in Oslo today", "Selector:Weather", "Weather/end:rain", "BotUtter:Rain."]);
    assert_eq!(form.end().usage.llm_calls, 2);
}

#[test]
fn the_models_next_text_is_the_question_for_a_missing_slot() {
    let mut stage = Stage::new(bot());
    let asked = stage.say("weather in Oslo", [Answer::Calls(vec![("Weather", json!({"city": "Oslo"}))]), says("Which day?")]);
    assert_eq!(asked.lines()[1..], ["Selector:Weather", "Weather/start:", "BotUtter:Which day?"]);
    assert_eq!(asked.end().form.as_deref(), Some("Weather"));
    let done = stage.say("today", [Answer::Calls(vec![("Weather", json!({"day": "today"}))]), Answer::Executes("rain"), says("Rain.")]);
    assert_eq!(done.actions()[2].slots, Some(json!({"city": "Oslo", "day": "today"}).as_object().unwrap().clone()));
}

#[test]
fn several_calls_in_one_answer_run_in_order() {
    let mut stage = Stage::new(bot());
    let calls = Answer::Calls(vec![("Weather", json!({"city": "Oslo", "day": "today"})), ("Ping", json!({}))]);
    let played = stage.say("both", [calls, Answer::Executes("rain"), Answer::Executes("pong"), says("Done.")]);
    assert_eq!(played.lines()[1..], ["Selector:Weather", "Weather/end:rain", "Selector:Ping", "Ping/end:pong", "BotUtter:Done."]);
}

#[test]
fn an_unknown_tool_is_repaired_once_and_then_becomes_an_utterance() {
    let mut stage = Stage::new(bot());
    let unknown = || Answer::Calls(vec![("Nonsense", json!({}))]);
    let played = stage.say("hi", [unknown(), unknown(), says(r#"{"text": "Well."}"#)]);
    assert_eq!(played.said(), ["Well."]);
    assert_eq!(played.end().outcome, TurnOutcome::Replied);
}
