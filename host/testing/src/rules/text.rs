//! Conditions on texts.

use super::problems::{Place, Problem};
use super::unmet::Unmet;
use crate::difference::{Likeness, VALUE_CHARS_MAX, likeness_of_texts, text_difference};
use crate::words::quoted;
use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// The longest regular expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 2 * 1024;

/// What one regular expression may take once it is compiled, in bytes.
pub const EXPRESSION_COMPILED_BYTES_MAX: usize = 256 * 1024;

/// What the named groups of expressions have found.
pub(super) type Captured = BTreeMap<String, String>;

/// What has to be so of a text: all that is said.
#[derive(Debug, Default)]
pub(super) struct TextCondition {
    pub(super) equals: Option<String>,
    pub(super) contains: Option<String>,
    pub(super) starts_with: Option<String>,
    pub(super) ends_with: Option<String>,
    pub(super) matches: Option<Regex>,
    pub(super) ignores_case: bool,
    /// Whether there has to be a text. None where that is not said: then there has to be one if
    /// anything else is.
    pub(super) present: Option<bool>,
}

/// A part of a condition, with the words for it.
type Part<'c> = (&'static str, &'c str, fn(&str, &str) -> bool);

impl TextCondition {
    /// Whether nothing is said of the text itself.
    pub(super) fn is_empty(&self) -> bool {
        self.parts().next().is_none() && self.matches.is_none()
    }

    /// Makes of what was read what is looked for.
    pub(super) fn finish(mut self) -> Self {
        if self.ignores_case {
            for text in [
                &mut self.equals,
                &mut self.contains,
                &mut self.starts_with,
                &mut self.ends_with,
            ] {
                *text = text.take().map(|text| text.to_lowercase());
            }
        }
        self
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let parts: [Option<Part<'_>>; 4] = [
            self.equals.as_deref().map(|text| ("", text, equals as _)),
            self.contains
                .as_deref()
                .map(|text| ("with ", text, contains as _)),
            self.starts_with
                .as_deref()
                .map(|text| ("that begins with ", text, starts_with as _)),
            self.ends_with
                .as_deref()
                .map(|text| ("that ends with ", text, ends_with as _)),
        ];
        parts.into_iter().flatten()
    }

    /// Whether a text, or the lack of one, is as it has to be. What named groups find is added.
    pub(super) fn holds(&self, text: Option<&str>, captured: &mut Captured) -> bool {
        let Some(text) = text else {
            return self.present == Some(false);
        };
        if self.present == Some(false) || !self.parts_hold(text) {
            return false;
        }
        let Some(expression) = &self.matches else {
            return true;
        };
        if expression.capture_names().flatten().next().is_none() {
            return expression.is_match(text);
        }
        let Some(found) = expression.captures(text) else {
            return false;
        };
        for name in expression.capture_names().flatten() {
            if let Some(group) = found.name(name) {
                captured.insert(name.to_owned(), group.as_str().to_owned());
            }
        }
        true
    }

    fn parts_hold(&self, text: &str) -> bool {
        let mut parts = self.parts();
        match self.ignores_case {
            true => {
                let text = text.to_lowercase();
                parts.all(|(_, part, is_so)| is_so(&text, part))
            }
            false => parts.all(|(_, part, is_so)| is_so(text, part)),
        }
    }

    /// What is not so of a text for which the condition does not hold.
    pub(super) fn unmet(&self, place: String, text: Option<&str>) -> Unmet {
        let (words, likeness) = match text {
            None => (
                format!("is missing; expected {}", self.words()),
                Likeness::NONE,
            ),
            Some(text) => {
                let shown = quoted(text, VALUE_CHARS_MAX);
                match self
                    .equals
                    .as_deref()
                    .filter(|_| self.present != Some(false))
                {
                    Some(equals) => {
                        let folded;
                        let text = match self.ignores_case {
                            true => {
                                folded = text.to_lowercase();
                                &folded
                            }
                            false => text,
                        };
                        let words = text_difference(equals, text);
                        let words = words
                            .unwrap_or_else(|| format!("expected {}, found {shown}", self.words()));
                        (words, likeness_of_texts(equals, text))
                    }
                    None => (
                        format!("expected {}, found {shown}", self.words()),
                        Likeness::NONE,
                    ),
                }
            }
        };
        Unmet {
            place,
            words,
            likeness,
        }
    }

    /// What is expected.
    pub(super) fn words(&self) -> String {
        if self.present == Some(false) {
            return "none".to_owned();
        }
        let mut words: Vec<String> = self
            .parts()
            .map(|(words, part, _)| format!("{words}{}", quoted(part, VALUE_CHARS_MAX)))
            .collect();
        if let Some(expression) = &self.matches {
            let shown = quoted(expression.as_str(), VALUE_CHARS_MAX);
            words.push(format!("that the expression {shown} finds something in"));
        }
        match (self.equals.is_some(), words.is_empty()) {
            (_, true) => "a text".to_owned(),
            (true, false) => words.join(" and "),
            (false, false) => format!("a text {}", words.join(" and ")),
        }
    }
}

fn equals(text: &str, part: &str) -> bool {
    text == part
}

fn contains(text: &str, part: &str) -> bool {
    text.contains(part)
}

fn starts_with(text: &str, part: &str) -> bool {
    text.starts_with(part)
}

fn ends_with(text: &str, part: &str) -> bool {
    text.ends_with(part)
}

/// A regular expression, which takes a time that is linear in the text, and a bounded room.
pub(super) fn expression(text: &str, ignores_case: bool, at: Place) -> Result<Regex, Problem> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let words = format!(
            "a regular expression of {} bytes; the most is {EXPRESSION_BYTES_MAX}",
            text.len()
        );
        return Err(Problem::new(at, words));
    }
    let built = RegexBuilder::new(text)
        .case_insensitive(ignores_case)
        .size_limit(EXPRESSION_COMPILED_BYTES_MAX)
        .dfa_size_limit(EXPRESSION_COMPILED_BYTES_MAX)
        .build();
    built.map_err(|error| {
        let words = match error {
            regex::Error::CompiledTooBig(_) => format!(
                "this regular expression is too large: compiled it would have more than \
                 {EXPRESSION_COMPILED_BYTES_MAX} bytes"
            ),
            // The words of the parser are its picture of the expression and a last line.
            error => {
                let words = error.to_string();
                let last = words.lines().next_back().unwrap_or_default();
                let last = last.trim_start_matches("error: ");
                format!("this is no regular expression: {last}")
            }
        };
        Problem::new(at, words)
    })
}
