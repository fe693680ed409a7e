//! Sentences that read like English and mean nothing, piece by piece.

use alloc::string::String;
use alloc::vec::Vec;

use crate::random::Random;

/// A place in a sentence.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// The word as it is.
    Word(&'static str),
    /// A word of the prompt.
    Topic,
    Noun,
    Adjective,
    /// What the subject does to an object.
    Acts,
    /// What the subject does by itself.
    Does,
    Adverb,
    Comma,
}

use Slot::{Acts, Adjective, Adverb, Comma, Does, Noun, Topic, Word};

const NOUNS: &[&str] = &[
    "river", "garden", "engine", "harbor", "window", "signal", "lantern", "market", "bridge",
    "valley", "pattern", "letter", "forest", "machine", "village", "shadow", "compass", "kitchen",
    "theory", "journey", "mountain", "castle", "story", "library", "season", "method", "orchard",
    "railway", "mirror", "island", "detail", "practice",
];
const ADJECTIVES: &[&str] = &[
    "quiet", "bright", "careful", "simple", "distant", "gentle", "hidden", "modern", "patient",
    "curious", "steady", "ancient", "broad", "clever", "silver", "narrow", "honest", "warm",
    "early", "useful", "familiar", "subtle", "common", "lasting",
];
const ACTS: &[&str] = &[
    "shapes",
    "follows",
    "explains",
    "supports",
    "reveals",
    "changes",
    "crosses",
    "carries",
    "measures",
    "connects",
    "guides",
    "mirrors",
    "balances",
    "improves",
    "recalls",
    "completes",
];
const DOES: &[&str] = &[
    "waits", "grows", "moves", "rests", "returns", "begins", "matters", "works", "remains",
    "settles", "changes", "endures",
];
const ADVERBS: &[&str] = &[
    "slowly",
    "quietly",
    "often",
    "always",
    "rarely",
    "gently",
    "clearly",
    "carefully",
    "together",
    "steadily",
    "early",
    "openly",
];

const SENTENCES: &[&[Slot]] = &[
    &[Word("the"), Adjective, Noun, Acts, Word("the"), Topic],
    &[
        Word("in"),
        Word("the"),
        Noun,
        Comma,
        Word("the"),
        Topic,
        Does,
        Adverb,
    ],
    &[Word("each"), Noun, Acts, Word("the"), Adjective, Topic],
    &[
        Word("when"),
        Word("the"),
        Noun,
        Does,
        Comma,
        Word("the"),
        Adjective,
        Noun,
        Acts,
        Word("the"),
        Topic,
    ],
    &[
        Word("people"),
        Adverb,
        Word("say"),
        Word("that"),
        Word("the"),
        Topic,
        Acts,
        Word("the"),
        Noun,
    ],
    &[
        Word("it"),
        Word("is"),
        Adjective,
        Word("to"),
        Word("see"),
        Word("how"),
        Word("the"),
        Topic,
        Acts,
        Word("the"),
        Noun,
    ],
    &[
        Word("the"),
        Topic,
        Does,
        Adverb,
        Comma,
        Word("and"),
        Word("the"),
        Noun,
        Does,
        Word("with"),
        Word("it"),
    ],
    &[
        Word("between"),
        Word("the"),
        Noun,
        Word("and"),
        Word("the"),
        Noun,
        Comma,
        Word("the"),
        Topic,
        Word("remains"),
        Adjective,
    ],
    &[
        Word("there"),
        Word("is"),
        Word("also"),
        Word("the"),
        Adjective,
        Noun,
        Comma,
        Word("which"),
        Acts,
        Word("the"),
        Topic,
    ],
    &[
        Word("most"),
        Word("of"),
        Word("the"),
        Noun,
        Does,
        Adverb,
        Word("near"),
        Word("the"),
        Topic,
    ],
    &[
        Word("after"),
        Word("the"),
        Adjective,
        Noun,
        Comma,
        Word("nothing"),
        Acts,
        Word("the"),
        Topic,
        Word("as"),
        Adverb,
    ],
    &[
        Word("this"),
        Noun,
        Acts,
        Word("the"),
        Noun,
        Word("and"),
        Word("the"),
        Topic,
    ],
];

/// How many sentences make a paragraph, at least and at most.
const PARAGRAPH: (usize, usize) = (3, 6);

/// A text without end.
#[derive(Clone, Debug)]
pub(crate) struct Prose {
    random: Random,
    topics: Vec<String>,
    sentence: &'static [Slot],
    position: usize,
    /// Until the next paragraph.
    sentences_left: usize,
    /// Whether the next piece begins the text, or a paragraph.
    begins: bool,
}

/// Whether a sentence ends with this piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Within,
    SentenceEnd,
}

impl Prose {
    pub(crate) fn new(random: Random, topics: Vec<String>) -> Self {
        let mut prose = Self {
            random,
            topics,
            sentence: &[],
            position: 0,
            sentences_left: 0,
            begins: true,
        };
        prose.begin_paragraph();
        prose.begin_sentence();
        prose
    }

