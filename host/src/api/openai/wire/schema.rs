//! Checks of the JSON Schemas that requests bring, of tools and of answers: what no model could
//! make anything of is refused with its place, before one is asked.

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
    if rules.is_of_object && !may_be_object(&schema) {
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

/// `path` is filled from the inside out on the way back from a fault.
fn schema_fault(schema: &Value, is_strict: bool, path: &mut Vec<String>) -> Result<(), String> {
    let schema = match schema {
        Value::Object(schema) => schema,
        Value::Bool(_) => return Ok(()),
        _ => return Err("expected a schema, which is an object".to_owned()),
    };
    type_fault(schema)?;
    if let Some(options) = schema.get("enum")
        && options.as_array().is_none_or(Vec::is_empty)
    {
        path.push("enum".to_owned());
        return Err("expected a list of values".to_owned());
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
    for (keyword, value) in schema {
        let keyword = keyword.as_str();
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
fn strict_fault(schema: &Map<String, Value>) -> Result<(), String> {
    let names_object = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        Some(name) => name == "object",
        None => false,
    };
    if !names_object && !schema.contains_key("properties") {
        return Ok(());
    }
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err("`additionalProperties` is required to be supplied and to be false".to_owned());
    }
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.map(Vec::as_slice).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
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
    fn a_strict_schema_is_strict() {
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
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
                r##"{"type":"object","properties":{},"required":[],"additionalProperties":false,"$defs":{"x":{"properties":{}}}}"##,
                "at `$defs.x`",
            ),
        ] {
            check(bad, true, Some(part));
            if !bad.contains("\"b\"") {
                check(bad, false, None);
            }
        }
    }
}
