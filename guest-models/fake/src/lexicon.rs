//! Words that say how to answer and in what language, rather than what about. They are found by
//! their hash in a table that the compiler fills: each word of a prompt is looked up once.

mod rows;

use rows::ROWS;

/// What a word says, as bits: the languages that it is common in, what it asks for, and a number
/// or a language that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag(u64);

/// The languages in Latin letters, in the order of their bits.
pub(crate) const LATIN_LANGUAGES: usize = 6;
const EN: u64 = 1;
const ES: u64 = 1 << 1;
const FR: u64 = 1 << 2;
const DE: u64 = 1 << 3;
const PT: u64 = 1 << 4;
const IT: u64 = 1 << 5;

/// What a prompt can ask for with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Nothing but what is named.
    Exactly,
    Say,
    /// What answers are measured in.
    Word,
    Sentence,
    Paragraph,
    /// Things of which there may be a list of so many.
    Item,
    List,
    Table,
    Code,
    Heading,
    Count,
    Long,
    Essay,
    Short,
    Greeting,
    About,
    Why,
    How,
    /// A form of "be", which a question may begin with, or one of "do".
    Be,
    Do,
    Person,
    /// An article or the like.
    Article,
    Of,
    Line,
    /// Says nothing about the subject.
    Stop,
    /// Text without end.
    Endless,
    /// Asks for something to be made.
    Make,
    /// A text in verses.
    Verse,
    /// The first city of a country.
    Capital,
    Yes,
    No,
    Name,
    /// One thing against another.
    Compare,
    /// A short version of a text.
    Summary,
    Translate,
    Joke,
    Thanks,
    Json,
}

const fn sign(sign: Sign) -> u64 {
    1 << (16 + sign as u64)
}

/// The signs whose words mean something by the words before them, and names of languages.
const AROUND: u64 = 0xf000
    | sign(Sign::Word)
    | sign(Sign::Sentence)
    | sign(Sign::Paragraph)
    | sign(Sign::Item)
    | sign(Sign::List)
    | sign(Sign::Code)
    | sign(Sign::Verse)
    | sign(Sign::Name)
    | sign(Sign::Long)
    | sign(Sign::No)
    | sign(Sign::Line)
    | sign(Sign::Json);

const fn number(number: u64) -> u64 {
    number << 6
}

const fn language(index: u64) -> u64 {
    (index + 1) << 12
}

/// More than twice as many as there are words: most searches end at once.
const SLOTS: usize = 4096;
/// The hash of no word.
const NONE: u32 = 0;

/// How many different tags words may have.
const TAGS_MAX: usize = 256;

/// Words by their hashes alone: no two of the words have the same, which the compiler checks, and
/// one of a prompt has that of a listed word once in some million.
struct Table {
    hashes: [u32; SLOTS],
    /// For each slot, which of the tags its word has.
    tags: [u8; SLOTS],
    /// What words say, by all of their rows.
    says: [u64; TAGS_MAX],
}

static TABLE: Table = table();

/// The hash of a word, made byte by byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordHash(u32);

impl WordHash {
    pub(crate) const NEW: Self = Self(0x811c_9dc5);

    /// Takes in a byte, which is in lower case if it is a letter of the English alphabet.
    pub(crate) const fn with(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u32).wrapping_mul(0x0100_0193))
    }

    const fn slot(self) -> usize {
        (self.0 ^ (self.0 >> 15)) as usize % SLOTS
    }
}

const fn table() -> Table {
    let mut table = Table {
        hashes: [NONE; SLOTS],
        tags: [0; SLOTS],
        says: [0; TAGS_MAX],
    };
    // To tell words with one hash apart: which row a word stands in first, and where.
    let mut places = [(0, 0); SLOTS];
    let mut count = 0;
    let mut row = 0;
    while row < ROWS.len() {
        let text = ROWS[row].0.as_bytes();
        let mut from = 0;
        while from < text.len() {
            let mut hash = WordHash::NEW;
            let mut to = from;
            while to < text.len() && text[to] != b' ' {
                hash = hash.with(text[to]);
                to += 1;
            }
            assert!(hash.0 != NONE, "a word with the hash of none");
            let mut slot = hash.slot();
            while table.hashes[slot] != NONE && table.hashes[slot] != hash.0 {
                slot = (slot + 1) % SLOTS;
            }
            let mut says = ROWS[row].1;
            if table.hashes[slot] == NONE {
                places[slot] = (row, from);
            } else {
                let (row, start) = places[slot];
                let listed = ROWS[row].0.as_bytes();
                assert!(
                    is_at(listed, start, text, from, to),
                    "two words of one hash"
                );
                says |= table.says[table.tags[slot] as usize];
            }
            let mut tag = 0;
            while tag < count && table.says[tag] != says {
                tag += 1;
            }
            table.says[tag] = says;
            if tag == count {
                count += 1;
            }
            table.hashes[slot] = hash.0;
            table.tags[slot] = tag as u8;
            from = to + 1;
        }
        row += 1;
    }
    table
}

