//! Control characters: what becomes of those that stand in texts.

use std::fmt;
use std::str::FromStr;

/// What becomes of control characters in a text. Names and identifiers never hold any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlCharacters {
    /// The model gets the text without them: colours of a terminal and page breaks of a document
    /// are no reason to refuse what was said.
    #[default]
    Remove,
    /// The request is refused.
    Refuse,
    /// The model gets them.
    Keep,
}

impl FromStr for ControlCharacters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "remove" => Ok(Self::Remove),
            "refuse" => Ok(Self::Refuse),
            "keep" => Ok(Self::Keep),
            _ => Err(format!("{text:?} is none of `remove`, `refuse` and `keep`")),
        }
    }
}

impl fmt::Display for ControlCharacters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Remove => "remove",
            Self::Refuse => "refuse",
            Self::Keep => "keep",
        })
    }
}

/// Whether a character is one that a terminal takes for a command: all of C0 but tab, line feed
/// and carriage return, delete, and all of C1.
pub(super) const fn is_control(character: char) -> bool {
    matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f'..='\u{9f}')
}

/// Whether a text holds such a character.
pub(super) fn has_control(text: &str) -> bool {
    // Most texts have no byte that could be part of one.
    let may = |byte: &u8| {
        (*byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || matches!(byte, 0x7f | 0xc2)
    };
    text.as_bytes().iter().any(may) && text.contains(is_control)
}

/// Whether a JSON text spells such a character in a string.
pub(super) fn has_control_escape(json: &str) -> bool {
    escapes(json).any(|escape| escape.is_control)
}

/// A JSON text without the control characters that its strings spell.
pub(super) fn without_control_escapes(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    let mut end = 0;
    for escape in escapes(json).filter(|escape| escape.is_control) {
        clean.push_str(json.get(end..escape.start).unwrap_or_default());
        end = escape.end;
    }
    clean.push_str(json.get(end..).unwrap_or_default());
    clean
}

/// One escape of a JSON text, by its bytes.
struct Escape {
    start: usize,
    end: usize,
    is_control: bool,
}

fn escapes(json: &str) -> impl Iterator<Item = Escape> {
    let mut at = 0;
    std::iter::from_fn(move || {
        // Outside of strings JSON has no backslash.
        let start = at + json.get(at..)?.find('\\')?;
        let mut letters = json.get(start + 1..)?.chars();
        let letter = letters.next()?;
        let digits = letters.as_str().get(..4).filter(|_| letter == 'u');
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        at = start + 1 + letter.len_utf8() + digits.map_or(0, str::len);
        Some(Escape {
            start,
            end: at,
            is_control: matches!(letter, 'b' | 'f')
                || code.and_then(char::from_u32).is_some_and(is_control),
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_survive_text() {
        for word in ["remove", "refuse", "keep"] {
            assert_eq!(word.parse::<ControlCharacters>().unwrap().to_string(), word);
        }
        assert!("Remove".parse::<ControlCharacters>().is_err());
    }

    #[test]
    fn all_of_c0_but_white_space_and_delete_and_all_of_c1_are_control_characters() {
        let found: Vec<u32> = (0..=0x2fff)
            .filter(|code| char::from_u32(*code).is_some_and(|c| has_control(&format!("a{c}b"))))
            .collect();
        let expected: Vec<u32> = (0..=0x9f)
            .filter(|code| !matches!(code, 9 | 10 | 13 | 0x20..=0x7e))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn escapes_of_control_characters_are_cut_out_and_nothing_else_changes() {
        for (json, clean) in [
            (r#"{"b": "a\u001bb", "a":1.50}"#, r#"{"b": "ab", "a":1.50}"#),
            (r#"["\b\f\u0000\u007F\u009f\n\t\r"]"#, r#"["\n\t\r"]"#),
            (
                r#""\\u0000 \\\u0000 \u00e9 \"""#,
                r#""\\u0000 \\ \u00e9 \"""#,
            ),
        ] {
            assert!(has_control_escape(json), "{json}");
            assert_eq!(without_control_escapes(json), clean);
            assert!(!has_control_escape(clean), "{clean}");
        }
        for odd in ["\\", r"\u", r"\u00", r"\u00\u00é", "é\\é"] {
            assert_eq!(without_control_escapes(odd), odd);
        }
    }
}
