//! Conversation tests and the exported documents.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use cota_config::export;
use cota_config::tests::{ScriptedLlm, TestStepKind, TextCheck, read};

#[test]
fn a_test_file_is_read() {
    let files = support::folder(
        "=== tests/a.yml
tests:
  - name: a missing slot
    steps:
      - user: what is the weather in Oslo?
      - bot: {contains: [which day, Oslo], not_contains: error}
      - bot: {matches: '(?i)oslo.*day'}
      - user: 3
      - bot: exactly this
      - action: {name: Weather, slots: {city: Oslo, days: 3}, state: end, result: {contains: dry}}
      - action: HandOver
    llm: ['{\"text\": \"x\"}', {action: Weather, slots: {}}]
  - {name: offline, llm: examples, steps: [{user: hi}]}
=== tests/notes.md
not a test
",
    );
    let (tests, diagnostics) = read(&files);
    assert_eq!(support::text(&diagnostics), "");
    let [first, second] = tests.as_slice() else { panic!("two tests") };
    assert_eq!((first.name.as_str(), first.file.as_str(), first.line), ("a missing slot", "tests/a.yml", Some(2)));
    assert_eq!(first.steps.iter().filter_map(|step| step.line).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9, 10]);
    assert!(matches!(&first.steps[3].kind, TestStepKind::User(text) if text == "3"));
    assert!(matches!(&first.steps[4].kind, TestStepKind::Bot(check) if check.equals.as_deref() == Some("exactly this")));
    let TestStepKind::Action(action) = &first.steps[5].kind else { panic!("an action") };
    assert_eq!(action.slots, [("city".to_owned(), "Oslo".into()), ("days".to_owned(), 3.into())]);
    assert_eq!(action.state.as_deref(), Some("end"));
    assert!(action.result.as_ref().unwrap().check("it stays dry").is_ok());
    assert!(matches!(&first.steps[6].kind, TestStepKind::Action(action) if action.name == "HandOver"));
    let answers = ["{\"text\": \"x\"}", "{\"action\":\"Weather\",\"slots\":{}}"].map(str::to_owned).to_vec();
    assert_eq!(first.llm, Some(ScriptedLlm::Answers(answers)));
    assert_eq!(second.llm, Some(ScriptedLlm::Examples));
}

#[test]
fn a_text_is_checked_part_by_part() {
    let pattern = |text: &str| cota_core::bot::Pattern::new(text).unwrap();
    let contains = TextCheck { contains: vec!["a".to_owned()], not_contains: vec!["z".to_owned()], ..TextCheck::default() };
    let matches = TextCheck { matches: vec![pattern("^(x)?y$")], ..TextCheck::default() };
    let equals = TextCheck { equals: Some("a b ".to_owned()), ..TextCheck::default() };
    for (check, text, fault) in [
        (&contains, "cat", None),
        (&contains, "dog", Some("does not contain `a`")),
        (&contains, "a z", Some("contains `z`")),
        (&matches, "y", None),
        (&matches, "yes", Some("does not match `^(x)?y$`")),
        (&equals, " a b", None),
        (&equals, "a  b", Some("is not `a b `")),
    ] {
        assert_eq!(check.check(text).err().as_deref(), fault, "{text}");
    }
}

#[test]
fn the_examples_are_exported_by_action() {
    let bot = support::load_text(
        "=== agent.yml
actions: {Weather: {executer: {mock: true}}}
=== policy/a.yml
policies:
  - title: rain
    actions:
      - {name: UserUtter, result: [rain?, wet?]}
      - {name: Selector, thought: look it up, result: Weather}
      - {name: Weather, result: <text>}
      - {name: BotUtter, thought: \"say it\\nkindly\", result: <text>}
",
    )
    .bot
    .unwrap();
    let documents = export::documents(bot.source());
    assert_eq!(
        documents,
        [
            (
                "BotUtter.md".to_owned(),
                "# rain\nUserUtter:rain?\nthought:look it up\nSelector:Weather\nWeather:<text>\nthought:say it\\nkindly\nBotUtter:<text>\n"
                    .to_owned()
            ),
            ("Selector.md".to_owned(), "# rain\nUserUtter:rain?\nthought:look it up\nSelector:Weather\n".to_owned()),
        ]
    );
}
