//! JSONPath over the body of a request, in the part of RFC 9535 whose work is bounded.
//!
//! A path is a program that runs over a body of a stranger's. What multiplies is held to little:
//! `$..*..*` visits pairs of values, `$[*,*][*,*]` doubles at each level, and a filter that looks
//! from the root again does the whole for each value. With one `..`, few commas and one `$`, a path
//! visits each value a few times. The functions `match` and `search`, which would compile an
//! expression for each value, are not there: a condition's own `matches` is.

use serde_json::Value;
use serde_json_path::JsonPath;

/// The longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 512;

/// Brackets and parentheses that may be open at one place of a path.
pub const PATH_DEPTH_MAX: usize = 8;

/// Commas in a path.
pub const PATH_COMMAS_MAX: usize = 4;

/// A path whose work is bounded.
#[derive(Debug)]
pub(super) struct BodyPath {
    text: String,
    path: JsonPath,
}

impl BodyPath {
    /// Reads a path. The error says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        bounded(text)?;
        let path =
            JsonPath::parse(text).map_err(|error| format!("this is no JSONPath: {error}"))?;
        let text = text.to_owned();
        Ok(Self { text, path })
    }

    /// The path as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The values that the path leads to.
    pub(super) fn find<'v>(&self, body: &'v Value) -> Vec<&'v Value> {
        self.path.query(body).all()
    }
}

/// Refuses what multiplies, and what would nest the parser deeply.
fn bounded(path: &str) -> Result<(), String> {
    if path.len() > PATH_BYTES_MAX {
        return Err(format!(
            "a JSONPath of {} bytes; the most is {PATH_BYTES_MAX}",
            path.len()
        ));
    }
    let (mut depth, mut commas, mut descents, mut roots) = (0_usize, 0, 0, 0);
    let mut quote = None;
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            (None, ',') => commas += 1,
            (None, '$') => roots += 1,
            (None, '.') if chars.next_if_eq(&'.').is_some() => descents += 1,
            (None, _) => {}
        }
        if depth > PATH_DEPTH_MAX {
            return Err(format!(
                "a JSONPath may have {PATH_DEPTH_MAX} brackets inside one another"
            ));
        }
    }
    if commas > PATH_COMMAS_MAX {
        return Err(format!("a JSONPath may have {PATH_COMMAS_MAX} commas"));
    }
    if descents > 1 {
        return Err("a JSONPath may have one `..`".to_owned());
    }
    if roots > 1 {
        return Err("a JSONPath may have one `$`: a filter looks from `@` on".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_values() {
        let body = json!({"messages": [
            {"role": "user", "content": "hi"}, {"role": "tool", "content": "a, $..b"},
        ]});
        let found = |path: &str| {
            let found = BodyPath::new(path).unwrap().find(&body);
            found.into_iter().cloned().collect::<Value>()
        };
        assert_eq!(
            found("$.messages[?@.role=='tool'].content"),
            json!(["a, $..b"])
        );
        assert_eq!(found("$..content"), json!(["hi", "a, $..b"]));
        assert_eq!(found("$.messages[-1].role"), json!(["tool"]));
        assert_eq!(
            found("$.messages[?length(@.content) > 3].role"),
            json!(["tool"])
        );
        assert_eq!(found("$.nothing"), json!([]));
        assert_eq!(
            found("$.messages[?@.content == 'a, $..b'].role"),
            json!(["tool"])
        );
    }

    #[test]
    fn paths_that_multiply_are_refused() {
        for (path, words) in [
            ("$..*..*", "one `..`"),
            ("$[*,*][*,*][*,*][*,*][*,*]", "4 commas"),
            ("$.a[?count($.b) > 1]", "one `$`"),
            ("$[?(((((((((@.a)))))))))]", "8 brackets"),
            ("$.a[?search(@.b, 'x')]", "no JSONPath"),
            ("$.a[", "no JSONPath"),
            ("messages", "no JSONPath"),
            ("", "no JSONPath"),
        ] {
            let error = BodyPath::new(path).unwrap_err();
            assert!(error.contains(words), "{path}: {error}");
        }
        let long = format!("$.{}", "a".repeat(PATH_BYTES_MAX));
        assert!(BodyPath::new(&long).unwrap_err().contains("514 bytes"));
        let negations = format!("$[?{}@.a]", "!".repeat(PATH_BYTES_MAX - 8));
        assert!(BodyPath::new(&negations).is_err());
    }
}
