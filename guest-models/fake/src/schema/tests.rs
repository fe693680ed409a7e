use std::string::ToString;

use serde_json::{Value, json};

use super::*;
use crate::entities::Entities;

mod made_up;

/// A value as another reader of JSON has it, for a prompt.
fn make(schema: &Value, said: &str, purpose: Purpose, seed: u64) -> Result<Value, Error> {
    let schema = Json::parse(&schema.to_string()).unwrap();
    let entities = Entities::of_text(said);
    let mut random = Random::new(seed);
    let reading = Reading::of_text("weather");
    let sources = Sources {
        name: "",
        filler: Filler::new(&entities),
        reading: &reading,
        purpose,
        random: &mut random,
    };
    let made = value(&schema, sources)?;
    let mut text = String::new();
    made.write(&mut text);
    Ok(serde_json::from_str(&text).unwrap())
}

/// Holds a value against its schema with a validator that is not ours, formats included.
#[track_caller]
fn validate(schema: &Value, made: &Value) {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap_or_else(|error| panic!("{schema} is no schema: {error}"));
    if let Err(error) = validator.validate(made) {
        panic!("{schema} gave {made}: {error}");
    }
}

/// Values of many seeds are valid, for either purpose, and hold.
#[track_caller]
fn check(schema: Value, holds: impl Fn(&Value) -> bool) {
    for seed in 0..60 {
        for purpose in [Purpose::Answer, Purpose::Arguments] {
            let value = make(&schema, "", purpose, seed).unwrap();
            validate(&schema, &value);
            assert!(holds(&value), "{schema} gave {value}");
        }
    }
}

