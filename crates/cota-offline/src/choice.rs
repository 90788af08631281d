//! Choosing the next action, and knowing when not to.

use std::collections::BTreeMap;

use cota_core::bot::{BOT_UTTER, Bot};
use cota_core::sort::sort;

use crate::classifier::Classifier;
use crate::features::{Sparse, Vocabulary};
use crate::lessons::{Class, Lessons};
use crate::situation::{Situation, Waiting};
use crate::slots::takes_any_words;

/// How sure another action must be to win over a form that the message has a value for.
const SURE: f32 = 0.45;

/// The probability below which a class adds nothing to the confidence.
const SLIGHT: f32 = 0.05;

/// What choosing takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chooser<'a> {
    /// Turns situations into vectors.
    pub(crate) vocabulary: &'a Vocabulary,
    /// The classes.
    pub(crate) lessons: &'a Lessons,
    /// The weights.
    pub(crate) classifier: &'a Classifier,
    /// The confidence below which nothing is known.
    pub(crate) threshold: f32,
}

/// An action, and whether the examples support it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice<'a> {
    /// The action.
    pub(crate) action: &'a str,
    /// What an example thinks of it.
    pub(crate) thought: &'a str,
    /// Whether the model knows what to do; where not, the action is BotUtter.
    pub(crate) is_known: bool,
}

impl<'a> Chooser<'a> {
    /// The next action. Only the first choice after a message can be unknown: what follows it follows from what was done.
    pub(crate) fn choose(&self, bot: &Bot, situation: &Situation<'a>) -> Choice<'a> {
        let best = self.best(bot, situation);
        if situation.last().is_some() {
            return best.map_or(answer(true), |(choice, _)| choice);
        }
        match situation.waiting() {
            Some(waiting) => self.choose_while_waiting(waiting, situation, best),
            None => best.filter(|(_, confidence)| *confidence >= self.threshold).map_or(answer(false), |(choice, _)| choice),
        }
    }

    /// The classes of an action that examples have in this situation, the likeliest first.
    pub(crate) fn ranked(&self, situation: &Situation<'_>, action: &str) -> Vec<&'a Class> {
        let probabilities = self.classifier.probabilities(&self.vocabulary.situation(situation));
        let classes = self.lessons.fitting(situation).into_iter().flat_map(|fitting| fitting.keys());
        let of_action = |number: &usize| self.lessons.class(*number).is_some_and(|class| class.action == action);
        let classes = classes.filter(|number| of_action(number));
        let mut classes: Vec<(usize, f32)> = classes.filter_map(|number| Some((*number, *probabilities.get(*number)?))).collect();
        sort(&mut classes, |(_, left), (_, right)| right.total_cmp(left));
        classes.into_iter().filter_map(|(number, _)| self.lessons.class(number)).collect()
    }

    /// A form keeps the turn if the message has a value for it, or could be one, unless another action is surer.
    fn choose_while_waiting(&self, waiting: Waiting<'a>, situation: &Situation<'a>, best: Option<(Choice<'a>, f32)>) -> Choice<'a> {
        let message = self.vocabulary.message(situation.heard().grams());
        let class = self.lessons.classes().find(|class| class.action == waiting.name);
        let thought = class.and_then(|class| class.why(&message)).unwrap_or_default();
        let goes_on = Choice { action: waiting.name, thought, is_known: true };
        let has_value = waiting.form.slots.iter().any(|slot| situation.has_found(&slot.name));
        let asked = waiting.form.slots.iter().find(|slot| waiting.asked == Some(slot.name.as_str()));
        let could_be_value = asked.is_some_and(takes_any_words);
        let needed = if has_value || could_be_value { self.threshold.max(SURE) } else { self.threshold };
        best.filter(|(_, confidence)| *confidence >= needed).map_or(goes_on, |(choice, _)| choice)
    }

    fn best(&self, bot: &Bot, situation: &Situation<'a>) -> Option<(Choice<'a>, f32)> {
        let probabilities = self.classifier.probabilities(&self.vocabulary.situation(situation));
        let may = |class: &&Class| bot.action(&class.action).is_some() && situation.may_run(&class.action);
        let mut actions: BTreeMap<&str, Evidence<'a>> = BTreeMap::new();
        for (number, why) in self.lessons.fitting(situation)? {
            let class = self.lessons.class(*number).filter(may);
            if let (Some(class), Some(probability)) = (class, probabilities.get(*number)) {
                actions.entry(&class.action).or_default().add(Candidate { class, why, probability: *probability });
            }
        }
        let best = actions.into_values().max_by(|left, right| left.sum.total_cmp(&right.sum))?;
        let message = self.vocabulary.message(situation.heard().grams());
        let Candidate { class, why, .. } = best.likeliest()?;
        let after_message = if situation.last().is_none() { class.why(&message) } else { None };
        let choice = Choice { action: &class.action, thought: after_message.unwrap_or(why), is_known: true };
        Some((choice, best.confidence(&message)))
    }
}

/// A class that examples have in the situation.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    class: &'a Class,
    why: &'a str,
    probability: f32,
}

/// What speaks for an action: its classes with their probabilities.
#[derive(Default)]
struct Evidence<'a> {
    sum: f32,
    candidates: Vec<Candidate<'a>>,
}

impl<'a> Evidence<'a> {
    fn add(&mut self, candidate: Candidate<'a>) {
        self.sum += candidate.probability;
        self.candidates.push(candidate);
    }

    fn likeliest(&self) -> Option<Candidate<'a>> {
        self.candidates.iter().copied().max_by(|left, right| left.probability.total_cmp(&right.probability))
    }

    /// Probability times likeness: the classifier always prefers something, so the message must also be like one that an
    /// example has. Two answers of nearly equal weight are still good evidence, eight are not: hence the squares.
    fn confidence(&self, message: &Sparse) -> f32 {
        let worth_a_look = self.candidates.iter().filter(|candidate| candidate.probability >= SLIGHT);
        let squares = worth_a_look.map(|candidate| (candidate.probability * candidate.class.likeness(message)).powi(2));
        squares.sum::<f32>().sqrt()
    }
}

fn answer<'a>(is_known: bool) -> Choice<'a> {
    Choice { action: BOT_UTTER, thought: "", is_known }
}
