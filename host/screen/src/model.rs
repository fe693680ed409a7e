//! A linear model: each feature has a weight, and the score is what their sum makes likely.
//!
//! The weights come from `tests/screening/train.rs`, which writes `weights.tsv`; a change of features
//! asks for new weights. Nothing here knows a text.

use std::sync::LazyLock;

use crate::Category;
use crate::features::{FEATURES, Feature, Found};

/// The weights as trained: a name and a number on each line.
const TRAINED: &str = include_str!("weights.tsv");

/// The name of the weight that each text has.
const BIAS: &str = "bias";

/// The weight of each feature and of having none.
#[derive(Debug, Clone)]
pub struct Model {
    bias: f32,
    weights: [f32; FEATURES],
}

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::parse(TRAINED));

impl Model {
    /// The model that the package comes with.
    pub fn trained() -> &'static Self {
        &MODEL
    }

    /// A model of these weights. The array has the order of [`Feature::ALL`].
    pub const fn new(bias: f32, weights: [f32; FEATURES]) -> Self {
        Self { bias, weights }
    }

    /// Reads what [`Model::render`] wrote. A feature without a line has no weight, a line
    /// without a feature is ignored: so features can come and go before the next training.
    pub fn parse(text: &str) -> Self {
        let mut model = Self::new(0.0, [0.0; FEATURES]);
        for line in text.lines() {
            let Some((name, Ok(weight))) = line
                .split_once('\t')
                .map(|(name, weight)| (name, weight.parse()))
            else {
                continue;
            };
            if name == BIAS {
                model.bias = weight;
            } else if let Some(slot) =
                Feature::named(name).and_then(|feature| model.weights.get_mut(feature.index()))
            {
                *slot = weight;
            }
        }
        model
    }

    /// The weights as text, one on each line.
    pub fn render(&self) -> String {
        let lines = Feature::ALL
            .iter()
            .map(|feature| format!("{feature}\t{:.3}\n", self.weight(*feature)));
        let bias = format!("{BIAS}\t{:.3}\n", self.bias);
        std::iter::once(bias).chain(lines).collect()
    }

    /// The weight of one feature, in log odds.
    pub fn weight(&self, feature: Feature) -> f32 {
        self.weights.get(feature.index()).copied().unwrap_or(0.0)
    }

    /// The log odds that a text with these features is an attack.
    pub fn log_odds(&self, found: &Found) -> f32 {
        self.bias
            + found
                .features()
                .map(|feature| self.weight(feature))
                .sum::<f32>()
    }

    /// The log odds that a text with exactly these features is an attack.
    pub fn weight_sum(&self, features: &[Feature]) -> f32 {
        self.bias
            + features
                .iter()
                .map(|feature| self.weight(*feature))
                .sum::<f32>()
    }

    /// The log odds with nothing said for the text that it reads as talk: for fields that
    /// nobody talks in.
    pub fn log_odds_strict(&self, found: &Found) -> f32 {
        let signs = found.features().filter(|feature| feature.counts_strictly());
        self.bias + signs.map(|feature| self.weight(feature)).sum::<f32>()
    }

    /// Finds features until a text is a hit at `threshold`, whatever else it holds.
    pub(crate) fn goal(&self, threshold: f32, strict: bool) -> Found {
        let mut weights = self.weights;
        for (feature, weight) in Feature::ALL.iter().zip(&mut weights) {
            if strict && !feature.counts_strictly() {
                *weight = 0.0;
            }
        }
        let log_odds = (threshold / (1.0 - threshold)).ln();
        Found::up_to(log_odds - self.bias, weights)
    }

    /// The category that the features speak for most.
    pub fn category(&self, found: &Found) -> Option<Category> {
        let mut sums = [0.0_f32; Category::ALL.len()];
        for feature in found.features() {
            if let Some(sum) = feature
                .category()
                .and_then(|category| sums.get_mut(category as usize))
            {
                // A feature whose weight training found no use for still names a category.
                const WEIGHT_MIN: f32 = 0.05;
                *sum += self.weight(feature).max(WEIGHT_MIN);
            }
        }
        let best = Category::ALL
            .iter()
            .zip(sums)
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best.1 > 0.0).then_some(*best.0)
    }
}

/// The likelihood that log odds stand for, between 0 and 1.
pub fn likelihood(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Sign;

    #[test]
    fn each_feature_has_a_trained_weight_of_its_sign() {
        for feature in Feature::ALL {
            let lines = TRAINED
                .lines()
                .filter(|line| line.split('\t').next() == Some(feature.name()));
            assert_eq!(lines.count(), 1, "{feature}: train anew");
            let weight = Model::trained().weight(*feature);
            match feature.sign() {
                Sign::Attack => assert!(weight >= 0.0, "{feature} {weight}"),
                Sign::Talk => assert!(weight <= 0.0, "{feature} {weight}"),
            }
        }
        assert_eq!(
            TRAINED.lines().count(),
            FEATURES + 1,
            "a weight of no feature"
        );
    }

    #[test]
    fn weights_survive_text() {
        let model = Model::trained();
        assert_eq!(Model::parse(&model.render()).render(), model.render());
    }
}