    /// The next piece. Each is exactly one by the rule of [`crate::tokens`].
    pub(crate) fn next(&mut self) -> (String, Place) {
        let Some(slot) = self.sentence.get(self.position).copied() else {
            return self.end_sentence();
        };
        let word = match slot {
            Word(word) => word,
            Noun => self.pick(NOUNS),
            Adjective => self.pick(ADJECTIVES),
            Acts => self.pick(ACTS),
            Does => self.pick(DOES),
            Adverb => self.pick(ADVERBS),
            Topic => {
                let index = self.random.below(self.topics.len());
                self.topics.get(index).map_or("subject", String::as_str)
            }
            Comma => {
                self.position += 1;
                return (",".into(), Place::Within);
            }
        };
        let mut piece = String::with_capacity(word.len() + 1);
        if !self.begins {
            piece.push(' ');
        }
        if self.position == 0 {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            first
                .chars()
                .for_each(|letter| piece.push(letter.to_ascii_uppercase()));
            piece.push_str(rest);
        } else {
            piece.push_str(word);
        }
        self.begins = false;
        self.position += 1;
        (piece, Place::Within)
    }

    /// Whether the last piece ended a sentence.
    pub(crate) fn at_sentence_end(&self) -> bool {
        !self.begins && (self.position == 0 || self.position > self.sentence.len())
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        self.random.one_of(words).copied().unwrap_or_default()
    }

    /// The full stop, and then the gap to the next paragraph where this one is long enough.
    fn end_sentence(&mut self) -> (String, Place) {
        if self.position == self.sentence.len() {
            self.sentences_left -= 1;
            if self.sentences_left == 0 {
                self.position += 1;
            } else {
                self.begin_sentence();
            }
            return (".".into(), Place::SentenceEnd);
        }
        self.begin_paragraph();
        self.begin_sentence();
        self.begins = true;
        ("\n\n".into(), Place::Within)
    }

    fn begin_sentence(&mut self) {
        self.sentence = self.random.one_of(SENTENCES).copied().unwrap_or_default();
        self.position = 0;
    }

    fn begin_paragraph(&mut self) {
        let (least, most) = PARAGRAPH;
        self.sentences_left = least + self.random.below(most - least + 1);
    }
}

/// One sentence about a topic.
pub(crate) fn sentence(topics: &[String], random: &mut Random) -> String {
    let topics = if topics.is_empty() {
        &[String::from("subject")][..]
    } else {
        topics
    };
    let mut prose = Prose::new(Random::new(random.bits()), topics.to_vec());
    let mut sentence = String::new();
    loop {
        let (piece, place) = prose.next();
        sentence.push_str(&piece);
        if place == Place::SentenceEnd {
            return sentence;
        }
    }
}

/// A word that could have stood anywhere.
pub(crate) fn any_word(random: &mut Random) -> &'static str {
    let lists = [NOUNS, ADJECTIVES, ACTS, DOES, ADVERBS];
    let list = random.one_of(&lists).copied().unwrap_or_default();
    random.one_of(list).copied().unwrap_or("word")
}

/// Two words that make a name for anything, for example `quiet harbor`.
pub(crate) fn phrase(random: &mut Random) -> [&'static str; 2] {
    let adjective = random.one_of(ADJECTIVES).copied().unwrap_or("plain");
    let noun = random.one_of(NOUNS).copied().unwrap_or("thing");
    [adjective, noun]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens;

    fn text(seed: u64, pieces: usize) -> Vec<String> {
        let mut prose = Prose::new(Random::new(seed), vec!["lighthouse".into()]);
        (0..pieces).map(|_| prose.next().0).collect()
    }

    #[test]
    fn each_piece_is_one_by_the_rule() {
        for seed in 0..50 {
            let pieces = text(seed, 200);
            let mut whole = &*pieces.concat();
            for piece in &pieces {
                let (first, rest) = tokens::split_first(whole).unwrap();
                assert_eq!(first, piece);
                whole = rest;
            }
        }
    }

    #[test]
    fn it_reads_like_prose() {
        let whole = text(1, 300).concat();
        assert!(whole.starts_with(|letter: char| letter.is_ascii_uppercase()));
        assert!(whole.contains(". ") && whole.contains("\n\n") && whole.contains("lighthouse"));
        assert!(!whole.contains("  ") && !whole.contains(" .") && !whole.contains(" ,"));
    }

    #[test]
    fn seeds_differ_and_repeat() {
        assert_eq!(text(3, 50), text(3, 50));
        assert_ne!(text(3, 50), text(4, 50));
    }

    #[test]
    fn words_fit_one_piece() {
        for list in [NOUNS, ADJECTIVES, ACTS, DOES, ADVERBS] {
            assert!(list.iter().all(|word| word.len() <= tokens::LETTERS_MAX));
        }
    }
}
