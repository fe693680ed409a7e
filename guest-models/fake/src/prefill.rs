//! The beginning of an answer that the caller has written: a turn of the assistant that stands
//! last, which Anthropic's API has the model go on from.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Message, Prompt, Request, Role};

use crate::json::Json;

/// What the assistant is held to have said already, if anything is.
pub(crate) fn of_request(request: &Request) -> Option<String> {
    let Prompt::Messages(messages) = &request.prompt else {
        return None;
    };
    let last: &Message = messages.last()?;
    let begun =
        (last.role == Role::Assistant && last.tool_calls.is_empty()).then(|| last.text())?;
    (!begun.trim().is_empty()).then_some(begun)
}

/// What is left of an answer that begins with the same words; all of it where it does not.
pub(crate) fn behind(begun: &str, answer: String) -> String {
    let rest = answer.strip_prefix(begun.trim_end());
    match rest.filter(|rest| !rest.is_empty()) {
        Some(rest) => rest.into(),
        None => answer,
    }
}

/// Where an object stops that has only been begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The keys that have their values.
    done: Vec<String>,
    /// The key whose value is wanted next, and what of it has been written if it is a text.
    open: Option<(String, Option<String>)>,
    /// Whether a comma is wanted before the next key.
    wants_comma: bool,
    /// Whether it stands in a block of code that is still open.
    is_fenced: bool,
    /// Whether a list is around it.
    in_list: bool,
}

impl Begun {
    /// The object that a text ends in, where it ends in one that is open and has nothing in it
    /// that is nested.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let at = text.find(['{', '['])?;
        let is_fenced = text.get(..at)?.matches("```").count() % 2 == 1;
        let json = text.get(at..)?;
        let in_list = json.starts_with('[');
        let json = json.strip_prefix('[').unwrap_or(json).trim_start();
        let mut begun = Self {
            done: Vec::new(),
            open: None,
            wants_comma: false,
            is_fenced,
            in_list,
        };
        if in_list && json.is_empty() {
            return Some(begun);
        }
        let mut rest = json.strip_prefix('{')?.trim_start();
        while !rest.is_empty() {
            let (key, behind) = text_of(rest)?;
            rest = behind.trim_start().strip_prefix(':')?.trim_start();
            begun.open = Some((key, None));
            if rest.is_empty() {
                return Some(begun);
            }
            if rest.starts_with('"') && text_of(rest).is_none() {
                let written = rest.get(1..).map(String::from);
                if let Some((_, open)) = &mut begun.open {
                    *open = written;
                }
                return Some(begun);
            }
            let end = value_end(rest)?;
            if let Some((key, _)) = begun.open.take() {
                begun.done.push(key);
            }
            begun.wants_comma = true;
            rest = rest.get(end..)?.trim_start();
            if let Some(behind) = rest.strip_prefix(',') {
                begun.wants_comma = false;
                rest = behind.trim_start();
            } else if !rest.is_empty() {
                return None;
            }
        }
        Some(begun)
    }

    /// Whether nothing is said yet of what the object has.
    pub(crate) fn is_empty_list(&self) -> bool {
        self.in_list && self.done.is_empty() && self.open.is_none() && !self.wants_comma
    }

    /// The keys that are still to be written, of those that the prompt asks for.
    pub(crate) fn keys(&self, asked: &[String]) -> Vec<String> {
        let open = self.open.iter().map(|(key, _)| key);
        let others = asked.iter().filter(|key| {
            !self.done.contains(key) && self.open.as_ref().is_none_or(|(open, _)| open != *key)
        });
        open.chain(others).cloned().collect()
    }

    /// The rest of the object, from the values of the keys that are still to be written.
    pub(crate) fn rest(&self, values: &[(String, Json)]) -> String {
        let mut out = String::new();
        for (index, (key, value)) in values.iter().enumerate() {
            let open = self.open.as_ref().filter(|_| index == 0);
            match open {
                Some((_, Some(written))) => {
                    let mut text = String::new();
                    value.write(&mut text);
                    let text = text.trim_matches('"');
                    out.push_str(text.strip_prefix(written.as_str()).unwrap_or(text));
                    out.push('"');
                }
                Some((_, None)) => value.write(&mut out),
                None => {
                    if index > 0 || self.wants_comma {
                        out.push_str(", ");
                    }
                    Json::Text(key.clone()).write(&mut out);
                    out.push_str(": ");
                    value.write(&mut out);
                }
            }
        }
        out.push('}');
        self.close(&mut out);
        out
    }

    /// Ends what is around the object.
    pub(crate) fn close(&self, out: &mut String) {
        if self.in_list && !out.ends_with(']') {
            out.push(']');
        }
        if self.is_fenced {
            out.push_str("\n```");
        }
    }
}

/// The text in quotation marks that something begins with, and what stands behind it.
fn text_of(json: &str) -> Option<(String, &str)> {
    let end = text_end(json)?;
    let Json::Text(text) = Json::parse(json.get(..end)?)? else {
        return None;
    };
    Some((text, json.get(end..)?))
}

/// Where the text in quotation marks ends that something begins with.
fn text_end(json: &str) -> Option<usize> {
    let inside = json.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })?;
    Some(end + 2)
}

/// Where a value ends that is not nested.
fn value_end(json: &str) -> Option<usize> {
    match json.as_bytes().first()? {
        b'"' => text_end(json),
        b'{' | b'[' => None,
        _ => Some(json.find([',', ' ', '\n', '}']).unwrap_or(json.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[track_caller]
    fn check(begun: &str, asked: &[&str], expect: &str) {
        let state = Begun::of(begun).expect(begun);
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        let keys = state.keys(&asked);
        let values: Vec<(String, Json)> = keys
            .into_iter()
            .map(|key| {
                let value = Json::Text(key.to_uppercase());
                (key, value)
            })
            .collect();
        let rest = state.rest(&values);
        assert_eq!(rest, expect, "{begun}");
        let whole = [begun, rest.as_str()].concat();
        let json = whole
            .trim_start_matches("```json\n")
            .trim_end_matches("\n```");
        assert!(Json::parse(json).is_some(), "{whole}");
    }

    #[test]
    fn an_object_is_gone_on_with_from_where_it_stops() {
        check("{", &["a", "b"], r#""a": "A", "b": "B"}"#);
        check(r#"{"a":"#, &["a", "b"], r#""A", "b": "B"}"#);
        check(r#"{"a": ""#, &["a"], r#"A"}"#);
        check(r#"{"word": "WO"#, &["word"], r#"RD"}"#);
        check(r#"{"a": 1"#, &["a", "b"], r#", "b": "B"}"#);
        check(r#"{"a": "x, \"y\"","#, &["a", "b"], r#""b": "B"}"#);
        check(r#"{"a": true"#, &["a"], "}");
        check("[{", &["a"], r#""a": "A"}]"#);
        check("```json\n{", &["a"], "\"a\": \"A\"}\n```");
    }

    #[test]
    fn what_is_no_open_object_is_none() {
        for text in [
            "",
            "Sure:",
            "{}",
            r#"{"a": {"#,
            r#"{"a": 1}"#,
            "{a",
            r#"{"a" 1"#,
        ] {
            assert_eq!(Begun::of(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        assert_eq!(behind("Hello", "Hello world".into()), " world");
        assert_eq!(behind("Hi", "Hello world".into()), "Hello world");
        assert_eq!(behind("Hello", "Hello".into()), "Hello");
    }
}
