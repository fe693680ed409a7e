//! Patterns of names and paths, in which `*` stands for any characters.

/// A list of patterns, of which one has to match.
#[derive(Debug)]
pub(super) struct Patterns(Vec<String>);

impl Patterns {
    pub(super) fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    pub(super) fn match_one(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| is_match(pattern, name))
    }

    /// The patterns as they are told: `a*` or `b`.
    pub(super) fn words(&self) -> String {
        let words = self.0.iter().map(|pattern| format!("`{pattern}`"));
        words.collect::<Vec<_>>().join(" or ")
    }

    /// The first pattern.
    pub(super) fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

/// Whether a pattern matches all of a name: its parts between stars are found one after the
/// other, each as early as possible, which takes no trying back.
fn is_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, matching, others) in [
            ("gpt-4", &["gpt-4"][..], &["gpt-4o", "my-gpt-4", ""][..]),
            ("gpt-*", &["gpt-", "gpt-4o"], &["gp", "xgpt-4"]),
            ("*", &["", "anything"], &[]),
            ("*-mini", &["-mini", "a-mini-mini"], &["mini", "a-minis"]),
            ("a*b*c", &["abc", "a-b-b-c", "abcbc"], &["ac", "acb", "ab"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("ä*ö", &["äö", "ä日ö"], &["ä"]),
            ("what?", &["what?"], &["whatx"]),
        ] {
            for name in matching {
                assert!(is_match(pattern, name), "{pattern} {name}");
            }
            for name in others {
                assert!(!is_match(pattern, name), "{pattern} {name}");
            }
        }
    }
}
