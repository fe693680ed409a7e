//! JSON within bounds: one pass over a text before anything reads it.
//!
//! [`check`] knows how deep a text nests, how many items and keys its lists and objects have,
//! how long its strings are, whether a key comes twice, whether a number is one that no `f64`
//! holds, and whether a string holds half a surrogate pair or a control character. It builds
//! nothing, keeps only the keys of the objects that are open, and takes time linear in the
//! text. It does not judge the grammar: whatever reads the text afterwards does that, and for
//! every text that is JSON the two agree on what is in it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// What a text may be like. Sizes are of decoded strings, in bytes of UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Lists and objects within each other.
    pub depth_max: usize,
    /// Items of one list.
    pub array_items_max: usize,
    /// Bytes of one string that is a value.
    pub string_bytes_max: usize,
    /// Keys of one object.
    pub keys_max: usize,
    /// Bytes of one key.
    pub key_bytes_max: usize,
    /// Whether a key may come twice in an object.
    pub duplicate_keys: bool,
    /// Whether strings may hold control characters other than tab, line feed and carriage
    /// return; keys hold them only where duplicates are allowed, too.
    pub control_characters: bool,
}

/// Where a text is out of bounds, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The value or key that is out of bounds, such as `messages[2].content`. Empty for the
    /// whole text. Keys in it are the sender's, cut short.
    pub path: String,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Lists and objects within each other beyond the limit.
    #[error("nests more than {max} lists and objects")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// A list beyond its limit.
    #[error("has more than {max} items")]
    TooManyItems {
        /// The limit.
        max: usize,
    },
    /// A string beyond its limit.
    #[error("is longer than {max} bytes")]
    StringTooLong {
        /// The limit.
        max: usize,
    },
    /// An object beyond its limit.
    #[error("has more than {max} keys")]
    TooManyKeys {
        /// The limit.
        max: usize,
    },
    /// A key beyond its limit; the path names the object.
    #[error("has a key longer than {max} bytes")]
    KeyTooLong {
        /// The limit.
        max: usize,
    },
    /// A key that comes twice: two readers could each take another of its values.
    #[error("appears twice")]
    DuplicateKey,
    /// NUL.
    #[error("holds a NUL character")]
    Nul,
    /// A control character besides tab, line feed and carriage return.
    #[error("holds a control character")]
    ControlCharacter,
    /// Half of a surrogate pair, which is no character.
    #[error("holds half of a surrogate pair")]
    LoneSurrogate,
    /// A number that no `f64` holds, such as `1e400`.
    #[error("is a number out of range")]
    NumberOutOfRange,
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "the text {}", self.reason),
            path => write!(f, "`{path}` {}", self.reason),
        }
    }
}

impl std::error::Error for Fault {}

/// Checks a whole text.
///
/// # Errors
///
/// The first fault. A text that is not JSON may have none; its reader refuses it.
pub fn check(json: &[u8], bounds: &Bounds) -> Result<(), Fault> {
    let mut scan = Scan {
        json,
        at: 0,
        bounds,
        open: Vec::with_capacity(USUAL_DEPTH),
        blocks_from: 0,
        keys: Vec::with_capacity(FEW_KEYS),
    };
    scan.run().map_err(|fault| {
        let (reason, place) = *fault;
        Fault {
            path: scan.path(&place),
            reason,
        }
    })
}

/// Keys of one object up to which comparing each with each is the quickest.
const FEW_KEYS: usize = 16;

/// Bytes of one key, and of a whole path, that a fault repeats.
const SHOWN_KEY_BYTES: usize = 64;
const SHOWN_PATH_BYTES: usize = 512;

/// Lists and objects within each other that most texts stay below.
const USUAL_DEPTH: usize = 8;

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// Digits that a finite `f64` can have without an exponent.
const SAFE_DIGITS: usize = 300;

/// What a fault is about: the value that is being read, the list or object around it, or a key
/// in that object.
enum Place {
    Value,
    Around,
    Key(String),
}

/// Boxed, so that the way without a fault carries a pointer and no more.
type Found = Box<(Reason, Place)>;

