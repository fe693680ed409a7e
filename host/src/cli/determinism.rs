//! On which machines a model gives the same bits again, in words.

use std::collections::BTreeMap;

/// Instructions that are named to a person; the API has all.
const INSTRUCTIONS_MAX: usize = 6;

/// A class of determinism for a person: itself, and the instructions it comes from by what they
/// leave open.
pub(super) fn determinism_words<'a>(
    class: &str,
    reasons: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut words = class.to_owned();
    let mut by_freedom = BTreeMap::<&str, Vec<&str>>::new();
    for (instruction, leaves_open) in reasons {
        by_freedom.entry(leaves_open).or_default().push(instruction);
    }
    for (leaves_open, instructions) in by_freedom {
        let more = instructions.len().saturating_sub(INSTRUCTIONS_MAX);
        let named: Vec<_> = instructions.into_iter().take(INSTRUCTIONS_MAX).collect();
        words += &format!("\n{leaves_open}: {}", named.join(", "));
        if more > 0 {
            words += &format!(" and {more} more");
        }
    }
    words
}
