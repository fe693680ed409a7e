//! References within a schema, and schemas that ask for all that several of them ask for.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Error;

use crate::json::Json;

/// How many references may lead to one another.
const REFERENCES_MAX: u32 = 48;

/// The schema that a reference into the same document names.
pub(super) fn resolve<'a>(root: &'a Json, reference: &str) -> Result<&'a Json, Error> {
    let unknown = || Error::invalid_input(format!("the schema has no `{reference}`"));
    let path = reference.strip_prefix('#').ok_or_else(unknown)?;
    if !path.is_empty() && !path.starts_with('/') {
        return anchored(root, path, 0).ok_or_else(unknown);
    }
    let mut target = root;
    for step in path.split('/').skip(1) {
        let step = unescape(step);
        target = match target {
            Json::List(list) => step.parse().ok().and_then(|index: usize| list.get(index)),
            other => other.get(&step),
        }
        .ok_or_else(unknown)?;
    }
    Ok(target)
}

/// One step of a reference: `~` and `%` write what a path or an address cannot hold.
fn unescape(step: &str) -> String {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|digits| core::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = after
            .get(if code.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    let step = String::from_utf8(bytes).unwrap_or_default();
    step.replace("~1", "/").replace("~0", "~")
}

/// The definition with that `$anchor`.
fn anchored<'a>(schema: &'a Json, anchor: &str, depth: u32) -> Option<&'a Json> {
    if depth > 8 {
        return None;
    }
    if schema.get("$anchor").and_then(Json::text) == Some(anchor) {
        return Some(schema);
    }
    let inner = schema.object()?.iter().map(|(_, value)| value);
    inner
        .filter_map(|value| anchored(value, anchor, depth + 1))
        .next()
}

/// The schema with what its `$ref` names instead of that, and what else it says added to it.
pub(super) fn without_reference(root: &Json, schema: &Json) -> Result<Json, Error> {
    let mut schema = schema.clone();
    let mut steps = 0;
    while let Some(reference) = schema.get("$ref").and_then(Json::text) {
        steps += 1;
        if steps > REFERENCES_MAX {
            return Err(Error::invalid_input("the schema asks for endless nesting"));
        }
        let target = resolve(root, reference)?;
        schema = both(target, &without(&schema, "$ref"));
    }
    Ok(schema)
}

/// A schema that asks for what both ask for, as far as their keywords add up.
pub(super) fn both(one: &Json, other: &Json) -> Json {
    let (Json::Object(one), Json::Object(other)) = (one, other) else {
        // `true` asks for nothing, and `false` for what there is not.
        return match (one, other) {
            (Json::Boolean(false), _) | (_, Json::Boolean(false)) => Json::Boolean(false),
            (Json::Object(_), _) => one.clone(),
            _ => other.clone(),
        };
    };
    let mut merged = one.clone();
    for (key, more) in other {
        match merged.iter_mut().find(|(name, _)| name == key) {
            Some((_, have)) => *have = keyword(key, have, more),
            None => merged.push((key.clone(), more.clone())),
        }
    }
    Json::Object(merged)
}

/// What a keyword says that two schemas have.
fn keyword(key: &str, one: &Json, other: &Json) -> Json {
    let lower = |wanted: bool| {
        let is_less = one.number() < other.number();
        if is_less == wanted { one } else { other }.clone()
    };
    match (key, one, other) {
        (
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties"
            | "maxContains",
            ..,
        ) => lower(true),
        (
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties"
            | "minContains",
            ..,
        ) => lower(false),
        ("properties" | "patternProperties" | "$defs" | "definitions", _, _) => {
            let mut merged = one.object().unwrap_or_default().to_vec();
            for (name, more) in other.object().unwrap_or_default() {
                match merged.iter_mut().find(|(have, _)| have == name) {
                    Some((_, have)) => *have = both(have, more),
                    None => merged.push((name.clone(), more.clone())),
                }
            }
            Json::Object(merged)
        }
        ("items" | "additionalProperties" | "propertyNames" | "contains", _, _) => both(one, other),
        ("required", Json::List(one), Json::List(other)) => {
            let mut merged = one.clone();
            merged.extend(other.iter().filter(|name| !one.contains(name)).cloned());
            Json::List(merged)
        }
        ("enum", Json::List(one), Json::List(other)) => {
            let shared = one.iter().filter(|value| other.contains(value));
            Json::List(shared.cloned().collect())
        }
        ("type", _, _) => types(one, other),
        ("allOf", Json::List(one), Json::List(other)) => {
            Json::List(one.iter().chain(other).cloned().collect())
        }
        _ => other.clone(),
    }
}

