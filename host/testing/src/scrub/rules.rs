//! What is taken out of exchanges besides what never is kept: rules as people write them, in TOML.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder, bytes};
use serde::Deserialize;
use toml::Spanned;

use super::table::PATTERNS;
use crate::json_path::JsonPath;
use crate::marks::{Found, NAME_CHARS_MAX, is_of_name};
use crate::secrets::is_secret_header;

/// Bytes of a file with rules.
pub const RULES_BYTES_MAX: usize = 256 << 10;
/// Patterns, paths and headers of one file, each.
const RULES_MAX: usize = 256;
/// Bytes that one pattern may take once it is compiled.
const PATTERN_BYTES_MAX: usize = 4 << 20;

/// Rules for what is taken out.
#[derive(Clone, Debug)]
pub struct ScrubRules {
    patterns: Vec<Pattern>,
    paths: Vec<JsonPath>,
    headers: BTreeSet<String>,
    has_defaults: bool,
}

/// A regular expression over texts.
#[derive(Clone, Debug)]
struct Pattern {
    name: String,
    texts: Regex,
    bytes: bytes::Regex,
    /// The group that is taken out, where it is not the whole.
    group: Option<usize>,
}

/// A file has no rules that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ScrubRuleError {
    /// Counted from 1.
    line: usize,
    /// Counted from 1, in characters.
    column: usize,
    /// What is wrong.
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default = "yes")]
    defaults: bool,
    #[serde(default)]
    headers: Vec<Spanned<String>>,
    #[serde(default)]
    paths: Vec<Spanned<String>>,
    #[serde(default)]
    pattern: Vec<PatternFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternFile {
    name: Spanned<String>,
    regex: Spanned<String>,
}

fn yes() -> bool {
    true
}

impl Default for ScrubRules {
    fn default() -> Self {
        Self {
            patterns: defaults(),
            paths: Vec::new(),
            headers: BTreeSet::new(),
            has_defaults: true,
        }
    }
}

fn defaults() -> Vec<Pattern> {
    /// Compiled once.
    static DEFAULTS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        let compiled = PATTERNS
            .iter()
            .filter_map(|(name, regex)| Pattern::new(name, regex).ok());
        compiled.collect()
    });
    DEFAULTS.clone()
}

