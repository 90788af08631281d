//! What the examples teach: classes to choose from, samples of each, and how slots are asked for.

use std::collections::{BTreeMap, BTreeSet};

use cota_core::bot::{Bot, USER_UTTER};
use cota_core::gather::gather;
use cota_core::tracker::Tracker;

use crate::classifier::Sample;
use crate::features::{Sparse, Vocabulary, similarity};
use crate::heard::Messages;
use crate::nearest::Nearest;
use crate::rehearsal::{Lesson, rehearse};
use crate::situation::Situation;
use crate::slots::{Lexicon, is_filled};
use crate::utter::{Values, is_speakable};

/// Most classes that are one answer each; a bot with more answers has one class for each action, and picks the answer by
/// the nearest example.
const MOST_ANSWER_CLASSES: usize = 256;

/// Most messages that a class keeps to compare new ones with.
const MOST_MESSAGES: usize = 256;

/// Everything that was learned but the weights.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    classes: Vec<Class>,
    /// The classes that were right where exactly these actions had finished since the user spoke.
    by_path: BTreeMap<String, Fitting>,
    /// The classes that were right after this action.
    by_last: BTreeMap<String, Fitting>,
    questions: Vec<Question>,
}

/// Classes, each with what Selector thinks of it in the first example.
pub(crate) type Fitting = BTreeMap<usize, String>;

/// One thing to do: a form, or an utterance with what it says.
#[derive(Debug, Default)]
pub(crate) struct Class {
    /// The action.
    pub(crate) action: String,
    /// What the agent thinks as it acts, in the first example.
    pub(crate) thought: String,
    /// What it may say: one list of texts, or one for each message in `heard`.
    answers: Vec<Vec<String>>,
    /// The messages that the answers answer, where there are several.
    heard: Nearest,
    /// Messages that it was the first choice after.
    messages: Vec<Sparse>,
    /// What Selector thought after each of them.
    whys: Vec<String>,
}

#[derive(Debug)]
struct Question {
    form: String,
    slot: String,
    /// The slots that were filled when it was asked.
    filled: BTreeSet<String>,
    heard: Sparse,
    thought: String,
    texts: Vec<String>,
}

impl Lessons {
    /// Rehearses the examples. The samples are those of the classes, in the examples' order.
    pub(crate) fn learn(bot: &Bot, lexicon: &Lexicon, vocabulary: &Vocabulary, messages: &Messages<'_>) -> (Self, Vec<Sample>) {
        let each_answer = answers(bot) <= MOST_ANSWER_CLASSES;
        let mut lessons = Self::default();
        let mut known = BTreeMap::new();
        let mut samples = Vec::new();
        rehearse(bot, lexicon, messages, &mut |tracker, lesson| match lesson {
            Lesson::Choice { action, why, thought, texts } => {
                let is_form = bot.form(action).is_some();
                let texts = if is_form { &[] } else { texts };
                let key = (action, if each_answer { texts } else { &[] });
                let class = *known.entry(key).or_insert_with(|| lessons.add_class(action, thought));
                let situation = Situation::of(bot, lexicon, tracker, messages.latest(tracker));
                lessons.add_answer(class, texts, each_answer, || vocabulary.message(situation.heard().grams()));
                lessons.add_fitting(class, &situation, why);
                if situation.last().is_none() {
                    lessons.add_message(class, vocabulary.message(situation.heard().grams()), why);
                }
                samples.push(Sample { features: vocabulary.situation(&situation), class });
            }
            Lesson::Question { form, slot, thought, texts } => {
                let heard = vocabulary.message(messages.latest(tracker).grams());
                let (form, slot, thought, texts) = (form.to_owned(), slot.to_owned(), thought.to_owned(), texts.to_vec());
                lessons.questions.push(Question { filled: filled(tracker, &form), form, slot, heard, thought, texts });
            }
        });
        (lessons, samples)
    }

    /// How many classes there are.
    pub(crate) fn count(&self) -> usize {
        self.classes.len()
    }

