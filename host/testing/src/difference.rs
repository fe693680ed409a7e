//! How one JSON value differs from another, in words that a person can act on, and which of many
//! values is the nearest to one.
//!
//! Values are walked with a stack of their own, so that depth costs memory and not the thread's
//! stack; what is said of them is cut; and looking for the nearest has a bounded amount of work,
//! however many and however large the candidates are.

mod nearest;

pub use nearest::{Likeness, Nearest, likeness, likeness_of_texts, nearest};
pub(crate) use nearest::{likeness_within, work_for_each};

use crate::words::{article, cut_name, quoted};
use serde_json::{Map, Number, Value};
use std::fmt::{self, Write as _};
use std::slice::Iter;

/// The longest path that is told, in bytes; a longer one has an ellipsis at its end.
pub const PATH_BYTES_MAX: usize = 256;

/// How much of a value is told, in characters.
pub const VALUE_CHARS_MAX: usize = 80;

/// How many characters before the first that differs are told of a long text.
const CONTEXT_CHARS: usize = 16;

/// A place at which a value is not what was expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    kind: DifferenceKind,
    path: String,
    words: String,
}

/// What is different at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Another value of the same type.
    Value,
    /// A value of another type.
    Type,
    /// Nothing, where something was expected.
    Missing,
    /// Something, where nothing was expected.
    Added,
}

impl Difference {
    /// What is different.
    #[must_use]
    pub fn kind(&self) -> DifferenceKind {
        self.kind
    }

    /// The place, as a path in the short notation of RFC 9535, such as `$.messages[1].content`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected there and what was found, without the path.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.words)
    }
}

/// The first place at which a value is not what was expected, in the order of the expected value,
/// or none where both are equal. Numbers are equal by what they amount to: `1` is `1.0`.
#[must_use]
pub fn first_difference(expected: &Value, found: &Value) -> Option<Difference> {
    differences(expected, found).next()
}

/// All places at which a value is not what was expected, in the order of the expected value;
/// members that were not expected come after those of their object that were.
pub fn differences<'a>(expected: &'a Value, found: &'a Value) -> Differences<'a> {
    Differences {
        root: Some((expected, found)),
        open: Vec::new(),
        may_have_more: false,
    }
}

/// As [`first_difference`], where objects may have members that were not expected.
#[must_use]
pub fn first_lack(expected: &Value, found: &Value) -> Option<Difference> {
    let may_have_more = true;
    Differences {
        may_have_more,
        ..differences(expected, found)
    }
    .next()
}

/// An iterator over the differences of two values.
pub struct Differences<'a> {
    root: Option<(&'a Value, &'a Value)>,
    /// The arrays and objects that the walk is inside of, the outermost first.
    open: Vec<Open<'a>>,
    /// Whether objects may have members that were not expected.
    may_have_more: bool,
}

/// A pair of arrays or objects, and what of them has not been looked at.
enum Open<'a> {
    Array {
        expected: Iter<'a, Value>,
        found: Iter<'a, Value>,
        /// The place of the pair that is looked at.
        index: usize,
        is_begun: bool,
    },
    Object {
        expected: serde_json::map::Iter<'a>,
        /// The members of the found object, to find those by that were not expected.
        found: serde_json::map::Iter<'a>,
        in_expected: &'a Map<String, Value>,
        in_found: &'a Map<String, Value>,
        /// The name of the pair that is looked at.
        name: &'a str,
    },
}

