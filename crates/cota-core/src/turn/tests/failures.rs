//! Models that fail, stall or talk nonsense: a reply in any case, within the budget.

use super::stage::{Answer, Stage, picks, says, utters, weather};
use crate::event::{Cause, TurnOutcome};
use crate::limits;
use crate::machine::FailureKind;

#[test]
fn nonsense_is_asked_for_once_more_with_the_fault_named_then_becomes_an_utterance() {
    for nonsense in ["[]", "null", "42", "{}", r#"{"action": "Nonsense"}"#, r#"{"action": "Selector"}"#, r#"{"action": "UserUtter"}"#] {
        let mut stage = Stage::new(weather(|_| {}));
        let repaired = stage.say("hi", [says(nonsense), picks("Greet"), utters("Hi.")]);
        assert_eq!(repaired.said(), ["Hi."], "{nonsense}");
        assert!(repaired.calls()[1].fault.is_some(), "the fault is named");
        let given_up = stage.say("hi", [says(nonsense), says(nonsense), utters("Well.")]);
        assert_eq!(given_up.lines().last().unwrap(), "BotUtter:Well.", "{nonsense}");
        assert_eq!(given_up.end().outcome, TurnOutcome::Replied);
    }
}

#[test]
fn an_utterance_that_cannot_be_used_twice_is_the_fallback_reply() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say("hi", [picks("BotUtter"), says("null"), says("[1]")]);
    assert_eq!(played.said(), ["Sorry, please try again."]);
    assert_eq!(played.end().outcome, TurnOutcome::Fallback);
    assert_eq!(played.end().steps[2].cause, Cause::Fallback { reason: "unusable_answer".to_owned() });
    assert_eq!(played.lines()[0], "UserUtter:hi", "the user's message is kept");
}

#[test]
fn prose_is_an_utterance() {
    let mut stage = Stage::new(weather(|_| {}));
    assert_eq!(stage.say("hi", [picks("BotUtter"), says("Hello there.")]).said(), ["Hello there."]);
}

#[test]
fn a_failing_model_is_tried_again_with_a_growing_delay_then_the_next_one_is_asked() {
    let mut stage = Stage::new(weather(|_| {}));
    let fails = || Answer::Fails(FailureKind::Transient);
    let played = stage.say("hi", [fails(), fails(), picks("BotUtter"), utters("Hi.")]);
    assert_eq!(played.calls().iter().map(|call| call.llm.as_str()).collect::<Vec<_>>(), ["main", "main", "spare", "main"]);
    assert!((500..1100).contains(&played.took), "half a second to a second of delay, took {} ms", played.took);
    let all = stage.say("hi", [fails(), fails(), fails(), fails()]);
    assert_eq!(all.end().outcome, TurnOutcome::Fallback);
    assert_eq!(all.end().usage.llm_calls, 4);
}

#[test]
fn a_refusal_is_asked_once_without_json_and_never_the_same_again() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say("hi", [Answer::Fails(FailureKind::Rejected), picks("BotUtter"), utters("Hi.")]);
    assert_eq!(played.calls().iter().map(|call| call.json).collect::<Vec<_>>(), [true, false, true]);
    let refused = || Answer::Fails(FailureKind::Rejected);
    let played = stage.say("hi", [refused(), refused(), picks("BotUtter"), utters("Hi.")]);
    assert_eq!(played.calls()[2].llm, "spare");
}

#[test]
fn a_model_that_hangs_costs_its_timeout_and_the_turn_ends_within_its_time() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say("hi", [Answer::Hangs, picks("BotUtter"), utters("Hi.")]);
    assert_eq!(played.calls()[1].llm, "spare", "who hangs is not asked again while there is another");
    assert!((limits::LLM_TIMEOUT_MS..limits::LLM_TIMEOUT_MS + 1000).contains(&played.took));
    let mut stage = Stage::new(weather(|source| {
        for llm in &mut source.llms {
            llm.timeout_ms = Some(100_000);
        }
    }));
    let played = stage.say("hi", [Answer::Hangs, Answer::Hangs]);
    assert_eq!(played.end().outcome, TurnOutcome::Fallback);
    assert!(played.took <= limits::TURN_MS, "took {} ms", played.took);
}

#[test]
fn an_endless_choice_of_one_form_ends_at_the_step_limit() {
    let mut stage = Stage::new(weather(|_| {}));
    let endless = (0..8).flat_map(|_| [picks("Ping"), Answer::Executes("pong")]);
    let played = stage.say("ping", endless);
    assert_eq!(played.end().outcome, TurnOutcome::Fallback);
    assert_eq!(played.end().steps.last().unwrap().cause, Cause::Fallback { reason: "too_many_actions".to_owned() });
}

#[test]
fn a_long_wait_that_the_other_side_asks_for_is_not_waited_past_the_turns_time() {
    let mut stage = Stage::new(weather(|source| source.llms.truncate(1)));
    let turn_took = stage.say("hi", [Answer::Fails(FailureKind::RateLimited), picks("BotUtter"), utters("Hi.")]).took;
    assert!(turn_took < limits::TURN_MS);
}
