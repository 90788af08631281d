//! The model: what is learned from a bot's examples, and its answer to each question of a turn.

use cota_core::bot::{BOT_UTTER, Bot, SELECTOR};
use cota_core::event::{FormState, Slots};
use cota_core::tracker::{Tracker, result_text};
use cota_core::turn::{Completion, Purpose, SlotQuestion, ToolCall};
use serde_json::{Value as Json, json};

use crate::calibrate::threshold;
use crate::choice::Chooser;
use crate::classifier::Classifier;
use crate::features::{Grams, Vocabulary};
use crate::heard::{Heard, Messages};
use crate::lessons::{Lessons, most_classes};
use crate::proxy;
use crate::situation::Situation;
use crate::slots::{Filling, Lexicon, first_missing};
use crate::utter::{self, Values};

/// A model of one bot, learned from its example dialogues. Build it once, share it among conversations.
#[derive(Debug)]
pub struct ExamplesModel {
    lexicon: Lexicon,
    vocabulary: Vocabulary,
    lessons: Lessons,
    classifier: Classifier,
    /// The confidence below which the model says that it does not know.
    threshold: f32,
}

impl ExamplesModel {
    /// Learns the examples of a bot. The same bot gives the same model.
    #[must_use]
    pub fn train(bot: &Bot) -> Self {
        let lexicon = Lexicon::of(bot);
        let messages = Messages::of(bot, &lexicon);
        let vocabulary = Vocabulary::learn(messages.grams(bot), most_classes(bot));
        let (lessons, samples) = Lessons::learn(bot, &lexicon, &vocabulary, &messages);
        let classifier = Classifier::train(&samples, vocabulary.places(), lessons.count());
        let threshold = threshold(&lessons);
        Self { lexicon, vocabulary, lessons, classifier, threshold }
    }

    /// Answers a question of a turn as an LLM would: JSON text, and in tools mode tool calls or plain text.
    ///
    /// Token counts are zero: nothing is sent and nothing is paid for.
    #[must_use]
    pub fn answer(&self, bot: &Bot, tracker: &Tracker, purpose: &Purpose) -> Completion {
        match purpose {
            Purpose::Select => content(self.select(bot, tracker).to_string()),
            Purpose::Choose => self.choose(bot, tracker),
            Purpose::Fill { form } => content(Json::Object(self.fill(bot, tracker, form)).to_string()),
            Purpose::Utter { action, slot } => {
                let (thought, text) = self.utter(bot, tracker, action, slot.as_ref());
                content(json!({"thought": thought, "text": text}).to_string())
            }
            Purpose::Think { action: _ } => content(String::new()),
            Purpose::ProxyUser => content(self.play_user(bot, tracker).to_string()),
        }
    }

    fn select(&self, bot: &Bot, tracker: &Tracker) -> Json {
        let heard = Heard::latest(&self.lexicon, tracker);
        let situation = Situation::of(bot, &self.lexicon, tracker, &heard);
        let choice = self.chooser().choose(bot, &situation);
        // A form that is active is asked for its slots anyway, and knows what it holds.
        let is_active = tracker.active_form() == Some(choice.action);
        let slots = if is_active { Slots::new() } else { self.fill(bot, tracker, choice.action) };
        json!({"thought": choice.thought, "action": choice.action, "slots": slots})
    }

    fn choose(&self, bot: &Bot, tracker: &Tracker) -> Completion {
        if let Some(question) = open_question(bot, tracker) {
            return content(self.ask(bot, tracker, &question).1);
        }
        let heard = Heard::latest(&self.lexicon, tracker);
        let situation = Situation::of(bot, &self.lexicon, tracker, &heard);
        let choice = self.chooser().choose(bot, &situation);
        if bot.form(choice.action).is_none() {
            let text = if choice.is_known { self.utter(bot, tracker, choice.action, None).1 } else { bot.settings().fallback.clone() };
            return content(text);
        }
        let arguments = Json::Object(self.fill(bot, tracker, choice.action)).to_string();
        Completion { tool_calls: vec![ToolCall { name: choice.action.to_owned(), arguments }], ..Completion::default() }
    }

