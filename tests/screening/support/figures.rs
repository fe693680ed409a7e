//! Prints recall by category and false positives by group.

use std::collections::BTreeMap;

use super::corpus::{self, Label, Sample};

/// Counted texts, and how many of them were hit.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) all: u32,
    pub(crate) hit: u32,
}

impl Count {
    fn add(&mut self, hit: bool) {
        self.all += 1;
        self.hit += u32::from(hit);
    }

    pub(crate) fn percent(self) -> f64 {
        100.0 * f64::from(self.hit) / f64::from(self.all.max(1))
    }
}

/// Prints the figures of `samples` whose log odds these are.
#[expect(
    clippy::print_stdout,
    reason = "the figures are what the command is for"
)]
pub(crate) fn print(title: &str, samples: &[Sample], odds: &[f32]) {
    let mut categories: BTreeMap<&str, (Count, Count)> = BTreeMap::new();
    let mut tiers: BTreeMap<&str, Count> = BTreeMap::new();
    let mut places: BTreeMap<&str, Count> = BTreeMap::new();
    let mut refused = Count::default();
    let mut groups: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    for (sample, odds) in samples.iter().zip(odds) {
        let hit = *odds >= 0.0;
        match &sample.label {
            Label::Attack { category, encoded } => {
                let counts = categories.entry(category).or_default();
                counts.0.add(hit);
                if *encoded {
                    counts.1.add(hit);
                }
            }
            Label::Everyday { place, group } => {
                if sample.is_blocked() {
                    refused.add(hit);
                } else {
                    refused.add(false);
                }
                places.entry(place).or_default().add(hit);
                groups.entry((place, group)).or_default().add(hit);
            }
            Label::Benign { tier, group } => {
                tiers.entry(tier).or_default().add(hit);
                groups.entry((tier, group)).or_default().add(hit);
            }
        }
    }
    println!("{title}");
    for (place, count) in &places {
        println!(
            "  everyday, hit as {place:12} {:5.2} % ({} of {})",
            count.percent(),
            count.hit,
            count.all
        );
    }
    if refused.all > 0 {
        println!(
            "  everyday, refused with default settings {:5.2} % ({} of {})",
            refused.percent(),
            refused.hit,
            refused.all
        );
    }
    let mean = categories
        .values()
        .map(|counts| counts.0.percent())
        .sum::<f64>()
        / categories.len().max(1) as f64;
    println!("  recall {mean:5.1} % on average");
    for (category, (all, encoded)) in &categories {
        println!(
            "    {category:16} {:5.1} % of {:4}, encoded {:5.1} % of {:3}",
            all.percent(),
            all.all,
            encoded.percent(),
            encoded.all,
        );
    }
    for (tier, count) in &tiers {
        println!(
            "  false positives {tier:14} {:5.2} % ({} of {})",
            count.percent(),
            count.hit,
            count.all
        );
    }
    for ((tier, group), count) in groups.iter().filter(|(_, count)| count.hit > 0) {
        println!(
            "    {tier:14} {group:20} {:5.2} % ({} of {})",
            count.percent(),
            count.hit,
            count.all
        );
    }
}

/// Prints what other biases would give: recall on average and of the worst category, false
/// positives of both tiers, and everyday texts refused with default settings.
#[expect(
    clippy::print_stdout,
    reason = "the figures are what the command is for"
)]
pub(crate) fn print_shifts(samples: &[Sample], odds: &[f32]) {
    println!("  with the bias raised by");
    for shift in [-0.5_f32, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8] {
        let mut classes: BTreeMap<&str, Count> = BTreeMap::new();
        let mut refused = Count::default();
        for (sample, odds) in samples.iter().zip(odds) {
            let hit = *odds + shift >= 0.0;
            classes.entry(sample.class()).or_default().add(hit);
            if sample.class() == corpus::EVERYDAY {
                refused.add(hit && sample.is_blocked());
            }
        }
        let benign = |tier| classes.get(tier).copied().unwrap_or_default();
        let recalls: Vec<_> = belljar_screen::Category::ALL
            .iter()
            .filter_map(|category| classes.get(category.name()))
            .map(|count| count.percent())
            .collect();
        println!(
            "    {shift:+.1}: recall {:5.1} %, worst {:5.1} %; false positives easy {:.2} %, hard {:.2} %; everyday refused {:.2} %",
            recalls.iter().sum::<f64>() / recalls.len().max(1) as f64,
            recalls.iter().copied().fold(100.0, f64::min),
            benign("easy").percent(),
            benign("hard").percent(),
            refused.percent(),
        );
    }
}
