//! Reads JSON, and writes its strings. Objects keep the order of their keys, because an answer
//! follows the order of its schema; the usual parser needs the standard library for that.

use alloc::string::String;
use alloc::vec::Vec;

/// How deep values may be nested. A deeper one is refused: the reader calls itself, and the
/// stack of this guest is small.
const DEPTH_MAX: u32 = 64;
/// How many digits a number always holds exactly.
const DIGITS_EXACT: usize = 15;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    Number(f64),
    /// A whole number of more digits than the other kind holds, as it was written.
    Long(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value that the whole text is; none where it is not JSON, or nested too deep.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.skip_space();
        (reader.at == text.len()).then_some(value)
    }

    /// The value of a key, where this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(entries) = self else {
            return None;
        };
        entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Long(digits) => parse_number(digits),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self {
            Some(list)
        } else {
            None
        }
    }

    pub(crate) fn object(&self) -> Option<&[(String, Self)]> {
        if let Self::Object(entries) = self {
            Some(entries)
        } else {
            None
        }
    }

    /// Appends the value as JSON without white space.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(true) => out.push_str("true"),
            Self::Boolean(false) => out.push_str("false"),
            Self::Number(number) => write_number(out, *number),
            Self::Long(digits) => out.push_str(digits),
            Self::Text(text) => write_text(out, text),
            Self::List(list) => {
                out.push('[');
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A number as JSON writes it; none of any other text.
///
/// Up to fifteen digits come out as the closest number there is. More are cut off, and the powers
/// of ten of very large and very small numbers are not exact: what the standard library has for
/// those is a table that would be a tenth of this guest's memory.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => {
            let exponent: i32 = exponent.parse().ok()?;
            (digits, exponent.clamp(-400, 400))
        }
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if whole.is_empty() || fraction.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    let mut taken = 0;
    let mut power = exponent;
    for (digit, is_whole) in whole
        .bytes()
        .map(|digit| (digit, true))
        .chain(fraction.bytes().map(|digit| (digit, false)))
    {
        if !digit.is_ascii_digit() {
            return None;
        }
        if taken < DIGITS_EXACT {
            value = value * 10 + u64::from(digit - b'0');
            taken += usize::from(value > 0);
            power -= i32::from(!is_whole);
        } else {
            power += i32::from(is_whole);
        }
    }
    // Trailing zeros are none of the fraction's: 2.50 is 25 over 10.
    while power < 0 && value > 0 && value.is_multiple_of(10) {
        value /= 10;
        power += 1;
    }
    let mut number = value as f64;
    while power > 0 && number > 0.0 {
        let step = power.min(POWER_EXACT);
        number *= power_of_ten(step);
        power -= step;
    }
    while power < 0 && number > 0.0 {
        let step = (-power).min(POWER_EXACT);
        number /= power_of_ten(step);
        power += step;
    }
    Some(if negative { -number } else { number })
}

/// The largest power of ten that is exact.
const POWER_EXACT: i32 = 22;

fn power_of_ten(power: i32) -> f64 {
    (0..power).fold(1.0, |number, _| number * 10.0)
}

/// Appends a number: whole ones without a fraction. What JSON cannot say becomes 0.
pub(crate) fn write_number(out: &mut String, number: f64) {
    use core::fmt::Write;
    let number = if number.is_finite() { number } else { 0.0 };
    // Writing to a string cannot fail.
    let _ = write!(out, "{number}");
}

