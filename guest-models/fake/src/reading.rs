//! What a prompt is in, about and for: read once, word by word, from its beginning and, where it
//! is long, from its end.

mod exact;
mod subject;
mod wishes;

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Message, Part, Prompt, Request, Role};

use crate::language::{Evidence, LANGUAGES, Language};
use crate::lexicon::{self, Sign, Tag, WordHash};
use crate::media::Medium;
use crate::words::{self, lower};

pub(crate) use subject::{Topic, compared};
pub(crate) use wishes::{Form, Length, Wishes};

/// How much of a text is read, in bytes: its beginning, and the end of a longer one, where it
/// says what is to be done with the rest.
const HEAD_BYTES: usize = 1024;
const TAIL_BYTES: usize = 512;
/// For how many words there is room before it has to grow.
const USUAL_WORDS: usize = 24;
/// The longest word that says how to answer, in bytes.
const WORD_BYTES: usize = 48;

/// What is known of a prompt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) language: Language,
    /// The language that its words are in; none where they do not say.
    spoken: Option<Language>,
    /// What it is about, the most important first; none where it does not say.
    pub(crate) topics: Vec<Topic>,
    pub(crate) wishes: Wishes,
    /// What was sent with it.
    pub(crate) media: Vec<Medium>,
}

/// A word of the prompt.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    text: &'a str,
    tag: Tag,
    /// Where it stands.
    at: usize,
    /// Whether the clause goes on from the word before it.
    joined: bool,
    /// Whether a hyphen or an apostrophe ties the next word to it.
    tied: bool,
}

impl Word<'_> {
    fn has(&self, sign: Sign) -> bool {
        self.tag.has(sign)
    }

    fn is_number(&self) -> bool {
        self.text.as_bytes().first().is_some_and(u8::is_ascii_digit)
    }
}

impl Reading {
    pub(crate) fn new(request: &Request) -> Self {
        match &request.prompt {
            Prompt::Messages(messages) => Self::of_messages(messages),
            Prompt::Text(raw) => Self::of_text(&raw.text),
            Prompt::Tokens(_) => Self::default(),
        }
    }

    fn of_messages(messages: &[Message]) -> Self {
        let user = |message: &&Message| message.role == Role::User;
        let said = messages.iter().rev().find(user);
        let mut reading = said.map_or_else(Self::default, Self::of_parts);
        reading.media = said.map_or_else(Vec::new, Medium::of_message);
        // What the system says holds for all turns, as far as the user does not say otherwise.
        for message in messages.iter().rev() {
            if matches!(message.role, Role::System | Role::Developer) {
                let rules = Self::of_parts(message);
                reading.wishes.follow(&rules.wishes);
            }
        }
        if reading.topics.is_empty() {
            // `Tell me more.` is about what came before.
            let mut earlier = messages.iter().rev().filter(user).skip(1);
            let topics = earlier.find_map(|message| {
                let topics = Self::of_parts(message).topics;
                (!topics.is_empty()).then_some(topics)
            });
            reading.topics = topics.unwrap_or_default();
        }
        if let Some(asked) = reading.wishes.language {
            reading.language = asked;
        } else if reading.spoken.is_none() {
            // `And 5?` is in the language of what came before.
            let mut earlier = messages.iter().rev().filter(user).skip(1);
            let spoken = earlier.find_map(|message| Self::of_parts(message).spoken);
            reading.language = spoken.unwrap_or_default();
        }
        reading
    }

    fn of_parts(message: &Message) -> Self {
        let mut texts = message.content.iter().filter_map(text_of);
        match (texts.next(), texts.next()) {
            (None, _) => Self::default(),
            (Some(text), None) => Self::of_text(text),
            (Some(first), Some(second)) => {
                let mut whole = String::from(first);
                for text in [second].into_iter().chain(texts) {
                    whole.push('\n');
                    whole.push_str(text);
                }
                Self::of_text(&whole)
            }
        }
    }

    pub(crate) fn of_text(text: &str) -> Self {
        let mut evidence = Evidence::default();
        let mut read = Vec::with_capacity(USUAL_WORDS);
        let head = text.floor_char_boundary(HEAD_BYTES);
        words_of(text, 0, head, &mut read, &mut evidence);
        let tail = text
            .floor_char_boundary(text.len().saturating_sub(TAIL_BYTES))
            .max(head);
        words_of(text, tail, text.len(), &mut read, &mut evidence);
        let mut language = evidence.verdict();
        if language == Some(Language::English)
            && let Some(beside) = evidence.beside_english()
            && words::find(text, "same language").is_some()
        {
            language = Some(beside);
        }
        let mut reading = Self {
            language: language.unwrap_or_default(),
            spoken: language,
            topics: Vec::new(),
            media: Vec::new(),
            wishes: Wishes::new(text, &read, language),
        };
        reading.topics = subject::topics(
            text.get(..head).unwrap_or_default(),
            &read,
            reading.language,
        );
        if let Some(asked) = reading.wishes.language {
            reading.language = asked;
        }
        reading
    }

