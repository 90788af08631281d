use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::bot::{BotSource, Dialogue, DialogueStep, Expected, SELECTOR};
use crate::event::{FormState, ResultItem};
use crate::tests::{dialogue, done, ended, in_state, tracker, weather};
use crate::tracker::result_text;

fn with_rules(rules: Vec<Dialogue>) -> Bot {
    Bot::compile(BotSource { rules, ..weather() })
}

fn with_examples(examples: Vec<Dialogue>) -> Bot {
    Bot::compile(BotSource { examples, ..weather() })
}

fn predicted(bot: &Bot, tracker: &Tracker) -> Option<String> {
    next_action(bot, tracker).map(|prediction| prediction.action)
}

fn ready(bot: &Bot, tracker: &Tracker, action: &str) -> (String, Vec<String>) {
    match thoughts(bot, tracker, action, 0) {
        ThoughtSource::Ready { text, examples } => (text, examples),
        ThoughtSource::Ask { .. } | ThoughtSource::None => (String::new(), Vec::new()),
    }
}

#[test]
fn any_beginning_of_a_rule_predicts_its_next_action() {
    let steps: &[(&str, &str, &[&str])] = &[
        ("UserUtter", "", &["human please", " agent "]),
        ("Selector", "", &["HandOver"]),
        ("HandOver", "", &["done"]),
        ("BotUtter", "", &[]),
        ("UserUtter", "", &["thanks"]),
        ("Hours", "", &[]),
    ];
    let bot = with_rules(vec![dialogue("hand over", steps)]);
    let user = |text| done("UserUtter", text);
    for (history, action) in [
        (vec![user("agent")], Some("HandOver")),
        (vec![user("  human please\n")], Some("HandOver")),
        (vec![user("Agent")], None),
        (vec![user("agent"), done("Selector", "HandOver")], Some("HandOver")),
        (vec![user("agent"), ended("HandOver", "done")], Some("BotUtter")),
        (vec![user("agent"), ended("HandOver", " done\n")], Some("BotUtter")),
        (vec![user("agent"), ended("HandOver", "nobody is there")], None),
        (vec![user("agent"), ended("HandOver", "done"), done("BotUtter", "whatever")], None),
        (vec![user("agent"), ended("HandOver", "done"), done("BotUtter", "x"), user("thanks")], Some("Hours")),
        (vec![user("thanks")], None),
        (vec![user("hi"), done("BotUtter", "x"), user("agent")], Some("HandOver")),
        (vec![], None),
    ] {
        assert_eq!(predicted(&bot, &tracker(history.clone())).as_deref(), action, "{history:?}");
    }
}

#[test]
fn a_result_that_output_does_not_name_is_any_other() {
    let rule =
        |results: &[&str]| with_rules(vec![dialogue("", &[("UserUtter", "", &["u"]), ("HandOver", "", results), ("Hours", "", &[])])]);
    let after = |text: &str| tracker([done("UserUtter", "u"), ended("HandOver", text)]);
    for (results, text, fires) in [
        (&["<text>"] as &[&str], "nobody", true),
        (&["<text>"], "done", false),
        (&["busy"], "nobody", true),
        (&["busy", "done"], "done", true),
        (&[], "done", true),
        (&[], "nobody", true),
    ] {
        assert_eq!(predicted(&rule(results), &after(text)).is_some(), fires, "{results:?} {text}");
    }
}

#[test]
fn messages_taken_together_are_lines_and_an_empty_one_is_left_out() {
    let greet = dialogue("", &[("UserUtter", "", &[""]), ("Hours", "", &[])]);
    let both = dialogue("both", &[("UserUtter", "", &["a\nb"]), ("BotUtter", "", &[])]);
    let bot = with_rules(vec![greet, both]);
    let mut merged = done("UserUtter", "a");
    merged.result.push(ResultItem::text("b"));
    assert_eq!(next_action(&bot, &tracker([merged])), Some(Prediction { action: "BotUtter".to_owned(), rule: "both".to_owned() }));
    assert_eq!(
        next_action(&bot, &tracker([done("UserUtter", " ")])),
        Some(Prediction { action: "Hours".to_owned(), rule: "rule 1".to_owned() })
    );
}

