//! Strings, numbers and plain bytes, as they stand in the text.

use super::Reason;
use std::borrow::Cow;

/// Bytes that are looked at together.
pub(super) const BLOCK: usize = 32;

/// Bytes of a key that a fault repeats.
const SHOWN_KEY_BYTES: usize = 64;

/// A string as it stands in the text.
pub(super) struct Text<'j> {
    /// Without its quotes.
    pub(super) raw: &'j [u8],
    has_escapes: bool,
    pub(super) decoded_bytes: usize,
    /// The worst character that it holds.
    pub(super) flaw: Option<Reason>,
}

impl<'j> Text<'j> {
    /// Reads a string; `rest` begins after its opening quote.
    pub(super) fn read(rest: &'j [u8]) -> Self {
        let mut length = 0;
        let mut decoded_less = 0;
        let mut flaws = Flaws::default();
        // A control character that is not escaped is no JSON, and the reader says so.
        while let Some(plain) = memchr::memchr2(b'"', b'\\', rest.get(length..).unwrap_or_default())
        {
            length += plain;
            let text = rest.get(length..).unwrap_or_default();
            if text.first() == Some(&b'"') {
                return Self::new(rest.get(..length).unwrap_or_default(), decoded_less, flaws);
            }
            let escape = Escape::read(text);
            flaws.note(escape.character);
            length += escape.raw_bytes;
            decoded_less += escape.raw_bytes - escape.decoded_bytes();
        }
        // The text ends before the string does.
        Self::new(rest, decoded_less, flaws)
    }

    fn new(raw: &'j [u8], decoded_less: usize, flaws: Flaws) -> Self {
        // Checks whole words of ASCII at once.
        let is_text = std::str::from_utf8(raw).is_ok();
        Self {
            raw,
            has_escapes: decoded_less > 0,
            decoded_bytes: raw.len().saturating_sub(decoded_less),
            flaw: if is_text {
                flaws.0
            } else {
                Some(Reason::NotUtf8)
            },
        }
    }

    pub(super) fn decode(&self) -> Cow<'j, [u8]> {
        if !self.has_escapes {
            return Cow::Borrowed(self.raw);
        }
        let mut decoded = Vec::with_capacity(self.decoded_bytes);
        let mut rest = self.raw;
        while let Some(byte) = rest.first() {
            let taken = if *byte == b'\\' {
                let escape = Escape::read(rest);
                let character = escape.character.and_then(char::from_u32);
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                escape.raw_bytes
            } else {
                decoded.push(*byte);
                1
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Cow::Owned(decoded)
    }
}

impl Reason {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Nul | Self::ControlCharacter)
    }
}

/// What is wrong with the characters of one string. Half of a surrogate pair is never allowed,
/// so it outweighs what may be.
#[derive(Default)]
struct Flaws(Option<Reason>);

impl Flaws {
    fn note(&mut self, character: Option<u32>) {
        let found = match character {
            Some(0) => Reason::Nul,
            Some(0x09 | 0x0a | 0x0d) => return,
            Some(0..0x20) => Reason::ControlCharacter,
            Some(0xd800..=0xdfff) => Reason::LoneSurrogate,
            _ => return,
        };
        if self.0 != Some(Reason::LoneSurrogate) && (self.0.is_none() || !found.is_control()) {
            self.0 = Some(found);
        }
    }
}

/// One escape of a string, a whole surrogate pair included.
struct Escape {
    raw_bytes: usize,
    /// None where it is no escape that JSON has.
    character: Option<u32>,
}

impl Escape {
    /// Reads an escape; `text` begins with its backslash.
    fn read(text: &[u8]) -> Self {
        let simple = |character: u8| Self {
            raw_bytes: 2,
            character: Some(u32::from(character)),
        };
        match text.get(1) {
            Some(b'u') => {}
            Some(b'n') => return simple(b'\n'),
            Some(b't') => return simple(b'\t'),
            Some(b'r') => return simple(b'\r'),
            Some(b'b') => return simple(0x08),
            Some(b'f') => return simple(0x0c),
            Some(other) => return simple(*other),
            None => {
                return Self {
                    raw_bytes: 1,
                    character: None,
                };
            }
        }
        let Some(first) = hex4(text, 2) else {
            return Self {
                raw_bytes: 2,
                character: None,
            };
        };
        let second = matches!(first, 0xd800..0xdc00)
            .then(|| text.get(6..8).filter(|next| *next == b"\\u"))
            .flatten()
            .and_then(|_| hex4(text, 8))
            .filter(|second| matches!(second, 0xdc00..0xe000));
        match second {
            Some(second) => Self {
                raw_bytes: 12,
                character: Some(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)),
            },
            None => Self {
                raw_bytes: 6,
                character: Some(first),
            },
        }
    }

    fn decoded_bytes(&self) -> usize {
        let character = self.character.and_then(char::from_u32);
        // Never more than it takes in the text.
        character.map_or(1, char::len_utf8).min(self.raw_bytes)
    }
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |number, digit| {
        char::from(*digit)
            .to_digit(16)
            .map(|digit| number << 4 | digit)
    })
}

#[inline]
pub(super) fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

#[cold]
pub(super) fn is_out_of_range(token: &[u8]) -> bool {
    let number = std::str::from_utf8(token).ok().map(str::parse::<f64>);
    matches!(number, Some(Ok(number)) if number.is_infinite())
}

/// How many bytes at the front of a list's rest are neither a bracket nor a quote nor a letter.
#[inline]
pub(super) fn plain_data(rest: &[u8]) -> usize {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const LOW: u64 = !HIGH;
    let word = |byte: u8| u64::from_ne_bytes([byte; 8]);
    // Brackets, braces and letters are the bytes from `[` on.
    let to_high = word(0x80 - b'[');
    let mut length = 0;
    while let Some(eight) = rest.get(length..).and_then(|rest| rest.first_chunk::<8>()) {
        let bytes = u64::from_le_bytes(*eight);
        let no_quote = bytes ^ word(b'"');
        let others = bytes | ((bytes & LOW) + to_high) | !(((no_quote & LOW) + LOW) | no_quote);
        let others = others & HIGH;
        if others != 0 {
            return length + others.trailing_zeros() as usize / 8;
        }
        length += 8;
        // A long row: whole blocks without a branch in them become a few vector instructions.
        if length == BLOCK {
            let blocks = rest
                .get(length..)
                .unwrap_or_default()
                .as_chunks::<BLOCK>()
                .0;
            let is_plain = |block: &&[u8; BLOCK]| {
                let others = block.iter().fold(0, |others, byte| {
                    others | u8::from((*byte == b'"') | (*byte >= b'['))
                });
                others == 0
            };
            length += BLOCK * blocks.iter().take_while(is_plain).count();
        }
    }
    let tail = rest.get(length..).unwrap_or_default();
    let plain = tail.iter().position(|byte| *byte == b'"' || *byte >= b'[');
    length + plain.unwrap_or(tail.len())
}

/// A key as a message may show it.
pub(super) fn shown(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(key);
    let text = text.get(..text.floor_char_boundary(SHOWN_KEY_BYTES));
    text.unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