/// What stands at one place in both values.
enum Pair<'a> {
    Both(&'a Value, &'a Value),
    Missing(&'a Value),
    Added(&'a Value),
}

impl<'a> Open<'a> {
    /// A way into two values, if there is one.
    fn new(expected: &'a Value, found: &'a Value) -> Option<Self> {
        match (expected, found) {
            (Value::Array(expected), Value::Array(found)) => Some(Self::Array {
                expected: expected.iter(),
                found: found.iter(),
                index: 0,
                is_begun: false,
            }),
            (Value::Object(expected), Value::Object(found)) => Some(Self::Object {
                expected: expected.iter(),
                found: found.iter(),
                in_expected: expected,
                in_found: found,
                name: "",
            }),
            _ => None,
        }
    }

    fn next(&mut self) -> Option<Pair<'a>> {
        match self {
            Self::Array {
                expected,
                found,
                index,
                is_begun,
            } => {
                *index += usize::from(std::mem::replace(is_begun, true));
                match (expected.next(), found.next()) {
                    (Some(expected), Some(found)) => Some(Pair::Both(expected, found)),
                    (Some(expected), None) => Some(Pair::Missing(expected)),
                    (None, Some(found)) => Some(Pair::Added(found)),
                    (None, None) => None,
                }
            }
            Self::Object {
                expected,
                found,
                in_expected,
                in_found,
                name,
            } => {
                if let Some((key, value)) = expected.next() {
                    *name = key;
                    return Some(match in_found.get(key) {
                        Some(found) => Pair::Both(value, found),
                        None => Pair::Missing(value),
                    });
                }
                let (key, value) = found.find(|(key, _)| !in_expected.contains_key(*key))?;
                *name = key;
                Some(Pair::Added(value))
            }
        }
    }

    /// Adds the step to what is looked at.
    fn step(&self, path: &mut String) {
        match self {
            Self::Array { index, .. } => {
                let _ = write!(path, "[{index}]");
            }
            Self::Object { name, .. } => member(path, name),
        }
    }
}

/// Adds the step to a member: `.name` where the grammar has a short form for it.
fn member(path: &mut String, name: &str) {
    let mut chars = name.chars();
    let is_short = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 64;
    if is_short {
        path.push('.');
        path.push_str(name);
    } else {
        let _ = write!(path, "['{}']", cut_name(name, 64));
    }
}

impl Differences<'_> {
    fn is_in_object(&self) -> bool {
        matches!(self.open.last(), Some(Open::Object { .. }))
    }

    fn path(&self) -> String {
        let mut path = String::from("$");
        for open in &self.open {
            if path.len() > PATH_BYTES_MAX {
                path.truncate(path.floor_char_boundary(PATH_BYTES_MAX));
                path.push('…');
                break;
            }
            open.step(&mut path);
        }
        path
    }

    fn difference(&self, kind: DifferenceKind, words: String) -> Difference {
        Difference {
            kind,
            path: self.path(),
            words,
        }
    }
}

impl Iterator for Differences<'_> {
    type Item = Difference;

    fn next(&mut self) -> Option<Difference> {
        loop {
            let pair = match self.root.take() {
                Some((expected, found)) => Pair::Both(expected, found),
                None => match self.open.last_mut()?.next() {
                    Some(pair) => pair,
                    None => {
                        self.open.pop();
                        continue;
                    }
                },
            };
            match pair {
                Pair::Added(_) if self.may_have_more && self.is_in_object() => {
                    // Whatever else there is of this object is not expected either.
                    self.open.pop();
                }
                Pair::Missing(expected) => {
                    let words = format!("is missing; expected {}", shown(expected));
                    return Some(self.difference(DifferenceKind::Missing, words));
                }
                Pair::Added(found) => {
                    let words = format!("was not expected; found {}", shown(found));
                    return Some(self.difference(DifferenceKind::Added, words));
                }
                Pair::Both(expected, found) => {
                    if let Some((kind, words)) = at_one_place(expected, found) {
                        return Some(self.difference(kind, words));
                    }
                    // A pair that holds others is entered; it is left where it has no more.
                    self.open.extend(Open::new(expected, found));
                }
            }
        }
    }
}

/// How two values differ by themselves, without what they hold.
fn at_one_place(expected: &Value, found: &Value) -> Option<(DifferenceKind, String)> {
    let words = match (expected, found) {
        (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_)) => return None,
        (Value::Null, Value::Null) => return None,
        (Value::Bool(expected), Value::Bool(found)) if expected == found => return None,
        (Value::Number(expected), Value::Number(found)) if are_equal(expected, found) => {
            return None;
        }
        (Value::String(expected), Value::String(found)) => text_difference(expected, found)?,
        (Value::Bool(_), Value::Bool(_)) | (Value::Number(_), Value::Number(_)) => {
            format!("expected {}, found {}", shown(expected), shown(found))
        }
        _ => {
            let words = format!("expected {}, found {}", typed(expected), typed(found));
            return Some((DifferenceKind::Type, words));
        }
    };
    Some((DifferenceKind::Value, words))
}

