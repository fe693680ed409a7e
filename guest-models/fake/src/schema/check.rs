//! Holds values against a schema: what is taken from the prompt, or made from several rules at
//! once, is only used where it is valid.

use alloc::vec::Vec;

use super::{formats, merge};
use crate::json::Json;
use crate::pattern::Pattern;

/// How deep a schema is followed. What is nested deeper is taken to be valid.
const DEPTH_MAX: u32 = 64;

/// Whether a value follows a schema of the document.
pub(super) fn holds(root: &Json, schema: &Json, value: &Json) -> bool {
    within(root, schema, value, 0)
}

/// Whether two values are the same JSON, in whatever order their keys come.
pub(super) fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Object(ones), Json::Object(others)) => {
            ones.len() == others.len()
                && ones
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (Json::List(ones), Json::List(others)) => {
            ones.len() == others.len()
                && ones.iter().zip(others).all(|(one, other)| same(one, other))
        }
        (Json::Long(_), Json::Number(_)) | (Json::Number(_), Json::Long(_)) => {
            one.number() == other.number()
        }
        _ => one == other,
    }
}

fn within(root: &Json, schema: &Json, value: &Json, depth: u32) -> bool {
    if depth > DEPTH_MAX {
        return true;
    }
    let Json::Object(keywords) = schema else {
        return schema != &Json::Boolean(false);
    };
    let also = |schema: &Json, value: &Json| within(root, schema, value, depth + 1);
    keywords
        .iter()
        .all(|(key, said)| match (key.as_str(), said) {
            ("$ref", Json::Text(reference)) => {
                merge::resolve(root, reference).is_ok_and(|target| also(target, value))
            }
            ("type", Json::Text(name)) => is_of(value, name),
            ("type", Json::List(names)) => names
                .iter()
                .filter_map(Json::text)
                .any(|name| is_of(value, name)),
            ("const", wanted) => same(wanted, value),
            ("enum", Json::List(options)) => options.iter().any(|option| same(option, value)),
            ("allOf", Json::List(parts)) => parts.iter().all(|part| also(part, value)),
            ("anyOf", Json::List(options)) => options.iter().any(|option| also(option, value)),
            ("oneOf", Json::List(options)) => {
                options.iter().filter(|option| also(option, value)).count() == 1
            }
            ("not", inner) => !also(inner, value),
            ("if", condition) => {
                let branch = if also(condition, value) {
                    "then"
                } else {
                    "else"
                };
                schema.get(branch).is_none_or(|branch| also(branch, value))
            }
            _ => match value {
                Json::Text(text) => text_holds(key, said, text),
                Json::Number(_) | Json::Long(_) => {
                    number_holds(schema, key, said, value.number().unwrap_or(0.0))
                }
                Json::List(list) => list_holds(schema, key, said, list, &also),
                Json::Object(entries) => object_holds(schema, key, said, (value, entries), &also),
                Json::Null | Json::Boolean(_) => true,
            },
        })
}

fn is_of(value: &Json, name: &str) -> bool {
    match (name, value) {
        ("object", Json::Object(_))
        | ("array", Json::List(_))
        | ("string", Json::Text(_))
        | ("boolean", Json::Boolean(_))
        | ("null", Json::Null)
        | ("number", Json::Number(_))
        | ("number" | "integer", Json::Long(_)) => true,
        ("integer", Json::Number(number)) => libm::floor(*number) == *number,
        _ => false,
    }
}

fn text_holds(key: &str, said: &Json, text: &str) -> bool {
    let count = || text.chars().count() as f64;
    match (key, said) {
        ("minLength", Json::Number(least)) => count() >= *least,
        ("maxLength", Json::Number(most)) => count() <= *most,
        // One that nothing here can read costs its match, and not the whole answer.
        ("pattern", Json::Text(pattern)) => {
            Pattern::parse(pattern).is_none_or(|pattern| pattern.matches(text))
        }
        ("format", Json::Text(format)) => formats::holds(format, text),
        _ => true,
    }
}

fn number_holds(schema: &Json, key: &str, said: &Json, number: f64) -> bool {
    // In old schemas the exclusive bound is a remark on the other one.
    let excludes = |key: &str| schema.get(key) == Some(&Json::Boolean(true));
    let Some(bound) = said.number() else {
        return true;
    };
    match key {
        "minimum" if excludes("exclusiveMinimum") => number > bound,
        "maximum" if excludes("exclusiveMaximum") => number < bound,
        "minimum" => number >= bound,
        "maximum" => number <= bound,
        "exclusiveMinimum" => number > bound,
        "exclusiveMaximum" => number < bound,
        "multipleOf" if bound > 0.0 => is_multiple(number, bound),
        _ => true,
    }
}

/// Whether a number is a multiple of a step also for those who divide in binary: 19.99 is none
/// of 0.01 for them.
pub(super) fn is_multiple(number: f64, step: f64) -> bool {
    let count = number / step;
    let step_is_whole = libm::floor(step) == step;
    libm::floor(count) == count && (!step_is_whole || libm::fmod(number, step) == 0.0)
}

