//! `POST /v1/rerank` and `POST /v1/score`.

use crate::host::SHARED;
use serde_json::{Value, json};

const QUERY: &str = "What is the capital of the United States?";
const DOCUMENTS: [&str; 4] = [
    "Carson City is the capital city of the American state of Nevada.",
    "Bananas are yellow.",
    "Washington, D.C. is the capital of the United States. It is a federal district.",
    "Capital punishment has existed in the United States since before it was a country.",
];

async fn rerank(more: Value) -> Value {
    let body = with(
        json!({"model":"fake","query":QUERY,"documents":DOCUMENTS}),
        &more,
    );
    let answer = SHARED.anonymous().post("/v1/rerank", &body).await;
    answer.expect_status(200).json()
}

async fn score(more: Value) -> Value {
    let body = with(json!({"model":"fake"}), &more);
    let answer = SHARED.anonymous().post("/v1/score", &body).await;
    answer.expect_status(200).json()
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn the_document_that_answers_comes_first() {
    let answer = rerank(json!({"model":"rerank-v3.5"})).await;
    assert_eq!(answer["model"], "rerank-v3.5");
    assert!(!answer["id"].as_str().unwrap().is_empty());
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    assert_eq!(results[0]["index"], 2);
    assert_eq!(results[3]["index"], 1);
    let scores: Vec<f64> = results
        .iter()
        .map(|result| result["relevance_score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|one, next| one >= next), "{scores:?}");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    assert_eq!(results[0]["document"], json!({"text": DOCUMENTS[2]}));
    let tokens = &answer["usage"]["total_tokens"];
    assert!(tokens.as_u64().unwrap() > 20);
    assert_eq!(&answer["meta"]["tokens"]["input_tokens"], tokens);
    assert_eq!(answer["meta"]["billed_units"]["search_units"], 1);
    let again = rerank(json!({})).await;
    assert_eq!(again["results"], answer["results"]);
}

#[tokio::test]
async fn as_many_results_as_wanted_without_their_documents() {
    let answer = rerank(json!({"top_n":2,"return_documents":false,"max_chunks_per_doc":10})).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert!(
        results
            .iter()
            .all(|result| result.get("document").is_none())
    );
    let all = rerank(json!({"top_n":50})).await;
    assert_eq!(all["results"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn documents_may_be_objects() {
    let documents = json!([{"text":"Bananas are yellow.","id":7}, {"text":QUERY}, "a capital"]);
    let answer = rerank(json!({"documents":documents})).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[0]["document"], json!({"text":QUERY}));
    assert_eq!(
        results[2]["document"],
        json!({"text":"Bananas are yellow.","id":7})
    );
    let documents = json!([{"title":"Fruit","body":"x"}, {"title":"United States","body":"y"}]);
    let answer = rerank(json!({"documents":documents,"rank_fields":["title","body"]})).await;
    assert_eq!(answer["results"][0]["index"], 1);
}

#[tokio::test]
async fn pairs_of_texts_are_scored_in_their_order() {
    let one = score(json!({"text_1":QUERY,"text_2":DOCUMENTS[2]})).await;
    assert_eq!(one["object"], "list");
    assert_eq!(one["data"][0]["object"], "score");
    assert_eq!(one["data"][0]["index"], 0);
    assert!(one["data"][0]["score"].as_f64().unwrap() > 0.6);
    let each = score(json!({"text_1":QUERY,"text_2":DOCUMENTS})).await;
    let scores: Vec<f64> = each["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair["score"].as_f64().unwrap())
        .collect();
    assert_eq!(scores.len(), 4);
    assert!(scores[2] > scores[0] && scores[0] > scores[1], "{scores:?}");
    let pairs = score(json!({"text_1":["red apples",QUERY],"text_2":["red apples",DOCUMENTS[1]]}));
    let pairs = pairs.await;
    assert_eq!(pairs["data"][0]["score"], 1.0);
    assert!(pairs["data"][1]["score"].as_f64().unwrap() < 0.2);
    assert_eq!(pairs["data"][1]["index"], 1);
    let usage = &pairs["usage"];
    assert_eq!(usage["prompt_tokens"], usage["total_tokens"]);
    let other_names = score(json!({"queries":QUERY,"documents":DOCUMENTS})).await;
    assert_eq!(other_names["data"], each["data"]);
}

#[tokio::test]
async fn slips_name_their_field() {
    let good = json!({"model":"fake","query":"a","documents":["b"]});
    for (more, param) in [
        (json!({"query":" "}), "query"),
        (json!({"query":["a"]}), "query"),
        (json!({"documents":[]}), "documents"),
        (json!({"documents":"b"}), "documents"),
        (json!({"documents":["b",5]}), "documents[1]"),
        (json!({"documents":[{"title":"b"}]}), "documents[0]"),
        (json!({"documents":vec!["b"; 10_001]}), "documents"),
        (json!({"rank_fields":[]}), "rank_fields"),
        (json!({"top_n":0}), "top_n"),
        (json!({"top_n":-1}), "top_n"),
        (json!({"size":1}), "size"),
    ] {
        let client = SHARED.anonymous();
        let answer = client.post("/v1/rerank", &with(good.clone(), &more)).await;
        let answer = answer.expect_status(400);
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.text());
    }
    for (body, param) in [
        (json!({"text_1":"a"}), "text_2"),
        (json!({"text_1":["a","b"],"text_2":"c"}), "text_1"),
        (json!({"text_1":"a","text_2":[]}), "text_2"),
        (json!({"text_1":"a","text_2":["b",""]}), "text_2[1]"),
        (
            json!({"text_1":vec!["a"; 129],"text_2":vec!["b"; 129]}),
            "text_1",
        ),
    ] {
        let body = with(json!({"model":"fake"}), &body);
        let answer = SHARED.anonymous().post("/v1/score", &body).await;
        let answer = answer.expect_status(400);
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.text());
    }
    for (model, status, code) in [
        ("echo", 400, "capability_missing"),
        ("no-such-model", 404, "model_not_found"),
    ] {
        let body = with(good.clone(), &json!({"model":model}));
        let answer = SHARED.anonymous().post("/v1/rerank", &body).await;
        assert_eq!(answer.expect_status(status).code(), code);
    }
}

#[tokio::test]
async fn a_model_of_ones_own_ranks() {
    let model = SHARED.guest("does_everything", "").await;
    let answer = rerank(json!({"model":model})).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    assert!(
        results
            .iter()
            .all(|result| result["relevance_score"] == 0.0)
    );
}

#[tokio::test]
async fn an_attack_in_a_document_is_reported() {
    let client = SHARED.anonymous();
    let body = json!({"model":"fake","query":"a","documents":["b","'; DROP TABLE users; --"]});
    let answer = client.post("/v1/rerank", &body).await.expect_status(200);
    let report = answer.header("x-belljar-report");
    assert!(report.contains("documents[1]"), "{report}");
}

#[tokio::test]
async fn the_newer_path_of_cohere_is_the_same() {
    let client = SHARED.anonymous();
    let body = json!({"model":"rerank-v3.5","query":"the sea","documents":["tax","the blue sea"]});
    let ask = async |path: &str| client.post(path, &body).await.expect_status(200).json();
    let (older, newer) = (ask("/v1/rerank").await, ask("/v2/rerank").await);
    assert_eq!(newer["results"], older["results"]);
}
