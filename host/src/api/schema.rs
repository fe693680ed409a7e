//! Checks of the JSON Schemas that requests bring, of tools and of answers: what no model could
//! make anything of is refused with its place, before one is asked.

mod pattern;

use serde_json::{Map, Value};

/// Bytes of a schema that is checked. A tree of a larger one would cost too much; it goes to the
/// model as it is.
const CHECKED_BYTES_MAX: usize = 512 << 10;

/// The types that JSON Schema knows.
const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// Keywords whose value is a schema.
const WITH_ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords whose value is a list of schemas.
const WITH_LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is an object of schemas.
const WITH_NAMES: [&str; 5] = [
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Keywords that OpenAI takes in no strict schema: what they say of a value cannot be known while it
/// is written.
const NEVER_STRICT: [&str; 9] = [
    "allOf",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "oneOf",
    "propertyNames",
    "then",
];
/// Keywords of which each schema within a strict one has at least one.
const SAYING_WHAT_IT_IS: [&str; 5] = ["$ref", "anyOf", "const", "enum", "type"];

/// Bytes of a name in a message.
const NAME_BYTES_MAX: usize = 64;

/// What a schema is held to besides being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Whether it must be of an object, as the arguments of a tool are.
    pub(super) is_of_object: bool,
    /// Whether every object in it must list all of its properties as required and allow no others.
    pub(super) is_strict: bool,
}

/// What is wrong with the text of a schema, in words that hold names and places only.
pub(super) fn fault(text: &str, rules: Rules) -> Option<String> {
    if text.len() > CHECKED_BYTES_MAX {
        return None;
    }
    // Whoever reads the request has read it as JSON.
    let schema: Value = serde_json::from_str(text).ok()?;
    if (rules.is_of_object && !may_be_object(&schema))
        || (rules.is_strict && !names_type(&schema, "object"))
    {
        return Some("the schema must be of `\"type\": \"object\"`".to_owned());
    }
    let mut path = Vec::new();
    let words = schema_fault(&schema, rules.is_strict, &mut path).err()?;
    if path.is_empty() {
        return Some(words);
    }
    path.reverse();
    Some(format!("at `{}`: {words}", path.join(".")))
}

fn may_be_object(schema: &Value) -> bool {
    match schema.get("type") {
        None => schema.is_object(),
        Some(Value::String(name)) => name == "object",
        // What else it is is looked at with the others.
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        Some(_) => true,
    }
}

/// Whether a schema says that its values are of a type, alone or with others.
fn names_type(schema: &Value, wanted: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
        Some(name) => name == wanted,
        None => false,
    }
}

/// `path` is filled from the inside out on the way back from a fault.
fn schema_fault(schema: &Value, is_strict: bool, path: &mut Vec<String>) -> Result<(), String> {
    let members = match schema {
        Value::Object(members) => members,
        Value::Bool(_) if !is_strict => return Ok(()),
        _ => return Err("expected a schema, which is an object".to_owned()),
    };
    type_fault(members)?;
    if let Some(options) = members.get("enum")
        && options.as_array().is_none_or(Vec::is_empty)
    {
        path.push("enum".to_owned());
        return Err("expected a list of values".to_owned());
    }
    let patterns = members.get("patternProperties").and_then(Value::as_object);
    let patterns = patterns.into_iter().flat_map(Map::keys).map(String::as_str);
    let own = members.get("pattern").and_then(Value::as_str);
    for (keyword, text) in own
        .map(|text| ("pattern", text))
        .into_iter()
        .chain(patterns.map(|text| ("patternProperties", text)))
    {
        pattern::check(text, is_strict).inspect_err(|_| path.push(keyword.to_owned()))?;
    }
    if is_strict {
        strict_fault(schema)?;
    }
    let mut within = |inner: &Value, keyword: &str, name: &str| {
        schema_fault(inner, is_strict, path).inspect_err(|_| {
            if !name.is_empty() {
                path.push(short(name));
            }
            path.push(keyword.to_owned());
        })
    };
    for (keyword, value) in members {
        let keyword = keyword.as_str();
        // Of a strict object it is false, and never a schema.
        if is_strict && keyword == "additionalProperties" {
            continue;
        }
        if WITH_ONE.contains(&keyword) {
            match value {
                // The older way to say `prefixItems`.
                Value::Array(list) if keyword == "items" => {
                    for (index, inner) in list.iter().enumerate() {
                        within(inner, keyword, &index.to_string())?;
                    }
                }
                inner => within(inner, keyword, "")?,
            }
        } else if WITH_LIST.contains(&keyword) {
            let Value::Array(list) = value else {
                return Err(format!("expected `{keyword}` to be a list of schemas"));
            };
            for (index, inner) in list.iter().enumerate() {
                within(inner, keyword, &index.to_string())?;
            }
        } else if WITH_NAMES.contains(&keyword) {
            let Value::Object(named) = value else {
                return Err(format!("expected `{keyword}` to be an object of schemas"));
            };
            for (name, inner) in named {
                within(inner, keyword, name)?;
            }
        }
    }
    Ok(())
}