fn fault(reason: Reason, place: Place) -> Found {
    Box::new((reason, place))
}

struct Scan<'j, 'b> {
    json: &'j [u8],
    at: usize,
    bounds: &'b Bounds,
    open: Vec<Open<'j>>,
    /// Where it is worth to look for blocks of numbers again.
    blocks_from: usize,
    /// The keys of all open objects; each knows where its own begin.
    keys: Vec<Cow<'j, [u8]>>,
}

/// A list or an object that has not ended.
enum Open<'j> {
    List { index: usize },
    Object(Object<'j>),
}

struct Object<'j> {
    /// Where its keys begin among those of all open objects.
    keys_from: usize,
    /// Keys so far.
    count: usize,
    /// The key whose value is being read.
    current: Cow<'j, [u8]>,
    wants_key: bool,
    /// The keys again, where there are many.
    many: Option<Box<HashSet<Cow<'j, [u8]>>>>,
}

/// A string as it stands in the text.
struct Text<'j> {
    /// Without its quotes.
    raw: &'j [u8],
    has_escapes: bool,
    decoded_bytes: usize,
    /// The worst character that it holds.
    flaw: Option<Reason>,
}

impl<'j> Scan<'j, '_> {
    fn run(&mut self) -> Result<(), Found> {
        while let Some(byte) = self.json.get(self.at).copied() {
            match byte {
                b'0'..=b'9' | b'-' => self.number()?,
                b',' => {
                    self.at += 1;
                    self.comma()?;
                }
                b'"' => self.string()?,
                b'[' | b'{' => {
                    self.at += 1;
                    self.open(byte)?;
                }
                b']' | b'}' => {
                    self.at += 1;
                    if let Some(Open::Object(object)) = self.open.pop() {
                        self.keys.truncate(object.keys_from);
                    }
                }
                b':' => {
                    self.at += 1;
                    if let Some(Open::Object(object)) = self.open.last_mut() {
                        object.wants_key = false;
                    }
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), Found> {
        let max = self.bounds.depth_max;
        if self.open.len() >= max {
            return Err(fault(Reason::TooDeep { max }, Place::Value));
        }
        self.open.push(if bracket == b'[' {
            Open::List { index: 0 }
        } else {
            Open::Object(Object {
                keys_from: self.keys.len(),
                count: 0,
                current: Cow::Borrowed(&[]),
                wants_key: true,
                many: None,
            })
        });
        Ok(())
    }

    #[inline]
    fn comma(&mut self) -> Result<(), Found> {
        match self.open.last_mut() {
            Some(Open::List { index }) => {
                *index += 1;
                let max = self.bounds.array_items_max;
                if *index >= max {
                    return Err(fault(Reason::TooManyItems { max }, Place::Around));
                }
            }
            Some(Open::Object(object)) => object.wants_key = true,
            None => {}
        }
        Ok(())
    }

    /// The number that is next, or as many of a list as come in whole blocks.
    #[inline]
    fn number(&mut self) -> Result<(), Found> {
        if self.at >= self.blocks_from && self.skip_numbers()? {
            return Ok(());
        }
        let rest = self.json.get(self.at..).unwrap_or_default();
        let mut length = 0;
        let mut has_exponent = false;
        for byte in rest {
            match byte {
                b'0'..=b'9' | b'.' | b'-' | b'+' => {}
                b'e' | b'E' => has_exponent = true,
                _ => break,
            }
            length += 1;
        }
        self.at += length;
        if has_exponent || length > SAFE_DIGITS {
            let token = rest.get(..length).unwrap_or_default();
            if is_out_of_range(token) {
                return Err(fault(Reason::NumberOutOfRange, Place::Value));
            }
        }
        Ok(())
    }

    /// Skips numbers of a list as long as there are whole blocks of nothing but short plain
    /// ones: most bytes of most tensors. False where there is no such block.
    fn skip_numbers(&mut self) -> Result<bool, Found> {
        let Some(Open::List { index }) = self.open.last_mut() else {
            return Ok(false);
        };
        let start = self.at;
        let mut without_comma = 0;
        while let Some(block) = self
            .json
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<BLOCK>())
        {
            // Without a branch in them, these loops become a few vector instructions.
            let mut others = 0_u8;
            let mut commas = 0_u8;
            for byte in block {
                // From `+` to `9`: also a comma, a point, a minus, and a slash, which is no JSON.
                let is_plain = byte.wrapping_sub(b'+') <= b'9' - b'+';
                others |= u8::from(!is_plain & (*byte != b' '));
                commas += u8::from(*byte == b',');
            }
            without_comma = if commas == 0 {
                without_comma + BLOCK
            } else {
                0
            };
            if others != 0 || without_comma >= SAFE_DIGITS - 2 * BLOCK {
                break;
            }
            *index += usize::from(commas);
            let max = self.bounds.array_items_max;
            if *index >= max {
                return Err(fault(Reason::TooManyItems { max }, Place::Around));
            }
            self.at += BLOCK;
        }
        self.blocks_from = self.at + BLOCK;
        if self.at == start {
            return Ok(false);
        }
        // The last number may go on: it is looked at again, whole.
        let skipped = self.json.get(start..self.at).unwrap_or_default();
        let tail = skipped.iter().rev().take_while(|byte| is_of_number(**byte));
        self.at -= tail.count();
        Ok(self.at > start)
    }

    fn string(&mut self) -> Result<(), Found> {
        let text = self.text();
        let bounds = self.bounds;
        if let Some(Open::Object(object)) = self.open.last_mut()
            && object.wants_key
        {
            if text.decoded_bytes > bounds.key_bytes_max {
                let max = bounds.key_bytes_max;
                return Err(fault(Reason::KeyTooLong { max }, Place::Around));
            }
            let key = text.decode();
            if let Some(flaw) = text.flaw
                && !(flaw.is_control() && bounds.duplicate_keys && bounds.control_characters)
            {
                return Err(fault(flaw, Place::Key(shown(&key))));
            }
            object.count += 1;
            if object.count > bounds.keys_max {
                let max = bounds.keys_max;
                return Err(fault(Reason::TooManyKeys { max }, Place::Around));
            }
            if !bounds.duplicate_keys && !object.add(&mut self.keys, &key) {
                return Err(fault(Reason::DuplicateKey, Place::Key(shown(&key))));
            }
            object.current = key;
            return Ok(());
        }
        if text.decoded_bytes > bounds.string_bytes_max {
            let max = bounds.string_bytes_max;
            return Err(fault(Reason::StringTooLong { max }, Place::Value));
        }
        match text.flaw {
            Some(flaw) if !(flaw.is_control() && bounds.control_characters) => {
                Err(fault(flaw, Place::Value))
            }
            _ => Ok(()),
        }
    }

    /// Reads the string whose opening quote is next.
    fn text(&mut self) -> Text<'j> {
        let start = self.at + 1;
        let rest = self.json.get(start..).unwrap_or_default();
        let mut length = 0;
        let mut decoded_less = 0;
        let mut flaws = Flaws::default();
        // A control character that is not escaped is no JSON, and the reader says so.
        while let Some(plain) = memchr::memchr2(b'"', b'\\', rest.get(length..).unwrap_or_default())
        {
            length += plain;
            let text = rest.get(length..).unwrap_or_default();
            if text.first() == Some(&b'"') {
                return self.end_of_text(rest, length, decoded_less, flaws);
            }
            let escape = Escape::read(text);
            flaws.note(escape.character);
            length += escape.raw_bytes;
            decoded_less += escape.raw_bytes - escape.decoded_bytes();
        }
        // The text ends before the string does.
        self.end_of_text(rest, rest.len(), decoded_less, flaws)
    }

    fn end_of_text(
        &mut self,
        rest: &'j [u8],
        length: usize,
        decoded_less: usize,
        mut flaws: Flaws,
    ) -> Text<'j> {
        let raw = rest.get(..length).unwrap_or_default();
        self.at += 1 + length + 1;
        // Checks whole words of ASCII at once.
        if std::str::from_utf8(raw).is_err() {
            flaws.0 = Some(Reason::NotUtf8);
        }
        Text {
            raw,
            has_escapes: decoded_less > 0,
            decoded_bytes: length.saturating_sub(decoded_less),
            flaw: flaws.0,
        }
    }

    /// The path of a place, as callers write it.
    fn path(&self, place: &Place) -> String {
        use fmt::Write as _;
        let steps = match place {
            Place::Value => self.open.as_slice(),
            Place::Around | Place::Key(_) => {
                self.open.split_last().map_or(&[][..], |(_, around)| around)
            }
        };
        let mut path = String::new();
        let key = |path: &mut String, key: &str| {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
        };
        for step in steps {
            match step {
                // Writing to a string does not fail.
                Open::List { index } => drop(write!(path, "[{index}]")),
                Open::Object(object) => key(&mut path, &shown(&object.current)),
            }
            if path.len() > SHOWN_PATH_BYTES {
                path.truncate(path.floor_char_boundary(SHOWN_PATH_BYTES));
                return path;
            }
        }
        if let Place::Key(name) = place {
            key(&mut path, name);
        }
        path
    }
}