fn list_holds(
    schema: &Json,
    key: &str,
    said: &Json,
    list: &[Json],
    also: &dyn Fn(&Json, &Json) -> bool,
) -> bool {
    let prefix = || {
        let tuple = schema.get("items").and_then(Json::list);
        let prefix = schema.get("prefixItems").and_then(Json::list);
        prefix.or(tuple).unwrap_or_default()
    };
    match (key, said) {
        ("minItems", Json::Number(least)) => list.len() as f64 >= *least,
        ("maxItems", Json::Number(most)) => list.len() as f64 <= *most,
        ("uniqueItems", Json::Boolean(true)) => are_unique(list),
        ("prefixItems", _) | ("items", Json::List(_)) => prefix()
            .iter()
            .zip(list)
            .all(|(schema, item)| also(schema, item)),
        ("items", items) => list
            .iter()
            .skip(prefix().len())
            .all(|item| also(items, item)),
        ("contains", wanted) => {
            let count = list.iter().filter(|item| also(wanted, item)).count() as f64;
            let bound = |key: &str| schema.get(key).and_then(Json::number);
            count >= bound("minContains").unwrap_or(1.0)
                && bound("maxContains").is_none_or(|most| count <= most)
        }
        _ => true,
    }
}

pub(super) fn are_unique(list: &[Json]) -> bool {
    list.iter().enumerate().all(|(index, item)| {
        let mut before = list.iter().take(index);
        !before.any(|other| same(item, other))
    })
}

fn object_holds(
    schema: &Json,
    key: &str,
    said: &Json,
    (object, entries): (&Json, &[(alloc::string::String, Json)]),
    also: &dyn Fn(&Json, &Json) -> bool,
) -> bool {
    let has_all = |names: &Json| {
        let mut names = names
            .list()
            .unwrap_or_default()
            .iter()
            .filter_map(Json::text);
        names.all(|name| object.get(name).is_some())
    };
    match (key, said) {
        ("required", names @ Json::List(_)) => has_all(names),
        ("properties", Json::Object(properties)) => properties
            .iter()
            .all(|(name, schema)| object.get(name).is_none_or(|value| also(schema, value))),
        ("patternProperties", Json::Object(_)) => entries.iter().all(|(name, value)| {
            by_pattern(schema, name)
                .iter()
                .all(|schema| also(schema, value))
        }),
        ("additionalProperties", additional) => entries.iter().all(|(name, value)| {
            let is_known = schema
                .get("properties")
                .is_some_and(|known| known.get(name).is_some());
            is_known || !by_pattern(schema, name).is_empty() || also(additional, value)
        }),
        ("propertyNames", names) => entries
            .iter()
            .all(|(name, _)| also(names, &Json::Text(name.clone()))),
        ("minProperties", Json::Number(least)) => entries.len() as f64 >= *least,
        ("maxProperties", Json::Number(most)) => entries.len() as f64 <= *most,
        ("dependentRequired", Json::Object(rules)) => rules
            .iter()
            .all(|(name, names)| object.get(name).is_none() || has_all(names)),
        ("dependentSchemas", Json::Object(rules)) => rules
            .iter()
            .all(|(name, schema)| object.get(name).is_none() || also(schema, object)),
        _ => true,
    }
}

/// The schemas that `patternProperties` has for a key.
pub(super) fn by_pattern<'a>(schema: &'a Json, key: &str) -> Vec<&'a Json> {
    let rules = schema.get("patternProperties").and_then(Json::object);
    rules
        .unwrap_or_default()
        .iter()
        .filter(|(pattern, _)| Pattern::parse(pattern).is_some_and(|pattern| pattern.matches(key)))
        .map(|(_, schema)| schema)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &str, good: &[&str], bad: &[&str]) {
        let schema = Json::parse(schema).unwrap();
        for (values, expect) in [(good, true), (bad, false)] {
            for value in values {
                let value = Json::parse(value).unwrap();
                assert_eq!(holds(&schema, &schema, &value), expect, "{value:?}");
            }
        }
    }

    #[test]
    fn values_are_held_to_their_keywords() {
        check(
            r#"{"type":["integer","null"]}"#,
            &["1", "null", "2.0"],
            &["1.5", "\"1\""],
        );
        check(
            r#"{"minimum":1,"exclusiveMaximum":3}"#,
            &["1", "2.9", "\"x\""],
            &["0", "3"],
        );
        check(r#"{"minimum":1,"exclusiveMinimum":true}"#, &["2"], &["1"]);
        check(r#"{"multipleOf":0.01}"#, &["20", "0.5"], &["0.005"]);
        check(
            r#"{"minLength":2,"pattern":"^a"}"#,
            &["\"ab\""],
            &["\"a\"", "\"ba\""],
        );
        check(
            r#"{"enum":[1,{"a":1,"b":2}]}"#,
            &["1", r#"{"b":2,"a":1}"#],
            &["2"],
        );
        check(
            r#"{"items":{"type":"integer"},"uniqueItems":true,"contains":{"const":3}}"#,
            &["[3,1]"],
            &["[3,3]", "[1]", "[3,\"x\"]"],
        );
        check(
            r#"{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}"#,
            &["4", "9"],
            &["6", "5"],
        );
        check(
            r#"{"properties":{"a":{"const":1}},"patternProperties":{"^x_":{"type":"null"}},"additionalProperties":false,"required":["a"]}"#,
            &[r#"{"a":1}"#, r#"{"a":1,"x_1":null}"#],
            &[r#"{"a":2}"#, r#"{"a":1,"b":1}"#, "{}", r#"{"a":1,"x_1":1}"#],
        );
        check(
            r#"{"if":{"required":["a"]},"then":{"required":["b"]},"not":{"required":["c"]}}"#,
            &["{}", r#"{"a":1,"b":1}"#],
            &[r#"{"a":1}"#, r#"{"c":1}"#],
        );
        check(
            r##"{"type":"object","properties":{"next":{"$ref":"#"}},"required":["n"]}"##,
            &[r#"{"n":1,"next":{"n":2}}"#],
            &[r#"{"n":1,"next":{}}"#],
        );
    }
}
