use cota_core::bot::{Language, Mode};
use cota_core::turn::{Purpose, SlotQuestion};
use proptest::prelude::*;

use super::Talk;
use super::bots::{bot, chinese, dialogue, english, form, slot};
use crate::ExamplesModel;

#[test]
fn the_same_bot_gives_the_same_model() {
    for bot in [english(Mode::Prompts), chinese()] {
        let printed = |model: ExamplesModel| format!("{model:?}");
        assert_eq!(printed(ExamplesModel::train(&bot)), printed(ExamplesModel::train(&bot)));
    }
}

fn purposes() -> Vec<Purpose> {
    let question = |slot: &str| Some(SlotQuestion { form: "Weather".to_owned(), slot: slot.to_owned() });
    let utter = |action: &str, slot| Purpose::Utter { action: action.to_owned(), slot };
    vec![
        Purpose::Select,
        Purpose::Fill { form: "Weather".to_owned() },
        Purpose::Fill { form: "nothing of this name".to_owned() },
        utter("BotUtter", None),
        utter("nothing of this name", None),
        utter("BotUtter", question("day")),
        utter("BotUtter", question("nothing of this name")),
        Purpose::ProxyUser,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_messages_get_usable_answers(
        texts in prop::collection::vec(prop_oneof!["\\PC{0,40}", "(Oslo|Bergen|tomorrow|weather|note|[{}<>| ]){0,8}", "[你好明天北京上海和]{0,8}"], 1..5)
    ) {
        for bot in [english(Mode::Prompts), chinese()] {
            let model = ExamplesModel::train(&bot);
            let mut talk = Talk::new(&bot, &model);
            for text in &texts {
                prop_assert!(!talk.say(text).trim().is_empty());
                for purpose in purposes() {
                    let answer = talk.ask(&purpose);
                    let fits = match &purpose {
                        Purpose::Select => bot.action(answer["action"].as_str().unwrap()).is_some() && answer["slots"].is_object(),
                        Purpose::Fill { form } => answer.as_object().unwrap().keys().all(|key| bot.form(form).unwrap().slots.iter().any(|slot| slot.name == *key)),
                        Purpose::Utter { .. } => answer["text"].as_str().is_some_and(|text| !text.trim().is_empty() && !text.contains("<text>")),
                        Purpose::ProxyUser => answer["text"].is_string() && ["continue", "stop"].contains(&answer["state"].as_str().unwrap()),
                        Purpose::Choose | Purpose::Think { .. } => false,
                    };
                    prop_assert!(fits, "{:?} got {}", purpose, answer);
                }
                let chosen = talk.answer(&Purpose::Choose);
                prop_assert!(chosen.content.is_empty() != chosen.tool_calls.is_empty());
            }
        }
    }

    #[test]
    fn any_examples_can_be_learned(
        steps in prop::collection::vec(prop::collection::vec((0..5_usize, prop_oneof![Just(""), Just("<text>"), Just("Weather"), Just("BotUtter"), Just("{city}|ok"), Just("in Oslo")]), 0..8), 0..6),
        text in "\\PC{0,20}",
    ) {
        let names = ["UserUtter", "Selector", "BotUtter", "Weather", "Nothing"];
        let examples = steps.iter().map(|steps| dialogue(&steps.iter().map(|(name, result)| (names[*name], *result)).collect::<Vec<_>>())).collect();
        let forms = vec![form("Weather", vec![slot("city", &[], None, &["Oslo"])])];
        let bot = bot(Language::English, Mode::Prompts, forms, examples);
        let model = ExamplesModel::train(&bot);
        prop_assert!(!Talk::new(&bot, &model).say(&text).trim().is_empty());
    }
}