    /// All classes.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.iter()
    }

    /// A class by its number.
    pub(crate) fn class(&self, number: usize) -> Option<&Class> {
        self.classes.get(number)
    }

    /// The classes that examples have in a situation: after the same actions, else after the same last one.
    pub(crate) fn fitting(&self, situation: &Situation<'_>) -> Option<&Fitting> {
        let last = || situation.last().and_then(|last| self.by_last.get(last));
        self.by_path.get(&situation.path()).or_else(last)
    }

    /// How an example asks for a slot, and what it thinks: with the same slots filled rather than not, after the most similar message.
    pub(crate) fn question(&self, tracker: &Tracker, heard: &Sparse, form: &str, slot: &str) -> Option<(String, String)> {
        let values = Values::of(tracker);
        let filled = filled(tracker, form);
        let mut best: Option<((bool, f32), (String, String))> = None;
        for question in self.questions.iter().filter(|question| question.form == form && question.slot == slot) {
            let Some(said) = question.texts.iter().find_map(|text| values.fill_in(text)) else { continue };
            let fit = (question.filled == filled, similarity(heard, &question.heard));
            if best.as_ref().is_none_or(|(best, _)| fit > *best) {
                best = Some((fit, (question.thought.clone(), said)));
            }
        }
        best.map(|(_, asked)| asked)
    }

    fn add_class(&mut self, action: &str, thought: &str) -> usize {
        self.classes.push(Class { action: action.to_owned(), thought: thought.to_owned(), ..Class::default() });
        self.classes.len() - 1
    }

    fn add_fitting(&mut self, class: usize, situation: &Situation<'_>, why: &str) {
        let why = || why.to_owned();
        self.by_path.entry(situation.path()).or_default().entry(class).or_insert_with(why);
        if let Some(last) = situation.last() {
            self.by_last.entry(last.to_owned()).or_default().entry(class).or_insert_with(why);
        }
    }

    fn add_message(&mut self, class: usize, message: Sparse, why: &str) {
        if let Some(class) = self.classes.get_mut(class).filter(|class| class.messages.len() < MOST_MESSAGES) {
            class.messages.push(message);
            class.whys.push(why.to_owned());
        }
    }

    fn add_answer(&mut self, class: usize, texts: &[String], is_only: bool, heard: impl FnOnce() -> Sparse) {
        let Some(class) = self.classes.get_mut(class).filter(|_| texts.iter().any(|text| is_speakable(text))) else { return };
        if !is_only {
            class.answers.push(texts.to_vec());
            class.heard.add(&heard());
        } else if class.answers.is_empty() {
            class.answers.push(texts.to_vec());
        }
    }
}

impl Class {
    /// How alike a message is to the nearest one that an example has for this class, from 0 to 1.
    pub(crate) fn likeness(&self, message: &Sparse) -> f32 {
        let answered = self.heard.find(message).first().map_or(0.0, |(_, likeness)| *likeness);
        self.messages.iter().map(|other| similarity(message, other)).fold(answered, f32::max)
    }

    /// The messages that examples have for this class.
    pub(crate) fn messages(&self) -> &[Sparse] {
        &self.messages
    }

    /// What Selector thinks of this class after the nearest message.
    pub(crate) fn why(&self, message: &Sparse) -> Option<&str> {
        let nearest = self.messages.iter().zip(&self.whys).map(|(other, why)| (similarity(message, other), why));
        nearest.max_by(|(left, _), (right, _)| left.total_cmp(right)).map(|(_, why)| why.as_str())
    }

    /// What an utterance says, of the example whose message is nearest; nothing if no text can be filled in.
    pub(crate) fn said(&self, values: &Values<'_>, message: &Sparse) -> Option<String> {
        let nearest = self.heard.find(message).into_iter().filter_map(|(number, _)| self.answers.get(number));
        nearest.chain(&self.answers).find_map(|texts| texts.iter().find_map(|text| values.fill_in(text)))
    }
}

/// The most classes that a bot's examples make: its actions and its different answers.
pub(crate) fn most_classes(bot: &Bot) -> usize {
    bot.source().actions.len() + answers(bot).min(MOST_ANSWER_CLASSES)
}

/// How many different things the bot says in its examples.
fn answers(bot: &Bot) -> usize {
    let steps = bot.source().examples.iter().flat_map(|dialogue| &dialogue.steps);
    let said = steps.filter(|step| step.name != USER_UTTER && bot.action(&step.name).is_some_and(|action| action.is_utterance()));
    gather::<BTreeSet<_>, _>(said.map(|step| (step.name.as_str(), step.result.texts()))).len()
}

fn filled(tracker: &Tracker, form: &str) -> BTreeSet<String> {
    let slots = tracker.form_slots(form);
    gather(slots.into_iter().flat_map(|slots| slots.keys()).filter(|name| is_filled(slots, name)).cloned())
}
