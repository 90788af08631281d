//! A multinomial logistic regression over sparse vectors, trained by stochastic gradient descent in a fixed order.

use crate::features::Sparse;

/// One training sample.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The situation.
    pub(crate) features: Sparse,
    /// What was right in it.
    pub(crate) class: usize,
}

/// Weights by place, then by class, so that a vector's rows are read one after the other.
#[derive(Debug)]
pub(crate) struct Classifier {
    classes: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Classifier {
    /// Learns `classes` classes from samples over `places` places. The same samples give the same weights, bit for bit.
    pub(crate) fn train(samples: &[Sample], places: usize, classes: usize) -> Self {
        let mut classifier = Self { classes, weights: vec![0.0; places * classes], bias: vec![0.0; classes] };
        let mut order: Vec<&Sample> = samples.iter().collect();
        let mut gradient = Vec::with_capacity(classes);
        for epoch in 0..epochs(samples.len()) {
            shuffle(&mut order, u64::from(epoch));
            let rate = START_RATE / (1.0 + RATE_DECAY * f32::from(epoch));
            for sample in &order {
                classifier.learn(sample, rate, &mut gradient);
            }
        }
        classifier
    }

    /// The probability of each class.
    pub(crate) fn probabilities(&self, features: &Sparse) -> Vec<f32> {
        let mut scores = Vec::with_capacity(self.classes);
        self.score(features, &mut scores);
        softmax(&mut scores);
        scores
    }

    fn learn(&mut self, sample: &Sample, rate: f32, gradient: &mut Vec<f32>) {
        self.score(&sample.features, gradient);
        softmax(gradient);
        if let Some(right) = gradient.get_mut(sample.class) {
            *right -= 1.0;
        }
        for (place, value) in &sample.features {
            add(self.row_mut(*place), gradient, -rate * value);
        }
        add(&mut self.bias, gradient, -rate * BIAS_RATE);
    }

    fn score(&self, features: &Sparse, scores: &mut Vec<f32>) {
        scores.clear();
        scores.extend_from_slice(&self.bias);
        for (place, value) in features {
            let start = *place as usize * self.classes;
            add(scores, self.weights.get(start..start + self.classes).unwrap_or_default(), *value);
        }
    }

    fn row_mut(&mut self, place: u32) -> &mut [f32] {
        let start = place as usize * self.classes;
        self.weights.get_mut(start..start + self.classes).unwrap_or_default()
    }
}

const START_RATE: f32 = 6.0;
const RATE_DECAY: f32 = 0.15;
const BIAS_RATE: f32 = 0.05;

/// Few samples need more rounds; many must not take longer than a person waits.
fn epochs(samples: usize) -> u16 {
    u16::try_from(60_000 / samples.max(1)).unwrap_or(u16::MAX).clamp(6, 20)
}

fn add(sum: &mut [f32], row: &[f32], factor: f32) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value * factor;
    }
}

fn softmax(scores: &mut [f32]) {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = (*score - top).exp();
    }
    let total: f32 = scores.iter().sum();
    for score in scores {
        *score /= total;
    }
}

/// A permutation that depends on `seed` alone.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    for last in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from((state >> 33) % (last as u64 + 1)).unwrap_or(0);
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_told_apart_is_told_apart() {
        let sample = |places: &[u32], class| Sample { features: places.iter().map(|place| (*place, 0.5)).collect(), class };
        let samples = [sample(&[0, 3], 0), sample(&[0, 1], 0), sample(&[1, 2], 1), sample(&[2, 3], 1), sample(&[4], 2)];
        let classifier = Classifier::train(&samples, 8, 3);
        for sample in &samples {
            let probabilities = classifier.probabilities(&sample.features);
            assert!(probabilities[sample.class] > 0.8, "{sample:?} has {probabilities:?}");
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn a_shuffle_loses_nothing_and_depends_on_its_seed_alone() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..50).collect();
            shuffle(&mut items, seed);
            items
        };
        let mut sorted = shuffled(7);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_eq!(shuffled(7), shuffled(7));
        assert_ne!(shuffled(7), shuffled(8));
    }
}
