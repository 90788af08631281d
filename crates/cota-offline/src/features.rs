//! Messages and situations as sparse vectors of hashed features.

use std::collections::BTreeMap;

use crate::situation::Situation;

/// What the context weighs beside the words: enough to settle a tie, too little to drown them.
const CONTEXT_WEIGHT: f32 = 0.35;
/// What the words weigh once something has happened since they were said.
const LATER_WEIGHT: f32 = 0.5;
/// Most characters of a message that are looked at: the first and the last half of it.
const MAX_CHARS: usize = 400;
/// How much more a rare n-gram weighs than a common one. Measured: more right choices than with 1 where messages share many words.
const RARITY_POWER: f32 = 1.5;
/// At most 2^24 weights: 64 MB.
const WEIGHT_BITS: u32 = 24;
const LONGEST_GRAM: usize = 3;

/// A sparse vector: places and values, places ascending.
pub(crate) type Sparse = Vec<(u32, f32)>;

/// Hashes of all 1- to 3-grams of a text's characters, ascending, with their counts.
#[derive(Debug, Default)]
pub(crate) struct Grams(Vec<(u64, f32)>);

/// The n-grams of the examples, and how telling each is.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    bits: u32,
    /// By an n-gram's hash, ascending: its rarity.
    rarities: Vec<(u64, f32)>,
    /// The rarity of an n-gram that no example has.
    unseen: f32,
}

impl Vocabulary {
    /// Learns from the messages of the examples how telling each n-gram is.
    ///
    /// `classes` bounds the places, so that the weights of a bot with many classes stay within memory.
    pub(crate) fn learn<'t>(messages: impl Iterator<Item = &'t Grams>, classes: usize) -> Self {
        let mut documents: BTreeMap<u64, u32> = BTreeMap::new();
        let mut total = 0;
        for Grams(grams) in messages {
            total += 1;
            for (gram, _) in grams {
                *documents.entry(*gram).or_default() += 1;
            }
        }
        let bits = bits_for(documents.len(), classes);
        let rarities = documents.into_iter().map(|(gram, count)| (gram, rarity(total, count))).collect();
        Self { bits, rarities, unseen: rarity(total, 0) }
    }

    /// How many places a vector may have.
    pub(crate) fn places(&self) -> usize {
        1 << self.bits
    }

    /// A message alone, of length 1 unless it is empty.
    pub(crate) fn message(&self, grams: &Grams) -> Sparse {
        self.words(grams, 0, 1.0)
    }

    /// A situation: the message, told apart by what has happened since, and the context.
    pub(crate) fn situation(&self, situation: &Situation<'_>) -> Sparse {
        let phase = situation.last().map_or(0, |name| hash(name.as_bytes(), 1));
        let weight = if phase == 0 { 1.0 } else { LATER_WEIGHT };
        let mut all = self.words(situation.heard().grams(), phase, weight);
        situation.facts(&mut |fact| all.push((place(hash(fact.as_bytes(), 2), self.bits), CONTEXT_WEIGHT)));
        in_order(&all)
    }

    /// The n-grams of a text, dampened counts times rarity, scaled to `length`.
    ///
    /// N-grams that no example has get no place but count in the length, so a text of many unknown ones says little.
    fn words(&self, Grams(grams): &Grams, phase: u64, length: f32) -> Sparse {
        let mut all = Sparse::with_capacity(grams.len());
        let mut squares = 0.0_f32;
        for (gram, count) in grams {
            let rarity = self.rarity_of(*gram);
            let value = (1.0 + count.ln()) * rarity.unwrap_or(self.unseen);
            squares += value * value;
            if rarity.is_some() {
                all.push((place(gram ^ phase, self.bits), value));
            }
        }
        let mut all = in_order(&all);
        let scale = if squares > 0.0 { length / squares.sqrt() } else { 0.0 };
        all.iter_mut().for_each(|(_, value)| *value *= scale);
        all
    }

    fn rarity_of(&self, gram: u64) -> Option<f32> {
        let at = self.rarities.binary_search_by_key(&gram, |(known, _)| *known).ok()?;
        self.rarities.get(at).map(|(_, rarity)| *rarity)
    }
}

/// A vector of values that stand in any order, those of one place added up in theirs.
fn in_order(values: &Sparse) -> Sparse {
    // Places and turns as one number, so that the sort of n-grams serves here too.
    let mut keys: Vec<u64> = values.iter().zip(0_u64..).map(|((at, _), turn)| u64::from(*at) << u32::BITS | turn).collect();
    keys.sort_unstable();
    let mut ordered = Sparse::with_capacity(values.len());
    for (at, value) in keys.into_iter().filter_map(|key| values.get(key as u32 as usize)) {
        match ordered.last_mut() {
            Some((last, sum)) if last == at => *sum += *value,
            _ => ordered.push((*at, *value)),
        }
    }
    ordered
}

