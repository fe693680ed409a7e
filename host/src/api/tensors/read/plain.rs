//! Reads JSON as most clients write it, several times as fast as the general reader does: most
//! of a body of tensors is numbers, and most of those have a point and up to nineteen digits.
//!
//! It takes nothing that `serde_json` refuses, and gives the visitors the same values. What is
//! out of the ordinary (a string with an escape, anything wrong) it leaves to that reader, which
//! also has the words for what is wrong. A property test holds the two against each other.

mod number;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::cell::Cell;
use std::fmt;

/// Lists and objects within each other; as many as `serde_json` follows.
const DEPTH_MAX: u8 = 127;

/// A reader at some place of a body.
pub(super) struct PlainJson<'de, 'a> {
    json: &'de [u8],
    at: usize,
    depth: u8,
    /// Whether whoever asks for numbers makes `FP32` of them.
    single: &'a Cell<bool>,
}

/// The body, or what somebody wants of it, is not plain.
#[derive(Debug)]
pub(super) struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not plain")
    }
}

impl std::error::Error for NotPlain {}

impl de::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de, 'a> PlainJson<'de, 'a> {
    /// A reader at the front of a body. While `single` is set, numbers are as good as `FP32`
    /// can tell.
    pub(super) fn new(json: &'de [u8], single: &'a Cell<bool>) -> Self {
        Self {
            json,
            at: 0,
            depth: DEPTH_MAX,
            single,
        }
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Goes past a byte, where it is the next.
    #[inline]
    fn take(&mut self, byte: u8) -> Result<(), NotPlain> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(NotPlain)
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), NotPlain> {
        let rest = self.json.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(NotPlain);
        }
        self.at += word.len();
        Ok(())
    }

    /// The string whose first quote is next.
    fn string(&mut self) -> Result<&'de str, NotPlain> {
        let rest = self.json.get(self.at + 1..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))
            .ok_or(NotPlain)?;
        let (text, tail) = rest.split_at_checked(length).ok_or(NotPlain)?;
        if tail.first() != Some(&b'"') {
            return Err(NotPlain);
        }
        self.at += length + 2;
        std::str::from_utf8(text).map_err(|_| NotPlain)
    }

    /// Reads what is between two brackets.
    #[inline]
    fn inside<T>(
        &mut self,
        close: u8,
        read: impl FnOnce(&mut Self) -> Result<T, NotPlain>,
    ) -> Result<T, NotPlain> {
        self.at += 1;
        self.depth = self.depth.checked_sub(1).ok_or(NotPlain)?;
        let value = read(self)?;
        self.depth += 1;
        self.take(close)?;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut PlainJson<'de, '_> {
    type Error = NotPlain;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.peek().ok_or(NotPlain)? {
            b'0'..=b'9' | b'-' => {
                let (token, end) = number::read(self.json, self.at).ok_or(NotPlain)?;
                self.at = end;
                if self.single.get()
                    && let Some(single) = token.single()
                {
                    return visitor.visit_f32(single);
                }
                match token.value().ok_or(NotPlain)? {
                    number::Value::Unsigned(value) => visitor.visit_u64(value),
                    number::Value::Negative(value) => visitor.visit_i64(value),
                    number::Value::Float(value) => visitor.visit_f64(value),
                }
            }
            b'[' => self.inside(b']', |reader| {
                visitor.visit_seq(Items {
                    reader,
                    close: b']',
                    is_first: true,
                })
            }),
            b'{' => self.inside(b'}', |reader| {
                visitor.visit_map(Items {
                    reader,
                    close: b'}',
                    is_first: true,
                })
            }),
            b'"' => visitor.visit_borrowed_str(self.string()?),
            b't' => self.word(b"true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word(b"false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word(b"null").and_then(|()| visitor.visit_unit()),
            _ => Err(NotPlain),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// What is between two brackets, up to the closing one.
struct Items<'r, 'de, 'a> {
    reader: &'r mut PlainJson<'de, 'a>,
    close: u8,
    is_first: bool,
}

impl Items<'_, '_, '_> {
    /// Goes to the next item. False where there is none.
    #[inline]
    fn advance(&mut self) -> Result<bool, NotPlain> {
        let next = self.reader.peek();
        if next == Some(self.close) {
            return Ok(false);
        }
        if self.is_first {
            self.is_first = false;
            return Ok(true);
        }
        self.reader.take(b',')?;
        // A comma before the bracket is no JSON.
        if self.reader.peek() == Some(self.close) {
            return Err(NotPlain);
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de, '_> {
    type Error = NotPlain;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, NotPlain> {
        if self.advance()? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de, '_> {
    type Error = NotPlain;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, NotPlain> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.reader.peek() != Some(b'"') {
            return Err(NotPlain);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NotPlain> {
        self.reader.take(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize as _;
    use serde_json::Value;

    fn plain(json: &[u8]) -> Option<Value> {
        let single = Cell::new(false);
        let mut reader = PlainJson::new(json, &single);
        let value = Value::deserialize(&mut reader).ok()?;
        reader.is_at_end().then_some(value)
    }

    /// JSON with white space in places, and now and then something that is none.
    fn texts() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            4 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
            2 => "\"[a-zé ]{0,6}\"",
            1 => prop_oneof![Just("true".to_owned()), Just("false".into()), Just("null".into())],
            1 => "[\"\\[\\]{},:0-9a-e.\\\\ -]{0,4}",
        ];
        let space = || prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t\r ")];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let list = (prop::collection::vec(inner.clone(), 0..6), space(), space()).prop_map(
                |(items, before, after)| {
                    format!(
                        "[{before}{}{after}]",
                        items.join(&format!("{after},{before}"))
                    )
                },
            );
            let object = (prop::collection::vec(("[a-c]{1,2}", inner), 0..4), space()).prop_map(
                |(fields, space)| {
                    let fields: Vec<_> = fields
                        .iter()
                        .map(|(key, value)| format!("\"{key}\"{space}:{space}{value}"))
                        .collect();
                    format!("{{{}{space}}}{space}", fields.join(","))
                },
            );
            prop_oneof![list, object]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_is_what_the_general_reader_reads(text in texts()) {
            let general = serde_json::from_str::<Value>(&text).ok();
            let own = plain(text.as_bytes());
            if own.is_some() || !text.contains('\\') {
                prop_assert_eq!(own, general);
            }
        }
    }

    #[test]
    fn what_is_not_json_is_left_to_the_general_reader() {
        for text in [
            "",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "{a:1}",
            "[1]]",
            "[1] x",
            "tru",
            "truer",
            "nul",
            "\"",
            "\"a",
            "\"\n\"",
            "+1",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "1e400",
            "[1}",
            "{\"a\":1]",
            "\"\\n\"",
        ] {
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
        assert_eq!(plain(b"\"\xff\""), None);
    }

    #[test]
    fn lists_nest_as_deep_as_with_the_general_reader() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        for (depth, is_read) in [(127, true), (128, false), (100_000, false)] {
            let json = nested(depth);
            assert_eq!(plain(&json).is_some(), is_read, "{depth}");
            assert_eq!(
                serde_json::from_slice::<Value>(&json).is_ok(),
                is_read,
                "{depth}"
            );
        }
    }
}
