//! The words of refusals: a caller has no `u32`, no `struct` and no path of a module.

use crate::host::SHARED;
use serde_json::{Map, Value, json};

/// What no message may hold.
const OURS: [&str; 17] = [
    "struct ",
    "enum ",
    "variant",
    "u8",
    "u16",
    "u32",
    "u64",
    "usize",
    "i32",
    "i64",
    "f32",
    "f64",
    "expected a map",
    "a sequence",
    "unit",
    "tuple",
    "untagged",
];

/// Values of every kind of JSON, of which most are wrong in any one place.
fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!(99_999_999_999_999_999_u64),
        json!(u64::MAX),
        json!("odd"),
        json!(""),
        json!([]),
        json!([[]]),
        json!(["odd", 5, null, {}]),
        json!({}),
        json!({"odd":{"odd":[1]}}),
    ]
}

/// The members of an object of that schema, and one whole object with all of them.
struct Described<'d> {
    schemas: &'d Map<String, Value>,
}

impl Described<'_> {
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(reference) => &self.schemas[reference.rsplit('/').next().unwrap()],
            None => schema,
        }
    }

    /// A value that the schema allows, as deep as there are members.
    fn sample(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.resolve(schema);
        if depth == 0 {
            return Value::Null;
        }
        for choice in ["oneOf", "anyOf", "allOf"] {
            if let Some(options) = schema[choice].as_array() {
                // The last one has the most to it: null and texts come first.
                return self.sample(options.last().unwrap(), depth);
            }
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds[0].clone(),
            kind => kind.clone(),
        };
        match kinds.as_str().unwrap_or("object") {
            "object" => {
                let properties = schema["properties"]
                    .as_object()
                    .cloned()
                    .unwrap_or_default();
                let members = properties.into_iter();
                let members = members.map(|(name, inner)| {
                    let value = self.sample(&inner, depth - 1);
                    (name, value)
                });
                Value::Object(members.collect())
            }
            "array" => json!([self.sample(&schema["items"], depth - 1)]),
            "string" => json!("x"),
            "boolean" => json!(false),
            "null" => Value::Null,
            _ => json!(1),
        }
    }
}

/// Whether `::` stands between two names. In an address it does not.
fn has_path_of_module(message: &str) -> bool {
    let parts: Vec<&str> = message.split("::").collect();
    parts.windows(2).any(|pair| {
        pair[0].ends_with(|end: char| end.is_alphanumeric())
            && pair[1].starts_with(|start: char| start.is_alphabetic())
    })
}

/// Every value within a value, by its pointer.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                pointers(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                pointers(inner, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn no_message_speaks_of_our_types() {
    let openapi = serde_json::to_value(belljar::api::openapi()).unwrap();
    let schemas = openapi["components"]["schemas"].as_object().unwrap();
    let described = Described { schemas };
    let admin = SHARED.admin();
    let mut refused = 0;
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            if body.is_null() {
                continue;
            }
            let path = path.replace("{name}", "echo").replace("{version}", "0.1.0");
            let path = path.replace("{id}", "nobody");
            let whole = described.sample(body, 6);
            let mut places = Vec::new();
            pointers(&whole, "", &mut places);
            for place in places {
                for odd in odd_values() {
                    let mut body = whole.clone();
                    *body.pointer_mut(&place).unwrap() = odd;
                    let request = admin.request(method.to_uppercase().parse().unwrap(), &path);
                    let answer = admin.send(request.json(&body)).await.unwrap();
                    assert!(answer.status < 500, "{path} {body}: {}", answer.text());
                    if answer.status < 400 {
                        continue;
                    }
                    refused += 1;
                    let error = answer.json()["error"].clone();
                    let message = error["message"].as_str().or(error.as_str()).unwrap();
                    assert!(!has_path_of_module(message), "{path} {place}: {message}");
                    for word in OURS {
                        assert!(!message.contains(word), "{path} {place}: {message}");
                    }
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
