//! Schemas that nobody wrote, and the values that are made for them.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::string::{String, ToString};
use std::vec::Vec;

use super::{Purpose, make, validate};

/// Schemas that hold a value, with the keywords that structured outputs allow and more.
fn schemas() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "name",
        "email",
        "age",
        "price",
        "city",
        "date",
        "tags",
        "items",
        "value",
        "id",
        "total",
        "is_active",
    ]);
    let number = (any::<bool>(), -1000..1000_i32, 0..2000_i32, 0..4_u8).prop_map(
        |(whole, low, span, kind)| {
            let mut schema = json!({"type": if whole { "integer" } else { "number" }});
            let high = low + span;
            match kind {
                0 => schema["minimum"] = low.into(),
                1 => schema["maximum"] = high.into(),
                2 => {
                    schema["minimum"] = low.into();
                    schema["maximum"] = high.into();
                }
                _ => {
                    schema["exclusiveMinimum"] = low.into();
                    schema["exclusiveMaximum"] = (high + 20).into();
                    schema["multipleOf"] = if whole { json!(5) } else { json!(0.5) };
                }
            }
            schema
        },
    );
    let lengths = (0..20_u32, 0..30_u32).prop_map(
        |(least, more)| json!({"type":"string","minLength":least,"maxLength":least + more}),
    );
    let format = prop::sample::select(vec![
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
        "uri",
    ])
    .prop_map(|format| json!({"type":"string","format":format}));
    let pattern = prop::sample::select(vec![
        "^[a-z]{3,9}$",
        "^\\d{3}-\\d{4}$",
        "^(red|green|blue)$",
        "^[A-Z][a-z]+( [A-Z][a-z]+)*$",
        "^[^\\x00-\\x7F]+$",
        "^[^\\W\\d_]{2,}$",
        "^\\P{L}\\D\\W\\S$",
        "[^a-zA-Z0-9 -~]|\\p{Lu}+?",
    ])
    .prop_map(|pattern| json!({"type":"string","pattern":pattern}));
    let choice = prop::collection::hash_set(-50..50_i64, 1..6)
        .prop_map(|values| json!({"enum":values.into_iter().collect::<Vec<_>>()}));
    let leaf = prop_oneof![
        number,
        lengths,
        format,
        pattern,
        choice,
        Just(json!({"type":"string"})),
        Just(json!({"type":"boolean"})),
        Just(json!({"type":["string","null"]})),
        Just(json!({"const":"fixed"})),
        Just(json!({"$ref":"#/$defs/node"})),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let entries = prop::collection::btree_map(name.clone(), (inner.clone(), any::<bool>()), 1..5);
        prop_oneof![
            (entries, any::<bool>()).prop_map(|(entries, closed)| {
                let required: Vec<&str> = entries.iter().filter(|(_, (_, must))| *must).map(|(name, _)| *name).collect();
                let properties: serde_json::Map<String, Value> = entries
                    .iter()
                    .map(|(name, (schema, _))| (name.to_string(), schema.clone()))
                    .collect();
                json!({"type":"object","properties":properties,"required":required,"additionalProperties":!closed})
            }),
            (inner.clone(), 0..3_u32, 0..4_u32).prop_map(|(items, least, more)| {
                json!({"type":"array","items":items,"minItems":least,"maxItems":least + more})
            }),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|options| json!({"anyOf":options})),
            inner.prop_map(|schema| json!({"allOf":[schema, {"description":"A part."}]})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_of_made_up_schemas_are_valid(
        schema in schemas(),
        seed in any::<u64>(),
        arguments in any::<bool>(),
        said in prop::sample::select(vec![
            "", "Paris, 4 nights for Grace Hopper", "Order 12 of 'x' at $5.50 by 2026-03-05, ada@example.com",
            "巴黎，4晚", "-3 or 1000000",
        ]),
    ) {
        let mut schema = schema;
        let node = json!({"type":"object","properties":{
            "label":{"type":"string"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},
            "required":["label","next"],"additionalProperties":false});
        schema["$defs"] = json!({"node":node});
        let purpose = if arguments { Purpose::Arguments } else { Purpose::Answer };
        let made = make(&schema, said, purpose, seed).unwrap();
        validate(&schema, &made);
    }
}
