//! Small helpers for values that are written as text: serde by way of `Display` and `FromStr`,
//! the nearest known word, and safe quoting of a stranger's text. It knows no domain type.

/// Serde for a type whose text form is its only form.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text =
                    <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

/// A stranger's text is quoted up to this many characters; the rest becomes an ellipsis, so
/// that a long name cannot flood a log or a message.
const QUOTED_CHARS_MAX: usize = 120;

/// `text` for use inside a message: control and invisible characters escaped, length bounded.
pub(crate) fn quotable(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == QUOTED_CHARS_MAX {
            out.push('…');
            break;
        }
        if character == '\'' {
            out.push(character);
        } else {
            out.extend(character.escape_debug());
        }
    }
    out
}

/// The same for bytes that need not be UTF-8, without the zeros that fill fields up.
pub(crate) fn quotable_bytes(bytes: &[u8]) -> String {
    quotable(&String::from_utf8_lossy(bytes).replace('\0', ""))
}

/// The word of `known` that a writer most likely meant by `word`, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Comparing costs the product of both lengths, and no key of ours is that long.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean "…"?)`, or nothing.
pub(crate) fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest
        .map(|word| format!("; did you mean \"{word}\"?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_strange_text_is_made_harmless() {
        assert_eq!(quotable("a\u{202e}b\n"), "a\\u{202e}b\\n");
        assert_eq!(
            quotable(&"x".repeat(500)).chars().count(),
            QUOTED_CHARS_MAX + 1
        );
        assert_eq!(quotable_bytes(b"a\xff"), "a\u{fffd}");
    }

    #[test]
    fn a_typing_error_finds_its_word() {
        let known = ["memory", "fuel", "deadline"];
        assert_eq!(nearest("memroy", &known), Some("memory"));
        assert_eq!(nearest("Fule", &known), Some("fuel"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest(&"m".repeat(1000), &known), None);
    }
}
