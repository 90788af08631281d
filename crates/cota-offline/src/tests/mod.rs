//! Conversations with small bots, the turn played by hand.

mod answers;
mod bots;
mod chinese;
mod english;
mod properties;

use cota_core::bot::{BOT_UTTER, Bot, SELECTOR, USER_UTTER};
use cota_core::event::{ActionRecord, EVENT_VERSION, Event, EventBody, FormState, ResultItem, Slots};
use cota_core::ids::{BotName, ConversationId, ConversationKey, MessageId, Owner, RunId, SenderId, Timestamp};
use cota_core::tracker::{RECEIVER_BOT, Tracker};
use cota_core::turn::{Completion, Purpose, SlotQuestion};
use serde_json::Value as Json;

use crate::ExamplesModel;
use crate::slots::first_missing;

/// A conversation in `prompts` mode. An executor's result is the form's name and its slots' values.
struct Talk<'a> {
    bot: &'a Bot,
    model: &'a ExamplesModel,
    tracker: Tracker,
    /// The forms that ran, with their slots as JSON.
    ran: Vec<String>,
}

impl<'a> Talk<'a> {
    fn new(bot: &'a Bot, model: &'a ExamplesModel) -> Self {
        Self { bot, model, tracker: Tracker::default(), ran: Vec::new() }
    }

    /// Plays one turn and says what the bot answers.
    fn say(&mut self, text: &str) -> String {
        self.record(USER_UTTER, ResultItem::text(text), None);
        for _ in 0..16 {
            let selection = self.ask(&Purpose::Select);
            let action = selection["action"].as_str().unwrap().to_owned();
            self.record(SELECTOR, ResultItem::text(action.as_str()), None);
            match self.bot.form(&action) {
                None => return self.utter(action, None),
                Some(_) => {
                    if let Some(question) = self.enter(&action, selection["slots"].as_object().unwrap()) {
                        return question;
                    }
                }
            }
        }
        panic!("the turn does not end: {:?}", self.ran);
    }

    /// Enters or goes on with a form; what it asks, or nothing once it has run.
    fn enter(&mut self, name: &str, given: &Slots) -> Option<String> {
        let form = self.bot.form(name).unwrap();
        if let Some(left) = self.tracker.active_form().filter(|active| *active != name).map(str::to_owned) {
            let kept = self.tracker.form_slots(&left).cloned().unwrap();
            self.record(&left, ResultItem::default(), Some((FormState::Break, kept)));
        }
        let continues = self.tracker.active_form() == Some(name);
        let mut slots = self.tracker.form_slots(name).cloned().unwrap_or_default();
        slots.extend(given.clone());
        if continues || first_missing(form, Some(&slots)).is_some() {
            let filled = self.ask(&Purpose::Fill { form: name.to_owned() });
            slots.extend(filled.as_object().unwrap().clone());
        }
        if let Some(slot) = first_missing(form, Some(&slots)) {
            let state = if continues { FormState::Continue } else { FormState::Start };
            self.record(name, ResultItem::default(), Some((state, slots)));
            let question = SlotQuestion { form: name.to_owned(), slot: slot.name.clone() };
            return Some(self.utter(BOT_UTTER.to_owned(), Some(question)));
        }
        let slots: Slots = form.slots.iter().filter_map(|slot| Some((slot.name.clone(), slots.get(&slot.name)?.clone()))).collect();
        let values: Vec<&str> = slots.values().filter_map(Json::as_str).collect();
        let result = ResultItem::text(format!("{name} of {}", values.join(", ")));
        self.ran.push(format!("{name}{}", Json::Object(slots.clone())));
        self.record(name, result, Some((FormState::End, slots)));
        None
    }

    fn utter(&mut self, action: String, slot: Option<SlotQuestion>) -> String {
        let said = self.ask(&Purpose::Utter { action: action.clone(), slot });
        let text = said["text"].as_str().unwrap().to_owned();
        self.record(&action, ResultItem::text(text.as_str()), None);
        text
    }

    fn ask(&self, purpose: &Purpose) -> Json {
        serde_json::from_str(&self.answer(purpose).content).unwrap()
    }

    fn answer(&self, purpose: &Purpose) -> Completion {
        self.model.answer(self.bot, &self.tracker, purpose)
    }

    fn record(&mut self, name: &str, result: ResultItem, form: Option<(FormState, Slots)>) {
        let key = ConversationKey { bot: BotName::new("b").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() };
        let (state, slots) = form.unzip();
        self.tracker.apply(&Event {
            v: EVENT_VERSION,
            seq: self.tracker.head.next(),
            run: RunId::of(&key, &SenderId::new("u").unwrap(), &MessageId::new("m").unwrap()),
            at: Timestamp::default(),
            bot_digest: self.bot.digest().clone(),
            message_id: None,
            body: EventBody::from(ActionRecord {
                name: name.to_owned(),
                timestamp: 0.0,
                sender_id: "u".to_owned(),
                receiver_id: RECEIVER_BOT.to_owned(),
                result: vec![result],
                slots,
                state,
            }),
        });
    }
}

/// Plays a conversation: each message with a part of the answer it must get. Gives the forms that ran.
fn play(bot: &Bot, model: &ExamplesModel, turns: &[(&str, &str)]) -> Vec<String> {
    let mut talk = Talk::new(bot, model);
    for (text, expected) in turns {
        let said = talk.say(text);
        assert!(said.contains(expected), "{text:?} was answered {said:?}, not {expected:?}, in {turns:?}");
    }
    talk.ran
}