fn type_fault(schema: &Map<String, Value>) -> Result<(), String> {
    let is_type = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
    let good = match schema.get("type") {
        None => true,
        Some(Value::Array(names)) => !names.is_empty() && names.iter().all(is_type),
        Some(name) => is_type(name),
    };
    if good {
        return Ok(());
    }
    Err(format!(
        "expected a `type` of `{}`, or a list of these",
        TYPES.join("`, `")
    ))
}

/// OpenAI's rules for a strict schema, in its words.
fn strict_fault(schema: &Value) -> Result<(), String> {
    let Value::Object(members) = schema else {
        return Err("a strict schema is an object".to_owned());
    };
    if let Some(keyword) = NEVER_STRICT
        .iter()
        .find(|word| members.contains_key(**word))
    {
        return Err(format!("`{keyword}` is not permitted"));
    }
    if !SAYING_WHAT_IT_IS
        .iter()
        .any(|word| members.contains_key(*word))
    {
        return Err("the schema must have a `type`".to_owned());
    }
    if names_type(schema, "array") && !members.contains_key("items") {
        return Err("the schema of an array is missing `items`".to_owned());
    }
    if !names_type(schema, "object") && !members.contains_key("properties") {
        return Ok(());
    }
    if members.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err("`additionalProperties` is required to be supplied and to be false".to_owned());
    }
    let required = members.get("required").and_then(Value::as_array);
    let required = required.map(Vec::as_slice).unwrap_or_default();
    let properties = members.get("properties").and_then(Value::as_object);
    let is_there = |name: &str| properties.is_some_and(|all| all.contains_key(name));
    let mut listed = required.iter().filter_map(Value::as_str);
    if let Some(name) = listed.find(|name| !is_there(name)) {
        return Err(format!(
            "`required` has the extra key `{}`, which is not in `properties`",
            short(name)
        ));
    }
    let missing = properties
        .into_iter()
        .flat_map(Map::keys)
        .find(|name| !required.iter().any(|listed| listed == name.as_str()));
    match missing {
        Some(name) => Err(format!(
            "`required` is required to be supplied and to be a list including every key in \
             `properties`; `{}` is missing",
            short(name)
        )),
        None => Ok(()),
    }
}

