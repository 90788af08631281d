//! The bots of the tests.

use cota_core::bot::{Action, Bot, BotSource, Dialogue, ExecutorKind, Language, MockCall, Mode, Pattern, Safety, Slot};
use cota_testkit::bots;

/// What every bot of the tests says when it knows nothing else.
pub(super) const FALLBACK: &str = "fallback";

/// A dialogue as pairs of an action and its results, `|` between them.
pub(super) fn dialogue(steps: &[(&str, &str)]) -> Dialogue {
    let step = |(name, text): &(&str, &str)| {
        let results: Vec<&str> = text.split('|').filter(|text| !text.is_empty()).collect();
        bots::step(name, Some(&format!("{name}!")), &results)
    };
    bots::dialogue("", steps.iter().map(step).collect())
}

pub(super) fn slot(name: &str, values: &[&str], pattern: Option<&str>, examples: &[&str]) -> Slot {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let pattern = pattern.map(|pattern| Pattern::new(pattern).unwrap());
    Slot { values: owned(values), pattern, examples: owned(examples), ..bots::slot(name) }
}

pub(super) fn form(name: &str, slots: Vec<Slot>) -> Action {
    bots::form(name, slots, Some(bots::executor(ExecutorKind::Mock(MockCall { text: None }), Safety::ReadOnly)))
}

pub(super) fn bot(language: Language, mode: Mode, forms: Vec<Action>, examples: Vec<Dialogue>) -> Bot {
    let mut source = BotSource { language, examples, ..bots::source("test", forms) };
    source.settings.mode = mode;
    source.settings.fallback = FALLBACK.to_owned();
    Bot::compile(source)
}

/// Forecasts for a city and a day, notes of any words, greetings and thanks.
pub(super) fn english(mode: Mode) -> Bot {
    let city = slot("city", &[], None, &["Oslo", "Bergen", "New York", "York", "Paris"]);
    let day = slot("day", &[], Some(r"(?i)\b(today|tomorrow|(?:mon|fri|sun)day)\b"), &[]);
    let forms = vec![
        form("Weather", vec![city, day]),
        form("Note", vec![slot("note", &[], None, &[]), slot("colour", &["red", "green"], None, &[])]),
        form("Route", vec![slot("from", &["Oslo", "Bergen", "Paris"], None, &[]), slot("to", &["Oslo", "Bergen", "Paris"], None, &[])]),
    ];
    bot(Language::English, mode, forms, english_examples())
}

fn english_examples() -> Vec<Dialogue> {
    vec![
        dialogue(&[
            (
                "UserUtter",
                "What is the weather in Oslo tomorrow?|weather in Paris on Friday|Will it rain in Bergen today?|forecast for New York on Monday",
            ),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("Selector", "BotUtter"),
            ("BotUtter", "<text>|I looked: {result}."),
        ]),
        dialogue(&[
            (
                "UserUtter",
                "What is the weather in Oslo?|weather in Bergen please|How is the weather in Paris?|and in Oslo?|what about Bergen?",
            ),
            ("Selector", "Weather"),
            ("BotUtter", "{city}, fine. Which day?"),
            ("UserUtter", "tomorrow|on Friday|today please"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("BotUtter", "I looked: {result}."),
        ]),
        dialogue(&[
            ("UserUtter", "What will the weather be tomorrow?|will it rain on Sunday?|weather please|how is the weather?"),
            ("Selector", "Weather"),
            ("BotUtter", "Which city?"),
            ("UserUtter", "Oslo|in Bergen|Paris please"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("BotUtter", "I looked: {result}."),
        ]),
        dialogue(&[
            ("UserUtter", "Is Oslo or Bergen drier tomorrow?|Which is warmer today, Paris or Oslo?|compare Bergen and Paris on Friday"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("Selector", "BotUtter"),
            ("BotUtter", "First {result.1}, then {result.2}."),
        ]),
        dialogue(&[
            ("UserUtter", "write a note|take a note please|I want to note something down|remember something for me"),
            ("Note", ""),
            ("BotUtter", "What shall I note?"),
            ("UserUtter", "buy some milk|my keys are under the mat"),
            ("Note", ""),
            ("BotUtter", "In which colour?"),
            ("UserUtter", "red|make it green"),
            ("Note", "<text>"),
            ("BotUtter", "Noted in {colour}: {note}."),
        ]),
        dialogue(&[
            ("UserUtter", "a train from Oslo to Bergen|how do I get from Paris to Oslo?|travel from Bergen to Paris|route to Oslo please"),
            ("Selector", "Route"),
            ("Route", "<text>"),
            ("BotUtter", "Go {from} - {to}."),
        ]),
        dialogue(&[("UserUtter", "hello|hi|good morning|hey there"), ("BotUtter", "Hello!")]),
        dialogue(&[("UserUtter", "thanks|thank you|thank you very much|cheers"), ("BotUtter", "You are welcome.")]),
        dialogue(&[
            ("UserUtter", "where do your forecasts come from?|who makes the forecasts?|what is your source?"),
            ("Selector", "BotUtter"),
            ("BotUtter", "From the sky."),
        ]),
    ]
}

/// The same in Chinese.
pub(super) fn chinese() -> Bot {
    let city = slot("city", &[], None, &["北京", "上海", "广州"]);
    let day = slot("day", &[], Some("(今天|明天|后天|周[一二三四五六日])"), &[]);
    let examples = vec![
        dialogue(&[
            ("UserUtter", "北京明天天气怎么样？|上海今天会下雨吗|查一下广州周五的天气|明天上海热不热"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("Selector", "BotUtter"),
            ("BotUtter", "查到了：{result}。"),
        ]),
        dialogue(&[
            ("UserUtter", "北京天气怎么样？|上海的天气|广州会下雨吗？|那上海呢"),
            ("Selector", "Weather"),
            ("BotUtter", "{city}，哪一天？"),
            ("UserUtter", "明天|周五吧|今天"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("BotUtter", "查到了：{result}。"),
        ]),
        dialogue(&[
            ("UserUtter", "北京和上海明天哪里更热？|广州跟北京今天哪个冷|上海还是广州周日天气好"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("Selector", "Weather"),
            ("Weather", "<text>"),
            ("BotUtter", "{result.1}；{result.2}。"),
        ]),
        dialogue(&[("UserUtter", "你好|您好|早上好|嗨"), ("BotUtter", "您好！")]),
        dialogue(&[("UserUtter", "谢谢|谢谢你|非常感谢|多谢"), ("BotUtter", "不客气。")]),
    ];
    bot(Language::Chinese, Mode::Prompts, vec![form("Weather", vec![city, day])], examples)
}
