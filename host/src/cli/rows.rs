//! Rows of a name and a value, as a start and `belljar status` print them.

/// The columns that a line may have, where its words let it.
pub(super) const COLUMNS: usize = 80;
/// The column at which values begin.
const INDENT: usize = 14;

/// Rows under a head.
pub(super) struct Rows(String);

impl Rows {
    /// No rows yet.
    pub(super) fn under(head: String) -> Self {
        Self(head)
    }

    /// Adds a row. A value that is too long for its line goes on below, between words.
    pub(super) fn row(&mut self, name: &str, value: &str) {
        self.0
            .push_str(&format!("\n  {name:<width$}", width = INDENT - 2));
        let mut column = INDENT;
        for (index, word) in value.split(' ').enumerate() {
            let length = word.chars().count();
            if index > 0 && column + 1 + length > COLUMNS {
                self.0.push_str(&format!("\n{:INDENT$}", ""));
                column = INDENT;
            } else if index > 0 {
                self.0.push(' ');
                column += 1;
            }
            self.0.push_str(word);
            column += length;
        }
    }

    /// The whole text, without an end of line.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_between_words_and_within_80_columns() {
        let mut rows = Rows::under(String::new());
        let words = "word ".repeat(40);
        rows.row("name", &words);
        rows.row("long", &"x".repeat(200));
        let text = rows.into_text();
        for line in text.lines() {
            assert!(line.len() <= COLUMNS || !line.trim().contains(' ') || line.contains("long"));
            assert!(!line.contains("wor ") && !line.trim_end().ends_with("wor"));
        }
        assert!(text.contains(&"x".repeat(200)), "a word is never broken");
        let again: Vec<&str> = text.split_whitespace().filter(|w| *w == "word").collect();
        assert_eq!(again.len(), 40);
    }
}
