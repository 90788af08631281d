use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::bot::ActionKind;
use crate::fuzzing;
use crate::tests::{action, bot, form, source};
use crate::turn::ToolCall;

fn said(content: &str) -> Result<String, String> {
    utterance(content).map(|said| said.text).map_err(|Fault(fault)| fault)
}

fn streamed(content: &str) -> String {
    let mut stream = TextStream::new();
    stream.feed(content)
}

#[test]
fn an_utterance_is_taken_from_json_a_fence_prose_or_plain_text() {
    for (content, text) in [
        (r#"{"thought": "t", "text": "Hi."}"#, "Hi."),
        ("```json\n{\"text\": \"Hi.\"}\n```", "Hi."),
        ("```\n{\"text\": \"Hi.\"}", "Hi."),
        (r#"Sure! {"text": "Hi."} Anything else?"#, "Hi."),
        (r#"As {name} said in {"a": 1}: {"thought": "{", "text": "Hi}."}"#, "Hi}."),
        ("{\"text\": \"two\nlines\",}", "two\nlines"),
        (r#"{"text": "first", "text": "second"}"#, "first"),
        (r#""Hi.""#, "Hi."),
        ("  Hi.\n", "Hi."),
        ("Use {curly} braces, as in {\"a\": 1}.", "Use {curly} braces, as in {\"a\": 1}."),
        ("{smile} hello", "{smile} hello"),
        ("[see the list] hello", "[see the list] hello"),
    ] {
        assert_eq!(said(content).as_deref(), Ok(text), "{content}");
    }
}

#[test]
fn what_is_no_utterance_is_named() {
    for (content, fault) in [
        ("", "it is empty"),
        ("  \n", "it is empty"),
        ("[1, 2]", "it is a list, not words"),
        ("null", "it is null, not words"),
        ("42", "it is a number, not words"),
        ("true", "it is true or false, not words"),
        ("```json\n[]\n```", "it is a list, not words"),
        (r#"{"text": 5}"#, "\"text\" is a number, not words"),
        (r#"{"text": " "}"#, "\"text\" is empty"),
        (r#"{"city": "Oslo"}"#, "it has no \"text\""),
        (r#"{"thought": "they are angry", "text": "Hel"#, "its JSON is broken or cut off"),
        (r#"Here: {"thought": "they are angry"}"#, "its JSON is broken or cut off"),
        (r#"{'thought': 'they are angry', 'text': 'Hi'}"#, "its JSON is broken or cut off"),
    ] {
        let named = said(content).unwrap_err();
        assert!(named.starts_with(fault), "{content}: {named}");
        assert!(!named.contains("angry"));
    }
}

#[test]
fn the_chosen_action_is_known_by_its_name_exactly_then_in_any_case() {
    let bot = bot();
    for (content, action) in [
        (r#"{"thought": "t", "action": "Weather"}"#, "Weather"),
        (r#"{"action": " weather "}"#, "Weather"),
        ("```json\n{\"action\": \"botutter\"}\n```", "BotUtter"),
        (r#"I think {"action": "Hours"} fits."#, "Hours"),
    ] {
        assert_eq!(selection(&bot, content).unwrap().action, action, "{content}");
    }
}

#[test]
fn a_choice_brings_the_known_slots_of_its_form() {
    let content = r#"{"thought": "t", "action": "Weather", "slots": {"City": "Oslo", "time": null, "mood": "good"}}"#;
    let expected = Selection {
        action: "Weather".to_owned(),
        thought: Some("t".to_owned()),
        slots: json!({"city": "Oslo"}).as_object().unwrap().clone(),
    };
    assert_eq!(selection(&bot(), content), Ok(expected));
}

#[test]
fn what_cannot_be_chosen_is_named_with_what_can() {
    let bot = bot();
    for (content, fault) in [
        ("Weather", "it has no complete JSON object"),
        ("", "it is empty"),
        ("[]", "it is a list"),
        ("null", "it is null"),
        ("7", "it is a number"),
        (r#"{"thought": "t"}"#, r#"it has no "action"; choose one of: BotUtter, Weather, HandOver, Hours"#),
        (r#"{"action": null}"#, r#""action" is null, not a name"#),
        (r#"{"action": ["Weather"]}"#, r#""action" is a list, not a name"#),
        (r#"{"action": "Dance"}"#, r#"there is no action "Dance"; choose one of: BotUtter, Weather"#),
        (r#"{"action": "Selector"}"#, r#""Selector" cannot be chosen"#),
        (r#"{"action": "userutter"}"#, r#""userutter" cannot be chosen"#),
    ] {
        let Fault(named) = selection(&bot, content).unwrap_err();
        assert!(named.starts_with(fault), "{content}: {named}");
    }
}

#[test]
fn slots_are_the_forms_own_with_every_kind_of_value_but_null() {
    let source = source(vec![form("F", &["a", "b", "c", "d"], &[])]);
    let form = source.actions.last().unwrap().form().unwrap();
    for (content, expected) in [
        (r#"{"a": "x", "b": 0, "c": false, "d": ["y"]}"#, json!({"a": "x", "b": 0, "c": false, "d": ["y"]})),
        (r#"{"A": "x", "b": null, "z": 1, "c": "", "d": {"deep": 1}}"#, json!({"a": "x", "c": ""})),
        (r#"{"A": "folded", "a": "exact"}"#, json!({"a": "exact"})),
        (r#"{"thought": "t", "slots": {"a": "x"}}"#, json!({"a": "x"})),
        (r#"I see {"z": 1}, so {"b": 2}."#, json!({"b": 2})),
        ("Nothing was said: {}", json!({})),
        ("{}", json!({})),
    ] {
        assert_eq!(slots(form, content).map(Json::Object), Ok(expected), "{content}");
    }
    for content in ["", "a: x", "[]", "null", "3"] {
        assert!(slots(form, content).is_err(), "{content}");
    }
}

#[test]
fn a_slot_may_itself_be_called_slots() {
    let source = source(vec![form("F", &["slots"], &[])]);
    let form = source.actions.last().unwrap().form().unwrap();
    assert_eq!(slots(form, r#"{"slots": 3}"#).map(Json::Object), Ok(json!({"slots": 3})));
}

#[test]
fn the_proxy_user_goes_on_or_stops() {
    let said = |text: &str, stop| Ok(ProxySaid { text: text.to_owned(), thought: None, stop });
    for (content, expected) in [
        (r#"{"text": "Oslo", "state": "continue"}"#, said("Oslo", false)),
        (r#"{"text": "bye", "state": "Stop"}"#, said("bye", true)),
        (r#"{"text": "", "state": "stop"}"#, said("", true)),
        (r#"{"state": "stop"}"#, said("", true)),
        ("Oslo please", said("Oslo please", false)),
        (r#"{"text": "", "state": "continue"}"#, Err(Fault(r#""text" is empty"#.to_owned()))),
        (r#"{"state": "continue"}"#, Err(Fault(r#"it has no "text""#.to_owned()))),
        (r#"{"text": 4}"#, Err(Fault(r#""text" is a number, not words"#.to_owned()))),
    ] {
        assert_eq!(proxy_user(content), expected, "{content}");
    }
    assert!(proxy_user("[]").is_err());
}

#[test]
fn in_tools_mode_calls_come_before_words() {
    let bot = Bot::compile(source(vec![form("天气", &["city"], &[]), action("Hours", ActionKind::Utterance)]));
    let call = |name: &str, arguments: &str| ToolCall { name: name.to_owned(), arguments: arguments.to_owned() };
    let completion = |content: &str, tool_calls| Completion { content: content.to_owned(), tool_calls, ..Completion::default() };

    let two = completion("Let me see.", vec![call("action_3", r#"{"city": "Oslo"}"#), call("hours", "")]);
    let city = json!({"city": "Oslo"}).as_object().unwrap().clone();
    let expected = vec![
        Selection { action: "天气".to_owned(), thought: Some("Let me see.".to_owned()), slots: city },
        Selection { action: "Hours".to_owned(), thought: None, slots: Slots::new() },
    ];
    assert_eq!(choice(&bot, &two), Ok(Choice::Calls(expected)));

    for (calls, fault) in [
        (vec![call("Dance", "{}")], r#"there is no action "Dance""#),
        (vec![call("action_9", "{}")], r#"there is no action "action_9""#),
        (vec![call("Selector", "{}")], r#""Selector" cannot be chosen"#),
        (vec![call("action_3", "Oslo")], "the arguments of 天气 are no JSON object"),
        (vec![], "it is empty"),
    ] {
        let Fault(named) = choice(&bot, &completion("", calls)).unwrap_err();
        assert!(named.starts_with(fault), "{named}");
    }
    for (content, text) in
        [("Hello.", "Hello."), (r#"{"thought": "t", "text": "Hi"}"#, "Hi"), (r#"Write {"text": "x"}."#, r#"Write {"text": "x"}."#)]
    {
        let Choice::Say(said) = choice(&bot, &completion(content, vec![])).unwrap() else { panic!("no words") };
        assert_eq!(said.text, text);
    }
}

#[test]
fn the_text_is_streamed_and_nothing_else() {
    for (content, text) in [
        (r#"{"thought": "secret", "text": "Hi."}"#, "Hi."),
        (r#"{"text": "Hi.", "thought": "secret"}"#, "Hi."),
        ("```json\n{\"text\": \"Hi.\"}\n```", "Hi."),
        (r#"Well {x}: {"a": [{"text": "secret"}, "}"], "n": -1.5e3, "b": {"text": "secret"}, "text": "Hi."}"#, "Hi."),
        (r#"{"a": 1} {"text": "Hi."}"#, "Hi."),
        (r#"{"te\u0078t": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#, "a\"\\/\u{8}\u{c}\n\r\té😀"),
        (r#"{"text": "cut o"#, "cut o"),
        (r#"{"text": "one"} {"text": "two"}"#, "one"),
        ("plain prose", ""),
        (r#"plain "text": "prose""#, ""),
        (r#"{"thought": "secret"#, ""),
        (r#"{"thought": "\"text\": \"secret\""}"#, ""),
        (r#"{"text": 5, "a": {"text": "secret"}}"#, ""),
        (r#"{"text": {"text": "secret"}}"#, ""),
        (r#"{"texts": "secret", "textual-and-much-longer": "secret"}"#, ""),
        (r#"[{"text": "secret"}]"#, ""),
        (r#"{"text": "lone \ud83d surrogate"}"#, "lone "),
        (r#"{"text": "bad \x escape"}"#, "bad "),
    ] {
        assert_eq!(streamed(content), text, "{content}");
    }
}

#[test]
fn a_megabyte_of_braces_is_read_in_little_time() {
    for unit in ["{", "{\"", "{\"a\":", "{\"a\":{}", "[", "{}", "\"", "{\"text\":\"{"] {
        let content = unit.repeat(1024 * 1024 / unit.len());
        let begun = std::time::Instant::now();
        let _ = utterance(&content);
        streamed(&content);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{unit}");
    }
}

/// Texts as an answer may hold them, in any script.
fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z \"\\\\{}\n]{0,20}", any::<String>()]
}

proptest! {
    #[test]
    fn the_decoders_agree_on_anything(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::answer(&bytes);
    }

    #[test]
    fn the_decoders_agree_on_what_looks_like_an_answer(cut in any::<u8>(), content in r#"([{}\[\],: "\\]|"text"|"thought"|\\u|d83d|"|```|json|\n|null|1){0,30}"#) {
        let mut bytes = vec![cut];
        bytes.extend(content.bytes());
        fuzzing::answer(&bytes);
    }

    #[test]
    fn what_is_streamed_is_what_is_said_and_never_a_thought(
        cut in any::<u8>(), text in words(), thought in words(), first in any::<bool>(), fence in any::<bool>(), ascii in any::<bool>(),
    ) {
        prop_assume!(!text.trim().is_empty());
        let object = if first { json!({"text": text, "thought": thought}) } else { json!({"thought": thought, "more": [{"text": "no"}], "text": text}) };
        let mut content = object.to_string();
        if ascii {
            content = content.encode_utf16().map(|unit| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
                _ => format!("\\u{unit:04x}"),
            }).collect();
        }
        if fence {
            content = format!("```json\n{content}\n```");
        }
        prop_assert_eq!(&streamed(&content), &text);
        prop_assert_eq!(said(&content), Ok(text));
        let mut bytes = vec![cut];
        bytes.extend(content.bytes());
        fuzzing::answer(&bytes);
    }

    #[test]
    fn a_cut_answer_shows_a_beginning_of_its_text(text in words(), thought in words(), at in 0..400_usize) {
        let content = json!({"thought": thought, "text": text}).to_string();
        let cut: String = content.chars().take(at).collect();
        prop_assert!(text.starts_with(&streamed(&cut)));
    }
}