    /// The words that the answer takes up, for what has room for words only.
    pub(crate) fn topic_words(&self) -> Vec<String> {
        self.topics
            .iter()
            .map(|topic| topic.bare().into())
            .collect()
    }
}

fn text_of(part: &Part) -> Option<&str> {
    if let Part::Text(text) = part {
        Some(text)
    } else {
        None
    }
}

/// The letters of the English alphabet in lower case and the digits, each by its byte; 0 for all
/// others. Looked up, because each byte of a prompt is.
const LOWER: [u8; 256] = {
    let mut lower = [0; 256];
    let mut byte = 0;
    while byte < 0x80 {
        if (byte as u8).is_ascii_alphanumeric() {
            lower[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    lower
};

/// Reads the words of a part of the text. Runs of letters are words, also where the script has no
/// spaces; so are runs of digits.
fn words_of<'a>(
    text: &'a str,
    from: usize,
    to: usize,
    read: &mut Vec<Word<'a>>,
    evidence: &mut Evidence,
) {
    let bytes = text.as_bytes().get(..to).unwrap_or_default();
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let mut place = from;
    let mut joined = false;
    while place < bytes.len() {
        let start = place;
        let mut hash = WordHash::NEW;
        let mut next = at(place);
        while let lower @ 1.. = LOWER[usize::from(next)] {
            hash = hash.with(lower);
            place += 1;
            next = at(place);
        }
        if place == start && next < 0x80 {
            // What ends a clause is between two words that do not belong together.
            joined &= matches!(next, b' ' | b'-' | b'\'' | b'*' | b'_');
            place += 1;
            continue;
        }
        let mut end = place;
        let is_tied = next == b'\'' && at(place + 1).is_ascii_alphabetic() && place > start;
        let tag = if next >= 0x80 || is_tied {
            let (tag, length, taken) = beyond_english(text, bytes, start, evidence);
            (end, place) = (start + length, start + taken);
            tag
        } else {
            let tag = lexicon::tag_of(hash);
            evidence.word(place - start, tag);
            tag
        };
        if end == start {
            // A mark of another script.
            continue;
        }
        read.push(Word {
            text: text.get(start..end).unwrap_or_default(),
            tag,
            at: start,
            joined,
            tied: at(place) == b'-',
        });
        joined = true;
    }
}

/// Reads a word with letters beyond the English alphabet, or with an apostrophe: what it says,
/// how long it is, and how far to go on. A mark of another script is a word without length.
#[inline(never)]
fn beyond_english(
    text: &str,
    bytes: &[u8],
    start: usize,
    evidence: &mut Evidence,
) -> (Tag, usize, usize) {
    let mut spelled = [0_u8; WORD_BYTES];
    let mut length = 0;
    let mut is_plain = true;
    let mut end = start;
    while let Some(letter) = text
        .get(end..bytes.len())
        .and_then(|rest| rest.chars().next())
    {
        let is_letter = if letter.is_ascii() {
            let spelled = spelled.get(..length).unwrap_or_default();
            let next = bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic);
            if letter == '\'' && is_elided(spelled) {
                // Two words in French and Italian, as in `l'histoire`.
                let tag = lexicon::tag(spelled);
                evidence.word(length, tag);
                return (tag, end - start, end + 1 - start);
            }
            letter.is_ascii_alphanumeric() || letter == '\'' && next && length > 0
        } else {
            evidence.letter(lower(letter));
            words::is_letter(letter)
        };
        if !is_letter {
            break;
        }
        is_plain &= letter.is_ascii();
        let mut buffer = [0; 4];
        for byte in lower(letter).encode_utf8(&mut buffer).bytes() {
            if let Some(slot) = spelled.get_mut(length) {
                *slot = byte;
            }
            length += 1;
        }
        end += letter.len_utf8();
    }
    if end == start {
        let mark = text.get(start..).and_then(|rest| rest.chars().next());
        return (Tag::default(), 0, mark.map_or(1, char::len_utf8));
    }
    let tag = spelled.get(..length).map(lexicon::tag).unwrap_or_default();
    if is_plain || tag.is_known() {
        evidence.word(if is_plain { length } else { 0 }, tag);
    }
    (tag, end - start, end - start)
}

/// Whether a word loses its end before a vowel.
fn is_elided(spelled: &[u8]) -> bool {
    const ELIDED: [&[u8]; 20] = [
        b"l", b"d", b"qu", b"c", b"j", b"n", b"s", b"m", b"t", b"dell", b"nell", b"all", b"un",
        b"cos", b"dov", b"sull", b"dall", b"quell", b"jusqu", b"lorsqu",
    ];
    spelled.len() <= 6 && ELIDED.contains(&spelled)
}

/// A language by the number that the lexicon has for it.
fn language_of(index: usize) -> Option<Language> {
    LANGUAGES.get(index).copied()
}

#[cfg(test)]
mod tests;
