//! A schema that the prompt itself writes out, for who asks for JSON in words: libraries do so for
//! models and servers that have no structured answers.

use alloc::string::String;

use belljar_guest::text::{Part, Prompt, Request, Role};

use crate::json::Json;
use crate::words;

/// How far into each text it is looked for, in bytes.
const SEARCH_BYTES: usize = 64 << 10;
/// How far before it the prompt says that it is one, in bytes.
const SAID_BYTES: usize = 200;
/// How many opening braces are looked at.
const CANDIDATES_MAX: u32 = 32;

/// A schema of the prompt, and what is to be done with it.
pub(crate) struct Told {
    pub(crate) schema: Json,
    /// Whether the answer is to stand in a block of code.
    pub(crate) is_fenced: bool,
    /// The request without it: a name in a schema is nothing that the prompt names.
    pub(crate) request: Request,
}

/// The schema that the prompt tells the answer to follow, if it does.
pub(crate) fn of_request(request: &Request) -> Option<Told> {
    let mut schema = None;
    for_each_instruction(request, |text| {
        if schema.is_none()
            && let Some(range) = schema_of(text)
        {
            schema = text.get(range).and_then(Json::parse);
        }
    });
    let schema = schema?;
    let mut is_fenced = false;
    for_each_instruction(request, |text| is_fenced |= text.contains("```json"));
    Some(Told {
        schema,
        is_fenced,
        request: without(request),
    })
}

/// Calls `visit` with the texts that tell how to answer, the latest first: what the system says,
/// and what the user says last.
fn for_each_instruction(request: &Request, mut visit: impl FnMut(&str)) {
    match &request.prompt {
        Prompt::Messages(messages) => {
            let mut is_users_last = true;
            for message in messages.iter().rev() {
                let is_users = message.role == Role::User;
                if matches!(message.role, Role::Assistant | Role::Tool)
                    || is_users && !core::mem::replace(&mut is_users_last, false)
                {
                    continue;
                }
                for part in &message.content {
                    if let Part::Text(text) = part {
                        visit(start(text));
                    }
                }
            }
        }
        Prompt::Text(raw) => visit(start(&raw.text)),
        Prompt::Tokens(_) => {}
    }
}

fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SEARCH_BYTES))
        .unwrap_or(text)
}

/// Where the last schema of a text stands that the text calls one.
fn schema_of(text: &str) -> Option<core::ops::Range<usize>> {
    // Most prompts have no brace, and are looked at no further.
    if !text.contains('{') || words::find(text, "json").is_none() {
        return None;
    }
    let mut found = None;
    let mut at = 0;
    for _ in 0..CANDIDATES_MAX {
        let Some(begin) = text
            .get(at..)
            .and_then(|rest| rest.find('{'))
            .map(|next| at + next)
        else {
            break;
        };
        at = begin + 1;
        let Some(end) = end_of_object(text, begin) else {
            continue;
        };
        let value = text.get(begin..end).and_then(Json::parse);
        if let Some(value) = value {
            // What is in an object is no object of its own.
            at = end;
            if is_schema(&value) && is_called_schema(text, begin) {
                found = Some(begin..end);
            }
        }
    }
    found
}

/// Where the object ends that begins there, by its braces.
fn end_of_object(text: &str, begin: usize) -> Option<usize> {
    let mut depth = 0u32;
    let mut in_text = false;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(begin) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth += 1,
            b'}' if !in_text => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_schema(value: &Json) -> bool {
    let has_object = |key: &str| value.get(key).and_then(Json::object).is_some();
    let holds = |kind: &str| value.get("type").and_then(Json::text) == Some(kind);
    has_object("properties")
        || holds("array") && has_object("items")
        || has_object("$defs") && value.get("$ref").is_some()
}

fn is_called_schema(text: &str, begin: usize) -> bool {
    let from = text.floor_char_boundary(begin.saturating_sub(SAID_BYTES));
    let before = words::lowered(text.get(from..begin).unwrap_or_default());
    before.contains("schema")
}

/// The request without its schemas, and without what the user says about them.
fn without(request: &Request) -> Request {
    let mut request = request.clone();
    if let Prompt::Messages(messages) = &mut request.prompt {
        for message in messages {
            for part in &mut message.content {
                if message.role == Role::User
                    && let Part::Text(text) = part
                {
                    *text = rest_of(text);
                }
            }
        }
    }
    request
}

fn rest_of(text: &str) -> String {
    let mut rest = String::from(text);
    while let Some(range) = schema_of(start(&rest)) {
        rest.replace_range(range, "");
    }
    let mut said = String::new();
    for paragraph in rest.split("\n\n") {
        let lower = words::lowered(paragraph);
        if !lower.contains("schema") && !lower.contains("json") {
            said.push_str(paragraph);
            said.push_str("\n\n");
        }
    }
    if said.trim().is_empty() { rest } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, schema: Option<&str>, rest: &str) {
        let found = schema_of(text).map(|range| &text[range]);
        assert_eq!(found, schema, "{text}");
        assert_eq!(rest_of(text).trim(), rest, "{text}");
    }

    #[test]
    fn a_schema_is_what_the_prompt_calls_one() {
        let schema = r#"{"properties":{"a":{"type":"string"}}}"#;
        check(
            &alloc::format!("Answer in JSON that follows this schema:\n{schema}\n\nParis"),
            Some(schema),
            "Paris",
        );
        let example = r#"As in the schema {"properties":{"foo":{}}} of this JSON. The schema is: "#;
        check(
            &alloc::format!("{example}{schema}"),
            Some(schema),
            "As in the schema  of this JSON. The schema is:",
        );
        check("JSON like {\"a\": 1}", None, "JSON like {\"a\": 1}");
        check("No schema { in JSON", None, "No schema { in JSON");
        let nameless = "JSON {\"properties\":{}}";
        check(nameless, None, nameless);
        check(
            "JSON schema {\"a\":{\"properties\":{}}}",
            None,
            "JSON schema {\"a\":{\"properties\":{}}}",
        );
    }

    #[test]
    fn many_braces_are_looked_at_no_further() {
        let braces = alloc::format!("JSON schema {}", "{".repeat(60_000));
        check(&braces, None, &braces);
    }
}
