//! How much two values are alike, and which of many is the most like one.

use super::{Difference, Open, Pair, at_one_place, first_difference};
use serde_json::Value;
use std::fmt;

/// How much of two values is the same, from nothing to all, in ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Likeness(u16);

impl Likeness {
    /// Nothing is the same.
    pub const NONE: Self = Self(0);
    /// Everything is the same.
    pub const ALL: Self = Self(10_000);

    /// A share of a whole. Nothing of nothing is all of it.
    fn of(same: u64, whole: u64) -> Self {
        if same >= whole {
            return Self::ALL;
        }
        let share = u128::from(same) * u128::from(Self::ALL.0) / u128::from(whole);
        Self(u16::try_from(share).unwrap_or(Self::ALL.0))
    }

    /// The share in ten-thousandths, at most 10,000.
    #[must_use]
    pub fn ten_thousandths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0 / 100)
    }
}

/// The candidate that is the most like a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// The place of the candidate among all.
    pub index: usize,
    /// How much it is like the value.
    pub likeness: Likeness,
    /// The first place where the value is not like the candidate; none where it is equal.
    pub difference: Option<Difference>,
}

/// How much work looking for the nearest may be, in all: about as many bytes of candidates as are
/// read.
const WORK_MAX: usize = 64 * 1024 * 1024;

/// How much of one candidate is looked at, at most.
const CANDIDATE_WORK_MAX: usize = 64 * 1024;

/// How much of one candidate is looked at in any case, so that the last of very many is judged
/// by more than its beginning.
const CANDIDATE_WORK_MIN: usize = 1024;

/// The work of looking at one pair of values, beside the bytes of their texts.
const PAIR_WORK: usize = 32;

/// The candidate that is the most like a value, and how the value differs from it: the first of
/// those that are equally like it, none where there are no candidates. Of large candidates the
/// beginning is looked at, of very many a shorter one.
#[must_use]
pub fn nearest<'a, I>(found: &Value, candidates: I) -> Option<Nearest>
where
    I: IntoIterator<Item = &'a Value>,
    I::IntoIter: ExactSizeIterator,
{
    let candidates = candidates.into_iter();
    let work = work_for_each(candidates.len());
    let mut best: Option<(usize, Likeness, &Value)> = None;
    for (index, candidate) in candidates.enumerate() {
        let likeness = likeness_within(candidate, found, work);
        if best.is_none_or(|(_, most, _)| likeness > most) {
            best = Some((index, likeness, candidate));
        }
    }
    let (index, likeness, candidate) = best?;
    let difference = first_difference(candidate, found);
    // What differs past the work that was done is different all the same.
    let most = match &difference {
        Some(_) => Likeness(Likeness::ALL.0 - 1),
        None => Likeness::ALL,
    };
    Some(Nearest {
        index,
        likeness: likeness.min(most),
        difference,
    })
}

/// The work that there is for each of so many candidates.
pub(crate) fn work_for_each(candidates: usize) -> usize {
    (WORK_MAX / candidates.max(1)).clamp(CANDIDATE_WORK_MIN, CANDIDATE_WORK_MAX)
}

/// How much of two values is the same.
#[must_use]
pub fn likeness(expected: &Value, found: &Value) -> Likeness {
    likeness_within(expected, found, CANDIDATE_WORK_MAX)
}

/// As [`likeness`], of as much as an amount of work allows. Each scalar counts once, texts with
/// the number of binary digits of their length besides: what was asked counts more than a flag,
/// and a long text not more than everything else together.
pub(crate) fn likeness_within(expected: &Value, found: &Value, mut work: usize) -> Likeness {
    let (mut same, mut whole) = (0_u64, 0_u64);
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = Some(Pair::Both(expected, found));
    loop {
        let pair = match next.take() {
            Some(pair) => pair,
            None => match open.last_mut() {
                None => break,
                Some(last) => match last.next() {
                    Some(pair) => pair,
                    None => {
                        open.pop();
                        continue;
                    }
                },
            },
        };
        let (alike, weight, cost) = compared(&pair);
        same += alike;
        whole += weight;
        let Some(left) = work.checked_sub(cost + PAIR_WORK) else {
            break;
        };
        work = left;
        if let Pair::Both(expected, found) = pair {
            open.extend(Open::new(expected, found));
        }
    }
    Likeness::of(same, whole)
}

