//! The confidence below which the model says that it does not know.

use crate::choice::best_action;
use crate::classifier::{Classifier, Sample};
use crate::features::{Sparse, Vocabulary};
use crate::lessons::Lessons;

/// The threshold.
pub(crate) fn threshold(_samples: &[(Sample, bool)], _lessons: &Lessons, _vocabulary: &Vocabulary) -> f32 {
    0.3
}
