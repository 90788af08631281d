use cota_core::bot::Mode;

use super::bots::{FALLBACK, english};
use super::play;
use crate::ExamplesModel;

#[test]
fn conversations() {
    let bot = english(Mode::Prompts);
    let model = ExamplesModel::train(&bot);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        // Both slots at once, in words that no example has.
        (
            &[("tell me the weather in oslo for tomorrow", "I looked: Weather of Oslo, tomorrow.")],
            &[r#"Weather{"city":"Oslo","day":"tomorrow"}"#],
        ),
        // The longest known value, not a part of it; a value is not found inside a word.
        (&[("weather in new york on friday", "New York, friday")], &[r#"Weather{"city":"New York","day":"friday"}"#]),
        (&[("weather for the Oslofjord tomorrow", "Which city?")], &[]),
        // A missing slot is asked for as the example does with the same slots filled.
        (
            &[("How is the weather in Bergen?", "Bergen, fine. Which day?"), ("Sunday", "Bergen, Sunday")],
            &[r#"Weather{"city":"Bergen","day":"Sunday"}"#],
        ),
        (&[("will it rain tomorrow?", "Which city?"), ("Oslo", "Oslo, tomorrow")], &[r#"Weather{"city":"Oslo","day":"tomorrow"}"#]),
        // Words that are no known value are taken whole, without the marks around them.
        (
            &[("will it rain tomorrow?", "Which city?"), ("Reykjavík!", "Reykjavík, tomorrow")],
            &[r#"Weather{"city":"Reykjavík","day":"tomorrow"}"#],
        ),
        // A correction overwrites; of two values the new one counts.
        (
            &[("weather in Oslo", "Which day?"), ("not Oslo, Bergen", "Bergen, fine"), ("today", "Bergen, today")],
            &[r#"Weather{"city":"Bergen","day":"today"}"#],
        ),
        // A comparison runs the form once for each value.
        (
            &[("Is Paris or Bergen warmer tomorrow?", "First Weather of Paris, tomorrow, then Weather of Bergen, tomorrow.")],
            &[r#"Weather{"city":"Paris","day":"tomorrow"}"#, r#"Weather{"city":"Bergen","day":"tomorrow"}"#],
        ),
        // A question in between leaves the form open.
        (
            &[("weather in Oslo", "Which day?"), ("who makes your forecasts?", "From the sky."), ("tomorrow", "Oslo, tomorrow")],
            &[r#"Weather{"city":"Oslo","day":"tomorrow"}"#],
        ),
        // Another form leaves it, and its slots are kept.
        (
            &[
                ("weather in Oslo", "Which day?"),
                ("a train from Paris to Bergen", "Go Paris - Bergen."),
                ("and the weather on Friday", "Oslo, Friday"),
            ],
            &[r#"Route{"from":"Paris","to":"Bergen"}"#, r#"Weather{"city":"Oslo","day":"Friday"}"#],
        ),
        // A form step of an example that has no result asks, and a slot without lists takes any words.
        (
            &[
                ("take a note", "What shall I note?"),
                ("feed the cat at noon", "In which colour?"),
                ("green", "Noted in green: feed the cat at noon."),
            ],
            &[r#"Note{"note":"feed the cat at noon","colour":"green"}"#],
        ),
        // A slot that takes any words does not swallow what is clearly something else.
        (&[("take a note", "What shall I note?"), ("what is the weather in Oslo?", "Which day?")], &[]),
        // A value that the list does not have is asked for again.
        (&[("take a note", "What shall I note?"), ("feed the cat", "In which colour?"), ("purple", "In which colour?")], &[]),
        (&[("good morning", "Hello!"), ("thank you!", "You are welcome.")], &[]),
        (&[("xq zzkw vvb", FALLBACK), ("Hello", "Hello!")], &[]),
    ];
    for (turns, ran) in cases {
        assert_eq!(play(&bot, &model, turns), *ran, "{turns:?}");
    }
}

#[test]
fn what_no_example_is_like_is_not_known() {
    let bot = english(Mode::Prompts);
    let model = ExamplesModel::train(&bot);
    for text in [
        "",
        "?!",
        "fnord",
        "jklö äöü",
        "0000",
        "les sanglots longs des violons",
        "我想喝一杯咖啡",
        "🙂🙂",
        "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
    ] {
        assert_eq!(play(&bot, &model, &[(text, FALLBACK)]), [""; 0], "{text:?}");
    }
}
