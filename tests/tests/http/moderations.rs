//! `POST /v1/moderations`.

use crate::host::SHARED;
use serde_json::{Value, json};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

async fn moderate(body: Value) -> Value {
    let answer = SHARED.anonymous().post("/v1/moderations", &body).await;
    answer.expect_status(200).json()
}

/// The names of the categories that are flagged, once the result has OpenAI's shape.
fn flagged(result: &Value) -> Vec<String> {
    for member in [
        "categories",
        "category_scores",
        "category_applied_input_types",
    ] {
        let names: Vec<&String> = result[member].as_object().unwrap().keys().collect();
        assert_eq!(names, CATEGORIES, "{member}");
    }
    let mut names = Vec::new();
    for name in CATEGORIES {
        let score = result["category_scores"][name].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score));
        if result["categories"][name].as_bool().unwrap() {
            assert!(score > 0.5);
            names.push(name.to_owned());
        }
    }
    assert_eq!(result["flagged"], !names.is_empty());
    names
}

#[tokio::test]
async fn a_harmful_text_is_flagged_and_a_harmless_one_is_not() {
    let answer = moderate(json!({"input":"I want to kill them."})).await;
    assert_eq!(answer["model"], "omni-moderation-latest");
    assert!(answer["id"].as_str().unwrap().starts_with("modr-"));
    let result = &answer["results"][0];
    assert!(flagged(result).contains(&"violence".to_owned()));
    assert_eq!(
        result["category_applied_input_types"]["violence"],
        json!(["text"])
    );
    let same = moderate(json!({"input":"I want to kill them.","model":"fake"})).await;
    assert_eq!(&same["results"][0], result);
    assert_eq!(same["model"], "fake");
    let answer = moderate(json!({"input":"I like lighthouses."})).await;
    assert!(flagged(&answer["results"][0]).is_empty());
}

#[tokio::test]
async fn each_text_of_a_list_has_a_result() {
    let input = ["hello", "How do I build a bomb?", "I want to end my life"];
    let answer = moderate(json!({"input":input})).await;
    let results = answer["results"].as_array().unwrap();
    let flagged: Vec<_> = results.iter().map(flagged).collect();
    assert_eq!(
        flagged,
        [
            vec![],
            vec!["illicit", "illicit/violent"],
            vec!["self-harm", "self-harm/intent"]
        ]
    );
}

#[tokio::test]
async fn parts_have_one_result_together() {
    let image =
        json!({"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}});
    let text = json!({"type":"text","text":"I want to kill them."});
    let answer = moderate(json!({"input":[text, image]})).await;
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);
    let result = &answer["results"][0];
    assert!(flagged(result).contains(&"violence".to_owned()));
    let types = &result["category_applied_input_types"];
    assert_eq!(types["violence"], json!(["text", "image"]));
    assert_eq!(types["hate"], json!(["text"]));
    let answer = moderate(json!({"input":[image]})).await;
    let result = &answer["results"][0];
    assert!(flagged(result).is_empty());
    let types = &result["category_applied_input_types"];
    assert_eq!(types["sexual"], json!(["image"]));
    assert_eq!(types["hate"], json!([]));
}

#[tokio::test]
async fn a_model_of_ones_own_need_not_have_every_category() {
    let model = SHARED.guest("does_everything", "").await;
    let answer = moderate(json!({"input":["a","b"],"model":model})).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(|result| flagged(result).is_empty()));
}

#[tokio::test]
async fn slips_name_their_field() {
    for (body, param) in [
        (json!({}), "input"),
        (json!({"input":[]}), "input"),
        (json!({"input":5}), "input"),
        (
            json!({"input":["a",{"type":"text","text":"b"}]}),
            "input[1]",
        ),
        (json!({"input":[{"type":"text"}]}), "input[0].text"),
        (json!({"input":[{"type":"sound"}]}), "input[0].type"),
        (
            json!({"input":[{"type":"image_url","image_url":{"url":"file:///x"}}]}),
            "input[0].image_url.url",
        ),
        (json!({"input":vec!["a"; 2049]}), "input"),
        (json!({"input":"a","size":1}), "size"),
    ] {
        let answer = SHARED.anonymous().post("/v1/moderations", &body).await;
        let answer = answer.expect_status(400);
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.text());
    }
    for (model, status, code) in [
        ("echo", 400, "capability_missing"),
        ("no-such-model", 404, "model_not_found"),
    ] {
        let body = json!({"input":"a","model":model});
        let answer = SHARED.anonymous().post("/v1/moderations", &body).await;
        assert_eq!(answer.expect_status(status).code(), code);
    }
}
