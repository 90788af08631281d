use cota_core::bot::{Language, Mode};
use cota_core::event::{FormState, ResultItem};
use cota_core::turn::{Purpose, SlotQuestion};
use serde_json::{Value as Json, json};

use super::Talk;
use super::bots::{FALLBACK, bot, dialogue, english, form, slot};
use crate::ExamplesModel;

fn slots(json: Json) -> serde_json::Map<String, Json> {
    json.as_object().unwrap().clone()
}

#[test]
fn tools_mode_gets_calls_questions_and_plain_text() {
    let bot = english(Mode::Tools);
    let model = ExamplesModel::train(&bot);
    let mut talk = Talk::new(&bot, &model);
    talk.record("UserUtter", ResultItem::text("weather in Oslo"), None);
    let call = talk.answer(&Purpose::Choose);
    let calls: Vec<(&str, &str)> = call.tool_calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
    assert_eq!(calls, [("Weather", r#"{"city":"Oslo"}"#)]);
    assert_eq!(call.content, "");

    talk.record("Weather", ResultItem::default(), Some((FormState::Start, slots(json!({"city": "Oslo"})))));
    assert_eq!(talk.answer(&Purpose::Choose).content, "Oslo, fine. Which day?");
    talk.record("BotUtter", ResultItem::text("Oslo, fine. Which day?"), None);

    talk.record("UserUtter", ResultItem::text("tomorrow"), None);
    assert_eq!(talk.answer(&Purpose::Choose).tool_calls[0].arguments, r#"{"day":"tomorrow"}"#);
    talk.record("Weather", ResultItem::text("sun"), Some((FormState::End, slots(json!({"city": "Oslo", "day": "tomorrow"})))));
    let said = talk.answer(&Purpose::Choose);
    assert_eq!((said.content.as_str(), said.tool_calls.len()), ("I looked: sun.", 0));

    talk.record("BotUtter", ResultItem::text("I looked: sun."), None);
    talk.record("UserUtter", ResultItem::text("fnord"), None);
    assert_eq!(talk.answer(&Purpose::Choose).content, FALLBACK);
}

#[test]
fn a_form_that_failed_is_owned_up_to() {
    let bot = english(Mode::Prompts);
    let model = ExamplesModel::train(&bot);
    let mut talk = Talk::new(&bot, &model);
    talk.record("UserUtter", ResultItem::text("weather in Oslo today"), None);
    let metadata = slots(json!({"error": "the service did not answer in time", "failure": "timed_out"}));
    let failed = ResultItem { metadata, ..ResultItem::default() };
    talk.record("Weather", failed, Some((FormState::End, slots(json!({"city": "Oslo", "day": "today"})))));
    assert_eq!(talk.ask(&Purpose::Select)["action"], "BotUtter");
    let said = talk.ask(&Purpose::Utter { action: "BotUtter".to_owned(), slot: None });
    assert_eq!(said["text"], "I am sorry, that did not work just now. Please try again later.");
}

#[test]
fn whether_it_was_done_is_not_claimed_to_be_known() {
    let bot = english(Mode::Prompts);
    let model = ExamplesModel::train(&bot);
    let mut talk = Talk::new(&bot, &model);
    talk.record("UserUtter", ResultItem::text("take a note"), None);
    let metadata = slots(json!({"error": "it may or may not have been done", "failure": "outcome_unknown"}));
    talk.record("Note", ResultItem { metadata, ..ResultItem::default() }, Some((FormState::End, slots(json!({})))));
    let said = talk.ask(&Purpose::Utter { action: "BotUtter".to_owned(), slot: None });
    assert_eq!(said["text"], "I am sorry, I cannot tell whether that was done. Please check before you try again.");
}

#[test]
fn a_result_that_no_example_puts_into_words_is_said_as_it_is() {
    let lamp = form("Lamp", vec![]);
    let examples = vec![dialogue(&[("UserUtter", "light on|switch on the light"), ("Lamp", "<text>"), ("BotUtter", "<text>")])];
    let bot = bot(Language::English, Mode::Prompts, vec![lamp], examples);
    let model = ExamplesModel::train(&bot);
    assert_eq!(Talk::new(&bot, &model).say("light on please"), "Lamp of ");
}

#[test]
fn a_slot_that_no_example_asks_for_is_asked_for_by_its_description() {
    let bot = bot(Language::English, Mode::Prompts, vec![form("Order", vec![slot("size", &["S", "L"], None, &[])])], vec![]);
    let model = ExamplesModel::train(&bot);
    let talk = Talk::new(&bot, &model);
    let question = SlotQuestion { form: "Order".to_owned(), slot: "size".to_owned() };
    let said = talk.ask(&Purpose::Utter { action: "BotUtter".to_owned(), slot: Some(question) });
    assert_eq!(said["text"], "Please tell me: the size.");
}

#[test]
fn the_proxy_user_follows_the_example_that_fits_and_stops_at_its_end() {
    let examples = vec![
        dialogue(&[
            ("UserUtter", "hello|good morning"),
            ("BotUtter", "What is it about?"),
            ("UserUtter", "an appointment please|I need a doctor"),
            ("BotUtter", "Done."),
            ("UserUtter", "bye|goodbye then"),
            ("BotUtter", "Bye!"),
        ]),
        dialogue(&[("UserUtter", "when do you open?"), ("BotUtter", "At eight."), ("UserUtter", "good to know"), ("BotUtter", "Bye!")]),
    ];
    let bot = bot(Language::English, Mode::Prompts, vec![], examples);
    let model = ExamplesModel::train(&bot);
    for (opening, goes_on) in [
        ("", vec!["hello", "an appointment please", "bye"]),
        ("good morning", vec!["I need a doctor", "goodbye then"]),
        ("When do you open", vec!["good to know"]),
        ("fnord", vec![]),
    ] {
        let mut talk = Talk::new(&bot, &model);
        if !opening.is_empty() {
            talk.say(opening);
        }
        let mut said = Vec::new();
        loop {
            let next = talk.ask(&Purpose::ProxyUser);
            if next["state"] == "stop" {
                break;
            }
            said.push(next["text"].as_str().unwrap().to_owned());
            talk.say(next["text"].as_str().unwrap());
        }
        assert_eq!(said, goes_on, "after {opening:?}");
    }
}

#[test]
fn thoughts_are_left_to_the_examples_themselves() {
    let bot = english(Mode::Prompts);
    let model = ExamplesModel::train(&bot);
    let answer = model.answer(&bot, &cota_core::tracker::Tracker::default(), &Purpose::Think { action: "Weather".to_owned() });
    assert_eq!((answer.content.as_str(), answer.prompt_tokens, answer.completion_tokens), ("", 0, 0));
}

#[test]
fn thoughts_are_those_of_the_examples() {
    let examples = vec![
        with_thoughts(&[
            ("UserUtter", "switch on the lamp in the kitchen", ""),
            ("Selector", "Lamp", "the room is known, so switch"),
            ("Lamp", "<text>", ""),
            ("Selector", "BotUtter", "it is on, so say so"),
            ("BotUtter", "Done.", "be brief"),
        ]),
        with_thoughts(&[
            ("UserUtter", "switch on a lamp", ""),
            ("Selector", "Lamp", "the room is missing"),
            ("BotUtter", "Where?", "ask for the room"),
        ]),
    ];
    let bot = bot(Language::English, Mode::Prompts, vec![form("Lamp", vec![slot("room", &["kitchen", "hall"], None, &[])])], examples);
    let model = ExamplesModel::train(&bot);
    let mut talk = Talk::new(&bot, &model);
    talk.record("UserUtter", ResultItem::text("switch on a lamp please"), None);
    assert_eq!(talk.ask(&Purpose::Select)["thought"], "the room is missing");
    let question = SlotQuestion { form: "Lamp".to_owned(), slot: "room".to_owned() };
    let asked = talk.ask(&Purpose::Utter { action: "BotUtter".to_owned(), slot: Some(question) });
    assert_eq!(asked, json!({"thought": "ask for the room", "text": "Where?"}));

    talk.record("UserUtter", ResultItem::text("switch on the lamp in the hall"), None);
    assert_eq!(talk.ask(&Purpose::Select)["thought"], "the room is known, so switch");
    talk.record("Lamp", ResultItem::text("on"), Some((FormState::End, slots(json!({"room": "hall"})))));
    assert_eq!(talk.ask(&Purpose::Select), json!({"thought": "it is on, so say so", "action": "BotUtter", "slots": {}}));
    let said = talk.ask(&Purpose::Utter { action: "BotUtter".to_owned(), slot: None });
    assert_eq!(said, json!({"thought": "be brief", "text": "Done."}));
}

fn with_thoughts(steps: &[(&str, &str, &str)]) -> cota_core::bot::Dialogue {
    let names: Vec<(&str, &str)> = steps.iter().map(|(name, result, _)| (*name, *result)).collect();
    let mut dialogue = dialogue(&names);
    for (step, (_, _, thought)) in dialogue.steps.iter_mut().zip(steps) {
        step.thought = Some((*thought).to_owned()).filter(|thought| !thought.is_empty());
    }
    dialogue
}
