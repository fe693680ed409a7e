//! A schema for who asks for JSON without one: with the keys that the prompt names.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Part, Prompt, Request, Role};

use crate::json::Json;
use crate::meaning::{Key, Meaning};
use crate::words::{self, is_in, lowered};

/// How many keys one prompt may name.
const FIELDS_MAX: usize = 24;
/// How far into each text they are looked for, in bytes.
const SEARCH_BYTES: usize = 4096;
const FIELD_WORDS: &str = "key keys field fields property properties attribute attributes column columns spalten columnas colonnes colonne colunas schlüssel felder clé clés champs clave claves campos chiavi campi";

/// Words between the members of a list.
const LINKS: &str = "and & und et y e or";

/// What things usually have, where the prompt only names the thing.
const THINGS: [(&str, &str); 10] = [
    (
        "person user character profile employee customer",
        "name age email",
    ),
    ("product item", "name price currency description"),
    ("city town", "name country population"),
    ("country", "name capital currency population"),
    ("book", "title author year"),
    ("movie film", "title director year rating"),
    ("recipe", "title ingredients steps"),
    ("event meeting appointment", "title date location"),
    ("weather forecast", "city temperature condition"),
    ("company startup", "name description url"),
];

/// A schema of an object with the keys that the prompt asks for.
pub(crate) fn schema(request: &Request) -> Json {
    object(&asked(request))
}

/// The keys that the prompt asks for.
pub(crate) fn asked(request: &Request) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for_each_instruction(request, |text| {
        let text = text
            .get(..text.floor_char_boundary(SEARCH_BYTES))
            .unwrap_or(text);
        of_example(text, &mut names);
        if names.is_empty() {
            of_list(text, &mut names);
        }
    });
    if names.is_empty() {
        for_each_instruction(request, |text| {
            let lower = lowered(text);
            let mut spoken = lower.split(|letter: char| !words::is_letter(letter));
            let thing = spoken.find_map(|word| {
                let word = words::singular(word);
                THINGS.iter().find(|(things, _)| is_in(things, &word))
            });
            if let Some((_, fields)) = thing.filter(|_| names.is_empty()) {
                names.extend(fields.split(' ').map(String::from));
            }
        });
    }
    if names.is_empty() {
        names.extend(["answer", "topics", "confidence"].map(String::from));
    }
    names.truncate(FIELDS_MAX);
    names
}

/// The columns that the prompt names for a table.
pub(crate) fn columns(request: &Request) -> Vec<String> {
    let mut names = Vec::new();
    for_each_instruction(request, |text| {
        if names.is_empty() {
            of_list(text, &mut names);
        }
    });
    names
}

/// A schema of so many rows with those columns.
pub(crate) fn table(columns: &[String], rows: u32) -> Json {
    let count = Json::Number(f64::from(rows));
    Json::Object(Vec::from([
        ("type".into(), Json::Text("array".into())),
        ("items".into(), object(columns)),
        ("minItems".into(), count.clone()),
        ("maxItems".into(), count),
    ]))
}

/// What the system and the user say, the latest first.
fn for_each_instruction(request: &Request, mut visit: impl FnMut(&str)) {
    match &request.prompt {
        Prompt::Messages(messages) => {
            for message in messages.iter().rev() {
                if matches!(message.role, Role::Assistant | Role::Tool) {
                    continue;
                }
                for part in &message.content {
                    if let Part::Text(text) = part {
                        visit(text);
                    }
                }
            }
        }
        Prompt::Text(raw) => visit(&raw.text),
        Prompt::Tokens(_) => {}
    }
}

/// A schema of an object with those keys.
pub(crate) fn object(names: &[String]) -> Json {
    let text = |text: &str| Json::Text(text.into());
    let properties = names.iter().map(|name| {
        let kind = text(kind_of(name));
        let mut schema = Vec::from([(String::from("type"), kind)]);
        if schema.iter().any(|(_, kind)| kind.text() == Some("array")) {
            let item = Json::Object(Vec::from([("type".into(), text("string"))]));
            schema.push(("items".into(), item));
        }
        (name.clone(), Json::Object(schema))
    });
    Json::Object(Vec::from([
        ("type".into(), text("object")),
        ("properties".into(), Json::Object(properties.collect())),
        (
            "required".into(),
            Json::List(names.iter().map(|name| text(name)).collect()),
        ),
    ]))
}