fn short(name: &str) -> String {
    name.get(..name.floor_char_boundary(NAME_BYTES_MAX))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Rules, fault};

    #[track_caller]
    fn check(schema: &str, is_strict: bool, expect: Option<&str>) {
        let rules = Rules {
            is_of_object: true,
            is_strict,
        };
        let found = fault(schema, rules);
        match (expect, &found) {
            (None, None) => {}
            (Some(part), Some(found)) if found.contains(part) => {}
            _ => panic!("{schema}: {found:?}"),
        }
    }

    #[test]
    fn types_are_those_of_json() {
        for good in [
            "{}",
            r#"{"type":"object"}"#,
            r#"{"type":["object","null"],"properties":{"type":{"type":"string"}}}"#,
            r#"{"properties":{"enum":{"enum":[1,null]},"properties":{"type":"object"},"items":{"items":[{},true]}}}"#,
            r#"{"type":"object","required":true,"additionalProperties":true,"default":{"type":5}}"#,
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","examples":[{"type":7}]}"#,
        ] {
            check(good, false, None);
        }
        for (bad, part) in [
            (r#"{"type":"objekt"}"#, "must be of"),
            (r#"{"type":"string"}"#, "must be of"),
            (r#"{"type":["string","null"]}"#, "must be of"),
            (r#"{"type":null}"#, "expected a `type`"),
            (r#"{"type":[]}"#, "must be of"),
            (
                r#"{"properties":{"a":{"type":"int"}}}"#,
                "at `properties.a`",
            ),
            (
                r#"{"properties":{"a":{"type":["string",5]}}}"#,
                "at `properties.a`",
            ),
            (
                r#"{"properties":{"a":{"anyOf":[{},{"type":"any"}]}}}"#,
                "at `properties.a.anyOf.1`",
            ),
            (
                r#"{"properties":{"a":{"items":{"type":"STRING"}}}}"#,
                "at `properties.a.items`",
            ),
            (r#"{"$defs":{"x":{"type":"none"}}}"#, "at `$defs.x`"),
            (r#"{"properties":[]}"#, "expected `properties`"),
            (
                r#"{"properties":{"a":"string"}}"#,
                "at `properties.a`: expected a schema",
            ),
            (
                r#"{"properties":{"a":{"enum":[]}}}"#,
                "at `properties.a.enum`",
            ),
            (
                r#"{"properties":{"a":{"oneOf":{}}}}"#,
                "at `properties.a`: expected `oneOf`",
            ),
        ] {
            check(bad, false, Some(part));
        }
    }

    #[test]
    fn patterns_are_expressions() {
        let of = |pattern: &str| {
            let pattern = serde_json::Value::from(pattern);
            format!(
                r#"{{"type":"object","properties":{{"a":{{"type":"string","pattern":{pattern}}}}},
                "required":["a"],"additionalProperties":false}}"#
            )
        };
        for good in [
            "^[a-z]+$",
            r"[^\x00-\x7F]\(\[",
            r"(?:a|b){2,}?",
            r"^[](]$",
            r"[(?=]",
            r"\(?=",
            "(?<n>a)",
        ] {
            check(&of(good), true, None);
        }
        for bad in [
            "(", "a)", "[a", r"a\", "*a", "a**", "(?=", "a{3,1}", "[z-a]",
        ] {
            check(&of(bad), false, Some("at `properties.a.pattern`: `"));
        }
        for around in [r"^(?=.*\d)[a-z]+$", "(?!a)b", "(?<=a)b", "(?<!a)b"] {
            let words = "at `properties.a.pattern`: regex lookaround is not supported";
            check(&of(around), true, Some(words));
            check(&of(around), false, None);
        }
        check(
            r#"{"type":"object","patternProperties":{"(":{}}}"#,
            false,
            Some("at `patternProperties`"),
        );
    }

    #[test]
    fn a_strict_schema_is_strict() {
        check(
            r##"{"type":"object","properties":{"a":{"type":"string"},"b":{"$ref":"#/$defs/b"},"c":{"enum":[1]},
                "d":{"anyOf":[{"type":"array","items":{"const":5}},{"type":"null"}]}},
                "required":["a","b","c","d"],"additionalProperties":false,"$defs":{"b":{"type":"number"}}}"##,
            true,
            None,
        );
        for (bad, part) in [
            (
                r#"{"type":"object","properties":{}}"#,
                "`additionalProperties`",
            ),
            (
                r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":true}"#,
                "`additionalProperties`",
            ),
            (
                r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a"],"additionalProperties":false}"#,
                "`b` is missing",
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"object"}},"required":["a"],"additionalProperties":false}"#,
                "at `properties.a`: `additionalProperties`",
            ),
            (
                r##"{"type":"object","properties":{},"required":[],"additionalProperties":false,"$defs":{"x":{"properties":{},"type":"object"}}}"##,
                "at `$defs.x`",
            ),
            ("{}", "must be of"),
            (r#"{"anyOf":[{"type":"object"}]}"#, "must be of"),
            (
                r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#,
                "at `properties.a`: the schema must have a `type`",
            ),
            (
                r#"{"type":"object","properties":{"a":true},"required":["a"],"additionalProperties":false}"#,
                "at `properties.a`: expected a schema",
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"array"}},"required":["a"],"additionalProperties":false}"#,
                "at `properties.a`: the schema of an array",
            ),
            (
                r#"{"type":"object","properties":{"a":{"oneOf":[{"type":"string"}]}},"required":["a"],"additionalProperties":false}"#,
                "at `properties.a`: `oneOf`",
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"string","not":{"const":"x"}}}},"required":["a"],"additionalProperties":false}"#,
                "at `properties.a.items`: `not`",
            ),
            (
                r#"{"type":"object","properties":{},"required":["c"],"additionalProperties":false}"#,
                "extra key `c`",
            ),
        ] {
            check(bad, true, Some(part));
            if !bad.contains("\"b\"") {
                check(bad, false, None);
            }
        }
    }
}
