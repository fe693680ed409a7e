//! `POST /v1/embeddings`.

use crate::host::SHARED;
use base64::Engine as _;
use serde_json::{Value, json};

async fn embed(more: Value) -> Value {
    let mut body = json!({"model":"fake"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    SHARED
        .anonymous()
        .post("/v1/embeddings", &body)
        .await
        .expect_status(200)
        .json()
}

#[tokio::test]
async fn each_kind_of_input_is_taken() {
    for (input, count) in [
        (json!("hello"), 1),
        (json!(["hello", "world"]), 2),
        (json!([1, 2, 3]), 1),
        (json!([[1, 2], [3]]), 2),
    ] {
        let answer = embed(json!({"input":input})).await;
        assert_eq!(
            (&answer["object"], &answer["model"]),
            (&json!("list"), &json!("fake"))
        );
        let data = answer["data"].as_array().unwrap();
        assert_eq!(data.len(), count);
        for (index, item) in data.iter().enumerate() {
            assert_eq!(
                (&item["object"], &item["index"]),
                (&json!("embedding"), &json!(index))
            );
            assert!(
                item["embedding"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(Value::is_number)
            );
        }
        assert_eq!(
            answer["usage"]["prompt_tokens"],
            answer["usage"]["total_tokens"]
        );
    }
}

#[tokio::test]
async fn base64_is_the_same_vector() {
    let float = embed(json!({"input":"x","dimensions":8})).await;
    let base64 = embed(json!({"input":"x","dimensions":8,"encoding_format":"base64"})).await;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(base64["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    let numbers: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let expect: Vec<f32> = serde_json::from_value(float["data"][0]["embedding"].clone()).unwrap();
    assert_eq!((numbers.len(), &numbers), (8, &expect));
}

#[tokio::test]
async fn slips_name_their_field() {
    for (body, param) in [
        (json!({"model":"fake"}), "input"),
        (json!({"model":"fake","input":""}), "input"),
        (json!({"model":"fake","input":[]}), "input"),
        (json!({"model":"fake","input":["a",""]}), "input[1]"),
        (json!({"model":"fake","input":["a",5]}), "input"),
        (json!({"model":"fake","input":[-1]}), "input[0]"),
        (json!({"model":"fake","input":[1.5]}), "input[0]"),
        (json!({"model":"fake","input":{"a":1}}), "input"),
        (json!({"model":"fake","input":vec!["a"; 2049]}), "input"),
        (
            json!({"model":"fake","input":"a","encoding_format":"hex"}),
            "encoding_format",
        ),
        (
            json!({"model":"fake","input":"a","dimensions":0}),
            "dimensions",
        ),
        (json!({"model":"fake","input":"a","size":1}), "size"),
        (json!({"input":"a"}), "model"),
    ] {
        let answer = SHARED
            .anonymous()
            .post("/v1/embeddings", &body)
            .await
            .expect_status(400);
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.text());
    }
    let answer = SHARED
        .anonymous()
        .post("/v1/embeddings", &json!({"model":"echo","input":"a"}))
        .await;
    assert_eq!(answer.expect_status(400).code(), "capability_missing");
}

#[tokio::test]
async fn vectors_are_as_long_as_those_of_the_model_that_is_stood_in_for() {
    let client = SHARED.anonymous();
    let ask =
        |model: &str, dimensions: Value| json!({"model":model,"input":"a","dimensions":dimensions});
    for (model, dimensions, expect) in [
        ("text-embedding-3-small", json!(null), 1_536),
        ("text-embedding-3-large", json!(null), 3_072),
        ("text-embedding-3-large", json!(256), 256),
        ("text-embedding-ada-002", json!(null), 1_536),
        ("fake", json!(3_072), 3_072),
    ] {
        let answer = client.post("/v1/embeddings", &ask(model, dimensions)).await;
        let answer = answer.expect_status(200).json();
        let vector = answer["data"][0]["embedding"].as_array().unwrap();
        assert_eq!(vector.len(), expect, "{model}");
    }
    for (model, dimensions) in [
        ("text-embedding-3-small", json!(1_537)),
        ("text-embedding-ada-002", json!(64)),
    ] {
        let refused = client.post("/v1/embeddings", &ask(model, dimensions)).await;
        let refused = refused.expect_status(400).json();
        assert_eq!(refused["error"]["param"], "dimensions", "{refused}");
    }
}
