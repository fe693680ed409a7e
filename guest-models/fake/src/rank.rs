//! How well documents answer a query: by the words of it that they share, the pairs of words, and
//! the groups of three letters, each the more the fewer documents have it.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::ranking::{Response, Score};

use crate::random::Fingerprint;
use crate::tokens;

/// Features of a query that are looked at: those of its first hundred words or so.
const FEATURES_MAX: usize = 512;
/// What a word weighs, and two of them in a row; a group of letters weighs 1.
const WORD_WEIGHT: f32 = 6.0;
const PAIR_WEIGHT: f32 = 4.0;
/// What words that are in every text weigh beside others.
const COMMON: f32 = 0.1;
/// How much of the score is for saying little else.
const FOCUS: f32 = 0.1;

/// Words that say nothing about what a text is about.
const COMMON_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "did", "do", "does", "for", "from",
    "has", "have", "how", "i", "in", "is", "it", "its", "me", "my", "of", "on", "or", "s", "that",
    "the", "their", "there", "this", "to", "was", "were", "what", "when", "where", "which", "who",
    "why", "will", "with", "you", "your",
];

/// A feature of the query.
struct Feature {
    hash: u64,
    weight: f32,
    /// How many documents have it.
    documents: u32,
}

/// Which features of the query a document has, and how many words it has.
struct Seen {
    features: Vec<bool>,
    shared: u32,
    words: u32,
}

/// One score from 0 to 1 for each document, the best first.
pub(crate) fn rank(query: &str, documents: &[String]) -> Response {
    let mut prompt_tokens = tokens::count(query);
    let mut features = features_of(query);
    let mut all = Vec::with_capacity(documents.len());
    for document in documents {
        prompt_tokens = prompt_tokens.saturating_add(tokens::count(document));
        let seen = look(document, &features);
        for (feature, is_there) in features.iter_mut().zip(&seen.features) {
            feature.documents += u32::from(*is_there);
        }
        all.push(seen);
    }
    let count = documents.len() as f32;
    for feature in &mut features {
        // What every document has still counts half as much as what one alone has.
        let rarity = 1.0 - 0.5 * feature.documents.saturating_sub(1) as f32 / count.max(1.0);
        feature.weight *= rarity;
    }
    let most: f32 = features.iter().map(|feature| feature.weight).sum();
    let mut scores: Vec<Score> = (0..)
        .zip(&all)
        .map(|(index, seen)| Score {
            index,
            relevance: relevance(seen, &features, most),
        })
        .collect();
    scores.sort_by(|one, other| other.relevance.total_cmp(&one.relevance));
    Response {
        scores,
        prompt_tokens,
    }
}

fn relevance(seen: &Seen, features: &[Feature], most: f32) -> f32 {
    if most <= 0.0 || seen.words == 0 {
        return 0.0;
    }
    let found: f32 = features
        .iter()
        .zip(&seen.features)
        .filter(|(_, is_there)| **is_there)
        .map(|(feature, _)| feature.weight)
        .sum();
    let covered = found / most;
    let focus = seen.shared as f32 / seen.words as f32;
    (covered * (1.0 - FOCUS + FOCUS * focus)).clamp(0.0, 1.0)
}

/// The features of a query, by their hashes.
fn features_of(query: &str) -> Vec<Feature> {
    let mut features: Vec<Feature> = Vec::new();
    each_feature(query, |hash, kind| {
        let weight = match kind {
            Kind::Word { is_common: true } => WORD_WEIGHT * COMMON,
            Kind::Word { is_common: false } => WORD_WEIGHT,
            Kind::Pair { is_common: true } => PAIR_WEIGHT * COMMON,
            Kind::Pair { is_common: false } => PAIR_WEIGHT,
            Kind::Letters => 1.0,
        };
        if features.len() < FEATURES_MAX {
            features.push(Feature {
                hash,
                weight,
                documents: 0,
            });
        }
    });
    features.sort_by_key(|feature| feature.hash);
    features.dedup_by_key(|feature| feature.hash);
    features
}