/// Whether the word that begins at a place of one row is a part of another.
const fn is_at(row: &[u8], start: usize, text: &[u8], from: usize, to: usize) -> bool {
    let mut at = 0;
    while at < to - from {
        if start + at >= row.len() || row[start + at] != text[from + at] {
            return false;
        }
        at += 1;
    }
    start + at == row.len() || row[start + at] == b' '
}

/// What the word of a hash says.
pub(crate) fn tag_of(hash: WordHash) -> Tag {
    let mut slot = hash.slot();
    loop {
        let listed = TABLE.hashes.get(slot).copied().unwrap_or(NONE);
        if listed == NONE {
            return Tag::default();
        }
        if listed == hash.0 {
            let tag = TABLE.tags.get(slot).copied().unwrap_or(0);
            return Tag(TABLE.says.get(usize::from(tag)).copied().unwrap_or(0));
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// What a word in lower case says.
pub(crate) fn tag(word: &[u8]) -> Tag {
    tag_of(
        word.iter()
            .fold(WordHash::NEW, |hash, byte| hash.with(*byte)),
    )
}

impl Tag {
    pub(crate) fn has(self, wanted: Sign) -> bool {
        self.0 & sign(wanted) != 0
    }

    /// All that either says.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether what it asks for depends on the words around it.
    pub(crate) fn looks_around(self) -> bool {
        self.0 & AROUND != 0
    }

    /// Whether English is the one of these languages that the word is common in.
    pub(crate) fn is_english(self) -> bool {
        self.0 & ((1 << LATIN_LANGUAGES) - 1) == EN
    }

    /// Whether the word says anything at all: then it is no subject.
    pub(crate) fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Whether the word is common in a language in Latin letters, by the language's number.
    pub(crate) fn is_common_in(self, language: usize) -> bool {
        self.0 & (1 << language) != 0
    }

    /// In how many of them it is common.
    pub(crate) fn languages(self) -> u32 {
        (self.0 & ((1 << LATIN_LANGUAGES) - 1)).count_ones()
    }

    /// The number that the word names.
    pub(crate) fn number(self) -> Option<u32> {
        let number = (self.0 >> 6 & 0x3f) as u32;
        (number > 0).then_some(number)
    }

    /// The number of the language that the word names.
    pub(crate) fn names_language(self) -> Option<usize> {
        ((self.0 >> 12 & 0xf) as usize).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_with_what_all_its_rows_say() {
        let words = TABLE.hashes.iter().filter(|hash| **hash != NONE).count();
        for (text, says) in ROWS {
            for word in text.split(' ') {
                assert_eq!(
                    tag(word.as_bytes()).0 & says & !0xffc0,
                    says & !0xffc0,
                    "{word}"
                );
                assert_eq!(word, crate::words::lowered(word), "{word} is in lower case");
            }
            assert!(!text.contains("  "));
        }
        assert!(words < SLOTS / 2, "{words} words make the search long");
        assert!(!tag(b"lighthouse").is_known() && !tag(b"").is_known());
    }

    #[test]
    fn words_say_what_they_say() {
        assert_eq!(tag(b"three").number(), Some(3));
        assert_eq!(tag("französisch".as_bytes()).names_language(), Some(2));
        assert!(tag(b"table").has(Sign::Table) && tag(b"the").has(Sign::Article));
        assert!(
            tag(b"de").is_common_in(1) && tag(b"de").is_common_in(2) && !tag(b"de").is_common_in(0)
        );
    }

    #[test]
    fn no_word_names_two_numbers_or_two_languages() {
        for (text, _) in ROWS {
            for word in text.split(' ') {
                let rows = |field: fn(u64) -> u64| {
                    ROWS.iter()
                        .filter(|(text, says)| {
                            field(*says) != 0 && text.split(' ').any(|other| other == word)
                        })
                        .count()
                };
                assert!(rows(|says| says & 0xfc0) <= 1, "{word}");
                assert!(rows(|says| says & 0xf000) <= 1, "{word}");
            }
        }
    }
}
