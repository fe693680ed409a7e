//! The marks that stand where something was taken out, and what a text with marks could have been.

use std::ops::Range;

use serde_json::{Map, Value};

/// What is to be taken out of a text: where it stands, and the name of the rule that found it.
pub(crate) type Found<'a> = (Range<usize>, &'a str);

const BEGINS: &str = "[scrubbed:";
/// Characters of the name of a rule.
pub(crate) const NAME_CHARS_MAX: usize = 32;

/// The mark that a rule leaves.
pub(crate) fn mark(name: &str) -> String {
    format!("{BEGINS}{name}]")
}

/// Whether a character can be in the name of a rule.
pub(crate) fn is_of_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')
}

/// The first mark of a text.
fn next_mark(text: &str) -> Option<Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find(BEGINS)?;
        let inside = start + BEGINS.len();
        let rest = text.get(inside..)?;
        let name = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        if (1..=NAME_CHARS_MAX).contains(&name) && rest.get(name..)?.starts_with(']') {
            return Some(start..inside + name + 1);
        }
        from = inside;
    }
}

/// Whether something was taken out of a text.
pub(crate) fn is_scrubbed(text: &str) -> bool {
    next_mark(text).is_some()
}

/// Whether a text could have been the recorded one before it was scrubbed: each mark stands for
/// any text.
pub(crate) fn could_be(recorded: &str, text: &str) -> bool {
    let Some(first) = next_mark(recorded) else {
        return recorded == text;
    };
    let before = recorded.get(..first.start).unwrap_or_default();
    let Some(mut text) = text.strip_prefix(before) else {
        return false;
    };
    let mut recorded = recorded.get(first.end..).unwrap_or_default();
    // What stands between two marks is taken where it first stands: whatever follows has the most
    // room then.
    while let Some(next) = next_mark(recorded) {
        let between = recorded.get(..next.start).unwrap_or_default();
        let Some(at) = text.find(between) else {
            return false;
        };
        text = text.get(at + between.len()..).unwrap_or_default();
        recorded = recorded.get(next.end..).unwrap_or_default();
    }
    text.ends_with(recorded)
}

/// The recorded value as it could have been before it was scrubbed, as far as that makes it equal
/// to `asked`; what is different otherwise stays.
pub(crate) fn filled(recorded: &Value, asked: &Value) -> Value {
    match (recorded, asked) {
        (Value::String(text), asked) if is_scrubbed(text) => {
            let whole = next_mark(text).is_some_and(|mark| mark.len() == text.len());
            // A mark alone can stand for more than a text: a rule may name any value.
            let fits = match asked {
                Value::String(asked) => could_be(text, asked),
                _ => whole,
            };
            if fits {
                asked.clone()
            } else {
                recorded.clone()
            }
        }
        (Value::Array(recorded), Value::Array(asked)) => {
            let places = 0..recorded.len();
            let elements = places.zip(recorded).map(|(at, element)| {
                asked
                    .get(at)
                    .map_or_else(|| element.clone(), |asked| filled(element, asked))
            });
            elements.collect()
        }
        (Value::Object(recorded), Value::Object(asked)) => {
            let mut members = Map::new();
            for (name, value) in recorded {
                let same = asked.get_key_value(name).or_else(|| {
                    let mut others = asked.iter().filter(|(other, _)| {
                        !recorded.contains_key(*other) && !members.contains_key(*other)
                    });
                    others.find(|(other, _)| is_scrubbed(name) && could_be(name, other))
                });
                match same {
                    Some((name, asked)) => members.insert(name.clone(), filled(value, asked)),
                    None => members.insert(name.clone(), value.clone()),
                };
            }
            Value::Object(members)
        }
        _ => recorded.clone(),
    }
}

/// What was found, in order; what overlaps as one, by the name of what begins first.
pub(crate) fn merged(mut found: Vec<Found<'_>>) -> Vec<Found<'_>> {
    found.retain(|(range, _)| !range.is_empty());
    found.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
    let mut apart: Vec<Found<'_>> = Vec::with_capacity(found.len());
    for (range, name) in found {
        match apart.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push((range, name)),
        }
    }
    apart
}

