//! Plays the user: says what the user of the best fitting example dialogue says next.

use cota_core::bot::{Bot, Dialogue, USER_UTTER};
use cota_core::tracker::{Tracker, result_text};

use crate::features::{Grams, Vocabulary, similarity};
use crate::utter::is_speakable;

/// How alike two messages are at least to count as the same place of a dialogue.
const SAME_PLACE: f32 = 0.5;

/// What the user says next; nothing at the end of the dialogue.
pub(crate) fn next_message<'b>(bot: &'b Bot, vocabulary: &Vocabulary, tracker: &Tracker) -> Option<&'b str> {
    let said: Vec<String> = tracker.actions().filter(|action| action.name == USER_UTTER).map(result_text).collect();
    let said: Vec<_> = said.iter().map(|text| vocabulary.message(&Grams::of(text))).collect();
    let mut best: Option<(f32, Place<'b>)> = None;
    for place in bot.source().examples.iter().flat_map(places) {
        let fit = place.before.iter().rev().zip(said.iter().rev());
        let fit = fit.map(|(texts, said)| {
            let alike = |text: &String| similarity(said, &vocabulary.message(&Grams::of(text)));
            texts.iter().map(alike).fold(0.0, f32::max)
        });
        let fit: f32 = fit.take_while(|alike| *alike >= SAME_PLACE).sum();
        let is_start = place.before.is_empty() && said.is_empty();
        if (is_start || fit > 0.0) && best.as_ref().is_none_or(|(score, _)| fit > *score) {
            best = Some((fit, place));
        }
    }
    let (_, place) = best?;
    let variant = place.variant(&said, vocabulary);
    place.next.and_then(|texts| texts.get(variant.checked_rem(texts.len())?)).map(String::as_str).filter(|text| is_speakable(text))
}

/// A point of a dialogue between two messages of its user.
struct Place<'b> {
    before: Vec<&'b [String]>,
    next: Option<&'b [String]>,
}

impl Place<'_> {
    /// Which of the texts of the message before was said: the next one is of the same variant.
    fn variant(&self, said: &[crate::features::Sparse], vocabulary: &Vocabulary) -> usize {
        let (Some(texts), Some(said)) = (self.before.last(), said.last()) else { return 0 };
        let mut best = (f32::NEG_INFINITY, 0);
        for (at, text) in texts.iter().enumerate() {
            let alike = similarity(said, &vocabulary.message(&Grams::of(text)));
            if alike > best.0 {
                best = (alike, at);
            }
        }
        best.1
    }
}

fn places(dialogue: &Dialogue) -> Vec<Place<'_>> {
    let users: Vec<&[String]> = dialogue.steps.iter().filter(|step| step.name == USER_UTTER).map(|step| step.result.texts()).collect();
    let place = |at: usize| Place { before: users.iter().take(at).copied().collect(), next: users.get(at).copied() };
    (0..=users.len()).map(place).collect()
}