/// What the prompt says is in the value.
#[track_caller]
fn says(said: &str, schema: &Value, purpose: Purpose, expect: &Value) {
    for seed in 0..5 {
        let value = make(schema, said, purpose, seed).unwrap();
        validate(schema, &value);
        assert_eq!(value, *expect, "{said}");
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type":"object","properties":properties,"required":required,"additionalProperties":false})
}

#[test]
fn each_type_is_made() {
    check(json!({"type":"string"}), |v| {
        !v.as_str().unwrap().is_empty()
    });
    check(json!({"type":"integer"}), |v| v.is_i64() || v.is_u64());
    check(json!({"type":"number"}), Value::is_number);
    check(json!({"type":"boolean"}), Value::is_boolean);
    check(json!({"type":"null"}), Value::is_null);
    check(json!({"type":"array","items":{"type":"integer"}}), |v| {
        v.as_array().unwrap().iter().all(Value::is_u64)
    });
    check(json!({"type":["null","string"]}), Value::is_string);
    check(json!({"const":{"a":[1]}}), |v| *v == json!({"a": [1]}));
    check(json!({"enum":["x",2,null]}), |v| *v == "x");
    check(json!({}), Value::is_string);
    check(json!(true), Value::is_string);
    check(
        json!({"const":12_345_678_901_234_567_890_u64}),
        Value::is_u64,
    );
}

#[test]
fn bounds_are_kept() {
    check(json!({"type":"integer","minimum":5,"maximum":7}), |v| {
        v.is_u64()
    });
    check(
        json!({"type":"integer","exclusiveMinimum":5,"exclusiveMaximum":7}),
        |v| *v == 6,
    );
    check(json!({"type":"integer","minimum":-3,"maximum":-3}), |v| {
        *v == -3
    });
    check(
        json!({"type":"integer","multipleOf":7,"minimum":10}),
        Value::is_u64,
    );
    check(json!({"type":"integer","multipleOf":0.5}), |_| true);
    check(json!({"type":"number","minimum":0,"maximum":0.1}), |_| true);
    check(
        json!({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.001}),
        |_| true,
    );
    check(
        json!({"type":"number","multipleOf":0.01,"minimum":3.333,"maximum":3.5}),
        |_| true,
    );
    check(
        json!({"type":"number","multipleOf":2.5,"exclusiveMinimum":2.5}),
        |_| true,
    );
    check(json!({"type":"number","minimum":1e9,"maximum":2e9}), |_| {
        true
    });
    check(json!({"type":"integer","maximum":-1_000_000}), |_| true);
    check(
        json!({"type":"string","minLength":30,"maxLength":40}),
        |_| true,
    );
    check(json!({"type":"string","maxLength":3}), |_| true);
    check(json!({"type":"string","maxLength":0}), |v| *v == "");
    check(
        json!({"type":"string","format":"email","maxLength":8}),
        |_| true,
    );
    check(
        json!({"type":"array","items":{"enum":[1,2,3]},"minItems":3,"maxItems":3,"uniqueItems":true}),
        |v| *v == json!([1, 2, 3]),
    );
    check(json!({"type":"array","items":{},"maxItems":0}), |v| {
        *v == json!([])
    });
    check(
        json!({"type":"array","items":{"type":"string"},"minItems":12,"uniqueItems":true}),
        |_| true,
    );
    check(json!({"type":"object","minProperties":4}), |_| true);
    check(
        json!({"type":"object","properties":{"a":{},"b":{},"c":{}},"maxProperties":1}),
        |_| true,
    );
}

#[test]
fn numbers_are_not_all_the_ends_of_their_range() {
    let seen: std::collections::BTreeSet<String> = (0..50)
        .map(|seed| {
            let schema = json!({"type":"number","minimum":0,"maximum":1});
            make(&schema, "", Purpose::Answer, seed)
                .unwrap()
                .to_string()
        })
        .collect();
    assert!(seen.len() > 20, "{seen:?}");
}

#[test]
fn required_properties_are_there_and_others_only_if_known() {
    check(
        json!({"type":"object","required":["a","c"],"additionalProperties":false,"properties":{
            "a":{"type":"object","required":["deep"],"properties":{
                "deep":{"type":"array","items":{"$ref":"#/$defs/unit"},"minItems":1}}},
            "b":{"type":"string"},"c":{"anyOf":[{"type":"integer"},{"type":"string"}]}},
            "$defs":{"unit":{"enum":["celsius","kelvin"]}}}),
        |v| v["c"].is_u64(),
    );
    let optional = object(json!({"a":{"type":"string"},"b":{"type":"integer"}}), &[]);
    let whole = make(&optional, "", Purpose::Answer, 1).unwrap();
    assert_eq!(whole.as_object().unwrap().len(), 2, "an answer is complete");
    assert_eq!(
        make(&optional, "", Purpose::Arguments, 1).unwrap(),
        json!({})
    );
}

#[test]
fn schemas_that_contain_themselves_end() {
    check(
        json!({"type":"object","required":["next","children"],"properties":{
            "next":{"anyOf":[{"$ref":"#"},{"type":"null"}]},
            "children":{"type":"array","items":{"$ref":"#"}}}}),
        Value::is_object,
    );
    // No branch of the choice is a leaf by itself.
    check(
        json!({"$ref":"#/$defs/sum","$defs":{
            "sum":{"type":"object","required":["left","right"],"additionalProperties":false,
                "properties":{"left":{"$ref":"#/$defs/term"},"right":{"$ref":"#/$defs/term"}}},
            "term":{"anyOf":[{"$ref":"#/$defs/sum"},{"$ref":"#/$defs/number"}]},
            "number":{"type":"object","required":["value"],"additionalProperties":false,
                "properties":{"value":{"type":"number"}}}}}),
        Value::is_object,
    );
    let refused = |schema: Value| {
        let made = make(&schema, "", Purpose::Answer, 1);
        assert!(matches!(made, Err(Error::InvalidInput(_))), "{schema}");
    };
    refused(json!({"type":"object","required":["next"],"properties":{"next":{"$ref":"#"}}}));
    refused(json!({"$ref":"#"}));
    refused(json!({"allOf":[{"$ref":"#"}]}));
    refused(
        json!({"type":"array","items":{"type":"array","items":{},"minItems":1000},"minItems":1000}),
    );
    refused(json!({"type":"string","minLength":1e12}));
    refused(json!({"$ref":"#/$defs/missing"}));
    refused(json!(false));
}

#[test]
fn parts_are_put_together() {
    check(
        json!({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},
            {"properties":{"a":{"minimum":3},"b":{"type":"boolean"}},"required":["b"]}]}),
        |_| true,
    );
    check(
        json!({"type":"integer","oneOf":[{"multipleOf":2},{"multipleOf":3}]}),
        |_| true,
    );
    check(
        json!({"type":"integer","not":{"minimum":5},"minimum":1}),
        |_| true,
    );
    check(
        json!({"not":{"type":"string"},"type":["string","integer"]}),
        |_| true,
    );
    check(
        json!({"type":"object","properties":{"kind":{"enum":["a","b"]},"x":{"type":"integer"}},"required":["kind"],
            "if":{"properties":{"kind":{"const":"a"}},"required":["kind"]},"then":{"required":["x"]}}),
        |_| true,
    );
    check(
        json!({"type":"object","properties":{"card":{"type":"string"},"zip":{"type":"string"}},
            "required":["card"],"dependentRequired":{"card":["zip"]}}),
        |v| v["zip"].is_string(),
    );
    check(
        json!({"type":"array","items":{"type":"integer"},"contains":{"minimum":90},"minContains":2}),
        |_| true,
    );
    check(
        json!({"type":"object","patternProperties":{"^x_[a-z]{3}$":{"type":"integer"}},
            "additionalProperties":false,"minProperties":2}),
        |_| true,
    );
    check(
        json!({"type":"object","propertyNames":{"pattern":"^[a-z]{2}$"},"minProperties":3,
            "additionalProperties":{"type":"string"}}),
        |_| true,
    );
    check(
        json!({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}),
        |v| v.as_array().unwrap().len() == 2,
    );
    check(
        json!({"anyOf":[{"type":"object","properties":{"kind":{"const":"cat"}},"required":["kind"]},
            {"type":"object","properties":{"kind":{"const":"dog"}},"required":["kind"]}]}),
        |v| v["kind"] == "cat",
    );
}