impl<'j> Object<'j> {
    /// Adds a key. False where the object has it.
    fn add(&mut self, keys: &mut Vec<Cow<'j, [u8]>>, key: &Cow<'j, [u8]>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(key.clone());
        }
        let own = keys.get(self.keys_from..).unwrap_or_default();
        if own.contains(key) {
            return false;
        }
        if own.len() < FEW_KEYS {
            keys.push(key.clone());
        } else {
            let mut many: HashSet<_> = own.iter().cloned().collect();
            many.insert(key.clone());
            self.many = Some(Box::new(many));
        }
        true
    }
}

impl<'j> Text<'j> {
    fn decode(&self) -> Cow<'j, [u8]> {
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
    fn is_control(self) -> bool {
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
fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

#[cold]
fn is_out_of_range(token: &[u8]) -> bool {
    let number = std::str::from_utf8(token).ok().map(str::parse::<f64>);
    matches!(number, Some(Ok(number)) if number.is_infinite())
}

/// A key as a message may show it.
fn shown(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(key);
    let text = text.get(..text.floor_char_boundary(SHOWN_KEY_BYTES));
    text.unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const BOUNDS: Bounds = Bounds {
        depth_max: 4,
        array_items_max: 3,
        string_bytes_max: 8,
        keys_max: 3,
        key_bytes_max: 4,
        duplicate_keys: false,
        control_characters: false,
    };

    #[track_caller]
    fn check(text: impl AsRef<[u8]>, expect: Result<(), (&str, Reason)>) {
        let text = text.as_ref();
        let found = super::check(text, &BOUNDS).map_err(|fault| (fault.path, fault.reason));
        let expect = expect.map_err(|(path, reason)| (path.to_owned(), reason));
        assert_eq!(found, expect, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn each_bound_holds_exactly() {
        check("[[[[1]]]]", Ok(()));
        check(
            "[[[[[1]]]]]",
            Err(("[0][0][0][0]", Reason::TooDeep { max: 4 })),
        );
        check(
            r#"[1,{"a":[{"b":{}}]}]"#,
            Err(("[1].a[0].b", Reason::TooDeep { max: 4 })),
        );
        check("[1,2,3]", Ok(()));
        check("[1,2,3,4]", Err(("", Reason::TooManyItems { max: 3 })));
        check(
            r#"{"a":[[],[1,2,3,4]]}"#,
            Err(("a[1]", Reason::TooManyItems { max: 3 })),
        );
        check(r#"["12345678","12"]"#, Ok(()));
        check(
            r#"["123456789"]"#,
            Err(("[0]", Reason::StringTooLong { max: 8 })),
        );
        check(r#"{"a":1,"b":2,"c":3}"#, Ok(()));
        let many = r#"[{"a":1,"b":2,"c":3,"d":4}]"#;
        check(many, Err(("[0]", Reason::TooManyKeys { max: 3 })));
        check(r#"{"abcd":1}"#, Ok(()));
        check(
            r#"{"a":{"abcde":1}}"#,
            Err(("a", Reason::KeyTooLong { max: 4 })),
        );
    }

    #[test]
    fn lengths_are_of_what_a_reader_gets() {
        // Two bytes of UTF-8 each, and six of JSON.
        check(r#"["\u00e9\u00e9\u00e9\u00e9"]"#, Ok(()));
        check(
            r#"["\u00e9\u00e9\u00e9\u00e9x"]"#,
            Err(("[0]", Reason::StringTooLong { max: 8 })),
        );
        check(r#"["\ud83d\ude00\ud83d\ude00"]"#, Ok(()));
        check(
            r#"["\ud83d\ude00\ud83d\ude00\n"]"#,
            Err(("[0]", Reason::StringTooLong { max: 8 })),
        );
        check(r#"["\"\"\\\\\/\/\n\t"]"#, Ok(()));
    }

    #[test]
    fn a_key_comes_once_however_it_is_written() {
        check(r#"{"a":1,"a":2}"#, Err(("a", Reason::DuplicateKey)));
        check(
            r#"[{"b":{"a":1,"\u0061":2}}]"#,
            Err(("[0].b.a", Reason::DuplicateKey)),
        );
        check(r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#, Ok(()));
        let wide = Bounds {
            keys_max: 100,
            ..BOUNDS
        };
        let keys = |last: usize| {
            let keys = (0..40).chain([last]).map(|n| format!("\"{n}\":0"));
            format!("{{{}}}", keys.collect::<Vec<_>>().join(","))
        };
        assert_eq!(super::check(keys(40).as_bytes(), &wide), Ok(()));
        for again in [0, 15, 16, 17, 39] {
            let fault = super::check(keys(again).as_bytes(), &wide).unwrap_err();
            assert_eq!(
                (fault.path, fault.reason),
                (again.to_string(), Reason::DuplicateKey)
            );
        }
    }

    #[test]
    fn characters_that_are_none() {
        for text in [r#""\u0000""#, r#""a\u0000\u0001""#] {
            check(text, Err(("", Reason::Nul)));
        }
        for text in [
            r#""\u0001""#,
            r#""\b""#,
            r#""\f""#,
            r#""\u001b[""#,
            r#""\u001F""#,
        ] {
            check(text, Err(("", Reason::ControlCharacter)));
        }
        for text in [
            r#""\t\r\n\u0009\u000a\u000D""#,
            r#""\u007f\u0080""#,
            r#""\ufffe""#,
        ] {
            check(text, Ok(()));
        }
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\u0041""#,
            r#""\udc00\ud800""#,
            r#""\ud83d\ud83d""#,
            r#""\u0000\udfff""#,
        ] {
            check(text, Err(("", Reason::LoneSurrogate)));
        }
        check(r#"{"a":["\u0000"]}"#, Err(("a[0]", Reason::Nul)));
        check(
            r#"{"a":{"\ud800":1}}"#,
            Err(("a.\u{fffd}", Reason::LoneSurrogate)),
        );
        check(r#"{"\u0000":1}"#, Err(("\u{fffd}", Reason::Nul)));
        check(b"[\"\xff\"]", Err(("[0]", Reason::NotUtf8)));
    }

    #[test]
    fn numbers_that_overflow() {
        check(
            r#"{"a":[0,1e400]}"#,
            Err(("a[1]", Reason::NumberOutOfRange)),
        );
        check("-1E+309", Err(("", Reason::NumberOutOfRange)));
        check(
            format!("[{}]", "9".repeat(310)),
            Err(("[0]", Reason::NumberOutOfRange)),
        );
        check(
            format!("[{}.0]", "9".repeat(310)),
            Err(("[0]", Reason::NumberOutOfRange)),
        );
        for fine in [
            "1e308",
            "1e-400",
            "0e999999999999",
            "-1.7976931348623157e308",
            "18446744073709551616",
        ] {
            check(fine, Ok(()));
        }
    }

    #[test]
    fn long_lists_of_numbers_are_seen_number_by_number() {
        let wide = Bounds {
            array_items_max: 10_000,
            ..BOUNDS
        };
        let tiny = format!("0.{}1e310", "0".repeat(320));
        for before in 0..80 {
            for filler in ["1,", "-0.25, "] {
                let list = |number: &str, after: usize| {
                    format!("[{}{number}{}]", filler.repeat(before), ",7".repeat(after))
                };
                let check = |text: String| super::check(text.as_bytes(), &wide);
                // A number that is small as a whole and large in its second half.
                assert_eq!(check(list(&tiny, 80)), Ok(()));
                assert_eq!(check(list("1", 10_000 - before - 1)), Ok(()));
                let fault = check(list("1", 10_000 - before)).unwrap_err();
                assert_eq!(fault.reason, Reason::TooManyItems { max: 10_000 });
                for large in ["1e400".to_owned(), "9".repeat(310)] {
                    let fault = check(list(&large, 80)).unwrap_err();
                    assert_eq!(fault.path, format!("[{before}]"));
                }
            }
        }
    }

    #[test]
    fn what_is_allowed_is_not_refused() {
        let lenient = Bounds {
            duplicate_keys: true,
            control_characters: true,
            ..BOUNDS
        };
        let text = br#"{"a":"\u0000\u0001","a":1,"\u0000":2}"#;
        assert_eq!(super::check(text, &lenient), Ok(()));
        let text = br#"{"a":"\u0000\ud800"}"#;
        let fault = super::check(text, &lenient).unwrap_err();
        assert_eq!(fault.reason, Reason::LoneSurrogate, "no reader can take it");
    }

    #[test]
    fn paths_stay_short_and_printable() {
        let wide = Bounds {
            depth_max: 10_000,
            key_bytes_max: 10_000,
            ..BOUNDS
        };
        let key = format!("\u{202e}{}\u{e9}\u{7f}", "k".repeat(1000));
        let text = format!("{{\"{key}\":").repeat(100) + "1e999" + &"}".repeat(100);
        let fault = super::check(text.as_bytes(), &wide).unwrap_err();
        assert!(fault.path.len() <= SHOWN_PATH_BYTES, "{}", fault.path.len());
        assert!(!fault.path.chars().any(char::is_control));
    }

    /// Whether a value is within bounds, the slow way.
    fn is_within(value: &Value, depth: usize) -> bool {
        let is_text = |text: &str, max: usize| {
            text.len() <= max
                && !text
                    .chars()
                    .any(|c| c < ' ' && !matches!(c, '\t' | '\n' | '\r'))
        };
        match value {
            Value::Array(items) => {
                depth < BOUNDS.depth_max
                    && items.len() <= BOUNDS.array_items_max
                    && items.iter().all(|item| is_within(item, depth + 1))
            }
            Value::Object(fields) => {
                depth < BOUNDS.depth_max
                    && fields.len() <= BOUNDS.keys_max
                    && fields.keys().all(|key| is_text(key, BOUNDS.key_bytes_max))
                    && fields.values().all(|value| is_within(value, depth + 1))
            }
            Value::String(text) => is_text(text, BOUNDS.string_bytes_max),
            _ => true,
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = "[a-c\"\\\\\u{1}\n\u{e9}\u{1f600}]{0,5}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map("[a-c\u{1}\u{e9}]{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_a_reader(value in any_value(), pretty: bool, escaped: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&value)
            } else {
                serde_json::to_string(&value)
            };
            let mut text = text.unwrap();
            if escaped {
                // The same text with other words for its letters.
                text = text.replace('c', "\\u0063").replace('\u{1f600}', "\\ud83d\\ude00");
            }
            prop_assert_eq!(super::check(text.as_bytes(), &BOUNDS).is_ok(), is_within(&value, 0), "{}", text);
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = super::check(&bytes, &BOUNDS);
        }

        #[test]
        fn anything_like_json_is_taken_or_refused(text in "[\\[\\]{}\",:0-9eE.+\\\\u-]{0,200}") {
            let _ = super::check(text.as_bytes(), &BOUNDS);
        }
    }
}
