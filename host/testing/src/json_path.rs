//! Ways into JSON, as rules write them: `$.messages[*].name`, `$..id`, `metadata`.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::json_text::Step;

/// Bytes of one.
const BYTES_MAX: usize = 256;
/// Steps of one.
const STEPS_MAX: usize = 32;

/// A way into JSON: members by name, elements by place, `[*]` for all of either, `..name` for the
/// members of that name at any depth. It means what it leads to and everything inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<PathStep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathStep {
    Member(String),
    Index(usize),
    Any,
    Anywhere(String),
}

/// A text is no [`JsonPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no path: {reason}; paths are such as $.messages[*].name, $..id and metadata")]
pub struct JsonPathError {
    /// The text, as far as it is shown.
    text: String,
    /// What is wrong with it.
    reason: &'static str,
}

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(text: &str) -> Result<Self, JsonPathError> {
        let refuse = |reason| JsonPathError {
            text: text.chars().take(64).collect(),
            reason,
        };
        if text.len() > BYTES_MAX {
            return Err(refuse("it is longer than 256 bytes"));
        }
        // A name alone is the member of that name.
        let mut rest = match text.strip_prefix('$') {
            Some(rest) => rest.to_owned(),
            None if text.starts_with(['.', '[']) => text.to_owned(),
            None => format!(".{text}"),
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() == STEPS_MAX {
                return Err(refuse("it has more than 32 steps"));
            }
            let (step, length) = if let Some(inside) = rest.strip_prefix('[') {
                let (inside, _) = inside
                    .split_once(']')
                    .ok_or_else(|| refuse("a `[` has no `]`"))?;
                let step = match inside {
                    "*" => PathStep::Any,
                    index => PathStep::Index(
                        index
                            .parse()
                            .map_err(|_| refuse("in `[…]` a number or `*` is wanted"))?,
                    ),
                };
                (step, inside.len() + 2)
            } else if let Some(name) = rest.strip_prefix("..") {
                let name = name_at(name).ok_or_else(|| refuse("a name is missing"))?;
                (PathStep::Anywhere(name.to_owned()), name.len() + 2)
            } else if let Some(name) = rest.strip_prefix('.') {
                let name = name_at(name).ok_or_else(|| refuse("a name is missing"))?;
                let step = match name {
                    "*" => PathStep::Any,
                    name => PathStep::Member(name.to_owned()),
                };
                (step, name.len() + 1)
            } else {
                return Err(refuse("a `.` or a `[` is missing"));
            };
            steps.push(step);
            rest = rest.split_off(length);
        }
        if steps.is_empty() {
            return Err(refuse("it leads nowhere"));
        }
        let text = text.to_owned();
        Ok(Self { text, steps })
    }
}

