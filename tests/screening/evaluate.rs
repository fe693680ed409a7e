//! Measures the screen on the corpus: recall, false positives, cross-validation and time.
//!
//!     cargo run -p belljar-screen --release --example evaluate -- --corpus DIR [--misses] [--without-own]
//!     … -- --corpus DIR --times [--shape NAME]
//!     … -- --corpus DIR --features

#![expect(
    clippy::print_stdout,
    reason = "the figures are what the command is for"
)]
#![allow(
    missing_docs,
    dead_code,
    clippy::indexing_slicing,
    reason = "a program for developers"
)]

mod support;

use std::error::Error;
use std::time::Instant;

use belljar_screen::{FieldKind, Model, Screener};
use support::corpus::{self, Sample};
use support::fit::{self, Deal};
use support::{adversarial, figures, own, unseen};

/// Folds by texts, and folds by sources.
const FOLDS: [(&str, Deal, u64); 2] = [
    ("cross-validated by texts, 5 folds", Deal::Texts, 5),
    ("cross-validated by sources, 10 folds", Deal::Sources, 10),
];

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = corpus::folder() else {
        println!(
            "skipped: no corpus; name its folder with --corpus or in {}",
            corpus::VARIABLE
        );
        return Ok(());
    };
    let mut samples = corpus::read(&folder)?;
    let everyday = corpus::read_everyday(&folder)?;
    if everyday.is_empty() {
        println!("skipped: there are no everyday texts in that folder");
    }
    samples.extend(everyday);
    if std::env::args().any(|argument| argument == "--features") {
        features(&samples);
        return Ok(());
    }
    if std::env::args().any(|argument| argument == "--times") {
        times(&samples);
        return Ok(());
    }
    let shipped: Vec<_> = samples
        .iter()
        .map(|sample| fit::score(Model::trained(), sample))
        .collect();
    figures::print("the weights as shipped", &samples, &shipped);
    let own = own::samples();
    let own_odds: Vec<_> = own
        .iter()
        .map(|sample| fit::score(Model::trained(), sample))
        .collect();
    figures::print("our own texts, which training saw", &own, &own_odds);
    let unseen = unseen::samples();
    let unseen_odds: Vec<_> = unseen
        .iter()
        .map(|sample| fit::score(Model::trained(), sample))
        .collect();
    figures::print(
        "our own texts, which training never sees",
        &unseen,
        &unseen_odds,
    );
    figures::print_shifts(&unseen, &unseen_odds);
    let show = std::env::args().any(|argument| argument == "--misses");
    let bare = std::env::args().any(|argument| argument == "--without-own");
    let extra = if bare { &[][..] } else { &own[..] };
    if show {
        misses(&own, &own_odds);
        misses(&unseen, &unseen_odds);
    }
    for (title, deal, folds) in FOLDS {
        let odds = fit::cross_validate(&samples, extra, deal, folds);
        figures::print(title, &samples, &odds);
        figures::print_shifts(&samples, &odds);
        if show {
            misses(&samples, &odds);
        }
    }
    times(&samples);
    Ok(())
}

/// Prints what is found in each text, a line of JSON each.
fn features(samples: &[Sample]) {
    let (own, unseen) = (own::samples(), unseen::samples());
    for sample in samples.iter().chain(&own).chain(&unseen) {
        let names: Vec<_> = sample.features.iter().map(|found| found.name()).collect();
        let line = serde_json::json!({
            "class": sample.class(),
            "source": sample.source,
            "place": sample.kind.name(),
            "text": sample.text,
            "features": names,
        });
        println!("{line}");
    }
}

/// Prints how long texts take.
fn times(samples: &[Sample]) {
    let screener = Screener::default();
    let mut micros: Vec<_> = samples
        .iter()
        .filter(|sample| !sample.is_attack())
        .map(|sample| {
            fastest(5, || {
                screener.screen(FieldKind::Prompt, &sample.text).is_some()
            })
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    let at = |part: f64| {
        micros
            .get((micros.len() as f64 * part) as usize)
            .copied()
            .unwrap_or(0.0)
    };
    println!(
        "time for each benign text, in microseconds: median {:.1}, nine of ten {:.1}, most {:.1}",
        at(0.5),
        at(0.9),
        at(0.999)
    );
    println!("time for 1 MB, in milliseconds");
    let mut arguments = std::env::args().skip_while(|argument| argument != "--shape");
    let shape = arguments.nth(1).unwrap_or_default();
    let texts = adversarial::texts().into_iter();
    for (name, text) in texts.filter(|(name, _)| name.contains(&shape)) {
        let micros = fastest(9, || screener.screen(FieldKind::Prompt, &text).is_some());
        println!(
            "  {name:24} {:7.2} ({:4.0} MB/s)",
            micros / 1_000.0,
            text.len() as f64 / micros
        );
    }
}

/// The shortest of some runs, in microseconds.
fn fastest(runs: u32, mut work: impl FnMut() -> bool) -> f64 {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(work());
            start.elapsed().as_secs_f64() * 1e6
        })
        .fold(f64::MAX, f64::min)
}

/// Prints what was decided wrongly, and why.
fn misses(samples: &[Sample], odds: &[f32]) {
    for (sample, odds) in samples
        .iter()
        .zip(odds)
        .filter(|(sample, odds)| sample.is_attack() != (**odds >= 0.0))
    {
        let names: Vec<_> = sample
            .features
            .iter()
            .map(|feature| format!("{feature}{:+.1}", Model::trained().weight(*feature)))
            .collect();
        let text: String = sample.text.chars().take(160).collect();
        println!(
            "{odds:+.2} {:?} {text:?}\n      {}",
            sample.label,
            names.join(" ")
        );
    }
}