#[test]
fn the_longest_match_wins_then_the_last_rule() {
    let rule = |title: &str, steps: &[(&str, &str, &[&str])]| dialogue(title, steps);
    let bot = with_rules(vec![
        rule("long", &[("UserUtter", "", &["a"]), ("BotUtter", "", &[]), ("UserUtter", "", &["b"]), ("HandOver", "", &[])]),
        rule("short", &[("UserUtter", "", &["b"]), ("Hours", "", &[])]),
        rule("shorter", &[("UserUtter", "", &["c", "b"]), ("Weather", "", &[])]),
    ]);
    let fired = |history| next_action(&bot, &tracker(history)).map(|prediction| prediction.rule);
    assert_eq!(fired(vec![done("UserUtter", "b")]).as_deref(), Some("shorter"));
    assert_eq!(fired(vec![done("UserUtter", "a"), done("BotUtter", ""), done("UserUtter", "b")]).as_deref(), Some("long"));
}

#[test]
fn a_rule_that_is_not_for_forms_is_silent_in_one() {
    let rule = |title: &str| dialogue(title, &[("UserUtter", "", &["stop"]), ("Hours", "", &[])]);
    let outside = Dialogue { during_form: false, ..rule("outside") };
    let bot = with_rules(vec![rule("anywhere"), outside]);
    let fired = |history| next_action(&bot, &tracker(history)).map(|prediction| prediction.rule);
    assert_eq!(fired(vec![done("UserUtter", "stop")]).as_deref(), Some("outside"));
    assert_eq!(fired(vec![in_state("Weather", "", json!({}), FormState::Start), done("UserUtter", "stop")]).as_deref(), Some("anywhere"));
}

#[test]
fn rules_hold_only_where_the_chain_has_them() {
    let rules = vec![dialogue("", &[("UserUtter", "", &["a"]), ("Hours", "", &[])])];
    let bot = Bot::compile(BotSource { rules, policies: vec![Policy::Match], ..weather() });
    assert_eq!(next_action(&bot, &tracker([done("UserUtter", "a")])), None);
}

#[test]
fn a_key_reaches_back_no_further_than_its_limits() {
    let steps = |users: usize| -> Dialogue {
        let mut steps: Vec<(&str, &str, &[&str])> = vec![("UserUtter", "", &["first"])];
        steps.extend(std::iter::repeat_n(("UserUtter", "", &["again"] as &[&str]), users - 1));
        steps.push(("Hours", "", &[]));
        dialogue("", &steps)
    };
    for (users, fires) in [(limits::KEY_USER_UTTERS, true), (limits::KEY_USER_UTTERS + 1, false)] {
        let history = std::iter::once("first").chain(std::iter::repeat_n("again", users - 1));
        let fired = predicted(&with_rules(vec![steps(users)]), &tracker(history.map(|text| done("UserUtter", text))));
        assert_eq!(fired.is_some(), fires, "{users}");
    }
}