/// The types that both name.
fn types(one: &Json, other: &Json) -> Json {
    let names = |types: &Json| match types {
        Json::List(names) => names.clone(),
        name => Vec::from([name.clone()]),
    };
    let (one, others) = (names(one), names(other));
    let is = |name: &Json, wanted: &str| name.text() == Some(wanted);
    let mut shared: Vec<Json> = one
        .iter()
        .filter(|name| {
            others.contains(name)
                // Each whole number is a number.
                || is(name, "integer") && others.iter().any(|other| is(other, "number"))
        })
        .cloned()
        .collect();
    if one.iter().any(|name| is(name, "number")) {
        shared.extend(others.iter().filter(|name| is(name, "integer")).cloned());
    }
    shared.dedup();
    if shared.len() == 1 {
        shared.pop().unwrap_or(Json::Null)
    } else {
        Json::List(shared)
    }
}

/// The schema without one of its keywords.
pub(super) fn without(schema: &Json, key: &str) -> Json {
    let entries = schema.object().unwrap_or_default();
    Json::Object(
        entries
            .iter()
            .filter(|(name, _)| name != key)
            .cloned()
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, expect: &str) {
        let merged = both(&Json::parse(one).unwrap(), &Json::parse(other).unwrap());
        let mut out = String::new();
        merged.write(&mut out);
        assert_eq!(out, expect);
    }

    #[test]
    fn the_narrower_bound_holds() {
        check(
            r#"{"minimum":1,"maximum":9}"#,
            r#"{"minimum":3,"maximum":20}"#,
            r#"{"minimum":3,"maximum":9}"#,
        );
        check(
            r#"{"type":["number","null"]}"#,
            r#"{"type":"integer"}"#,
            r#"{"type":"integer"}"#,
        );
        check(
            r#"{"enum":[1,2,3]}"#,
            r#"{"enum":[3,2]}"#,
            r#"{"enum":[2,3]}"#,
        );
    }

    #[test]
    fn properties_are_those_of_both() {
        check(
            r#"{"properties":{"a":{"minLength":2}},"required":["a"]}"#,
            r#"{"properties":{"a":{"maxLength":3},"b":{}},"required":["a","b"]}"#,
            r#"{"properties":{"a":{"minLength":2,"maxLength":3},"b":{}},"required":["a","b"]}"#,
        );
    }

    #[test]
    fn references_are_followed_by_path_and_by_name() {
        let root = Json::parse(
            r#"{"$defs":{"a/b":{"const":1},"c d":{"const":2},"x":{"$anchor":"here","const":3}}}"#,
        )
        .unwrap();
        for (reference, expect) in [
            ("#/$defs/a~1b", 1.0),
            ("#/$defs/c%20d", 2.0),
            ("#here", 3.0),
        ] {
            let found = resolve(&root, reference).unwrap();
            assert_eq!(found.get("const"), Some(&Json::Number(expect)));
        }
        assert_eq!(resolve(&root, "#").unwrap(), &root);
        assert!(resolve(&root, "#/$defs/missing").is_err());
        assert!(resolve(&root, "https://example.com/x").is_err());
    }
}
