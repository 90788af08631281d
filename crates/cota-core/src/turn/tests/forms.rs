//! Forms: filling, asking, digressing, leaving, coming back.

use serde_json::json;

use super::stage::{Answer, Stage, picks, says, utters, weather};
use crate::event::Cause;
use crate::machine::FailureKind;
use crate::turn::{Purpose, Then};

#[test]
fn a_missing_slot_is_asked_for_and_the_form_goes_on() {
    let mut stage = Stage::new(weather(|_| {}));
    let asked = stage.say("weather in Oslo?", [picks("Weather"), says(r#"{"city": "Oslo", "day": null}"#), utters("Which day?")]);
    assert_eq!(asked.lines(), ["UserUtter:weather in Oslo?", "Selector:Weather", "Weather/start:", "BotUtter:Which day?"]);
    assert_eq!(asked.end().form.as_deref(), Some("Weather"));
    assert_eq!(asked.end().slots, *json!({"city": "Oslo"}).as_object().unwrap());
    assert_eq!(asked.end().steps[3].cause, Cause::Slot { form: "Weather".to_owned(), slot: "day".to_owned() });
    let done = stage
        .say("tomorrow", [picks("Weather"), says(r#"{"day": "tomorrow"}"#), Answer::Executes("rain"), picks("BotUtter"), utters("Rain.")]);
    assert_eq!(done.lines(), ["UserUtter:tomorrow", "Selector:Weather", "Weather/end:rain", "Selector:BotUtter", "BotUtter:Rain."]);
    assert_eq!(done.end().form, None);
    assert_eq!(done.end().slots, *json!({"city": "Oslo", "day": "tomorrow"}).as_object().unwrap());
}

#[test]
fn slots_that_the_choice_gave_are_kept_and_save_the_fill_call_when_complete() {
    let mut stage = Stage::new(weather(|_| {}));
    let choice = says(r#"{"action": "Weather", "slots": {"City": "Oslo", "day": 0}}"#);
    let played = stage.say("Oslo today", [choice, Answer::Executes("sun"), picks("BotUtter"), utters("Sun.")]);
    assert_eq!(played.actions()[2].slots, Some(json!({"city": "Oslo", "day": 0}).as_object().unwrap().clone()), "0 is a value");
    let mut stage = Stage::new(weather(|_| {}));
    let choice = says(r#"{"action": "Weather", "slots": {"city": "Oslo"}}"#);
    let fill = says(r#"{"city": "Bergen", "day": "today"}"#);
    let played = stage.say("Oslo today", [choice, fill, Answer::Executes("sun"), picks("BotUtter"), utters("Sun.")]);
    assert_eq!(played.actions()[2].slots.as_ref().unwrap()["city"], "Oslo");
}

#[test]
fn a_correction_overwrites_and_an_empty_text_clears() {
    let mut stage = Stage::new(weather(|_| {}));
    stage.say("Oslo", [picks("Weather"), says(r#"{"city": "Oslo"}"#), utters("Which day?")]);
    let corrected = stage.say("no, Bergen", [picks("Weather"), says(r#"{"city": "Bergen"}"#), utters("Which day?")]);
    assert_eq!(corrected.lines()[2], "Weather/continue:");
    assert_eq!(corrected.end().slots["city"], "Bergen");
    let cleared = stage.say("another city", [picks("Weather"), says(r#"{"city": ""}"#), utters("Which city?")]);
    assert_eq!(cleared.end().slots, serde_json::Map::new());
}

#[test]
fn an_utterance_is_a_digression_and_the_form_stays() {
    let mut stage = Stage::new(weather(|_| {}));
    stage.say("Oslo", [picks("Weather"), says(r#"{"city": "Oslo"}"#), utters("Which day?")]);
    let digression = stage.say("who are you?", [picks("Greet"), utters("A bot. Which day?")]);
    assert_eq!(digression.lines(), ["UserUtter:who are you?", "Selector:Greet", "Greet:A bot. Which day?"]);
    assert_eq!(digression.end().form.as_deref(), Some("Weather"));
}

#[test]
fn another_form_breaks_the_first_whose_slots_wait_for_a_return() {
    let mut stage = Stage::new(weather(|_| {}));
    stage.say("Oslo", [picks("Weather"), says(r#"{"city": "Oslo"}"#), utters("Which day?")]);
    let other = stage.say("ping", [picks("Ping"), Answer::Executes("pong"), picks("BotUtter"), utters("Pong.")]);
    assert_eq!(other.lines()[1..4], ["Selector:Ping", "Weather/break:", "Ping/end:pong"]);
    assert_eq!(other.end().steps[2].cause, Cause::Interrupted);
    let back = stage
        .say("the weather", [picks("Weather"), says(r#"{"day": "today"}"#), Answer::Executes("sun"), picks("BotUtter"), utters("Sun.")]);
    assert_eq!(back.actions()[2].slots, Some(json!({"city": "Oslo", "day": "today"}).as_object().unwrap().clone()));
    let again = stage.say("weather", [picks("Weather"), says("{}"), utters("Which city?")]);
    assert_eq!(again.end().slots, serde_json::Map::new(), "an ended form begins afresh");
}

#[test]
fn a_form_without_an_executor_ends_with_its_slots() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say("note Oslo", [picks("Note"), says(r#"{"city": "Oslo"}"#), picks("BotUtter"), utters("Noted.")]);
    assert_eq!(played.lines()[2], r#"Note/end:{"city":"Oslo"}"#);
}

#[test]
fn two_cities_are_looked_up_one_after_the_other() {
    let mut stage = Stage::new(weather(|_| {}));
    let script = [
        picks("Weather"),
        says(r#"{"city": "Oslo", "day": "today"}"#),
        Answer::Executes("rain"),
        picks("Weather"),
        says(r#"{"city": "Bergen", "day": "today"}"#),
        Answer::Executes("sun"),
        picks("BotUtter"),
        utters("Bergen is drier."),
    ];
    let played = stage.say("Oslo or Bergen?", script);
    assert_eq!(played.lines()[2], "Weather/end:rain");
    assert_eq!(played.lines()[4], "Weather/end:sun");
}

#[test]
fn an_effect_that_changes_the_world_is_saved_before_it_is_performed() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage
        .say("book Oslo", [picks("Book"), says(r#"{"city": "Oslo"}"#), Answer::Executes("done"), picks("BotUtter"), utters("Booked.")]);
    assert_eq!(played.commits.iter().map(|commit| commit.then).collect::<Vec<_>>(), [Then::Hold, Then::Finish]);
    let run = played.commits[0].commit_id.0.split('/').next().unwrap();
    assert_eq!(played.commits.iter().map(|commit| &*commit.commit_id.0).collect::<Vec<_>>(), [format!("{run}/0"), format!("{run}/1")]);
}

#[test]
fn a_failing_executor_is_the_forms_result_and_is_not_tried_again() {
    let mut stage = Stage::new(weather(|_| {}));
    let played = stage.say(
        "book",
        [picks("Book"), says(r#"{"city": "Oslo"}"#), Answer::Fails(FailureKind::Transient), picks("BotUtter"), utters("It failed.")],
    );
    let item = &played.actions()[2].result[0];
    assert_eq!(item.error().unwrap(), "it failed");
    assert_eq!(item.metadata["failure"], "transient");
}

#[test]
fn an_executor_that_hangs_ends_as_unknown_where_it_may_have_happened() {
    let mut stage = Stage::new(weather(|_| {}));
    let played =
        stage.say("book", [picks("Book"), says(r#"{"city": "Oslo"}"#), Answer::Hangs, picks("BotUtter"), utters("I cannot tell.")]);
    assert_eq!(played.actions()[2].result[0].metadata["failure"], "outcome_unknown");
    assert!((10_000..12_000).contains(&played.took), "took {} ms", played.took);
}

#[test]
fn a_fill_call_names_the_form_and_its_slots_so_far() {
    let mut stage = Stage::new(weather(|_| {}));
    stage.say("Oslo", [picks("Weather"), says(r#"{"city": "Oslo"}"#), utters("Which day?")]);
    let played = stage.say("hm", [picks("Weather"), says("{}"), utters("Which day?")]);
    let fill = played.calls()[1];
    assert_eq!(fill.purpose, Purpose::Fill { form: "Weather".to_owned() });
    assert_eq!(fill.slots["city"], "Oslo");
}
