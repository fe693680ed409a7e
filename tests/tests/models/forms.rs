//! Forms that an answer is held to, whatever the weights are.

use serde_json::{Value, json};

use crate::kit::{SHARED, chat, choice};

/// A schema whose every answer is short, so that none is cut off.
fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "kind": {"enum": ["bell", "jar"]},
            "size": {"type": "integer", "minimum": 1, "maximum": 99},
            "parts": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        },
        "required": ["name", "kind", "size", "parts"],
        "additionalProperties": false,
    })
}

/// Whether a value follows [`schema`].
fn follows(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.len() == 4)
        && value["name"]
            .as_str()
            .is_some_and(|name| name.chars().count() <= 8)
        && ["bell", "jar"].contains(&value["kind"].as_str().unwrap_or_default())
        && value["size"]
            .as_u64()
            .is_some_and(|size| (1..=99).contains(&size))
        && value["parts"]
            .as_array()
            .is_some_and(|parts| parts.len() <= 3 && parts.iter().all(Value::is_boolean))
}

#[tokio::test]
async fn an_answer_follows_its_schema_whatever_the_weights() {
    let client = SHARED.anonymous();
    for seed in 0..12 {
        let more = json!({
            "seed": seed, "temperature": 2.0, "max_tokens": 400,
            "response_format": {"type": "json_schema", "json_schema": {
                "name": "thing", "strict": true, "schema": schema()}},
        });
        let choice = choice(&client, &more).await;
        let text = choice["message"]["content"].as_str().unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(follows(&value), "{text}");
        assert_eq!(choice["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn an_answer_follows_an_expression_or_is_one_of_several() {
    let client = SHARED.anonymous();
    for seed in 0..4 {
        let more =
            json!({"seed": seed, "temperature": 2.0, "guided_regex": "(yes|no), [a-f]{3}\\."});
        let answer = choice(&client, &more).await;
        let text = answer["message"]["content"].as_str().unwrap();
        let (first, rest) = text.split_once(", ").unwrap();
        assert!(["yes", "no"].contains(&first) && rest.len() == 4, "{text}");
        let more = json!({"seed": seed, "temperature": 2.0, "guided_choice": ["a+b", "c"]});
        let answer = choice(&client, &more).await;
        let text = answer["message"]["content"].as_str().unwrap();
        assert!(["a+b", "c"].contains(&text), "{text}");
    }
}

#[tokio::test]
async fn a_call_that_is_required_is_made_with_arguments_of_its_schema() {
    let client = SHARED.anonymous();
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema()}});
    for seed in 0..4 {
        let named = json!({"type": "function", "function": {"name": "put"}});
        for (wanted, names) in [
            (json!("required"), vec!["put", "take"]),
            (named, vec!["put"]),
        ] {
            let more = json!({
                "seed": seed, "temperature": 1.5, "max_tokens": 700, "tool_choice": wanted,
                "tools": [tool("put"), tool("take")], "parallel_tool_calls": false,
            });
            let choice = choice(&client, &more).await;
            assert_eq!(choice["finish_reason"], "tool_calls", "{choice}");
            let calls = choice["message"]["tool_calls"].as_array().unwrap();
            assert_eq!(calls.len(), 1);
            let function = &calls[0]["function"];
            assert!(names.contains(&function["name"].as_str().unwrap()));
            let arguments = function["arguments"].as_str().unwrap();
            assert!(
                follows(&serde_json::from_str(arguments).unwrap()),
                "{arguments}"
            );
        }
    }
}

#[tokio::test]
async fn a_form_that_cannot_be_is_the_callers_fault() {
    let body = chat(&json!({"guided_regex": "(["}));
    let answer = SHARED.anonymous().post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}
