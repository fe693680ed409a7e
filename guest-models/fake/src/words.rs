//! Letters and words of any script, without the standard library's tables, which would make the
//! memory of each fresh instance larger than all else here does. What is called from everywhere
//! is not inlined: the component would be a third larger, and its first compilation longer.

use alloc::string::String;
use alloc::vec::Vec;

/// What a character is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// No letter.
    None,
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Devanagari,
    /// Chinese characters, in whatever language.
    Han,
    /// Hiragana and katakana.
    Kana,
    Hangul,
    Thai,
    /// Letters of scripts that nothing here tells apart.
    Other,
}

#[inline(never)]
pub(crate) fn script(character: char) -> Script {
    match u32::from(character) {
        0x41..=0x5a | 0x61..=0x7a => Script::Latin,
        0..=0xbf | 0xd7 | 0xf7 => match character {
            'ª' | 'º' | 'µ' => Script::Latin,
            _ => Script::None,
        },
        // With the marks that stand on a letter by themselves.
        0xc0..=0x24f | 0x300..=0x36f | 0x1e00..=0x1eff => Script::Latin,
        0x370..=0x3ff | 0x1f00..=0x1fff => Script::Greek,
        0x400..=0x52f => Script::Cyrillic,
        0x590..=0x5ff => Script::Hebrew,
        0x60c | 0x61b | 0x61f | 0x660..=0x66d | 0x6d4 => Script::None,
        0x600..=0x6ff | 0x750..=0x77f => Script::Arabic,
        0x964..=0x96f => Script::None,
        0x900..=0x97f => Script::Devanagari,
        0xe00..=0xe7f => Script::Thai,
        0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => Script::Hangul,
        0x30fb => Script::None,
        0x3005 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff => {
            Script::Han
        }
        0x3040..=0x30ff => Script::Kana,
        0x530..=0x58f | 0x780..=0x8ff | 0x980..=0xdff | 0xe80..=0x10ff | 0x1200..=0x1cff => {
            Script::Other
        }
        _ => Script::None,
    }
}

/// Whether a character is part of a word.
pub(crate) fn is_letter(character: char) -> bool {
    if character.is_ascii() {
        character.is_ascii_alphabetic()
    } else {
        script(character) != Script::None
    }
}

/// Whether words are written in that script without spaces between them.
pub(crate) fn is_unspaced(script: Script) -> bool {
    matches!(script, Script::Han | Script::Kana | Script::Thai)
}

/// The lower case of the letters that the languages here have.
#[inline(never)]
pub(crate) fn lower(character: char) -> char {
    let code = u32::from(character);
    let lower = match code {
        0x41..=0x5a | 0xc0..=0xd6 | 0xd8..=0xde | 0x391..=0x3a9 | 0x410..=0x42f => code + 32,
        0x400..=0x40f => code + 80,
        // In pairs, the upper case first.
        0x100..=0x130 | 0x132..=0x137 | 0x14a..=0x177 | 0x1e00..=0x1eff => code | 1,
        0x139..=0x148 | 0x179..=0x17e if !code.is_multiple_of(2) => code + 1,
        _ => code,
    };
    char::from_u32(lower).unwrap_or(character)
}

/// The upper case of a letter that [`lower`] gives.
#[inline(never)]
pub(crate) fn upper(character: char) -> char {
    let code = u32::from(character);
    let upper = match code {
        0x61..=0x7a | 0xe0..=0xf6 | 0xf8..=0xfe | 0x3b1..=0x3c1 | 0x3c3..=0x3c9 | 0x430..=0x44f => {
            code - 32
        }
        0x450..=0x45f => code - 80,
        0x100..=0x130 | 0x132..=0x137 | 0x14a..=0x177 | 0x1e00..=0x1eff => code & !1,
        0x139..=0x148 | 0x179..=0x17e if code.is_multiple_of(2) => code - 1,
        _ => code,
    };
    char::from_u32(upper).unwrap_or(character)
}

pub(crate) fn is_upper(character: char) -> bool {
    lower(character) != character
}

/// The text in lower case.
#[inline(never)]
pub(crate) fn lowered(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        out.push(lower(character));
    }
    out
}

/// The text with its first letter in upper case.
#[inline(never)]
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let mut out = String::with_capacity(text.len());
    out.extend(letters.next().map(upper));
    out.push_str(letters.as_str());
    out
}

/// Whether a text begins with another one, in whatever case; what is behind it, if so.
#[inline(never)]
pub(crate) fn strip_prefix<'a>(text: &'a str, lower_prefix: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for wanted in lower_prefix.chars() {
        if lower(rest.next()?) != wanted {
            return None;
        }
    }
    Some(rest.as_str())
}

