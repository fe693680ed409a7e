//! Chat completions that are stored: `store`, and what can be done with them afterwards.

use crate::host::{LOCKED, SHARED};
use belljar_tests::{Client, TestHost};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn ask(more: Value) -> Value {
    let mut body = json!({"model":"gpt-4o","store":true,"max_tokens":20,"seed":1,
        "messages":[{"role":"system","content":"Be brief."},
            {"role":"user","content":"Tell me about lighthouses."}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn store(client: &Client, more: Value) -> Value {
    let answer = client.post(CHAT, &ask(more)).await;
    answer.expect_status(200).json()
}

async fn read(client: &Client, path: &str) -> Value {
    let answer = client.get(&format!("{CHAT}{path}")).await;
    answer.expect_status(200).json()
}

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

/// A caller with a list of its own.
async fn caller() -> Client {
    LOCKED.key("infer", &[]).await
}

#[tokio::test]
async fn a_completion_is_stored_where_its_request_says_so() {
    let client = caller().await;
    let made = store(&client, json!({"metadata":{"team":"red"}})).await;
    let path = format!("/{}", made["id"].as_str().unwrap());
    let stored = read(&client, &path).await;
    assert_eq!(stored["metadata"], json!({"team":"red"}));
    for (name, value) in made.as_object().unwrap() {
        assert_eq!(stored[name], *value, "{name}");
    }
    for unstored in [json!({"store":false}), json!({"store":null})] {
        let made = store(&client, unstored).await;
        let path = format!("{CHAT}/{}", made["id"].as_str().unwrap());
        let answer = client.get(&path).await.expect_status(404);
        assert_eq!(answer.code(), "not_found");
    }
    let other = caller().await;
    let _ = other.get(&format!("{CHAT}{path}")).await.expect_status(404);
    assert_eq!(read(&other, "").await["data"], json!([]));
}

#[tokio::test]
async fn a_stream_is_stored_as_the_completion_that_it_told() {
    let client = caller().await;
    let whole = store(&client, json!({"store":false})).await;
    let answer = client.post(CHAT, &ask(json!({"stream":true}))).await;
    let text = answer.expect_status(200).text();
    assert!(text.ends_with("data: [DONE]\n\n"));
    let first = text.split("\n\n").next().unwrap();
    let first: Value = serde_json::from_str(first.strip_prefix("data: ").unwrap()).unwrap();
    let stored = read(&client, &format!("/{}", first["id"].as_str().unwrap())).await;
    assert_eq!(stored["object"], "chat.completion");
    assert_eq!(stored["choices"], whole["choices"]);
    assert_eq!(stored["usage"], whole["usage"]);
}

#[tokio::test]
async fn stored_completions_are_listed_page_by_page_and_by_their_labels() {
    let client = caller().await;
    let mut made = Vec::new();
    for (model, team) in [("gpt-4o", "red"), ("fake", "red"), ("gpt-4o", "blue")] {
        let one = store(&client, json!({"model":model,"metadata":{"team":team}})).await;
        made.push(one["id"].as_str().unwrap().to_owned());
    }
    let all = read(&client, "").await;
    assert_eq!(all["object"], "list");
    assert_eq!(ids(&all), made);
    assert_eq!(all["has_more"], false);
    assert_eq!(
        (&all["first_id"], &all["last_id"]),
        (&json!(made[0]), &json!(made[2]))
    );
    let first = read(&client, "?limit=2").await;
    assert_eq!(
        (ids(&first), &first["has_more"]),
        (vec![&*made[0], &*made[1]], &json!(true))
    );
    let rest = read(&client, &format!("?limit=2&after={}", made[1])).await;
    assert_eq!(
        (ids(&rest), &rest["has_more"]),
        (vec![&*made[2]], &json!(false))
    );
    let newest = read(&client, "?order=desc&limit=1").await;
    assert_eq!(ids(&newest), [&*made[2]]);
    assert_eq!(ids(&read(&client, "?model=fake").await), [&*made[1]]);
    let red = read(&client, "?metadata[team]=red&model=gpt-4o").await;
    assert_eq!(ids(&red), [&*made[0]]);
    let red = read(&client, "?metadata%5Bteam%5D=red&limit=1").await;
    assert_eq!(
        (ids(&red), &red["has_more"]),
        (vec![&*made[0]], &json!(true))
    );
    for wrong in ["?limit=0", "?limit=x", "?order=up", "?colour=red"] {
        let answer = client.get(&format!("{CHAT}{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_stored_completion_is_labelled_anew_and_deleted() {
    let client = caller().await;
    let made = store(&client, json!({"logprobs":true,"metadata":{"a":"b"}})).await;
    let path = format!("{CHAT}/{}", made["id"].as_str().unwrap());
    let changed = client.post(&path, &json!({"metadata":{"c":"d"}})).await;
    let changed = changed.expect_status(200).json();
    assert_eq!(changed["metadata"], json!({"c":"d"}));
    assert_eq!(changed["choices"], made["choices"]);
    let stored = client.get(&path).await.expect_status(200).json();
    assert_eq!(stored, changed);
    let gone = client.delete(&path).await.expect_status(200).json();
    assert_eq!(
        gone,
        json!({"object":"chat.completion.deleted","id":made["id"],"deleted":true})
    );
    let _ = client.get(&path).await.expect_status(404);
    let _ = client.delete(&path).await.expect_status(404);
    let _ = client
        .post(&path, &json!({"metadata":{}}))
        .await
        .expect_status(404);
    let _ = client
        .get(&format!("{path}/messages"))
        .await
        .expect_status(404);
}

#[tokio::test]
async fn the_messages_of_a_stored_completion_are_those_of_its_request() {
    let client = caller().await;
    let parts = json!([{"type":"text","text":"What is this?"},
        {"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}}]);
    let call = json!({"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}});
    let messages = json!([{"role":"system","content":"Be brief."},
        {"role":"user","content":parts,"name":"ann"},
        {"role":"assistant","content":null,"tool_calls":[call]},
        {"role":"tool","tool_call_id":"call_1","content":"A lighthouse"}]);
    let made = store(&client, json!({"messages":messages})).await;
    let id = made["id"].as_str().unwrap();
    let list = read(&client, &format!("/{id}/messages")).await;
    assert_eq!(ids(&list).len(), 4);
    assert_eq!(
        list["data"][0],
        json!({"id":format!("{id}-0"),"role":"system","content":"Be brief."})
    );
    assert_eq!(list["data"][1]["content"], Value::Null);
    assert_eq!(list["data"][1]["content_parts"], parts);
    assert_eq!(list["data"][1]["name"], "ann");
    assert_eq!(list["data"][2]["tool_calls"], json!([call]));
    assert_eq!(list["data"][3]["tool_call_id"], "call_1");
    let last = read(&client, &format!("/{id}/messages?order=desc&limit=1")).await;
    assert_eq!(last["data"][0]["content"], "A lighthouse");
    assert_eq!(last["has_more"], true);
}

#[tokio::test]
async fn a_request_that_is_refused_stores_nothing() {
    let client = caller().await;
    let body = ask(json!({"messages":[{"role":"user","content":"'; DROP TABLE users; --"}]}));
    let _ = client.post(CHAT, &body).await.expect_status(400);
    assert_eq!(read(&client, "").await["data"], json!([]));
}

#[tokio::test]
async fn a_server_that_stores_nothing_answers_all_the_same() {
    let host = TestHost::start_with(&[("stored.retention", "0")]).await;
    let made = store(&host.anonymous(), json!({})).await;
    let path = format!("{CHAT}/{}", made["id"].as_str().unwrap());
    let _ = host.anonymous().get(&path).await.expect_status(404);
    let _ = SHARED.anonymous().get(&path).await.expect_status(404);
}

#[tokio::test]
async fn a_stored_completion_repeats_its_options() {
    let client = caller().await;
    let tools =
        json!([{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]);
    let made = store(
        &client,
        json!({"temperature":0.5,"seed":7,"user":"u","tools":tools,"tool_choice":"auto",
            "service_tier":"flex","response_format":{"type":"text"}}),
    )
    .await;
    assert_eq!(made["service_tier"], "flex");
    assert_eq!(
        made["temperature"],
        Value::Null,
        "the answer itself does not"
    );
    let shown = read(&client, &format!("/{}", made["id"].as_str().unwrap())).await;
    for (name, expect) in [
        ("temperature", json!(0.5)),
        ("top_p", json!(1.0)),
        ("presence_penalty", json!(0.0)),
        ("frequency_penalty", json!(0.0)),
        ("seed", json!(7)),
        ("input_user", json!("u")),
        ("tools", tools),
        ("tool_choice", json!("auto")),
        ("response_format", json!({"type":"text"})),
        ("metadata", json!({})),
    ] {
        assert_eq!(shown[name], expect, "{name}");
    }
    assert!(shown["request_id"].is_string(), "{shown}");
}