/// The name at the beginning of a text; none where there is none.
fn name_at(text: &str) -> Option<&str> {
    let end = text.find(['.', '[', ']']).unwrap_or(text.len());
    text.get(..end).filter(|name| !name.is_empty())
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonPath {
    /// Whether a way ends in what this path means, or inside it.
    pub(crate) fn leads_to(&self, way: &[Step]) -> bool {
        is_on(&self.steps, way)
    }

    /// Takes what the path means out of a value: members go, elements become `null`, so that those
    /// after them keep their places.
    pub fn take_out(&self, value: &mut Value) {
        take_out(&self.steps, value);
    }
}

fn is_on(steps: &[PathStep], way: &[Step]) -> bool {
    let Some((step, further)) = steps.split_first() else {
        return true;
    };
    let Some((first, rest)) = way.split_first() else {
        return false;
    };
    match (step, first) {
        (PathStep::Member(name), Step::Member(member)) => name == member && is_on(further, rest),
        (PathStep::Index(place), Step::Index(index)) => place == index && is_on(further, rest),
        (PathStep::Any, _) => is_on(further, rest),
        (PathStep::Anywhere(name), first) => {
            let is_here = matches!(first, Step::Member(member) if member == name);
            (is_here && is_on(further, rest)) || is_on(steps, rest)
        }
        (PathStep::Member(_), Step::Index(_)) | (PathStep::Index(_), Step::Member(_)) => false,
    }
}

/// As deep as the value is, and `serde_json` reads none that is deeper than 128.
fn take_out(steps: &[PathStep], value: &mut Value) {
    let Some((step, further)) = steps.split_first() else {
        return;
    };
    let is_last = further.is_empty();
    match (step, value) {
        (PathStep::Member(name), Value::Object(members)) => {
            if is_last {
                members.remove(name);
            } else if let Some(inside) = members.get_mut(name) {
                take_out(further, inside);
            }
        }
        (PathStep::Index(place), Value::Array(elements)) => {
            if let Some(element) = elements.get_mut(*place) {
                if is_last {
                    *element = Value::Null;
                } else {
                    take_out(further, element);
                }
            }
        }
        (PathStep::Any, Value::Object(members)) => {
            if is_last {
                members.clear();
            }
            members
                .values_mut()
                .for_each(|inside| take_out(further, inside));
        }
        (PathStep::Any, Value::Array(elements)) => {
            for element in elements {
                if is_last {
                    *element = Value::Null;
                } else {
                    take_out(further, element);
                }
            }
        }
        (PathStep::Anywhere(name), Value::Object(members)) => {
            if is_last {
                members.remove(name);
            } else if let Some(inside) = members.get_mut(name) {
                take_out(further, inside);
            }
            members
                .values_mut()
                .for_each(|inside| take_out(steps, inside));
        }
        (PathStep::Anywhere(_), Value::Array(elements)) => {
            elements
                .iter_mut()
                .for_each(|inside| take_out(steps, inside));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json_text::leaves;
    use serde_json::json;

    /// What a path takes out, and the leaves that it leads to.
    #[track_caller]
    fn check(path: &str, left: Value, meant: &[&str]) {
        let mut value = json!({
            "user": "u",
            "messages": [{"name": "n", "content": "c"}, {"content": [{"id": "i"}]}],
            "id": 1,
        });
        let path: JsonPath = path.parse().unwrap();
        let text = value.to_string();
        let mut found = Vec::new();
        leaves(&text, |way, leaf, range| {
            if leaf != crate::json_text::Leaf::Name && path.leads_to(way) {
                found.push(text.get(range).unwrap().to_owned());
            }
        });
        assert_eq!(found, meant, "{path}");
        path.take_out(&mut value);
        assert_eq!(value, left, "{path}");
    }

    #[test]
    fn paths_mean_members_elements_and_any_depth() {
        let messages = || json!([{"name": "n", "content": "c"}, {"content": [{"id": "i"}]}]);
        check(
            "user",
            json!({"messages": messages(), "id": 1}),
            &[r#""u""#],
        );
        check(
            "$.user",
            json!({"messages": messages(), "id": 1}),
            &[r#""u""#],
        );
        check(
            "$.messages[*].name",
            json!({"user": "u", "id": 1, "messages": [{"content": "c"}, {"content": [{"id": "i"}]}]}),
            &[r#""n""#],
        );
        check(
            "$..id",
            json!({"user": "u", "messages": [{"name": "n", "content": "c"}, {"content": [{}]}]}),
            &["1", r#""i""#],
        );
        check(
            "$.messages[1]",
            json!({"user": "u", "id": 1, "messages": [{"name": "n", "content": "c"}, null]}),
            &[r#""i""#],
        );
        check(
            "$.*",
            json!({}),
            &["1", r#""c""#, r#""n""#, r#""i""#, r#""u""#],
        );
        check(
            "$.nothing.here",
            json!({"user": "u", "messages": messages(), "id": 1}),
            &[],
        );
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "a name is missing"),
            ("$", "it leads nowhere"),
            ("$.", "a name is missing"),
            ("$.a[", "a `[` has no `]`"),
            ("$.a[x]", "a number or `*`"),
            ("$a", "a `.` or a `[` is missing"),
            (&"a".repeat(300), "longer than 256 bytes"),
            (&"[1]".repeat(40), "more than 32 steps"),
        ] {
            let error = text.parse::<JsonPath>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
