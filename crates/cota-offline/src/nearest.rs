//! Finds the most similar of many messages without looking at each.

use std::collections::BTreeMap;

use cota_core::sort::sort;

use crate::features::Sparse;

/// A feature that more than one in this many messages has tells too little to be worth the walk.
const TOO_COMMON: usize = 5;
/// Below this many messages every feature is worth it.
const FEW: usize = 64;

/// Messages by feature: an inverted index.
#[derive(Debug, Default)]
pub(crate) struct Nearest {
    count: usize,
    by_place: BTreeMap<u32, Vec<(usize, f32)>>,
}

impl Nearest {
    /// Adds a message; they are numbered from 0.
    pub(crate) fn add(&mut self, message: &Sparse) {
        for (place, value) in message {
            self.by_place.entry(*place).or_default().push((self.count, *value));
        }
        self.count += 1;
    }

    /// The numbers of the messages that share something telling with this one, with their similarity, most similar first, and of
    /// those that are equally similar the one that was added first.
    pub(crate) fn find(&self, message: &Sparse) -> Vec<(usize, f32)> {
        let mut similarity = vec![0.0_f32; self.count];
        let most = if self.count <= FEW { self.count } else { self.count / TOO_COMMON };
        for (place, value) in message {
            let Some(messages) = self.by_place.get(place).filter(|messages| messages.len() <= most) else { continue };
            for (number, other) in messages {
                if let Some(sum) = similarity.get_mut(*number) {
                    *sum += value * other;
                }
            }
        }
        let mut found: Vec<(usize, f32)> = similarity.into_iter().enumerate().filter(|(_, sum)| *sum > 0.0).collect();
        sort(&mut found, |(_, left), (_, right)| right.total_cmp(left));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Grams, Vocabulary};

    #[test]
    fn the_most_similar_message_comes_first() {
        let texts = ["reset my password", "where is my order", "order a new monitor"];
        let grams = texts.map(Grams::of);
        let vocabulary = Vocabulary::learn(grams.iter(), 3);
        let mut nearest = Nearest::default();
        for grams in &grams {
            nearest.add(&vocabulary.message(grams));
        }
        let first = |text: &str| nearest.find(&vocabulary.message(&Grams::of(text))).first().map(|(number, _)| *number);
        assert_eq!(first("my password please"), Some(0));
        assert_eq!(first("where's the order"), Some(1));
        assert_eq!(first("a monitor"), Some(2));
        assert_eq!(first("王"), None);
    }
}