#[test]
fn formats_and_patterns_are_valid() {
    for format in [
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "iri",
        "uri-reference",
        "iri-reference",
        "uuid",
        "json-pointer",
        "relative-json-pointer",
        "regex",
        "uri-template",
        "unheard-of",
    ] {
        for name in ["value", "email", "birthday", "created_at", "name", "url"] {
            check(
                object(json!({name:{"type":"string","format":format}}), &[name]),
                |_| true,
            );
        }
    }
    for pattern in [
        "^[A-Z]{3}-\\d{2,4}$",
        "^(?=.*[A-Z])(?=.*\\d).{8,}$",
        "^\\+?[1-9]\\d{1,14}$",
        "^#[0-9a-fA-F]{6}$",
        "^\\d{5}(-\\d{4})?$",
        "^(yes|no)$",
        "^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$",
        "^[A-Z]{2}\\d{2}[A-Z0-9]{4}\\d{7}([A-Z0-9]?){0,16}$",
        "b",
        "",
    ] {
        for name in ["value", "email", "phone", "zip", "name", "iban"] {
            let string = json!({"type":"string","pattern":pattern,"minLength":1});
            check(object(json!({name:string}), &[name]), |_| true);
        }
    }
    check(
        json!({"type":"string","pattern":"^[a-z ]+$","minLength":40,"maxLength":50}),
        |_| true,
    );
}

#[test]
fn default_and_examples_are_read() {
    let schema = json!({"type":"string","default":"metric"});
    says("", &schema, Purpose::Answer, &json!("metric"));
    let schema = json!({"type":"string","examples":["KIX"]});
    says("", &schema, Purpose::Answer, &json!("KIX"));
    let schema = object(
        json!({"n":{"type":"integer","minimum":2,"default":7}}),
        &["n"],
    );
    says("", &schema, Purpose::Arguments, &json!({"n":7}));
    says("n 9", &schema, Purpose::Arguments, &json!({"n":9}));
    // One that is not valid is none.
    check(
        json!({"type":"integer","default":"x","minimum":3,"maximum":3}),
        |v| *v == 3,
    );
}

