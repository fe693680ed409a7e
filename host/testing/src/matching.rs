//! What a request is like: its model, path, key, headers and content, and patterns of these.

use crate::quantity::shown;
use regex::{Regex, RegexBuilder};

/// Bytes of a compiled regular expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Bytes of a pattern as a text.
const PATTERN_BYTES_MAX: usize = 4_096;

/// What is known of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'r> {
    /// The path, without the query.
    pub path: &'r str,
    /// The method.
    pub method: &'r str,
    /// The model that is asked for; none where the body names none.
    pub model: Option<&'r str>,
    /// The id of the key; none where none is needed.
    pub key: Option<&'r str>,
    /// The headers, by their names in small letters.
    pub headers: &'r [(String, String)],
    /// The body, where it is a text.
    pub body: &'r str,
}

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Longer than 4,096 bytes.
    #[error("a pattern of more than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// Not a regular expression.
    #[error("`{0}` is no regular expression: {1}")]
    Regex(String, String),
}

/// What requests are like. What is not said matches anything.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    model: Option<String>,
    path: Option<String>,
    key: Option<String>,
    header: Option<(String, Option<String>)>,
    content: Option<Regex>,
}

/// Compiles a regular expression, in bounded room.
///
/// # Errors
///
/// When it is none, or is too large.
pub fn regex(text: &str) -> Result<Regex, PatternError> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong);
    }
    let built = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|error| {
        // The last line says why; those before it show where.
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default();
        PatternError::Regex(shown(text), why.trim_start_matches("error: ").to_owned())
    })
}

/// Whether a text is one in which each `*` of the pattern stands for anything.
#[must_use]
pub fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Pattern {
    /// A pattern of these.
    ///
    /// # Errors
    ///
    /// When one is too long, and when `content` is no regular expression.
    pub fn new(
        model: Option<String>,
        path: Option<String>,
        key: Option<String>,
        header: Option<&str>,
        content: Option<&str>,
    ) -> Result<Self, PatternError> {
        for text in [&model, &path, &key].into_iter().flatten() {
            if text.len() > PATTERN_BYTES_MAX {
                return Err(PatternError::TooLong);
            }
        }
        if header.is_some_and(|header| header.len() > PATTERN_BYTES_MAX) {
            return Err(PatternError::TooLong);
        }
        let header = header.map(|header| match header.split_once(':') {
            Some((name, value)) => (
                name.trim().to_ascii_lowercase(),
                Some(value.trim().to_owned()),
            ),
            None => (header.trim().to_ascii_lowercase(), None),
        });
        Ok(Self {
            model,
            path,
            key,
            header,
            content: content.map(regex).transpose()?,
        })
    }

    /// Whether a request is like this.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.misses(facts).is_empty()
    }

    /// The members that are said and do not hold of a request.
    #[must_use]
    pub fn misses(&self, facts: &Facts<'_>) -> Vec<&'static str> {
        let Self {
            model,
            path,
            key,
            header,
            content,
        } = self;
        let is = |pattern: &Option<String>, text: Option<&str>| match pattern {
            None => true,
            Some(pattern) => text.is_some_and(|text| is_like(pattern, text)),
        };
        let has = |(name, value): &(String, Option<String>)| {
            facts.headers.iter().any(|(one, text)| {
                one == name && value.as_ref().is_none_or(|value| is_like(value, text))
            })
        };
        let content = content.as_ref();
        let all = [
            ("model", is(model, facts.model)),
            ("path", is(path, Some(facts.path))),
            ("key", is(key, facts.key)),
            ("header", header.as_ref().is_none_or(has)),
            (
                "content",
                content.is_none_or(|content| content.is_match(facts.body)),
            ),
        ];
        let missed = all.into_iter().filter(|(_, holds)| !holds);
        missed.map(|(name, _)| name).collect()
    }

    /// What has to be found in the body.
    #[must_use]
    pub fn content(&self) -> Option<&Regex> {
        self.content.as_ref()
    }

    /// Whether the model that is asked for matters.
    #[must_use]
    pub fn asks_for_model(&self) -> bool {
        self.model.is_some()
    }

    /// The members that are said, with their names, as they are asked for.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, String)> {
        let header = self.header.as_ref().map(|(name, value)| match value {
            Some(value) => format!("{name}: {value}"),
            None => name.clone(),
        });
        let members = [
            ("model", self.model.clone()),
            ("path", self.path.clone()),
            ("key", self.key.clone()),
            ("header", header),
            (
                "content",
                self.content.as_ref().map(|regex| regex.as_str().to_owned()),
            ),
        ];
        let said = members.into_iter();
        said.filter_map(|(name, value)| Some((name, value?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*mini", "gpt-4o-mini", true),
            ("gpt*mini", "gpt-mini", true),
            ("gpt*o*mini", "gpt-4o-mini", true),
            ("gpt*x*mini", "gpt-4o-mini", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("ab*ba", "aba", false),
            ("**", "anything", true),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn all_that_is_said_must_hold() {
        let headers = [("x-test".to_owned(), "one two".to_owned())];
        let facts = Facts {
            path: "/v1/chat/completions",
            method: "POST",
            model: Some("gpt-4o"),
            key: None,
            headers: &headers,
            body: r#"{"messages":[{"content":"Paris"}]}"#,
        };
        let matches =
            |model: Option<&str>, path: Option<&str>, key: Option<&str>, header, content| {
                let [model, path, key] = [model, path, key].map(|text| text.map(str::to_owned));
                Pattern::new(model, path, key, header, content)
                    .unwrap()
                    .matches(&facts)
            };
        assert!(matches(None, None, None, None, None));
        assert!(matches(
            Some("gpt-*"),
            Some("/v1/*"),
            None,
            Some("X-Test: one*"),
            Some("(?i)paris")
        ));
        assert!(!matches(Some("o3"), None, None, None, None));
        assert!(!matches(None, Some("/v1/embeddings"), None, None, None));
        assert!(
            !matches(None, None, Some("key_1"), None, None),
            "no key at all"
        );
        assert!(matches(None, None, None, Some("x-test"), None));
        assert!(!matches(None, None, None, Some("x-test: two"), None));
        assert!(!matches(None, None, None, Some("x-other"), None));
        assert!(!matches(None, None, None, None, Some("London")));
        // The same request by a key.
        let by_key = Facts {
            key: Some("key_0123"),
            ..facts
        };
        let of = |key: &str, model: &str| {
            let [model, key] = [model, key].map(|text| Some(text.to_owned()));
            Pattern::new(model, None, key, Some("x-test"), Some("Paris")).unwrap()
        };
        for (key, model, misses) in [
            ("key_012", "gpt-*", &["key"][..]),
            ("key_0123", "gpt-*", &[]),
            ("key_*", "gpt-*", &[]),
            ("KEY_0123", "gpt-*", &["key"]),
            ("key_0123", "o3", &["model"]),
            ("key_4567", "o3", &["model", "key"]),
        ] {
            let pattern = of(key, model);
            assert_eq!(pattern.misses(&by_key), misses, "{key} {model}");
            assert_eq!(pattern.matches(&by_key), misses.is_empty());
            assert!(!pattern.matches(&facts), "no key at all");
        }
    }

    #[test]
    fn no_expression_takes_more_room_than_there_is() {
        assert!(matches!(
            regex("(a{1000}){1000}"),
            Err(PatternError::Regex(..))
        ));
        assert!(matches!(regex("("), Err(PatternError::Regex(..))));
        assert_eq!(
            regex(&"a".repeat(5_000)).unwrap_err(),
            PatternError::TooLong
        );
    }
}
