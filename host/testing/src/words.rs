//! Texts of callers as they may stand in a message: cut, quoted, and with nothing in them that
//! moves a cursor, turns the order of what is read, or is not there to be seen.

use std::fmt::Write as _;

/// A text in double quotes, with an ellipsis behind them where it is longer than may be told.
#[must_use]
pub fn quoted(text: &str, chars_max: usize) -> String {
    let mut shown = String::from("\"");
    let is_whole = escape(&mut shown, text, chars_max, '"');
    shown.push('"');
    if !is_whole {
        shown.push('…');
    }
    shown
}

/// A name as it may stand between single quotes.
#[must_use]
pub fn cut_name(name: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    if !escape(&mut shown, name, chars_max, '\'') {
        shown.push('…');
    }
    shown
}

/// The article that a word is read with.
#[must_use]
pub(crate) fn article(word: &str) -> &'static str {
    match word.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'u') => "an",
        _ => "a",
    }
}

/// Adds a text, and says whether it was all of it.
fn escape(shown: &mut String, text: &str, chars_max: usize, quote: char) -> bool {
    for (count, c) in text.chars().enumerate() {
        if count == chars_max {
            return false;
        }
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\\' => shown.push_str("\\\\"),
            c if c == quote => {
                shown.push('\\');
                shown.push(c);
            }
            c if deceives(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    true
}

/// Whether a character drives a terminal, turns the direction of writing, or is not there to be
/// seen.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}'
            // Marks, embeddings, overrides and isolates of direction.
            | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // What joins, separates or fills without being seen, and tags.
            | '\u{00ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_quoted() {
        assert_eq!(quoted("Größe 🦀", 80), "\"Größe 🦀\"");
        assert_eq!(quoted("abcdef", 3), "\"abc\"…");
        assert_eq!(quoted("abc", 3), "\"abc\"");
        assert_eq!(quoted("it's \"so\"", 80), r#""it's \"so\"""#);
        assert_eq!(cut_name("it's\u{200b}", 80), r"it\'s\u{200b}");
    }
}
