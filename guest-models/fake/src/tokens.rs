//! Text into pieces. There is one rule, so that the usage of a prompt, the usage of an answer and
//! the chunks of a stream agree with each other.
//!
//! A piece is up to ten letters or up to three digits, with the space before it; a run of white
//! space; or one other character. English comes to about four bytes a piece, as it does with the
//! vocabularies of real models.

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
    let run = |from: usize, most: usize, belongs: fn(&u8) -> bool| {
        text.iter()
            .skip(from)
            .take(most)
            .take_while(|byte| belongs(byte))
            .count()
    };
    let start = usize::from(at(0) == b' ' && at(1).is_ascii_alphanumeric());
    match at(start) {
        byte if byte.is_ascii_alphabetic() => {
            start + run(start, LETTERS_MAX, u8::is_ascii_alphabetic)
        }
        byte if byte.is_ascii_digit() => start + run(start, DIGITS_MAX, u8::is_ascii_digit),
        byte if byte.is_ascii_whitespace() => {
            let spaces = run(0, usize::MAX, u8::is_ascii_whitespace);
            // The last space belongs to the word after it.
            let word_follows = at(spaces - 1) == b' ' && at(spaces).is_ascii_alphanumeric();
            if word_follows && spaces > 1 {
                spaces - 1
            } else {
                spaces
            }
        }
        0x00..0x80 => 1,
        0x80..0xe0 => 2.min(text.len()),
        0xe0..0xf0 => 3.min(text.len()),
        0xf0.. => 4.min(text.len()),
    }
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
    fn other_scripts_are_one_character_a_piece() {
        assert_eq!(pieces("é漢🙂x"), ["é", "漢", "🙂", "x"]);
        assert_eq!(pieces(" é"), [" ", "é"]);
    }

    #[test]
    fn nothing_is_lost_and_the_count_agrees() {
        for text in [
            "",
            " ",
            "The quick  brown fox; 1,000 jumps\t\r\n— voilà!",
            "{\"a\": [1.5e10]}",
        ] {
            assert_eq!(pieces(text).concat(), text);
            assert_eq!(count(text) as usize, pieces(text).len());
        }
    }
}
