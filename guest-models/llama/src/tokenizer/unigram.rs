//! The pieces with the greatest sum of scores (Kudo, 2018), by Viterbi's algorithm.

use crate::vocabulary::Vocabulary;

use super::spell_bytes;

/// How much less than the worst piece a character counts that no piece stands for.
const UNKNOWN_PENALTY: f32 = 10.0;
/// Bytes of the longest piece that is looked for.
const PIECE_BYTES_MAX: usize = 128;

/// The best way to a place in the text.
#[derive(Clone, Copy, Debug)]
struct Way {
    score: f32,
    from: usize,
    token: Option<u32>,
}

pub(super) fn encode(
    vocabulary: &Vocabulary,
    byte_tokens: &[Option<u32>],
    text: &str,
    tokens: &mut Vec<u32>,
) {
    let worst = vocabulary.scores.iter().copied().fold(0.0, f32::min);
    let mut ways: Vec<Option<Way>> = vec![None; text.len() + 1];
    if let Some(first) = ways.first_mut() {
        *first = Some(Way {
            score: 0.0,
            from: 0,
            token: None,
        });
    }
    for (at, char) in text.char_indices() {
        let Some(score) = ways.get(at).copied().flatten().map(|way| way.score) else {
            continue;
        };
        let mut consider = |end: usize, score: f32, token: Option<u32>| {
            if let Some(way) = ways.get_mut(end)
                && way.is_none_or(|way| way.score < score)
            {
                *way = Some(Way {
                    score,
                    from: at,
                    token,
                });
            }
        };
        let end = at + char.len_utf8();
        consider(end, score + worst - UNKNOWN_PENALTY, None);
        let rest = text.get(at..).unwrap_or_default();
        for (offset, char) in rest.char_indices() {
            let length = offset + char.len_utf8();
            if length > PIECE_BYTES_MAX {
                break;
            }
            let piece = rest.as_bytes().get(..length).unwrap_or_default();
            if let Some(token) = vocabulary.find(piece) {
                let own = vocabulary.scores.get(token as usize).copied();
                consider(at + length, score + own.unwrap_or(worst), Some(token));
            }
        }
    }
    let mut found = Vec::new();
    let mut at = text.len();
    while at > 0 {
        let Some(way) = ways.get(at).copied().flatten() else {
            return;
        };
        found.push((way.from..at, way.token));
        at = way.from;
    }
    for (range, token) in found.into_iter().rev() {
        match token {
            Some(token) => tokens.push(token),
            None => {
                let bytes = text.as_bytes().get(range).unwrap_or_default();
                spell_bytes(vocabulary, byte_tokens, bytes, tokens);
            }
        }
    }
}