#[test]
fn the_prompt_fills_arguments() {
    let trip = object(
        json!({"city":{"type":"string"},"nights":{"type":"integer"}}),
        &["city", "nights"],
    );
    says(
        "Paris, 4 nights",
        &trip,
        Purpose::Arguments,
        &json!({"city":"Paris","nights":4}),
    );
    let hotel = object(
        json!({
            "location":{"type":"string"},
            "check_in":{"type":"string","format":"date"},
            "guests":{"type":"integer","minimum":1},
            "max_price":{"type":"number"},
            "currency":{"type":"string"},
            "breakfast":{"type":"boolean"},
            "stars":{"type":"integer","enum":[1,2,3,4,5]},
            "pool":{"type":"boolean"},
        }),
        &["location"],
    );
    says(
        "Find a 4 star hotel in Rome from March 5, 2026 for 2 people under $150 with breakfast",
        &hotel,
        Purpose::Arguments,
        &json!({"location":"Rome","check_in":"2026-03-05","guests":2,"max_price":150,"currency":"USD",
            "breakfast":true,"stars":4}),
    );
    let weather = object(
        json!({"city":{"type":"string"},"unit":{"type":["string","null"],"enum":["celsius","fahrenheit",null]}}),
        &["city", "unit"],
    );
    says(
        "weather in Oslo",
        &weather,
        Purpose::Arguments,
        &json!({"city":"Oslo","unit":null}),
    );
    says(
        "Oslo in Fahrenheit",
        &weather,
        Purpose::Arguments,
        &json!({"city":"Oslo","unit":"fahrenheit"}),
    );
    let sum = object(
        json!({"numbers":{"type":"array","items":{"type":"number"}}}),
        &["numbers"],
    );
    says(
        "Add 3, 4.5 and 12",
        &sum,
        Purpose::Arguments,
        &json!({"numbers":[3,4.5,12]}),
    );
    let add = object(
        json!({"a":{"type":"number"},"b":{"type":"number"}}),
        &["a", "b"],
    );
    says(
        "What is 5 plus 7?",
        &add,
        Purpose::Arguments,
        &json!({"a":5,"b":7}),
    );
    let convert = object(
        json!({"amount":{"type":"number"},"from_currency":{"type":"string"},"to_currency":{"type":"string"}}),
        &["amount", "from_currency", "to_currency"],
    );
    says(
        "Convert 100 USD to EUR",
        &convert,
        Purpose::Arguments,
        &json!({"amount":100,"from_currency":"USD","to_currency":"EUR"}),
    );
    let mail = object(
        json!({"to":{"type":"string","format":"email"},"subject":{"type":"string"}}),
        &["to", "subject"],
    );
    says(
        "Email ada@example.com with the subject \"Lunch\"",
        &mail,
        Purpose::Arguments,
        &json!({"to":"ada@example.com","subject":"Lunch"}),
    );
}

#[test]
fn the_prompt_fills_answers() {
    let person = object(
        json!({"name":{"type":"string"},"age":{"type":"integer"}}),
        &["name", "age"],
    );
    says(
        "Extract: Jason is 25 years old",
        &person,
        Purpose::Answer,
        &json!({"name":"Jason","age":25}),
    );
    says(
        "Jason is 25.",
        &person,
        Purpose::Answer,
        &json!({"name":"Jason","age":25}),
    );
    let event = object(
        json!({"name":{"type":"string"},"date":{"type":"string"},
            "participants":{"type":"array","items":{"type":"string"}}}),
        &["name", "date", "participants"],
    );
    says(
        "Alice and Bob are going to a \"science fair\" on Friday.",
        &event,
        Purpose::Answer,
        &json!({"name":"science fair","date":"Friday","participants":["Alice","Bob"]}),
    );
    let place = object(
        json!({"city":{"type":"string"},"country":{"type":"string"},"latitude":{"type":"number"}}),
        &["city", "country", "latitude"],
    );
    says(
        "Tell me about Paris",
        &place,
        Purpose::Answer,
        &json!({"city":"Paris","country":"France","latitude":48.8566}),
    );
}

#[test]
fn well_known_names_have_plausible_values() {
    let names = [
        "birthday",
        "phone",
        "iban",
        "created_at",
        "email",
        "name",
        "first_name",
        "price",
        "currency",
        "country",
        "zip",
        "lat",
        "lon",
        "age",
        "url",
        "id",
        "title",
        "description",
        "quantity",
        "status",
        "color",
        "language",
    ];
    for seed in 0..30 {
        for name in names {
            let numbers = ["price", "lat", "lon", "age", "quantity"].contains(&name);
            let kind = if numbers { "number" } else { "string" };
            let schema = object(json!({name:{"type":kind}}), &[name]);
            let made = make(&schema, "", Purpose::Answer, seed).unwrap();
            let value = &made[name];
            let text = value.as_str().unwrap_or_default();
            let number = value.as_f64().unwrap_or_default();
            let is_plausible = match name {
                "birthday" => is_date(text) && text < "2010",
                "created_at" => is_date(&text[..10]) && text.ends_with('Z'),
                "phone" => text.starts_with('+') && text.len() > 10,
                "iban" => {
                    text.len() > 14 && text[..2].bytes().all(|byte| byte.is_ascii_uppercase())
                }
                "email" => text.contains("@example.com"),
                "currency" => text.len() == 3,
                "age" => (18.0..100.0).contains(&number),
                "price" => number > 1.0,
                "lat" => number.abs() <= 90.0 && number != 0.0,
                "lon" => number.abs() <= 180.0,
                "quantity" => number >= 1.0,
                "url" => text.starts_with("https://"),
                _ => !text.is_empty(),
            };
            assert!(is_plausible, "{name}: {value}");
        }
    }
}