/// Appends a string with its quotes.
pub(crate) fn write_text(out: &mut String, text: &str) {
    use core::fmt::Write;
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u32) -> Option<Json> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.skip_space();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Boolean(true)),
            b'f' => self.word("false", Json::Boolean(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u32) -> Option<Json> {
        self.at += 1;
        let mut entries = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Some(Json::Object(entries));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.take(b':').then_some(())?;
            entries.push((key, self.value(depth + 1)?));
            self.skip_space();
            if self.take(b'}') {
                return Some(Json::Object(entries));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn list(&mut self, depth: u32) -> Option<Json> {
        self.at += 1;
        let mut list = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Some(Json::List(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take(b']') {
                return Some(Json::List(list));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take(b'"').then_some(())?;
        let mut text = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            let plain = rest.find(['"', '\\'])?;
            text.push_str(rest.get(..plain)?);
            self.at += plain;
            if self.take(b'"') {
                return Some(text);
            }
            self.at += 1;
            text.push(self.escape()?);
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<char> {
        let kind = self.peek()?;
        self.at += 1;
        Some(match kind {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' => char::from(kind),
            b'u' => {
                let unit = self.code_unit()?;
                let low = if (0xd800..0xdc00).contains(&unit)
                    && self.text.get(self.at..)?.starts_with("\\u")
                {
                    self.at += 2;
                    Some(self.code_unit()?)
                } else {
                    None
                };
                let units = [unit, low.unwrap_or(0)];
                let units = if low.is_some() {
                    &units[..]
                } else {
                    &units[..1]
                };
                // A surrogate without its other half is replaced, as other readers do.
                char::decode_utf16(units.iter().copied())
                    .next()?
                    .unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return None,
        })
    }

    fn code_unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<Json> {
        let rest = self.text.get(self.at..)?;
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let digits = rest.get(..end.unwrap_or(rest.len()))?;
        self.at += digits.len();
        let number = parse_number(digits)?;
        let is_whole = digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'-'));
        if digits.len() > DIGITS_EXACT && is_whole {
            return Some(Json::Long(digits.into()));
        }
        number.is_finite().then_some(Json::Number(number))
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.text.get(self.at..)?.starts_with(word).then_some(())?;
        self.at += word.len();
        Some(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let mut out = String::new();
        Json::parse(text).unwrap().write(&mut out);
        assert_eq!(out, expect);
    }

    #[test]
    fn values_come_back_in_their_order() {
        check(
            r#" {"b": [1, -2.5, 1e3], "a": {"x": null, "y": [true, false]}} "#,
            r#"{"b":[1,-2.5,1000],"a":{"x":null,"y":[true,false]}}"#,
        );
        check(
            r#""q\" \\ \/ \n \u00e9 \ud83d\ude42 \ud800x""#,
            "\"q\\\" \\\\ / \\n é 🙂 \u{fffd}x\"",
        );
        check("[]", "[]");
        check("{}", "{}");
        check("0.1", "0.1");
        check(
            "[12345678901234567890, -9007199254740993]",
            "[12345678901234567890,-9007199254740993]",
        );
    }

    #[test]
    fn numbers_are_the_closest_there_are() {
        for text in [
            "0",
            "1",
            "-1",
            "0.1",
            "0.2",
            "0.3",
            "19.99",
            "48.8566",
            "-122.4194",
            "1e3",
            "2.5e-3",
            "1.50",
            "123456789012345",
            "0.000001",
            "3.14159265358979",
            "1e22",
            "99999.99",
            "-0.5",
            "6.02e5",
            "1E+2",
        ] {
            assert_eq!(parse_number(text), text.parse().ok(), "{text}");
        }
        for text in [
            "", "-", ".5", "5.", "1e", "1.2.3", "0x1", "--1", "1_0", "e5", "+1",
        ] {
            assert_eq!(parse_number(text), None, "{text}");
        }
        let large = parse_number("1.7976931348623157e308").unwrap();
        assert!(large.is_finite() && large > 1.7e308);
        assert_eq!(parse_number("1e999"), Some(f64::INFINITY));
        assert_eq!(parse_number("1e-999"), Some(0.0));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{a:1}",
            "tru",
            "\"",
            "\"\\x\"",
            "1 2",
            "nan",
            "-",
            "\"\\u12\"",
            "\"\\u00é\"",
        ] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        assert!(Json::parse(&"[".repeat(100_000)).is_none());
        let depth = DEPTH_MAX as usize;
        assert!(Json::parse(&("[".repeat(depth) + &"]".repeat(depth))).is_some());
    }

    #[test]
    fn what_json_cannot_say_is_not_written() {
        let mut out = String::new();
        write_number(&mut out, f64::NAN);
        write_text(&mut out, "\u{1}");
        assert_eq!(out, "0\"\\u0001\"");
    }
}
