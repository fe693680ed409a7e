//! A walk over the text of JSON that is known to be well formed: where its names and values stand,
//! so that one of them can be replaced and every other byte stays as it was.

use std::ops::Range;

/// One step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into the member of that name.
    Member(String),
    /// Into the element at that place.
    Index(usize),
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// The name of a member.
    Name,
    /// A string.
    Text,
    /// A number, `true`, `false` or `null`.
    Other,
}

/// Calls `each` for every name and every value that has none inside, in their order: with the way
/// to it (for a name, to the object that it is in), what it is, and the bytes that it takes.
///
/// The text has to be what `serde_json` reads; of any other the walk makes nothing sensible, and
/// ends.
pub(crate) fn leaves(text: &str, mut each: impl FnMut(&[Step], Leaf, Range<usize>)) {
    let bytes = text.as_bytes();
    let mut path: Vec<Step> = Vec::new();
    let mut name_comes = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => {
                path.push(Step::Member(String::new()));
                name_comes = true;
            }
            b'[' => {
                path.push(Step::Index(0));
                name_comes = false;
            }
            b'}' | b']' => {
                path.pop();
                name_comes = false;
            }
            b',' => match path.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                Some(Step::Member(_)) => name_comes = true,
                None => {}
            },
            b':' => name_comes = false,
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => {
                let end = end_of_text(bytes, at);
                if name_comes {
                    let outside = path.len().saturating_sub(1);
                    each(path.get(..outside).unwrap_or_default(), Leaf::Name, at..end);
                    if let Some(last) = path.last_mut() {
                        *last = Step::Member(decoded(text, at..end));
                    }
                } else {
                    each(&path, Leaf::Text, at..end);
                }
                at = end;
                continue;
            }
            _ => {
                let rest = bytes.get(at..).unwrap_or_default();
                let ends = |byte: &u8| b",]} \t\n\r".contains(byte);
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                each(&path, Leaf::Other, at..at + length);
                at += length;
                continue;
            }
        }
        at += 1;
    }
}

/// The string that a literal stands for.
pub(crate) fn decoded(text: &str, range: Range<usize>) -> String {
    let literal = text.get(range).unwrap_or_default();
    serde_json::from_str(literal).unwrap_or_default()
}

/// The place behind the quotation mark that ends a string.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// A leaf by its way, as people write it.
    fn seen(text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        leaves(text, |path, leaf, range| {
            let mut way = String::new();
            for step in path {
                match step {
                    Step::Member(name) => way.push_str(&format!(".{name}")),
                    Step::Index(index) => way.push_str(&format!("[{index}]")),
                }
            }
            seen.push(format!("{way} {leaf:?} {}", text.get(range).unwrap()));
        });
        seen
    }

    #[test]
    fn every_name_and_value_is_seen_with_its_way() {
        assert_eq!(
            seen(r#" {"a" : [1, {"b\"":"x,]"}, null] ,"c":{},"d":-1.5e3} "#),
            [
                r#" Name "a""#,
                ".a[0] Other 1",
                r#".a[1] Name "b\"""#,
                r#".a[1].b" Text "x,]""#,
                ".a[2] Other null",
                r#" Name "c""#,
                r#" Name "d""#,
                ".d Other -1.5e3",
            ]
        );
        assert_eq!(seen("true"), [" Other true"]);
        assert_eq!(seen(r#""x""#), [r#" Text "x""#]);
    }

    proptest! {
        /// Whatever the text is, the walk ends and takes no byte twice.
        #[test]
        fn places_are_in_order_and_apart(text in r#"[\[\]{},:" \\a1n]{0,40}"#) {
            let mut last = 0;
            leaves(&text, |_, _, range| {
                assert!(last <= range.start && range.start <= range.end);
                last = range.end;
            });
            prop_assert!(last <= text.len());
        }

        /// Strings of JSON are found as `serde_json` has them.
        #[test]
        fn strings_are_those_of_the_value(texts in prop::collection::vec(any::<String>(), 0..6)) {
            let json = Value::from(texts.clone()).to_string();
            let mut found = Vec::new();
            leaves(&json, |_, _, range| found.push(decoded(&json, range)));
            prop_assert_eq!(found, texts);
        }
    }
}
