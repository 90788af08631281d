//! Plays the example dialogues through the tracker, so that a bot's training sees the very situations its conversations meet.

use cota_core::bot::{Bot, Dialogue, DialogueStep, Form, SELECTOR, Slot, USER_UTTER};
use cota_core::event::{ActionRecord, EVENT_VERSION, Event, FormState, ResultItem, Slots};
use cota_core::ids::{BotDigest, BotName, ConversationId, ConversationKey, InvalidName, MessageId, Owner, RunId, SenderId, Timestamp};
use cota_core::tracker::{RECEIVER_BOT, Tracker};

use crate::heard::Messages;
use crate::situation::Situation;
use crate::slots::{Filling, Lexicon, is_filled};
use crate::utter::{is_speakable, placeholders};

/// A step that an example teaches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lesson<'a> {
    /// In this situation the action is chosen.
    Choice {
        /// The action.
        action: &'a str,
        /// What Selector thinks of it.
        why: &'a str,
        /// What the agent thinks as it acts.
        thought: &'a str,
        /// The texts it may say or return; none where the example leaves them open.
        texts: &'a [String],
    },
    /// In this situation a form asks for a slot.
    Question {
        /// The form.
        form: &'a str,
        /// The slot.
        slot: &'a str,
        /// What the agent thinks as it asks.
        thought: &'a str,
        /// How it is asked for.
        texts: &'a [String],
    },
}

/// Plays every dialogue, each as often as its richest UserUtter has texts, and tells each lesson once with its situation.
pub(crate) fn rehearse<'b>(bot: &'b Bot, lexicon: &Lexicon, messages: &Messages<'_>, learn: &mut dyn FnMut(&Tracker, Lesson<'b>)) {
    let Ok(template) = template() else { return };
    for dialogue in &bot.source().examples {
        let texts = |step: &DialogueStep| if step.name == USER_UTTER { step.result.texts().len() } else { 0 };
        for variant in 0..dialogue.steps.iter().map(texts).max().unwrap_or(0).max(1) {
            Stage::new(bot, lexicon, messages, template.clone()).play(dialogue, variant, learn);
        }
    }
}

struct Stage<'b, 'l> {
    bot: &'b Bot,
    lexicon: &'l Lexicon,
    messages: &'l Messages<'l>,
    tracker: Tracker,
    template: Event,
    /// Whether what follows was not told in an earlier variant.
    is_news: bool,
    /// The form that was entered since the user spoke and misses a slot.
    entered: Option<&'b str>,
}

impl<'b, 'l> Stage<'b, 'l> {
    fn new(bot: &'b Bot, lexicon: &'l Lexicon, messages: &'l Messages<'l>, template: Event) -> Self {
        Self { bot, lexicon, messages, tracker: Tracker::default(), template, is_news: false, entered: None }
    }