/// Looks for the features of a query in a document.
fn look(document: &str, features: &[Feature]) -> Seen {
    let mut seen = Seen {
        features: alloc::vec![false; features.len()],
        shared: 0,
        words: 0,
    };
    each_feature(document, |hash, kind| {
        let is_word = matches!(kind, Kind::Word { .. });
        seen.words += u32::from(is_word);
        if let Ok(at) = features.binary_search_by_key(&hash, |feature| feature.hash)
            && let Some(is_there) = seen.features.get_mut(at)
        {
            *is_there = true;
            seen.shared += u32::from(is_word);
        }
    });
    seen
}

enum Kind {
    Word { is_common: bool },
    Pair { is_common: bool },
    Letters,
}

/// Each word of a text, each two words in a row, and each group of three letters of what is no
/// common word, edges included.
fn each_feature(text: &str, mut see: impl FnMut(u64, Kind)) {
    let mut word = Vec::new();
    let mut before: Option<(u64, bool)> = None;
    let ends = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    for part in text.as_bytes().split(ends).filter(|part| !part.is_empty()) {
        word.clear();
        word.push(b' ');
        word.extend(part.iter().map(u8::to_ascii_lowercase));
        let is_common = word
            .get(1..)
            .is_some_and(|word| COMMON_WORDS.iter().any(|common| common.as_bytes() == word));
        word.push(b' ');
        let mut hash = Fingerprint::new();
        hash.bytes(&word);
        let hash = hash.finish();
        see(hash, Kind::Word { is_common });
        if let Some((first, was_common)) = before {
            let mut pair = Fingerprint::new();
            pair.number(first);
            pair.number(hash);
            let is_common = is_common || was_common;
            see(pair.finish(), Kind::Pair { is_common });
        }
        before = Some((hash, is_common));
        if is_common {
            continue;
        }
        for group in word.windows(3) {
            let [a, b, c] = group else { continue };
            let mut letters = Fingerprint::new();
            letters.number(u64::from(u32::from_le_bytes([*a, *b, *c, 1])));
            see(letters.finish(), Kind::Letters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(query: &str, documents: &[&str]) -> Vec<(u32, f32)> {
        let documents: Vec<String> = documents.iter().map(|text| (*text).into()).collect();
        let scores = rank(query, &documents).scores;
        scores
            .iter()
            .map(|score| (score.index, score.relevance))
            .collect()
    }

    #[test]
    fn the_document_that_answers_is_the_first() {
        let scores = ranked(
            "What is the capital of the United States?",
            &[
                "Carson City is the capital city of the American state of Nevada.",
                "The Commonwealth of the Northern Mariana Islands is a group of islands in the Pacific Ocean. Its capital is Saipan.",
                "Washington, D.C. is the capital of the United States. It is a federal district.",
                "Capital punishment has existed in the United States since before it was a country.",
                "Bananas are yellow.",
            ],
        );
        assert_eq!(scores[0].0, 2, "{scores:?}");
        assert_eq!(scores[4].0, 4, "{scores:?}");
        assert!(scores[0].1 > 0.7 && scores[4].1 < 0.1, "{scores:?}");
    }

    #[test]
    fn scores_are_from_0_to_1() {
        let scores = ranked(
            "red apples",
            &[
                "red apples",
                "RED APPLE",
                "",
                "green pears",
                "\u{6f22}\u{5b57}",
            ],
        );
        assert!(scores.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
        assert_eq!(scores[0], (0, 1.0));
        assert_eq!(scores[1].0, 1);
        assert!(scores[1].1 > 0.3);
        assert!(ranked("", &["a"])[0].1 == 0.0);
        assert!(ranked("x", &[]).is_empty());
    }

    #[test]
    fn words_of_other_scripts_are_found_by_their_letters() {
        let scores = ranked(
            "\u{6771}\u{4eac}\u{30bf}\u{30ef}\u{30fc}",
            &[
                "\u{5927}\u{962a}\u{306e}\u{57ce}",
                "\u{6771}\u{4eac}\u{30bf}\u{30ef}\u{30fc}\u{306f}\u{8d64}\u{3044}",
            ],
        );
        assert_eq!(scores[0].0, 1, "{scores:?}");
    }
}
