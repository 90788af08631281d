//! The confidence below which the model says that it does not know.

use cota_core::sort::sort;

use crate::features::similarity;
use crate::lessons::{Class, Lessons};

/// Most messages that are left out, one at a time.
const MOST_PROBES: usize = 512;
/// The share of the examples' own messages that may be unlike all others of their class.
const ODD_ONES: usize = 10;
/// What a message may fall short of the odd ones: people word things in ways that no example has.
const LENIENCE: f32 = 0.4;
/// Below this nothing is known, however few and different the examples are.
const LEAST: f32 = 0.03;

/// Leaves each message of the examples out in turn and looks how like it is to the rest of its class. That tells how like
/// the examples a new message of the same meaning is: much in a language of long words, little where one sign is a word.
pub(crate) fn threshold(lessons: &Lessons) -> f32 {
    let several = lessons.classes().filter(|class| class.messages().len() > 1);
    let probes: Vec<(&Class, usize)> = several.flat_map(|class| (0..class.messages().len()).map(move |at| (class, at))).collect();
    let stride = probes.len().div_ceil(MOST_PROBES).max(1);
    let mut likeness: Vec<f32> = probes.into_iter().step_by(stride).map(|(class, at)| likeness_to_others(class, at)).collect();
    sort(&mut likeness, f32::total_cmp);
    likeness.get(likeness.len() / ODD_ONES).map_or(LEAST, |odd| (odd * LENIENCE).max(LEAST))
}

/// How like a message of a class is to the nearest other one.
fn likeness_to_others(class: &Class, at: usize) -> f32 {
    let Some(message) = class.messages().get(at) else { return 0.0 };
    let others = class.messages().iter().enumerate().filter(|(other, _)| *other != at);
    others.map(|(_, other)| similarity(message, other)).fold(0.0, f32::max)
}
