//! Texts of our own, which training sees besides the corpus.
//!
//! The corpus has some families of attack once or not at all. These texts, made from parts,
//! give each feature a reason to have a weight, so that no weight hangs on one list.

use super::corpus::{Label, Sample};
use super::{own_attacks, own_everyday, own_talk};

/// All of them.
pub(crate) fn samples() -> Vec<Sample> {
    let attacks = own_attacks::families()
        .into_iter()
        .flat_map(|(category, family, texts)| {
            texts.into_iter().map(move |text| {
                let label = Label::Attack {
                    category: category.to_owned(),
                    encoded: false,
                };
                Sample::new(text, label, format!("own: {family}"))
            })
        });
    let talk = own_talk::families()
        .into_iter()
        .flat_map(|(family, texts)| {
            texts.into_iter().map(move |text| {
                let label = Label::Benign {
                    tier: "hard".to_owned(),
                    group: family.to_owned(),
                };
                Sample::new(text, label, format!("own: {family}"))
            })
        });
    let everyday = own_everyday::families()
        .into_iter()
        .flat_map(|(family, texts)| {
            texts.into_iter().map(move |text| {
                let label = Label::Everyday {
                    place: "prompt".to_owned(),
                    group: family.to_owned(),
                };
                Sample::new(text, label, format!("own: {family}"))
            })
        });
    attacks.chain(talk).chain(everyday).collect()
}

/// Each `frame` with each of `parts` in the place of its `@`.
pub(crate) fn fill(frames: &[&str], parts: &[&str]) -> Vec<String> {
    frames
        .iter()
        .flat_map(|frame| parts.iter().map(|part| frame.replace('@', part)))
        .collect()
}

/// The lines of a block of text.
pub(crate) fn lines(block: &str) -> Vec<String> {
    block
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}