/// How two texts differ, or none where they are equal. Of long texts the part around the first
/// character that differs is told, and its place, counted from 1.
#[must_use]
pub fn text_difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let same = common_prefix(expected, found);
    let before = expected.get(..same).unwrap_or_default();
    // What both begin with tells nothing, but for the words right before the difference.
    let from = before
        .char_indices()
        .rev()
        .nth(CONTEXT_CHARS)
        .map_or(0, |(at, c)| at + c.len_utf8());
    let place = match from {
        0 => String::new(),
        _ => format!(", from character {} on", before.chars().count() + 1),
    };
    let part = |text: &str| {
        let quoted = quoted(text.get(from..).unwrap_or_default(), VALUE_CHARS_MAX);
        match from {
            0 => quoted,
            _ => format!("…{quoted}"),
        }
    };
    Some(format!(
        "expected {}, found {}{place}",
        part(expected),
        part(found)
    ))
}

/// How many bytes two texts have in common at their beginning, in whole characters.
fn common_prefix(one: &str, other: &str) -> usize {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
    one.floor_char_boundary(same.count())
}

/// Whether two numbers are the same amount. Integers are compared exactly.
fn are_equal(one: &Number, other: &Number) -> bool {
    one == other
        || (one.is_f64() || other.is_f64())
            && one.as_f64().is_some()
            && one.as_f64() == other.as_f64()
}

/// A value in a few words: scalars as JSON, cut, and how much there is of arrays and objects.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => quoted(text, VALUE_CHARS_MAX),
        Value::Array(items) => format!("an array of {}", counted(items.len(), "item")),
        Value::Object(members) => format!("an object of {}", counted(members.len(), "member")),
    }
}

/// A value with its type, for where the type is what is wrong.
fn typed(value: &Value) -> String {
    let name = match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Null | Value::Array(_) | Value::Object(_) => return shown(value),
    };
    format!("{} {name} {}", article(name), shown(value))
}

fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn said(expected: Value, found: Value) -> String {
        first_difference(&expected, &found).map_or_else(String::new, |it| it.to_string())
    }

    #[test]
    fn a_difference_says_where_and_what() {
        let asked = json!({"messages": [{"role": "user", "content": "Hi"}], "model": "m"});
        assert_eq!(said(asked.clone(), asked.clone()), "");
        for (expected, found, words) in [
            (
                json!({"a": [1, {"b": "x"}]}),
                json!({"a": [1, {"b": "y"}]}),
                "`$.a[1].b`: expected \"x\", found \"y\"",
            ),
            (json!({"a": 1}), json!({}), "`$.a`: is missing; expected 1"),
            (
                json!({}),
                json!({"stream": true}),
                "`$.stream`: was not expected; found true",
            ),
            (json!([1, 2]), json!([1]), "`$[1]`: is missing; expected 2"),
            (
                json!([1]),
                json!([1, {"a": 1, "b": [1]}]),
                "`$[1]`: was not expected; found an object of 2 members",
            ),
            (
                json!({"n": 1}),
                json!({"n": "1"}),
                "`$.n`: expected a number 1, found a text \"1\"",
            ),
            (
                json!({"n": null}),
                json!({"n": [1]}),
                "`$.n`: expected null, found an array of 1 item",
            ),
            (
                json!({"odd name": 1, "ok": {"it's": 2}}),
                json!({"odd name": 1, "ok": {"it's": 3}}),
                r"`$.ok['it\'s']`: expected 2, found 3",
            ),
        ] {
            assert_eq!(said(expected, found), words);
        }
    }

    #[test]
    fn numbers_are_equal_by_what_they_amount_to() {
        assert_eq!(said(json!(1), json!(1.0)), "");
        assert_eq!(said(json!(-0.0), json!(0)), "");
        assert_eq!(said(json!(0.1), json!(0.2)), "`$`: expected 0.1, found 0.2");
        let (one, other) = (9_007_199_254_740_993_u64, 9_007_199_254_740_992_u64);
        assert!(
            !said(json!(one), json!(other)).is_empty(),
            "as floats they would be equal"
        );
    }

    #[test]
    fn long_texts_are_told_around_what_differs() {
        let expected = format!("{}the capital of France?", "word ".repeat(100));
        let found = format!(
            "{}the capital of Finland? {}",
            "word ".repeat(100),
            "é".repeat(500)
        );
        let words = said(json!(expected), json!(found));
        assert!(
            words.starts_with(
                "`$`: expected …\"the capital of France?\", found …\"the capital of Finland? é"
            ),
            "{words}"
        );
        assert!(words.ends_with("…, from character 517 on"), "{words}");
        assert!(words.chars().count() < 250, "{words}");
        assert_eq!(
            text_difference("ä", "ö").unwrap(),
            "expected \"ä\", found \"ö\""
        );
        assert_eq!(
            text_difference("", "a").unwrap(),
            "expected \"\", found \"a\""
        );
    }

    #[test]
    fn what_would_deceive_is_written_out() {
        let words = said(json!("a"), json!("a\n\u{202e}\u{1b}[2J\""));
        assert_eq!(
            words,
            r#"`$`: expected "a", found "a\n\u{202e}\u{1b}[2J\"""#
        );
        let words = said(json!({"a\u{202e}": 1}), json!({}));
        assert_eq!(words, r"`$['a\u{202e}']`: is missing; expected 1");
    }

    #[test]
    fn all_differences_come_in_order() {
        let expected = json!({"a": [1, 2], "b": {"c": 1}, "d": 0});
        let found = json!({"a": [1, 3, 4], "b": {"e": 1}, "d": 0});
        let all: Vec<_> = differences(&expected, &found)
            .map(|it| (it.path().to_owned(), it.kind()))
            .collect();
        let expected = [
            ("$.a[1]", DifferenceKind::Value),
            ("$.a[2]", DifferenceKind::Added),
            ("$.b.c", DifferenceKind::Missing),
            ("$.b.e", DifferenceKind::Added),
        ];
        assert_eq!(all, expected.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn objects_may_have_more_where_that_is_asked() {
        let lack = |expected: Value, found: Value| {
            first_lack(&expected, &found).map_or_else(String::new, |it| it.to_string())
        };
        let found = json!({"a": {"b": 1, "c": 2}, "d": [1, 2], "e": null});
        assert_eq!(lack(json!({"a": {"b": 1}, "d": [1, 2]}), found.clone()), "");
        assert_eq!(lack(json!({}), found.clone()), "");
        assert_eq!(
            lack(json!({"a": {"b": 1}, "d": [1]}), found.clone()),
            "`$.d[1]`: was not expected; found 2"
        );
        assert_eq!(
            lack(json!({"a": {"b": 1, "x": 1}}), found),
            "`$.a.x`: is missing; expected 1"
        );
    }

    /// Such a value comes from no parser here, which stop at 128; a caller may still build one.
    #[test]
    fn depth_costs_no_stack_and_long_paths_are_cut() {
        let deep = |leaf: Value| (0..100_000).fold(leaf, |inner, _| Value::Array(vec![inner]));
        let (one, other) = (deep(json!(1)), deep(json!(2)));
        let difference = first_difference(&one, &other).unwrap();
        assert!(difference.path().len() < PATH_BYTES_MAX + 32);
        assert!(difference.path().ends_with('…'));
        assert!(nearest(&one, [&other]).unwrap().difference.is_some());
        // Dropping a value is recursive, which is not what is tried here.
        std::mem::forget((one, other));
    }

    pub(super) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_is_a_difference_exactly_where_values_differ(one in any_json(), other in any_json()) {
            prop_assert_eq!(first_difference(&one, &one), None);
            let difference = first_difference(&one, &other);
            if one != other {
                prop_assert_eq!(difference.is_none(), first_difference(&other, &one).is_none());
            } else {
                prop_assert_eq!(difference.clone(), None);
            }
            for difference in differences(&one, &other) {
                prop_assert!(difference.to_string().chars().count() < 800);
            }
        }
    }
}