#[test]
fn rules_of_many_results_stay_small_and_match_fast() {
    let texts: Vec<String> = (0..8).map(|n| format!("t{n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).chain([""]).collect();
    let steps: Vec<(&str, &str, &[&str])> =
        std::iter::repeat_n(("UserUtter", "", texts.as_slice()), 16).chain([("Hours", "", &[] as &[&str])]).collect();
    let bot = with_rules(vec![dialogue("", &steps)]);
    assert_eq!(bot.rules().size(), 18);
    assert_eq!(predicted(&bot, &tracker((0..16).map(|_| done("UserUtter", "t3")))).as_deref(), Some("Hours"));
}

#[test]
fn ten_thousand_rules_compile_and_match_at_once() {
    let texts: Vec<String> = (0..10_000).map(|n| format!("message {n}")).collect();
    let rule = |text: &String| dialogue(text, &[("UserUtter", "", &[text]), ("HandOver", "", &["done"]), ("BotUtter", "", &[])]);
    let source = BotSource { rules: texts.iter().map(rule).collect(), ..weather() };
    let begun = std::time::Instant::now();
    let bot = Bot::compile(source);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    let tracker = tracker([done("UserUtter", "message 7000"), ended("HandOver", "done")]);
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(next_action(&bot, &tracker).unwrap().rule, "message 7000");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(1));
}

const COMPARE: &[(&str, &str, &[&str])] = &[
    ("UserUtter", "", &["Oslo or Bergen?", "Bergen or Oslo?"]),
    ("Selector", "Oslo first", &["Weather"]),
    ("Weather", "", &["<text>"]),
    ("Selector", "then Bergen", &["Weather"]),
    ("Weather", "", &["<text>"]),
    ("BotUtter", "compare\nthem", &[]),
];

#[test]
fn examples_that_went_the_same_way_lend_their_thoughts() {
    let bot = with_examples(vec![dialogue("compare", COMPARE)]);
    let user = done("UserUtter", "x");
    let sun = ended("Weather", "sun");
    for (history, action, matches) in [
        (vec![user.clone()], SELECTOR, true),
        (vec![user.clone()], "BotUtter", false),
        (vec![user.clone(), done("Selector", "Weather"), sun.clone()], SELECTOR, true),
        (vec![user.clone(), sun.clone(), sun.clone()], "BotUtter", true),
        (vec![user.clone(), sun.clone(), sun.clone()], SELECTOR, false),
        (vec![done("UserUtter", "before"), done("BotUtter", "b"), user.clone()], SELECTOR, true),
        (vec![user.clone(), done("Unheard", "x")], SELECTOR, false),
        (vec![], SELECTOR, false),
    ] {
        assert_eq!(!ready(&bot, &tracker(history.clone()), action).0.is_empty(), matches, "{action} after {history:?}");
    }
}

#[test]
fn an_example_is_shown_as_title_thoughts_and_results() {
    let (text, titles) = ready(&with_examples(vec![dialogue("compare", COMPARE)]), &tracker([done("UserUtter", "x")]), SELECTOR);
    let expected = "# compare\nUserUtter:Oslo or Bergen?\nthought:Oslo first\nSelector:Weather\nWeather:<text>\n\
                    thought:then Bergen\nSelector:Weather\nWeather:<text>\nthought:compare\\nthem\n\n";
    assert_eq!((text.as_str(), titles), (expected, vec!["compare".to_owned()]));
}

#[test]
fn longer_matches_come_first_and_the_same_names_and_thoughts_once() {
    let short: &[(&str, &str, &[&str])] = &[("UserUtter", "", &["a"]), ("Selector", "short", &[])];
    let again: &[(&str, &str, &[&str])] = &[("UserUtter", "", &["b"]), ("Selector", "short", &[])];
    let long: &[(&str, &str, &[&str])] =
        &[("UserUtter", "", &[]), ("BotUtter", "", &[]), ("UserUtter", "", &[]), ("Selector", "long", &[])];
    let bot = with_examples(vec![dialogue("short", short), dialogue("again", again), dialogue("long", long)]);
    let history = [done("UserUtter", "x"), done("BotUtter", "y"), done("UserUtter", "z")];
    assert_eq!(ready(&bot, &tracker(history), SELECTOR).1, ["long", "short"]);
}

#[test]
fn what_a_prompt_gets_of_examples_is_bounded() {
    let title = "t".repeat(1000);
    let thoughts: Vec<String> = (0..200).map(|n| format!("thought {n}")).collect();
    let example = |title: &str, thought: &str| dialogue(title, &[("UserUtter", "", &["a"]), ("Selector", thought, &["Weather"])]);
    let shown = |title: &str| {
        ready(
            &with_examples(thoughts.iter().map(|thought| example(title, thought)).collect()),
            &tracker([done("UserUtter", "x")]),
            SELECTOR,
        )
    };
    assert_eq!(shown("t").1.len(), 50);
    let (text, titles) = shown(&title);
    assert!(titles.len() < 20 && text.len() <= 16 * 1024 && text.len() > 14 * 1024);
}

#[test]
fn a_hundred_thousand_examples_compile_quickly() {
    let examples: Vec<Dialogue> = (0..100_000)
        .map(|n| {
            let mut example = dialogue("e", COMPARE);
            example.steps[1].thought = Some(format!("thought {n}"));
            example
        })
        .collect();
    let begun = std::time::Instant::now();
    let bot = with_examples(examples);
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(10), "{took:?}");
    assert_eq!(bot.thoughts().size(), 150);
    assert_eq!(ready(&bot, &tracker([done("UserUtter", "x")]), SELECTOR).1.len(), 50);
}

