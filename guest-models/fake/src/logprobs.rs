//! How likely a piece would have been, and what else could have stood in its place.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Alternative, Token};

use crate::prose;
use crate::random::Random;
use crate::tokens;

/// The least that the likeliest piece gets. Above a third, so that the second is less likely.
const FIRST_MIN: f32 = 0.4;
/// The chance of a piece that is not the likeliest.
const RANK_CHANCE: f32 = 0.2;
/// The least likely rank that is ever chosen.
const RANK_MAX: usize = 3;

/// The token of a piece, with as many alternatives as were asked for.
///
/// The likeliest has a probability `p`, and the others share the rest by halves: `(1 - p) / 2`,
/// `(1 - p) / 4` and so on, which keeps their order and never adds up to more than 1.
pub(crate) fn token(piece: &str, alternatives: u8, greedy: bool, random: &mut Random) -> Token {
    let first = FIRST_MIN + (0.99 - FIRST_MIN) * random.fraction();
    let logprob_of = |rank: usize| match rank {
        0 => libm::logf(first),
        _ => libm::logf(1.0 - first) - rank as f32 * core::f32::consts::LN_2,
    };
    let mut rank = 0;
    while !greedy && rank < RANK_MAX && random.fraction() < RANK_CHANCE {
        rank += 1;
    }
    let mut others: Vec<Alternative> = Vec::with_capacity(alternatives.into());
    for place in 0..usize::from(alternatives) {
        let text = if place == rank {
            piece.into()
        } else {
            other(piece, &others, random)
        };
        let id = tokens::id(&text);
        others.push(Alternative {
            id,
            bytes: text.into_bytes(),
            logprob: logprob_of(place),
        });
    }
    Token {
        id: tokens::id(piece),
        bytes: piece.as_bytes().to_vec(),
        logprob: Some(logprob_of(rank)),
        alternatives: others,
    }
}

/// A piece that is neither the chosen one nor among those there are.
fn other(chosen: &str, others: &[Alternative], random: &mut Random) -> String {
    let mut tries = 0;
    loop {
        let word = prose::any_word(random);
        // The vocabulary is many times larger than the list; the number is for certainty.
        let text = if tries < 100 {
            format!(" {word}")
        } else {
            format!(" {tries}")
        };
        let taken = others.iter().any(|other| other.bytes == text.as_bytes());
        if text != chosen && !taken {
            return text;
        }
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_and_the_chosen_one_is_among_them() {
        let mut random = Random::new(5);
        for greedy in [false, true] {
            for _ in 0..500 {
                let token = token(" river", 20, greedy, &mut random);
                let logprob = token.logprob.unwrap();
                assert!(logprob <= 0.0);
                let sum: f32 = token.alternatives.iter().map(|a| a.logprob.exp()).sum();
                assert!(sum <= 1.0 + 1e-6, "{sum}");
                assert!(
                    token
                        .alternatives
                        .is_sorted_by(|a, b| a.logprob >= b.logprob)
                );
                let chosen: Vec<_> = token
                    .alternatives
                    .iter()
                    .filter(|a| a.bytes == b" river")
                    .collect();
                assert_eq!(chosen.len(), 1);
                assert_eq!((chosen[0].id, chosen[0].logprob), (token.id, logprob));
                assert!(!greedy || token.alternatives[0].bytes == b" river");
                let mut texts: Vec<_> = token.alternatives.iter().map(|a| &a.bytes).collect();
                texts.sort();
                texts.dedup();
                assert_eq!(texts.len(), 20);
            }
        }
    }
}