    /// The values of a form's slots in the latest message; in a turn that ran the form before, values that it has not had.
    fn fill(&self, bot: &Bot, tracker: &Tracker, name: &str) -> Slots {
        let Some(form) = bot.form(name) else { return Slots::new() };
        let heard = Heard::latest(&self.lexicon, tracker);
        let situation = Situation::of(bot, &self.lexicon, tracker, &heard);
        let asked = situation.waiting().filter(|waiting| waiting.name == name && was_asked(tracker)).and_then(|waiting| waiting.asked);
        let used = situation.used(name);
        self.lexicon.fill(Filling { form: (name, form), heard: &heard, asked, kept: tracker.form_slots(name), used: &used })
    }

    fn utter(&self, bot: &Bot, tracker: &Tracker, action: &str, question: Option<&SlotQuestion>) -> (String, String) {
        if let Some(question) = question {
            return self.ask(bot, tracker, question);
        }
        let heard = Heard::latest(&self.lexicon, tracker);
        let situation = Situation::of(bot, &self.lexicon, tracker, &heard);
        let chooser = self.chooser();
        if was_selected(tracker, action) && !chooser.choose(bot, &situation).is_known {
            return (String::new(), bot.settings().fallback.clone());
        }
        if let Some(apology) = utter::apology(bot, tracker) {
            return (String::new(), apology);
        }
        let values = Values::of(tracker);
        let heard = self.vocabulary.message(heard.grams());
        let said =
            chooser.ranked(&situation, action).into_iter().find_map(|class| Some((class.thought.clone(), class.said(&values, &heard)?)));
        said.unwrap_or_else(|| {
            let text = values.last_result().unwrap_or(bot.settings().fallback.as_str());
            (String::new(), text.to_owned())
        })
    }

    /// What it thinks and how it asks for a slot: as an example does, else with the slot's description.
    fn ask(&self, bot: &Bot, tracker: &Tracker, question: &SlotQuestion) -> (String, String) {
        let heard = self.vocabulary.message(&Grams::of(&tracker.latest_user().map(result_text).unwrap_or_default()));
        let as_in_an_example = self.lessons.question(tracker, &heard, &question.form, &question.slot);
        as_in_an_example.unwrap_or_else(|| {
            let slot = bot.form(&question.form).and_then(|form| form.slots.iter().find(|slot| slot.name == question.slot));
            let text = slot.map_or_else(|| bot.settings().fallback.clone(), |slot| utter::question(bot, slot));
            (String::new(), text)
        })
    }

    fn play_user(&self, bot: &Bot, tracker: &Tracker) -> Json {
        match proxy::next_message(bot, &self.vocabulary, tracker) {
            Some(text) => json!({"thought": "", "text": text, "state": "continue"}),
            None => json!({"thought": "", "text": "", "state": "stop"}),
        }
    }

    fn chooser(&self) -> Chooser<'_> {
        Chooser { vocabulary: &self.vocabulary, lessons: &self.lessons, classifier: &self.classifier, threshold: self.threshold }
    }
}

fn content(content: String) -> Completion {
    Completion { content, ..Completion::default() }
}

/// The question that is due in tools mode: a form was entered since the user spoke, and waits.
fn open_question(bot: &Bot, tracker: &Tracker) -> Option<SlotQuestion> {
    let form = tracker.active_form()?;
    let last = tracker.since_user().rev().find(|action| action.name != SELECTOR)?;
    let slot = first_missing(bot.form(form)?, tracker.form_slots(form))?;
    (last.name == form).then(|| SlotQuestion { form: form.to_owned(), slot: slot.name.clone() })
}

/// Whether the waiting form has asked for its slot: it was entered before the user's latest message.
fn was_asked(tracker: &Tracker) -> bool {
    !tracker.since_user().any(|action| action.state == Some(FormState::Start))
}

/// Whether this utterance is the Selector's choice, made before anything else was done about the message.
fn was_selected(tracker: &Tracker, action: &str) -> bool {
    let last = tracker.since_user().next_back().filter(|last| last.name == SELECTOR);
    action == BOT_UTTER && last.is_some_and(|last| last.result.iter().any(|item| item.text == action))
}
