//! Choosing the next action, and knowing when not to.

use std::collections::BTreeMap;

use cota_core::bot::{BOT_UTTER, Bot};

use crate::classifier::Classifier;
use crate::features::Vocabulary;
use crate::lessons::{Class, Lessons};
use crate::situation::{Situation, Waiting};
use crate::slots::takes_any_words;

/// How sure another action must be to win over a form that the message has a value for.
const SURE: f32 = 0.6;

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
        let classes = self.lessons.fitting(situation);
        let classes = classes.into_iter().filter_map(|number| Some((probabilities.get(number).copied()?, self.lessons.class(number)?)));
        let mut classes: Vec<(f32, &Class)> = classes.filter(|(_, class)| class.action == action).collect();
        classes.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        classes.into_iter().map(|(_, class)| class).collect()
    }

    /// A form keeps the turn if the message has a value for it, or could be one, unless another action is surer.
    fn choose_while_waiting(&self, waiting: Waiting<'a>, situation: &Situation<'a>, best: Option<(Choice<'a>, f32)>) -> Choice<'a> {
        let goes_on = Choice { action: waiting.name, thought: "", is_known: true };
        let has_value = waiting.form.slots.iter().any(|slot| situation.has_found(&slot.name));
        let asked = waiting.form.slots.iter().find(|slot| waiting.asked == Some(slot.name.as_str()));
        let could_be_value = asked.is_some_and(takes_any_words);
        let needed = if has_value || could_be_value { self.threshold.max(SURE) } else { self.threshold };
        best.filter(|(_, confidence)| *confidence >= needed).map_or(goes_on, |(choice, _)| choice)
    }

    fn best(&self, bot: &Bot, situation: &Situation<'a>) -> Option<(Choice<'a>, f32)> {
        let probabilities = self.classifier.probabilities(&self.vocabulary.situation(situation));
        let may = |class: &Class| bot.action(&class.action).is_some() && situation.may_run(&class.action);
        let classes = self.lessons.fitting(situation).into_iter();
        let classes = classes.filter_map(|number| Some((self.lessons.class(number).filter(|class| may(class))?, *probabilities.get(number)?)));
        best_action(classes)
    }
}

/// The action with the most probability, with the confidence in it.
pub(crate) fn best_action<'a>(classes: impl Iterator<Item = (&'a Class, f32)>) -> Option<(Choice<'a>, f32)> {
    let mut actions: BTreeMap<&str, Evidence<'a>> = BTreeMap::new();
    for (class, probability) in classes {
        let evidence = actions.entry(&class.action).or_insert(Evidence { sum: 0.0, squares: 0.0, likeliest: (class, 0.0) });
        evidence.sum += probability;
        evidence.squares += probability * probability;
        if probability > evidence.likeliest.1 {
            evidence.likeliest = (class, probability);
        }
    }
    let best = actions.into_values().max_by(|left, right| left.sum.total_cmp(&right.sum))?;
    let (class, _) = best.likeliest;
    Some((Choice { action: &class.action, thought: &class.thought, is_known: true }, best.squares.sqrt()))
}

/// What speaks for an action. Two answers of nearly equal weight are still good evidence, eight are not: hence the squares.
struct Evidence<'a> {
    sum: f32,
    squares: f32,
    likeliest: (&'a Class, f32),
}

fn answer<'a>(is_known: bool) -> Choice<'a> {
    Choice { action: BOT_UTTER, thought: "", is_known }
}
