//! Texts of guests as they may stand in a log, on a terminal or in an answer: on one line, and
//! with nothing in them that moves a cursor or turns the order of what is read.

/// The text, cut to a size, with each character that is not plain to see replaced by another.
#[must_use]
pub fn printable(text: &str, bytes_max: usize) -> String {
    replaced(text, bytes_max, '\u{fffd}')
}

/// As [`printable`], with a replacement of the caller's.
pub(crate) fn replaced(text: &str, bytes_max: usize, replacement: char) -> String {
    let kept = text
        .get(..text.floor_char_boundary(bytes_max))
        .unwrap_or_default();
    kept.chars()
        .map(|c| if deceives(c) { replacement } else { c })
        .collect()
}

/// Whether a character ends a line, drives a terminal, turns the direction of writing, or is not
/// there to be seen.
#[must_use]
pub fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // The separators of lines and paragraphs, which some readers take for line ends.
            '\u{2028}' | '\u{2029}'
            // Marks, embeddings, overrides and isolates of direction.
            | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // What joins, separates or fills without being seen.
            | '\u{00ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            // Tags, which carry whole texts unseen.
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_stays_and_what_deceives_goes() {
        assert_eq!(printable("Größe: 3 → 日本 🦀", 100), "Größe: 3 → 日本 🦀");
        for c in [
            '\n', '\r', '\t', '\u{1b}', '\0', '\u{85}', '\u{2028}', '\u{202e}', '\u{2066}',
            '\u{feff}',
        ] {
            assert_eq!(printable(&format!("a{c}b"), 100), "a\u{fffd}b", "{c:?}");
        }
        assert_eq!(printable("ääää", 3), "ä", "cut between characters");
    }
}
