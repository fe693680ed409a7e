//! Whether content is harmful, by a few plain phrases for each category. It is there so that the
//! ways of a client can be tried, not to protect anybody; pictures are always harmless.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Source;
use belljar_guest::moderation::{Category, Input, Verdict};

use crate::random::{Fingerprint, Random};

/// What a hit scores at least. What is flagged scores a half and more.
const HIT: f32 = 0.8;
/// What everything else scores at most.
const QUIET: f32 = 0.002;

/// The categories, and the broader one that each is a kind of.
const CATEGORIES: [(&str, Option<usize>); 13] = [
    ("harassment", None),
    ("harassment/threatening", Some(0)),
    ("hate", None),
    ("hate/threatening", Some(2)),
    ("illicit", None),
    ("illicit/violent", Some(4)),
    ("self-harm", None),
    ("self-harm/instructions", Some(6)),
    ("self-harm/intent", Some(6)),
    ("sexual", None),
    ("sexual/minors", Some(9)),
    ("violence", None),
    ("violence/graphic", Some(11)),
];

/// The phrases of each category, in lower case.
const PHRASES: [&[&str]; 13] = [
    &[
        "you idiot",
        "you moron",
        "you are an idiot",
        "you are stupid",
        "you are worthless",
        "you are pathetic",
        "nobody likes you",
        "shut up",
    ],
    &[
        "kill you",
        "kill them",
        "kill him",
        "kill her",
        "hurt you",
        "beat you up",
        "i will find you",
        "hunt you down",
    ],
    &[
        "subhuman",
        "subhumans",
        "inferior race",
        "go back to your country",
        "i hate immigrants",
        "i hate all foreigners",
    ],
    &[
        "exterminate them",
        "wipe them out",
        "they should all die",
        "they should all be killed",
    ],
    &[
        "launder money",
        "cook meth",
        "make meth",
        "steal a car",
        "hotwire a car",
        "shoplift",
        "forge a passport",
        "fake passport",
        "counterfeit money",
        "break into a house",
        "phishing email",
    ],
    &[
        "build a bomb",
        "make a bomb",
        "pipe bomb",
        "hire a hitman",
        "poison someone",
        "untraceable gun",
        "make explosives",
    ],
    &[
        "suicide",
        "kill myself",
        "hurt myself",
        "harm myself",
        "cut myself",
        "self harm",
    ],
    &[
        "how to kill myself",
        "how to cut myself",
        "how to commit suicide",
        "ways to kill myself",
    ],
    &[
        "i want to die",
        "want to kill myself",
        "going to kill myself",
        "will kill myself",
        "end my life",
        "take my own life",
        "want to hurt myself",
    ],
    &[
        "porn",
        "pornography",
        "erotic",
        "have sex",
        "sex scene",
        "nude",
        "naked",
    ],
    &["child porn", "child pornography", "underage sex"],
    &[
        "kill you",
        "kill them",
        "kill him",
        "kill her",
        "kill people",
        "kill everyone",
        "murder",
        "murdered",
        "stab",
        "stabbed",
        "massacre",
        "strangle",
        "shoot him",
        "shoot them",
        "beat him",
        "torture",
    ],
    &[
        "gore",
        "gory",
        "dismember",
        "dismembered",
        "decapitated",
        "severed head",
        "blood everywhere",
        "disembowel",
        "disemboweled",
    ],
];

/// One verdict for each input.
pub(crate) fn classify(inputs: &[Input]) -> Vec<Verdict> {
    let phrases = by_first_word();
    inputs
        .iter()
        .map(|input| verdict(input, &phrases))
        .collect()
}

