//! Text into pieces. There is one rule, so that the usage of a prompt, the usage of an answer and
//! the chunks of a stream agree with each other.
//!
//! A piece is up to ten letters or up to three digits, with the space before it; a run of white
//! space; or one other character. English comes to about four bytes a piece, as it does with the
//! vocabularies of real models. Letters of other scripts fill a piece sooner, as they do there: an
//! alphabet's five of them, and two characters that stand for syllables or words.

use crate::words::{Script, script};

/// The most letters of one piece. The fake's own vocabulary keeps to it.
pub(crate) const LETTERS_MAX: usize = 10;
const DIGITS_MAX: usize = 3;

/// How many pieces a text has.
pub(crate) fn count(text: &str) -> u32 {
    let mut count = 0u32;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        count = count.saturating_add(1);
        rest = rest.get(piece_bytes(rest)..).unwrap_or_default();
    }
    count
}

/// The first piece and what follows it; none at the end.
pub(crate) fn split_first(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    text.split_at_checked(piece_bytes(text.as_bytes()))
}

/// The number that stands for a piece: equal for equal pieces.
pub(crate) fn id(piece: &str) -> u32 {
    const VOCABULARY: u32 = 50_000;
    let hash = piece.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % VOCABULARY
}

/// The length of the first piece of a text that is not empty. It ends between characters.
fn piece_bytes(text: &[u8]) -> usize {
    let at = |index: usize| text.get(index).copied().unwrap_or(0);
    let first = at(0);
    let second = at(1);
    let start = usize::from(first == b' ' && (second.is_ascii_alphanumeric() || second >= 0xc0));
    let byte = if start == 1 { second } else { first };
    let mut end = start;
    if byte.is_ascii_alphabetic() {
        // By far the most text is of these.
        let most = start + LETTERS_MAX;
        if let Some(eight) = text.get(start..).and_then(<[u8]>::first_chunk) {
            end += first_letters(*eight);
        }
        // The rest of a long word, or of the text.
        if end == start || end == start + 8 {
            while end < most && at(end).is_ascii_alphabetic() {
                end += 1;
            }
        }
        return if at(end) < 0x80 || end == most {
            end
        } else {
            letters_end(text, start)
        };
    }
    match byte {
        b'0'..=b'9' => {
            while end < start + DIGITS_MAX && at(end).is_ascii_digit() {
                end += 1;
            }
            end
        }
        byte if byte.is_ascii_whitespace() => spaces_end(text),
        0x00..0x80 => 1,
        // A space before what is no letter stands by itself.
        _ if start == 1 && !is_letter_at(text, 1) => 1,
        _ => letters_end(text, start),
    }
}

/// How many letters of the English alphabet eight bytes begin with, found for all of them at once.
fn first_letters(bytes: [u8; 8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let bytes = u64::from_le_bytes(bytes);
    // In lower case, and without the highest bit, into which a sum of bytes then carries.
    let lower = (bytes | (0x20 * EACH)) & !HIGH;
    let from_a = lower + (0x80 - 0x61) * EACH;
    let beyond_z = lower + (0x80 - 0x7b) * EACH;
    let letters = from_a & !beyond_z & !bytes & HIGH;
    ((letters ^ HIGH).trailing_zeros() / 8) as usize
}

/// Where the white space that a text begins with ends. The last space belongs to the word after
/// it.
fn spaces_end(text: &[u8]) -> usize {
    let spaces = text
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let next = text.get(spaces).copied().unwrap_or(0);
    let word_follows = next.is_ascii_alphanumeric() || is_letter_at(text, spaces);
    if text.get(spaces - 1) == Some(&b' ') && word_follows && spaces > 1 {
        spaces - 1
    } else {
        spaces
    }
}

/// The character at a place that is a character's first byte; none at the end.
fn character(text: &[u8], at: usize) -> Option<char> {
    let length = match text.get(at)? {
        0x00..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    let bytes = text.get(at..at + length)?;
    core::str::from_utf8(bytes).ok()?.chars().next()
}

fn is_letter_at(text: &[u8], at: usize) -> bool {
    character(text, at).is_some_and(|letter| script(letter) != Script::None)
}

/// Where the piece of the letters from there on ends, or the single character that is none.
#[inline(never)]
fn letters_end(text: &[u8], start: usize) -> usize {
    let mut end = start;
    let mut filled = 0;
    while let Some(letter) = character(text, end) {
        let weight = match script(letter) {
            Script::None => break,
            Script::Latin => 1,
            Script::Han | Script::Kana | Script::Hangul => LETTERS_MAX / 2,
            _ => 2,
        };
        if filled + weight > LETTERS_MAX {
            break;
        }
        filled += weight;
        end += letter.len_utf8();
    }
    if end > start {
        return end;
    }
    let alone = character(text, start).map_or(1, char::len_utf8);
    (start + alone).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(mut text: &str) -> Vec<&str> {
        let mut pieces = vec![];
        while let Some((piece, rest)) = split_first(text) {
            pieces.push(piece);
            text = rest;
        }
        pieces
    }

    #[test]
    fn words_keep_the_space_before_them() {
        assert_eq!(
            pieces("Hello, big  world"),
            ["Hello", ",", " big", " ", " world"]
        );
        assert_eq!(pieces("a\n\nb"), ["a", "\n\n", "b"]);
        assert_eq!(pieces("end "), ["end", " "]);
    }

    #[test]
    fn long_words_and_numbers_are_cut() {
        assert_eq!(
            pieces("internationally 1234567"),
            ["internatio", "nally", " 123", "456", "7"]
        );
    }

    #[test]
    fn letters_of_other_scripts_fill_a_piece_sooner() {
        assert_eq!(pieces("né 漢字かな🙂x"), ["né", " 漢字", "かな", "🙂", "x"]);
        assert_eq!(pieces("größe Übermut"), ["größe", " Übermut"]);
        assert_eq!(pieces("подробно"), ["подро", "бно"]);
        assert_eq!(pieces(" — “x”"), [" ", "—", " ", "“", "x", "”"]);
        assert_eq!(pieces("  é"), [" ", " é"]);
        assert_eq!(pieces("한국어는"), ["한국", "어는"]);
    }

    #[test]
    fn letters_are_found_eight_at_a_time() {
        for byte in 0..=255_u8 {
            for count in 0..8 {
                let mut bytes = *b"aZqMzAbc";
                bytes[count] = byte;
                let expect = if byte.is_ascii_alphabetic() { 8 } else { count };
                assert_eq!(first_letters(bytes), expect, "{bytes:?}");
            }
        }
    }

    #[test]
    fn nothing_is_lost_and_the_count_agrees() {
        for text in [
            "",
            " ",
            "The quick  brown fox; 1,000 jumps\t\r\n— voilà!",
            "{\"a\": [1.5e10]}",
            "नमस्ते! مرحبا؟  “Ünï” 漢字。\n\n 한국어 — e\u{301}",
        ] {
            assert_eq!(pieces(text).concat(), text);
            assert_eq!(count(text) as usize, pieces(text).len());
        }
    }
}