/// How much of a pair is the same, what it counts (in hundredths of a scalar), and what it cost to
/// say so. What a pair of arrays or objects holds is not part of it.
fn compared(pair: &Pair<'_>) -> (u64, u64, usize) {
    match *pair {
        Pair::Missing(value) | Pair::Added(value) => (0, weight(value), 0),
        Pair::Both(Value::String(expected), Value::String(found)) => {
            let weight = weight_of_text(expected.len().max(found.len()));
            let (same, whole, cost) = compared_texts(expected, found);
            (same * weight / whole, weight, cost)
        }
        Pair::Both(expected, found) if Open::new(expected, found).is_some() => (0, 0, 0),
        Pair::Both(expected, found) => {
            let weight = weight(expected).max(weight(found));
            match at_one_place(expected, found) {
                None => (weight, weight, 0),
                Some(_) => (0, weight, 0),
            }
        }
    }
}

/// How much of two texts is the same: what they have in common at their beginnings and ends.
#[must_use]
pub fn likeness_of_texts(one: &str, other: &str) -> Likeness {
    let (same, whole, _) = compared_texts(one, other);
    match Likeness::of(same, whole) {
        Likeness::ALL if one != other => Likeness(Likeness::ALL.0 - 1),
        likeness => likeness,
    }
}

/// How many bytes of two texts are the same, of how many, and what it cost to say so.
fn compared_texts(one: &str, other: &str) -> (u64, u64, usize) {
    let part = |text: &str| text.len().min(TEXT_BYTES_MAX);
    let one_part = one.as_bytes().get(..part(one)).unwrap_or_default();
    let other_part = other.as_bytes().get(..part(other)).unwrap_or_default();
    let cost = one_part.len() + other_part.len();
    if one_part == other_part && one.len() == other.len() {
        return (1, 1, cost);
    }
    let before = common(one_part.iter(), other_part.iter());
    let rest = one_part.len().min(other_part.len()) - before;
    let after = common(
        one_part.iter().rev().take(rest),
        other_part.iter().rev().take(rest),
    );
    // A text that goes on where the other ends is not all the same.
    let longer = one_part.len().max(other_part.len()) + 1;
    ((before + after) as u64, longer as u64, cost)
}

/// How much of a text counts for its likeness, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// How many items two iterators have in common at their beginnings.
fn common<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

/// What a value counts that has nothing to be compared with, in hundredths of a scalar: its
/// members count once each, and what those hold not at all.
fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => weight_of_text(text.len()),
        Value::Array(items) => 100 * (items.len() as u64).clamp(1, 64),
        Value::Object(members) => 100 * (members.len() as u64).clamp(1, 64),
        Value::Null | Value::Bool(_) | Value::Number(_) => 100,
    }
}

fn weight_of_text(bytes: usize) -> u64 {
    100 * (1 + u64::from((bytes + 1).ilog2()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::any_json;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_nearest_is_the_one_with_the_most_in_common() {
        let chat = |text: &str, temperature: f64| {
            json!({
                "model": "m", "stream": true, "temperature": temperature,
                "messages": [{"role": "user", "content": text}],
            })
        };
        let candidates = [
            chat("Write a poem about the sea.", 0.0),
            chat("What is the capital of Italy?", 1.0),
            chat("What is the capital of France?", 0.5),
            chat("What is the capital of France?", 1.0),
        ];
        let found = nearest(&chat("What is the capital of France?", 1.0), &candidates).unwrap();
        assert_eq!((found.index, found.likeness), (3, Likeness::ALL));
        assert_eq!(found.difference, None);
        let found = nearest(&chat("What is the capital of Italy?", 0.0), &candidates).unwrap();
        assert_eq!(found.index, 1, "what was asked counts more than a number");
        let difference = found.difference.unwrap();
        assert_eq!(
            difference.to_string(),
            "`$.temperature`: expected 1.0, found 0.0"
        );
        assert_eq!(nearest(&json!(1), []), None);
    }

    #[test]
    fn what_is_alike_as_far_as_was_looked_is_not_equal() {
        let long = "x".repeat(2 * CANDIDATE_WORK_MAX);
        let one = json!({"a": vec![long.as_str(); 40], "z": 1});
        let other = json!({"a": vec![long.as_str(); 40], "z": 2});
        let nearest = nearest(&one, [&other]).unwrap();
        assert_eq!(nearest.likeness.ten_thousandths(), 9_999);
        assert_eq!(nearest.difference.unwrap().path(), "$.z");
    }

    proptest! {
        #[test]
        fn all_of_a_value_is_like_itself(one in any_json(), other in any_json()) {
            prop_assert_eq!(likeness(&one, &one), Likeness::ALL);
            prop_assert_eq!(likeness(&one, &other), likeness(&other, &one));
        }

        #[test]
        fn a_value_is_the_nearest_to_itself(values in prop::collection::vec(any_json(), 1..8), pick in any::<prop::sample::Index>()) {
            let index = pick.index(values.len());
            let found = nearest(&values[index], &values).unwrap();
            prop_assert_eq!(found.likeness, Likeness::ALL);
            prop_assert_eq!(found.difference, None);
            prop_assert!(found.index <= index);
        }
    }
}