/// The scalar product of two vectors.
pub(crate) fn similarity(left: &Sparse, right: &Sparse) -> f32 {
    let mut right = right.iter().peekable();
    let mut sum = 0.0;
    for (at, value) in left {
        while right.next_if(|(other, _)| other < at).is_some() {}
        if let Some((_, other)) = right.next_if(|(other, _)| other == at) {
            sum += value * other;
        }
    }
    sum
}

/// A text in the one form in which texts are compared: lower case, single spaces, digits alike, no punctuation at its ends.
pub(crate) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(char::to_lowercase).map(|letter| if letter.is_numeric() { '0' } else { letter }));
    }
    folded.trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned()
}

impl Grams {
    /// Those of a text, which begins and ends with a space.
    pub(crate) fn of(text: &str) -> Self {
        let folded = folded(text);
        if folded.is_empty() {
            return Self::default();
        }
        let letters: Vec<char> = std::iter::once(' ').chain(clipped(&folded)).chain(std::iter::once(' ')).collect();
        let grams = (1..=LONGEST_GRAM).flat_map(|length| letters.windows(length)).filter(|gram| *gram != [' ']);
        let mut hashes: Vec<u64> =
            grams.map(|gram| gram.iter().fold(gram.len() as u64, |state, letter| mix(state, u64::from(u32::from(*letter))))).collect();
        hashes.sort_unstable();
        let mut counts: Vec<(u64, f32)> = Vec::with_capacity(hashes.len());
        for hash in hashes {
            match counts.last_mut() {
                Some((last, count)) if *last == hash => *count += 1.0,
                _ => counts.push((hash, 1.0)),
            }
        }
        Self(counts)
    }
}

fn clipped(text: &str) -> Vec<char> {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= MAX_CHARS {
        return letters;
    }
    let half = MAX_CHARS / 2;
    letters.iter().take(half).chain(letters.iter().skip(letters.len() - half)).copied().collect()
}

/// Twice as many places as n-grams keeps most of them apart; a small bot stays small.
fn bits_for(grams: usize, classes: usize) -> u32 {
    let most = WEIGHT_BITS.saturating_sub(classes.next_power_of_two().trailing_zeros());
    (grams.max(1) * 2).next_power_of_two().trailing_zeros().min(most).clamp(10, 16)
}

#[expect(clippy::cast_precision_loss, reason = "counts of examples, far below what an f32 tells apart")]
fn rarity(total: u32, documents: u32) -> f32 {
    (((total as f32 + 1.0) / (documents as f32 + 1.0)).ln() + 1.0).powf(RARITY_POWER)
}

fn place(hash: u64, bits: u32) -> u32 {
    u32::try_from(hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)).unwrap_or(0)
}

fn hash(bytes: &[u8], seed: u64) -> u64 {
    bytes.iter().fold(seed, |state, byte| mix(state, u64::from(*byte)))
}

fn mix(state: u64, value: u64) -> u64 {
    let mixed = (state ^ value).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(texts: &[&str]) -> Vocabulary {
        let grams: Vec<Grams> = texts.iter().map(|text| Grams::of(text)).collect();
        Vocabulary::learn(grams.iter(), 2)
    }

    #[test]
    fn texts_that_differ_in_case_space_and_marks_are_the_same_vector() {
        let vocabulary = learned(&["Wie wird das Wetter?", "上海天气怎么样"]);
        for (one, other) in
            [("Hello  you!", "hello you"), ("TROMSØ", "tromsø"), ("上海天气怎么样？", "上海天气怎么样"), ("room 12", "room 47")]
        {
            assert_eq!(vocabulary.message(&Grams::of(one)), vocabulary.message(&Grams::of(other)), "{one} / {other}");
        }
        assert_ne!(vocabulary.message(&Grams::of("hello")), vocabulary.message(&Grams::of("hallo")));
    }

    #[test]
    fn a_known_message_has_length_one_and_unknown_letters_are_nothing() {
        let vocabulary = learned(&["one", "one and two"]);
        let message = vocabulary.message(&Grams::of("one and two"));
        assert!((similarity(&message, &message) - 1.0).abs() < 1e-5);
        assert!(vocabulary.message(&Grams::of(" ?!")).is_empty());
        assert!(vocabulary.message(&Grams::of("zzz")).is_empty());
    }

    #[test]
    fn nearer_texts_are_more_similar() {
        let vocabulary = learned(&["weather in Oslo", "book a table"]);
        let message = |text: &str| vocabulary.message(&Grams::of(text));
        let asked = message("the weather in Bergen");
        assert!(similarity(&asked, &message("weather in Oslo")) > similarity(&asked, &message("book a table")));
    }
}