/// The pieces of one text with marks in place of what was found in all of it: a mark stands in the
/// piece in which what it stands for begins.
pub(crate) fn replaced(pieces: &[&str], found: &[Found<'_>]) -> Vec<String> {
    let mut out = Vec::with_capacity(pieces.len());
    let mut begins = 0;
    let mut found = found.iter().peekable();
    for piece in pieces {
        let ends = begins + piece.len();
        let mut text = String::new();
        let mut at = begins;
        let part = |range: Range<usize>| {
            let range = range.start.saturating_sub(begins)..range.end.saturating_sub(begins);
            piece.get(range).unwrap_or_default()
        };
        while let Some((range, name)) = found.peek() {
            if range.start >= ends {
                break;
            }
            if range.start >= begins {
                text.push_str(part(at..range.start));
                text.push_str(&mark(name));
            }
            at = range.end.min(ends);
            if range.end > ends {
                break;
            }
            found.next();
        }
        text.push_str(part(at..ends));
        out.push(text);
        begins = ends;
    }
    out
}

/// Bytes with marks in place of what was found.
pub(crate) fn bytes_replaced(bytes: &[u8], found: &[Found<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for (range, name) in found {
        out.extend_from_slice(bytes.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(mark(name).as_bytes());
        at = range.end;
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_mark_stands_for_any_text() {
        for (recorded, text, could) in [
            ("a", "a", true),
            ("a", "b", false),
            ("[scrubbed:email]", "x@example.org", true),
            ("mail [scrubbed:email] now", "mail x@example.org now", true),
            (
                "mail [scrubbed:email] now",
                "mail x@example.org later",
                false,
            ),
            ("[scrubbed:a] and [scrubbed:b]", "1 and 2 and 3", true),
            ("[scrubbed:a] and [scrubbed:b]!", "1 and 2", false),
            ("a[scrubbed:a]a", "a", false),
            ("[scrubbed:]", "x", false),
            ("[scrubbed:A]", "x", false),
            ("[scrubbed:[scrubbed:a]", "[scrubbed:x", true),
        ] {
            assert_eq!(could_be(recorded, text), could, "{recorded} {text}");
        }
        assert!(!is_scrubbed("[scrubbed: not a mark]"));
    }

    #[test]
    fn values_are_filled_where_they_could_have_been_the_same() {
        let recorded =
            json!({"a": ["x [scrubbed:email]", 1], "[scrubbed:key]": true, "u": "[scrubbed:path]"});
        let asked = json!({"a": ["x me@example.org", 1], "sk-1": true, "u": {"id": 7}});
        assert_eq!(filled(&recorded, &asked), asked);
        let other = json!({"a": ["y me@example.org", 1], "sk-1": true, "u": 7});
        let filled = filled(&recorded, &other);
        assert_ne!(filled, other);
        assert_eq!(filled.pointer("/u"), Some(&json!(7)));
        assert_eq!(filled.pointer("/a/0"), Some(&json!("x [scrubbed:email]")));
    }

    #[test]
    fn what_runs_over_pieces_leaves_one_mark() {
        let found = [(3..9, "email"), (10..11, "x")];
        assert_eq!(
            replaced(&["abcd", "efg", "hijkl", "m"], &found),
            ["abc[scrubbed:email]", "", "j[scrubbed:x]l", "m"]
        );
        assert_eq!(replaced(&["abc"], &[]), ["abc"]);
    }

    proptest! {
        /// What is left of a text could have been the text, and has none of what was found.
        #[test]
        fn what_is_left_could_have_been_the_text(
            pieces in prop::collection::vec("[a-z]{0,6}", 1..6),
            places in prop::collection::vec((0usize..20, 1usize..6), 0..4),
        ) {
            let text = pieces.concat();
            let found = places
                .into_iter()
                .filter(|(start, length)| start + length <= text.len())
                .map(|(start, length)| (start..start + length, "rule"))
                .collect();
            let found = merged(found);
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let left = replaced(&pieces, &found);
            prop_assert_eq!(left.len(), pieces.len());
            let left = left.concat();
            prop_assert!(could_be(&left, &text), "{} {}", left, text);
            let out: usize = found.iter().map(|(range, _)| range.len()).sum();
            let marks: usize = found.iter().map(|(_, name)| mark(name).len()).sum();
            prop_assert_eq!(left.len(), text.len() - out + marks);
            prop_assert_eq!(bytes_replaced(text.as_bytes(), &found), left.into_bytes());
        }
    }
}