/// Where a text in lower case is found in another one, in whatever case, between words.
#[inline(never)]
pub(crate) fn find(text: &str, wanted: &str) -> Option<usize> {
    let first = wanted.chars().next()?;
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        let begins = is_unspaced(script(character)) || !is_letter(before) || !is_letter(first);
        before = character;
        if !begins || lower(character) != first {
            continue;
        }
        if let Some(rest) = text.get(at..).and_then(|rest| strip_prefix(rest, wanted)) {
            let next = rest.chars().next().unwrap_or(' ');
            let ends =
                !is_letter(next) || is_unspaced(script(first)) || script(first) == Script::Hangul;
            if ends
                && !(next.is_ascii_digit() && wanted.ends_with(|last: char| last.is_ascii_digit()))
            {
                return Some(at);
            }
        }
    }
    None
}

/// Whether a word is in a list that is written with spaces.
#[inline(never)]
pub(crate) fn is_in(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split(' ').any(|listed| listed == word)
}

/// The words of a name such as `get_weather`, `get-weather` or `getWeather`, in lower case.
#[inline(never)]
pub(crate) fn of_name(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last_was_lower = false;
    let mut begins = true;
    for letter in name.chars() {
        let splits = is_upper(letter) && last_was_lower;
        last_was_lower = !is_upper(letter);
        if !is_letter(letter) && !letter.is_ascii_digit() {
            begins = true;
            continue;
        }
        if begins || splits {
            words.push(String::new());
            begins = false;
        }
        if let Some(word) = words.last_mut() {
            word.push(lower(letter));
        }
    }
    words
}

/// Puts a short list in order. Those of the standard library are made for long ones, and larger
/// than all that is put in order here.
pub(crate) fn sort_by_key<T>(list: &mut [T], key: impl Fn(&T) -> (i32, usize)) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 {
            let (Some(before), Some(here)) = (list.get(at - 1), list.get(at)) else {
                break;
            };
            if key(before) <= key(here) {
                break;
            }
            list.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// A word without the ending of an English plural: `nights`, `boxes` and `cities` are `night`,
/// `box` and `city`.
#[inline(never)]
pub(crate) fn singular(word: &str) -> String {
    let stem = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.len() >= 2);
    if let Some(stem) = stem("ies").filter(|stem| stem.len() >= 3) {
        return String::from(stem) + "y";
    }
    if word == "people" {
        return "person".into();
    }
    if word == "children" {
        return "child".into();
    }
    for ending in ["sses", "xes", "ches", "shes"] {
        if word.ends_with(ending) {
            return word.strip_suffix("es").unwrap_or(word).into();
        }
    }
    match stem("s") {
        Some(stem) if !stem.ends_with(['s', 'u', 'i']) => stem.into(),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_change_both_ways() {
        for (small, large) in [
            ('a', 'A'),
            ('é', 'É'),
            ('ž', 'Ž'),
            ('я', 'Я'),
            ('ё', 'Ё'),
            ('ω', 'Ω'),
            ('ł', 'Ł'),
        ] {
            assert_eq!((lower(large), upper(small)), (small, large));
            assert!(is_upper(large) && !is_upper(small));
        }
        for letter in ['1', '漢', 'ß', 'ع', 'ह', '÷'] {
            assert_eq!((lower(letter), upper(letter)), (letter, letter));
        }
    }

    #[test]
    fn scripts_are_told_apart() {
        for (letter, expect) in [
            ('x', Script::Latin),
            ('ñ', Script::Latin),
            ('ж', Script::Cyrillic),
            ('ع', Script::Arabic),
            ('ा', Script::Devanagari),
            ('漢', Script::Han),
            ('ひ', Script::Kana),
            ('カ', Script::Kana),
            ('한', Script::Hangul),
            ('5', Script::None),
            ('。', Script::None),
            ('、', Script::None),
            ('؟', Script::None),
            ('–', Script::None),
        ] {
            assert_eq!(script(letter), expect, "{letter}");
        }
    }

    #[test]
    fn words_are_found_whole() {
        assert_eq!(find("The Rome of Romeo", "rome"), Some(4));
        assert_eq!(find("Romeo", "rome"), None);
        assert_eq!(find("巴黎的天气", "天气"), Some(9));
        assert_eq!(find("São Paulo!", "são paulo"), Some(0));
    }

    #[test]
    fn names_and_plurals_are_taken_apart() {
        assert_eq!(of_name("get_weather"), ["get", "weather"]);
        assert_eq!(
            of_name("sendEmail-toTeam2"),
            ["send", "email", "to", "team2"]
        );
        assert_eq!(of_name("HTTPFetch"), ["httpfetch"]);
        for (plural, one) in [
            ("nights", "night"),
            ("cities", "city"),
            ("boxes", "box"),
            ("people", "person"),
            ("glass", "glass"),
            ("status", "status"),
            ("this", "this"),
            ("addresses", "address"),
        ] {
            assert_eq!(singular(plural), one);
        }
    }
}