#[test]
fn the_chain_is_asked_link_by_link() {
    let llm = |default: Option<&str>, by_action: &[(&str, &str)]| Policy::Llm {
        default: default.map(str::to_owned),
        by_action: by_action.iter().map(|(action, llm)| ((*action).to_owned(), (*llm).to_owned())).collect(),
    };
    let policies = vec![llm(None, &[("BotUtter", "talker")]), Policy::Match, Policy::Trigger, llm(Some("any"), &[("Weather", "rain")])];
    let bot = Bot::compile(BotSource { policies, examples: vec![dialogue("compare", COMPARE)], ..weather() });
    let tracker = tracker([done("UserUtter", "x")]);
    let ask = |llm: &str, next| ThoughtSource::Ask { llm: llm.to_owned(), next };
    assert_eq!(thoughts(&bot, &tracker, "BotUtter", 0), ask("talker", 1));
    assert_eq!(thoughts(&bot, &tracker, "BotUtter", 1), ask("any", 4));
    assert_eq!(thoughts(&bot, &tracker, "Weather", 0), ask("rain", 4));
    assert!(matches!(thoughts(&bot, &tracker, SELECTOR, 0), ThoughtSource::Ready { .. }));
    assert_eq!(thoughts(&bot, &tracker, SELECTOR, 2), ask("any", 4));
    assert_eq!(thoughts(&bot, &tracker, SELECTOR, 4), ThoughtSource::None);
}

/// Whether these steps can make the key of this history, read straight from the rule: a step or an action with nothing to say
/// is passed over, all others must agree one by one.
fn agrees(steps: &[DialogueStep], history: &[ActionRecord]) -> bool {
    if let Some((action, rest)) = history.split_first()
        && action.name == USER_UTTER
        && result_text(action).trim().is_empty()
    {
        return agrees(steps, rest);
    }
    let Some((step, later)) = steps.split_first() else { return history.is_empty() };
    let texts = step.result.texts();
    let nothing = step.name == USER_UTTER && (texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()));
    if (step.name == SELECTOR || nothing) && agrees(later, history) {
        return true;
    }
    let Some((action, rest)) = history.split_first() else { return false };
    let text = result_text(action);
    let meant = |text: &str| if text == "done" { "done" } else { "other" }.to_owned();
    let same = match action.name.as_str() {
        USER_UTTER => texts.iter().any(|one| !one.trim().is_empty() && one.trim() == text.trim()),
        "HandOver" => texts.is_empty() || texts.iter().any(|one| meant(one) == meant(&text)),
        _ => true,
    };
    step.name == action.name && same && agrees(later, rest)
}

fn naive_next(rules: &[Dialogue], tracker: &Tracker) -> Option<(usize, String)> {
    let history: Vec<ActionRecord> = tracker.formless().cloned().collect();
    let in_form = tracker.active_form().is_some();
    let starts = (0..history.len()).filter(|start| history[*start].name == USER_UTTER);
    for start in starts {
        for (number, rule) in rules.iter().enumerate().rev().filter(|(_, rule)| rule.during_form || !in_form) {
            for (at, step) in rule.steps.iter().enumerate().rev() {
                if step.name != USER_UTTER && step.name != SELECTOR && agrees(&rule.steps[..at], &history[start..]) {
                    return Some((number, step.name.clone()));
                }
            }
        }
    }
    None
}