/// The type that a key's name suggests.
fn kind_of(name: &str) -> &'static str {
    let key = Key::new(name, &[], "");
    let last = words::of_name(name).pop().unwrap_or_default();
    let is_plural = words::singular(&last) != last;
    match key.meaning {
        Meaning::Age | Meaning::Quantity | Meaning::Year | Meaning::Duration => "integer",
        Meaning::Price
        | Meaning::Percent
        | Meaning::Rating
        | Meaning::Fraction
        | Meaning::Temperature
        | Meaning::Distance
        | Meaning::Weight
        | Meaning::Latitude
        | Meaning::Longitude => "number",
        Meaning::Boolean => "boolean",
        _ if is_plural => "array",
        _ => "string",
    }
}

/// The keys of JSON that the prompt shows: names in quotation marks before a colon.
fn of_example(text: &str, names: &mut Vec<String>) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        let Some((inside, behind)) = after.split_once('"') else {
            return;
        };
        let is_key = behind.trim_start().starts_with(':')
            && (before.trim_end().ends_with(['{', ',']) || text.contains('{'));
        if is_key && is_name(inside) {
            add(names, inside);
        }
        rest = if is_key { behind } else { after };
    }
}

/// The words behind `keys`, `fields` and the like, up to the end of the list.
fn of_list(text: &str, names: &mut Vec<String>) {
    let mut parts = text.split_whitespace();
    let is_field_word = |part: &str| {
        is_in(
            FIELD_WORDS,
            &lowered(part.trim_matches(|letter: char| !words::is_letter(letter))),
        )
    };
    if !parts.any(is_field_word) {
        return;
    }
    let bare = |part: &'_ str| -> String {
        lowered(part.trim_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let name =
            part.trim_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        // `x, y and z` are three, `keys a and b` two.
        let stands_in_list = part.ends_with([',', '.', ';', ')', '"', '`'])
            || parts.peek().is_none_or(|next| is_in(LINKS, &bare(next)));
        let is_link = is_in(LINKS, &lowered(name)) || is_in("a an", name);
        let is_letter = name.len() == 1 && stands_in_list;
        if is_link && !is_letter
            || is_in(
                "are is called named the following containing with",
                &lowered(name),
            )
            || name.is_empty()
        {
            continue;
        }
        if !is_name(name)
            || is_in(
                "in of for where each that which based from using as so about",
                name,
            )
        {
            return;
        }
        add(names, name);
        // A list goes on with commas and `and`, and ends with a full stop.
        if part.ends_with(['.', ';', '!', '?']) || part.ends_with(").") {
            return;
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn add(names: &mut Vec<String>, name: &str) {
    if names.len() < FIELDS_MAX && !names.iter().any(|known| known == name) {
        names.push(name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let mut names = Vec::new();
        of_example(text, &mut names);
        if names.is_empty() {
            of_list(text, &mut names);
        }
        assert_eq!(names, expect, "{text}");
    }

    #[test]
    fn keys_are_those_that_the_prompt_names() {
        check("JSON with keys name and age.", &["name", "age"]);
        check(
            "Give me JSON with the fields \"city\", \"country\" and \"population\"",
            &["city", "country", "population"],
        );
        check(
            r#"Answer as {"answer": "...", "score": 0}"#,
            &["answer", "score"],
        );
        check(
            "Return an object with these properties: first_name, last_name, email. Be brief.",
            &["first_name", "last_name", "email"],
        );
        check(
            "una tabla con las columnas nombre y edad",
            &["nombre", "edad"],
        );
        check("JSON with keys a and b", &["a", "b"]);
        check("an object with the keys x, y and z.", &["x", "y", "z"]);
        check("con las claves nombre y edad", &["nombre", "edad"]);
        check("JSON with a key named a", &["a"]);
        check("Reply in JSON", &[]);
    }

    #[test]
    fn types_follow_from_names() {
        for (name, expect) in [
            ("name", "string"),
            ("age", "integer"),
            ("price", "number"),
            ("tags", "array"),
            ("is_open", "boolean"),
            ("whatever", "string"),
        ] {
            assert_eq!(kind_of(name), expect, "{name}");
        }
    }
}
