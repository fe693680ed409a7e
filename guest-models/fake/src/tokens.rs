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

/// The beginning of a text that has about so many pieces, or all of it, and about how many these
/// are: at least one in what is not empty. What it costs is a few instructions for eight bytes.
pub(crate) fn about(text: &str, most: usize) -> (&str, usize) {
    let mut parts = 0;
    let mut end = 0;
    let (blocks, rest) = text.as_bytes().as_chunks();
    for block in blocks {
        if parts >= most.saturating_mul(PIECE_PARTS) {
            break;
        }
        parts += if block.is_ascii() {
            PIECE_PARTS * breaks(*block)
        } else {
            block.iter().copied().map(parts_of).sum()
        };
        end += block.len();
    }
    if end + rest.len() == text.len() {
        parts += rest.iter().copied().map(parts_of).sum::<usize>();
        end = text.len();
    }
    let (text, _) = text.split_at(text.ceil_char_boundary(end));
    let least = usize::from(!text.is_empty());
    (text, (parts / PIECE_PARTS).clamp(least, most.max(least)))
}

/// The parts of a piece, in which [`about`] counts.
const PIECE_PARTS: usize = 15;

/// The parts of a piece that a byte counts for. What stands between two words begins one; an empty
/// line is one with the mark before it. Letters of other alphabets make words of more pieces, and
/// where there are no spaces three characters make one.
const fn parts_of(byte: u8) -> usize {
    match byte {
        b'\n' | b'a'..=b'z' | b'A'..=b'Z' | 0x80..0xc0 => 0,
        0x00..0x80 => PIECE_PARTS,
        0xc0..0xe0 => 1,
        0xe0.. => 5,
    }
}

/// How many of eight ASCII characters are neither a letter nor the end of a line.
const fn breaks(bytes: [u8; 8]) -> usize {
    let bytes = u64::from_le_bytes(bytes);
    let others = (bytes ^ (b'\n' as u64 * EACH)) + (HIGH - EACH);
    (others & !letters(bytes) & HIGH).count_ones() as usize
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

/// One in each of eight bytes, and the highest bit of each.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;

/// How many letters of the English alphabet eight bytes begin with, found for all of them at once.
const fn first_letters(bytes: [u8; 8]) -> usize {
    let letters = letters(u64::from_le_bytes(bytes));
    ((letters ^ HIGH).trailing_zeros() / 8) as usize
}

/// The highest bit of each of eight bytes that is a letter of the English alphabet.
const fn letters(bytes: u64) -> u64 {
    // In lower case, and without the highest bit, into which a sum of bytes then carries.
    let lower = (bytes | (0x20 * EACH)) & !HIGH;
    let from_a = lower + (0x80 - 0x61) * EACH;
    let beyond_z = lower + (0x80 - 0x7b) * EACH;
    from_a & !beyond_z & !bytes & HIGH
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
    fn about_as_many_pieces_are_about_as_many() {
        let text =
            "The first thing to know is how bell jars are held: by hand, and with care. ".repeat(8);
        for most in [1, 2, 7, 34, 60] {
            let (begun, about) = about(&text, most);
            assert!(text.starts_with(begun));
            assert!((1..=most).contains(&about));
            let (least, most) = (about.saturating_sub(6), about + about / 4 + 6);
            assert!((least..most).contains(&(count(begun) as usize)), "{begun}");
        }
        for text in [
            "",
            "a",
            "漢字かな🙂x",
            " \n\n",
            "подробно и кратко, без слов",
        ] {
            let (whole, pieces) = about(text, 1000);
            assert_eq!(whole, text);
            assert_eq!(pieces == 0, text.is_empty());
            assert!(pieces <= count(text) as usize + 1, "{text}");
        }
    }

    #[test]
    fn eight_characters_count_as_each_does() {
        for byte in 0..0x80_u8 {
            let bytes = [b'a', byte, b' ', byte, b'\n', byte, b'Z', byte];
            let each: usize = bytes.iter().copied().map(parts_of).sum();
            assert_eq!(breaks(bytes) * PIECE_PARTS, each, "{bytes:?}");
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