impl ScrubRules {
    /// Reads a file of rules.
    ///
    /// # Errors
    /// When it is none, with the line and the column of what is wrong.
    pub fn parse(text: &str) -> Result<Self, ScrubRuleError> {
        if text.len() > RULES_BYTES_MAX {
            let reason = format!("the file has more than {RULES_BYTES_MAX} bytes");
            return Err(error_at(text, 0, reason));
        }
        let file: RulesFile = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            error_at(text, at, error.message().to_owned())
        })?;
        let mut patterns = if file.defaults {
            defaults()
        } else {
            Vec::new()
        };
        for (what, count) in [
            ("patterns", file.pattern.len()),
            ("paths", file.paths.len()),
            ("headers", file.headers.len()),
        ] {
            if count > RULES_MAX {
                return Err(error_at(text, 0, format!("more than {RULES_MAX} {what}")));
            }
        }
        for pattern in &file.pattern {
            let name = pattern.name.get_ref();
            if !(1..=NAME_CHARS_MAX).contains(&name.len()) || !name.chars().all(is_of_name) {
                let reason = format!(
                    "a name has 1 to {NAME_CHARS_MAX} of a-z, 0-9, - and _: it stands in marks \
                     such as [scrubbed:name]"
                );
                return Err(error_at(text, pattern.name.span().start, reason));
            }
            let compiled = Pattern::new(name, pattern.regex.get_ref())
                .map_err(|reason| error_at(text, pattern.regex.span().start, reason))?;
            patterns.push(compiled);
        }
        let mut paths = Vec::new();
        for path in &file.paths {
            let parsed = path.get_ref().parse::<JsonPath>();
            paths.push(
                parsed.map_err(|error| error_at(text, path.span().start, error.to_string()))?,
            );
        }
        let mut headers = BTreeSet::new();
        for header in &file.headers {
            let name = header.get_ref().to_ascii_lowercase();
            if is_secret_header(&name) {
                let reason = format!("`{name}` is never kept");
                return Err(error_at(text, header.span().start, reason));
            }
            headers.insert(name);
        }
        Ok(Self {
            patterns,
            paths,
            headers,
            has_defaults: file.defaults,
        })
    }

    /// Ways to values that are taken out.
    pub(super) fn paths(&self) -> &[JsonPath] {
        &self.paths
    }

    /// Headers that are kept besides those of the tables.
    pub(super) fn headers(&self) -> &BTreeSet<String> {
        &self.headers
    }

    /// Whether the tables hold as well.
    pub(super) fn has_defaults(&self) -> bool {
        self.has_defaults
    }

    /// What patterns find in a text.
    pub(super) fn found_in<'a>(&'a self, text: &str) -> Vec<Found<'a>> {
        let mut found: Vec<Found<'a>> = Vec::new();
        for pattern in &self.patterns {
            let name = pattern.name.as_str();
            match pattern.group {
                None => found.extend(pattern.texts.find_iter(text).map(|one| (one.range(), name))),
                Some(group) => found.extend(pattern.texts.captures_iter(text).filter_map(|one| {
                    let range: Range<usize> = one.get(group).or(one.get(0))?.range();
                    Some((range, name))
                })),
            }
        }
        found
    }

    /// The same for bytes that are no text.
    pub(super) fn found_in_bytes<'a>(&'a self, bytes: &[u8]) -> Vec<Found<'a>> {
        let mut found: Vec<Found<'a>> = Vec::new();
        for pattern in &self.patterns {
            let name = pattern.name.as_str();
            found.extend(pattern.bytes.captures_iter(bytes).filter_map(|one| {
                let part = match pattern.group {
                    Some(group) => one.get(group).or(one.get(0)),
                    None => one.get(0),
                };
                Some((part?.range(), name))
            }));
        }
        found
    }
}

impl Pattern {
    fn new(name: &str, regex: &str) -> Result<Self, String> {
        let texts = RegexBuilder::new(regex)
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        // The last line says what is wrong; those before it draw the place.
        let texts = texts.map_err(|error| last_line(&error.to_string()))?;
        let bytes = bytes::RegexBuilder::new(regex)
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        let bytes = bytes.map_err(|error| last_line(&error.to_string()))?;
        let group = texts
            .capture_names()
            .position(|group| group == Some("secret"));
        Ok(Self {
            name: name.to_owned(),
            texts,
            bytes,
            group,
        })
    }
}

fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn error_at(text: &str, at: usize, reason: String) -> ScrubRuleError {
    let before = text.get(..at).unwrap_or_default();
    ScrubRuleError {
        line: 1 + before.matches('\n').count(),
        column: 1 + before.chars().rev().take_while(|c| *c != '\n').count(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_tables_patterns_compile() {
        assert_eq!(defaults().len(), PATTERNS.len());
    }

    #[test]
    fn slips_name_their_line_and_column() {
        for (text, expect) in [
            ("x = 1", "line 1, column 1: unknown field `x`"),
            (
                "paths = [\n  \"$.a\",\n  \"$.a[\",\n]",
                "line 3, column 3: `$.a[` is no path",
            ),
            (
                "[[pattern]]\nname = \"a\"\nregex = \"(\"",
                "line 3, column 9: unclosed group",
            ),
            (
                "[[pattern]]\nname = \"A b\"\nregex = \"x\"",
                "line 2, column 8: a name has 1 to 32",
            ),
            (
                "headers = [\"X-Api-Key\"]",
                "line 1, column 12: `x-api-key` is never kept",
            ),
            ("defaults = 1", "line 1, column 12: "),
            ("=", "line 1, column 1: "),
        ] {
            let error = ScrubRules::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{text}: {error}");
        }
        let wide = "[[pattern]]\nname = \"a\"\nregex = '(\\w{100}){1000}'";
        let error = ScrubRules::parse(wide).unwrap_err().to_string();
        assert!(error.contains("size limit"), "{error}");
    }
}