    fn play(mut self, dialogue: &'b Dialogue, variant: usize, learn: &mut dyn FnMut(&Tracker, Lesson<'b>)) {
        let mut why = "";
        for (at, step) in dialogue.steps.iter().enumerate() {
            let later = dialogue.steps.get(at + 1..).unwrap_or_default();
            if step.name == SELECTOR {
                why = thought_of(step);
                self.select(step, later, learn);
                continue;
            }
            if step.name == USER_UTTER {
                self.hear(step, variant);
            } else if let Some((name, form)) = self.form(&step.name) {
                self.learn_choice(name, why, step, learn);
                self.run(name, form, step, later);
            } else {
                self.speak(step, why, later, learn);
            }
            why = "";
        }
    }

    fn hear(&mut self, step: &DialogueStep, variant: usize) {
        let texts = step.result.texts();
        let text = texts.get(variant.checked_rem(texts.len()).unwrap_or(0)).map(String::as_str).unwrap_or_default();
        self.is_news = variant < texts.len() && is_speakable(text);
        self.entered = None;
        self.record(USER_UTTER, text, None);
    }

    /// A Selector step counts with the action that follows; where a form is chosen and does not follow, it asks for a slot.
    fn select(&mut self, step: &'b DialogueStep, later: &'b [DialogueStep], learn: &mut dyn FnMut(&Tracker, Lesson<'b>)) {
        let Some(chosen) = step.result.texts().first().and_then(|name| self.bot.action_meant(name)) else { return };
        let follows = later.first().is_some_and(|next| next.name == chosen.name);
        if let Some((name, form)) = self.form(&chosen.name).filter(|_| !follows) {
            self.tell(Lesson::Choice { action: name, why: thought_of(step), thought: "", texts: &[] }, learn);
            self.enter(name, form);
        }
    }

    fn run(&mut self, name: &'b str, form: &'b Form, step: &DialogueStep, later: &[DialogueStep]) {
        if asks_for_a_slot(step, later) {
            self.enter(name, form);
        } else {
            let text = step.result.texts().first().map(String::as_str).unwrap_or_default();
            let slots = self.filled(name, form);
            self.record(name, text, Some((FormState::End, slots)));
        }
    }

    fn enter(&mut self, name: &'b str, form: &'b Form) {
        let slots = self.filled(name, form);
        self.record(name, "", Some((FormState::Start, slots)));
        self.entered = Some(name);
    }

    fn speak(&mut self, step: &'b DialogueStep, why: &'b str, later: &[DialogueStep], learn: &mut dyn FnMut(&Tracker, Lesson<'b>)) {
        let texts = step.result.texts();
        match self.entered.and_then(|name| self.form(name)) {
            Some((name, form)) => {
                if let Some(slot) = self.slot_asked_for(name, form, texts, later) {
                    self.tell(Lesson::Question { form: name, slot, thought: thought_of(step), texts }, learn);
                }
            }
            None => {
                let Some(action) = self.bot.action(&step.name) else { return };
                self.learn_choice(&action.name, why, step, learn);
            }
        }
        self.record(&step.name, texts.first().map(String::as_str).unwrap_or_default(), None);
    }

    /// The slot that the user's answer fills; where that tells nothing, the first missing one that the question does not name.
    fn slot_asked_for(&self, name: &str, form: &'b Form, texts: &[String], later: &[DialogueStep]) -> Option<&'b str> {
        let kept = self.tracker.form_slots(name);
        let said: Vec<&str> = texts.iter().flat_map(|text| placeholders(text)).collect();
        let open = |slot: &&Slot| !is_filled(kept, &slot.name) && !said.contains(&slot.name.as_str());
        let answers = later.iter().find(|step| step.name == USER_UTTER).map(|step| step.result.texts()).unwrap_or_default();
        let is_answered =
            |slot: &&Slot| answers.iter().any(|text| !self.lexicon.find(name, &slot.name, self.messages.get(text)).is_empty());
        let open: Vec<&Slot> = form.slots.iter().filter(open).collect();
        open.iter().find(|slot| is_answered(slot)).or_else(|| open.first()).map(|slot| slot.name.as_str())
    }

    fn filled(&self, name: &str, form: &Form) -> Slots {
        let kept = self.tracker.form_slots(name);
        let situation = Situation::of(self.bot, self.lexicon, &self.tracker, self.messages.latest(&self.tracker));
        let asked = situation.waiting().filter(|waiting| waiting.name == name).and_then(|waiting| waiting.asked);
        let used = situation.used(name);
        let found = self.lexicon.fill(Filling { form: (name, form), heard: situation.heard(), asked, kept, used: &used });
        let mut slots = kept.cloned().unwrap_or_default();
        slots.extend(found);
        slots
    }

    fn form(&self, name: &str) -> Option<(&'b str, &'b Form)> {
        let action = self.bot.action(name)?;
        Some((&action.name, action.form()?))
    }

    fn learn_choice(&self, action: &'b str, why: &'b str, step: &'b DialogueStep, learn: &mut dyn FnMut(&Tracker, Lesson<'b>)) {
        self.tell(Lesson::Choice { action, why, thought: thought_of(step), texts: step.result.texts() }, learn);
    }

    fn tell(&self, lesson: Lesson<'b>, learn: &mut dyn FnMut(&Tracker, Lesson<'b>)) {
        if self.is_news && self.tracker.latest_user().is_some() {
            learn(&self.tracker, lesson);
        }
    }

    fn record(&mut self, name: &str, text: &str, form: Option<(FormState, Slots)>) {
        if let (Some((FormState::Start | FormState::End, _)), Some(left)) = (&form, self.tracker.active_form())
            && left != name
        {
            let left = left.to_owned();
            let slots = self.tracker.form_slots(&left).cloned().unwrap_or_default();
            self.append(&left, "", Some((FormState::Break, slots)));
        }
        self.append(name, text, form);
    }

    fn append(&mut self, name: &str, text: &str, form: Option<(FormState, Slots)>) {
        let (state, slots) = form.unzip();
        let result = vec![ResultItem::text(text)];
        let action = ActionRecord {
            name: name.to_owned(),
            timestamp: 0.0,
            sender_id: String::new(),
            receiver_id: RECEIVER_BOT.to_owned(),
            result,
            slots,
            state,
        };
        self.template.seq = self.tracker.head.next();
        self.template.body = action.into();
        self.tracker.apply(&self.template);
    }
}

fn thought_of(step: &DialogueStep) -> &str {
    step.thought.as_deref().unwrap_or_default()
}

/// Whether a form step of an example stands for a form that waits: it has no result, is followed by words of the bot,
/// and runs again after the user's answer, or the dialogue ends with the question.
fn asks_for_a_slot(step: &DialogueStep, later: &[DialogueStep]) -> bool {
    let mut next = later.iter().filter(|other| other.name != SELECTOR);
    let Some(question) = next.next().filter(|_| step.result.texts().is_empty()) else { return false };
    if question.name == USER_UTTER {
        return false;
    }
    match next.next() {
        Some(answer) if answer.name == USER_UTTER => next.any(|other| other.name == step.name),
        Some(_) => false,
        None => question.result.texts().iter().any(|text| text.trim_end().ends_with(['?', '？'])),
    }
}

/// An event of no conversation; what happens is filled in.
fn template() -> Result<Event, InvalidName> {
    let key = ConversationKey { bot: BotName::new("examples")?, owner: Owner::public(), id: ConversationId::new("examples")? };
    let run = RunId::of(&key, &SenderId::new("user")?, &MessageId::new("examples")?);
    let action = ActionRecord {
        name: String::new(),
        timestamp: 0.0,
        sender_id: String::new(),
        receiver_id: RECEIVER_BOT.to_owned(),
        result: Vec::new(),
        slots: None,
        state: None,
    };
    Ok(Event {
        v: EVENT_VERSION,
        seq: cota_core::ids::Seq::default(),
        run,
        at: Timestamp::default(),
        bot_digest: BotDigest::of(b""),
        message_id: None,
        body: action.into(),
    })
}