fn naive_matches(examples: &[Dialogue], tracker: &Tracker, action: &str) -> Vec<String> {
    let history: Vec<&str> = tracker.formless().map(|action| action.name.as_str()).collect();
    let mut titles: Vec<String> = Vec::new();
    let mut seen: Vec<Vec<(String, Option<String>)>> = Vec::new();
    for start in (0..history.len()).filter(|start| history[*start] == USER_UTTER) {
        let mut wanted = history[start..].to_vec();
        wanted.push(action);
        for example in examples {
            let content: Vec<_> = example.steps.iter().map(|step| (step.name.clone(), step.thought.clone())).collect();
            let fits = (0..example.steps.len()).any(|to| {
                example.steps[to].thought.is_some()
                    && (0..to).filter(|from| example.steps[*from].name == USER_UTTER).any(|from| {
                        let mut names: Vec<&str> =
                            example.steps[from..to].iter().map(|step| step.name.as_str()).filter(|name| *name != SELECTOR).collect();
                        names.push(&example.steps[to].name);
                        names == wanted
                    })
            });
            if fits && !seen.contains(&content) {
                seen.push(content);
                titles.push(example.title.clone());
            }
        }
    }
    titles
}

fn a_step() -> impl Strategy<Value = DialogueStep> {
    let name = prop_oneof![3 => Just("UserUtter"), 1 => Just("Selector"), 1 => Just("Weather"), 2 => Just("HandOver"), 1 => Just("BotUtter"), 1 => Just("Hours")];
    let texts = prop::collection::vec(prop_oneof![Just("a"), Just(" b "), Just(""), Just("done"), Just("<text>")], 0..3);
    (name, texts, prop::option::of(prop_oneof![Just("p"), Just("q")])).prop_map(|(name, texts, thought)| DialogueStep {
        name: name.to_owned(),
        thought: thought.map(str::to_owned),
        result: if texts.is_empty() { Expected::Any } else { Expected::OneOf(texts.into_iter().map(str::to_owned).collect()) },
    })
}

fn dialogues() -> impl Strategy<Value = Vec<Dialogue>> {
    let one = (prop::collection::vec(a_step(), 0..6), any::<bool>());
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let number = |(n, (steps, during_form)): (usize, _)| Dialogue { title: format!("d{n}"), during_form, steps };
        all.into_iter().enumerate().map(number).collect()
    })
}

fn histories() -> impl Strategy<Value = Tracker> {
    let one = prop_oneof![
        3 => prop_oneof![Just("a"), Just("b"), Just("")].prop_map(|text| done("UserUtter", text)),
        2 => prop_oneof![Just("done"), Just("x")].prop_map(|text| ended("HandOver", text)),
        1 => Just(ended("Weather", "sun")),
        1 => Just(done("BotUtter", "x")),
        1 => Just(done("Hours", "x")),
        1 => Just(done("Selector", "x")),
        1 => Just(in_state("Weather", "", json!({}), FormState::Start)),
    ];
    prop::collection::vec(one, 0..7).prop_map(tracker)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn rules_fire_as_they_read(rules in dialogues(), tracker in histories()) {
        let bot = with_rules(rules.clone());
        let fired = next_action(&bot, &tracker).map(|prediction| (prediction.rule, prediction.action));
        prop_assert_eq!(fired, naive_next(&rules, &tracker).map(|(rule, action)| (format!("d{rule}"), action)));
    }

    #[test]
    fn examples_match_as_they_read(examples in dialogues(), tracker in histories(), action in prop_oneof![Just("Selector"), Just("BotUtter"), Just("Weather")]) {
        let bot = with_examples(examples.clone());
        prop_assert_eq!(ready(&bot, &tracker, action).1, naive_matches(&examples, &tracker, action));
    }
}