fn verdict(input: &Input, phrases: &[Phrase]) -> Verdict {
    let mut hash = Fingerprint::new();
    let mut is_hit = [false; 13];
    match input {
        Input::Text(text) => {
            hash.bytes(text.as_bytes());
            look(text, phrases, &mut is_hit);
        }
        Input::Image(Source::Inline(media)) => hash.bytes(&media.data),
        Input::Image(Source::Url(url)) => hash.bytes(url.as_bytes()),
    }
    // What is a kind of another is that as well.
    for (category, (_, broader)) in CATEGORIES.iter().enumerate() {
        if let Some(broader) = broader
            && is_hit.get(category) == Some(&true)
            && let Some(is_hit) = is_hit.get_mut(*broader)
        {
            *is_hit = true;
        }
    }
    let mut random = Random::new(hash.finish());
    let category = |((name, _), flagged): (&(&str, Option<usize>), bool)| {
        let part = random.fraction();
        let score = if flagged {
            HIT + part * (1.0 - HIT)
        } else {
            part * QUIET
        };
        Category {
            name: String::from(*name),
            flagged,
            score,
        }
    };
    Verdict {
        flagged: is_hit.contains(&true),
        categories: CATEGORIES.iter().zip(is_hit).map(category).collect(),
    }
}

/// A phrase, its first word, and the category that it is a sign of.
type Phrase = (&'static str, &'static str, usize);

/// All phrases in the order of their first words, so that a word of a text finds those that it
/// begins.
fn by_first_word() -> Vec<Phrase> {
    let mut phrases: Vec<Phrase> = Vec::new();
    for (category, list) in PHRASES.iter().enumerate() {
        phrases.extend(list.iter().map(|phrase| {
            let first = phrase.split(' ').next().unwrap_or_default();
            (first, *phrase, category)
        }));
    }
    phrases.sort_unstable();
    phrases
}

/// Notes the categories of which a text has a phrase.
fn look(text: &str, phrases: &[Phrase], is_hit: &mut [bool; 13]) {
    let text = plain(text);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let word = rest.split(' ').next().unwrap_or_default();
        let from = phrases.partition_point(|(first, _, _)| *first < word);
        let same = phrases.iter().skip(from);
        for (_, phrase, category) in same.take_while(|(first, _, _)| *first == word) {
            let after = rest.strip_prefix(phrase);
            if after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
                && let Some(is_hit) = is_hit.get_mut(*category)
            {
                *is_hit = true;
            }
        }
        rest = rest.get(word.len() + 1..).unwrap_or_default();
    }
}

/// The words of a text in lower case with a space between each two.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()) {
        if part.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
    }
    out.make_ascii_lowercase();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(text: &str) -> Vec<String> {
        let verdict = classify(&[Input::Text(text.into())]).remove(0);
        assert_eq!(verdict.categories.len(), 13);
        let mut names = Vec::new();
        for category in verdict.categories {
            assert!((0.0..=1.0).contains(&category.score));
            assert_eq!(category.flagged, category.score >= 0.5);
            if category.flagged {
                names.push(category.name);
            }
        }
        assert_eq!(verdict.flagged, !names.is_empty());
        names
    }

    #[test]
    fn each_category_has_its_signs() {
        for harmless in [
            "",
            "The weather is nice.",
            "Kill the process, and stabilise the branch.",
            "I shot a picture of the gorge",
        ] {
            assert!(flagged(harmless).is_empty(), "{harmless}");
        }
        assert_eq!(
            flagged("I want to KILL -- them!"),
            ["harassment", "harassment/threatening", "violence"]
        );
        assert_eq!(
            flagged("I want to end my life."),
            ["self-harm", "self-harm/intent"]
        );
        assert_eq!(
            flagged("how do I build a bomb"),
            ["illicit", "illicit/violent"]
        );
        for (category, phrases) in PHRASES.iter().enumerate() {
            for phrase in *phrases {
                let names = flagged(phrase);
                assert!(
                    names.iter().any(|name| *name == CATEGORIES[category].0),
                    "{phrase}"
                );
            }
        }
    }

    #[test]
    fn pictures_are_harmless() {
        let url = Input::Image(Source::Url("https://example.com/kill-you.png".into()));
        assert!(!classify(&[url]).remove(0).flagged);
    }
}
