//! Each kind of answer, on each API.

use super::{CHAT, World, chat, events, joined};
use belljar_tests::TestHost;
use serde_json::{Value, json};

const KINDS: &str = r#"
[[rule]]
name = "text"
match.last_user = "text"
answer = { text = "Two words and {{ last_user }}.", reasoning = "Hm." }

[[rule]]
name = "call"
match.last_user = "call"
[rule.answer]
text = "Let me look."
tool_calls = [
    { name = "get_weather", arguments = { city = "Paris", days = 3 }, id = "call_a" },
    { name = "get_time" },
]

[[rule]]
name = "json"
match.last_user = "json"
answer.json = { city = "Paris", list = [1, 2] }

[[rule]]
name = "refusal"
match.last_user = "refusal"
answer.refusal = "I will not."

[[rule]]
name = "cut"
match.last_user = "cut"
answer = { text = "one two three", finish_reason = "content_filter" }

[[rule]]
name = "usage"
match.last_user = "usage"
answer = { text = "a", usage = { prompt_tokens = 1000, completion_tokens = 500, cached_tokens = 800 } }

[[rule]]
name = "echo"
match.last_user.starts_with = "echo"
answer.echo = true

[[rule]]
name = "model"
match.last_user = "model"
answer.generated = true
"#;

#[tokio::test]
async fn each_kind_of_answer_is_a_chat_completion() {
    let host = TestHost::start().await;
    let world = World::new(&host, "chat", KINDS).await;
    let first = async |text: &str| {
        let answer = world.say(text).await.expect_status(200);
        assert_eq!(
            answer.header("x-belljar-rule"),
            text.split(' ').next().unwrap()
        );
        answer.json()
    };
    let text = first("text").await;
    let choice = &text["choices"][0];
    assert_eq!(choice["message"]["content"], "Two words and text.");
    assert_eq!(choice["message"]["reasoning_content"], "Hm.");
    assert_eq!(
        (&text["object"], &choice["finish_reason"]),
        (&json!("chat.completion"), &json!("stop"))
    );
    let usage = &text["usage"];
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 2);
    assert_eq!(
        usage["total_tokens"].as_u64(),
        Some(
            usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap()
        )
    );

    let call = first("call").await;
    let choice = &call["choices"][0];
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&json!("Let me look."), &json!("tool_calls"))
    );
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(
        calls[0],
        json!({"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\",\"days\":3}"}})
    );
    assert_eq!(
        (
            &calls[1]["function"]["name"],
            &calls[1]["function"]["arguments"]
        ),
        (&json!("get_time"), &json!("{}"))
    );

    let content = first("json").await["choices"][0]["message"]["content"].clone();
    assert_eq!(content, r#"{"city":"Paris","list":[1,2]}"#);
    let message = first("refusal").await["choices"][0]["message"].clone();
    assert_eq!(message["refusal"], "I will not.");
    assert_eq!(
        first("cut").await["choices"][0]["finish_reason"],
        "content_filter"
    );
    let usage = first("usage").await["usage"].clone();
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(1000), &json!(500))
    );
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 800);
    assert_eq!(
        first("echo this").await["choices"][0]["message"]["content"],
        "echo this"
    );
    let model = first("model").await;
    assert!(
        !model["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    // Where no rule matches, the model answers, and no rule is named.
    let other = world.say("something else").await.expect_status(200);
    assert!(other.headers.get("x-belljar-rule").is_none());
}

#[tokio::test]
async fn a_scripted_stream_says_the_same_and_is_held_to_the_same() {
    let host = TestHost::start().await;
    let world = World::new(&host, "stream", KINDS).await;
    let ask = async |text: &str, more: Value| {
        let mut body = chat(text);
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = world.post(CHAT, &body).await.expect_status(200);
        assert_eq!(answer.header("x-belljar-rule"), text);
        assert!(answer.text().ends_with("data: [DONE]\n\n"));
        events(&answer)
    };
    let text = ask("text", json!({})).await;
    assert_eq!(
        joined(&text, "/choices/0/delta/content"),
        "Two words and text."
    );
    assert_eq!(joined(&text, "/choices/0/delta/reasoning_content"), "Hm.");
    assert_eq!(joined(&text, "/choices/0/finish_reason"), "stop");
    let parts = text
        .iter()
        .filter(|event| event.pointer("/choices/0/delta/content").is_some());
    assert!(parts.count() > 3, "it comes token by token");
    let call = ask("call", json!({})).await;
    let deltas = |index: u64, member: &str| {
        let calls = call
            .iter()
            .filter_map(|event| event.pointer("/choices/0/delta/tool_calls/0"));
        let calls = calls.filter(|delta| delta["index"] == index);
        calls
            .filter_map(|delta| delta["function"][member].as_str())
            .collect::<String>()
    };
    assert_eq!(
        (deltas(0, "name"), deltas(0, "arguments")),
        (
            "get_weather".to_owned(),
            "{\"city\":\"Paris\",\"days\":3}".to_owned()
        )
    );
    assert_eq!(
        (deltas(1, "name"), deltas(1, "arguments")),
        ("get_time".to_owned(), "{}".to_owned())
    );
    // Stop strings and caps are the host's, whoever says what.
    let stopped = ask("text", json!({"stop": [" and"]})).await;
    assert_eq!(joined(&stopped, "/choices/0/delta/content"), "Two words");
    let cut = ask("text", json!({"max_completion_tokens": 4})).await;
    assert_eq!(joined(&cut, "/choices/0/finish_reason"), "length");
    let usage = &cut.last().unwrap()["usage"];
    assert_eq!(usage["completion_tokens"], 4);
    let usage = ask("usage", json!({})).await.last().unwrap()["usage"].clone();
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(1000), &json!(500))
    );
}

#[tokio::test]
async fn every_api_says_what_a_rule_says_in_its_own_shape() {
    let host = TestHost::start().await;
    let world = World::new(&host, "apis", KINDS).await;
    // Completions.
    let body = json!({"model": "gpt-3.5-turbo-instruct", "prompt": "text"});
    let answer = world
        .post("/v1/completions", &body)
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["choices"][0]["text"], "Two words and text.");
    // Responses.
    let body = json!({"model": "gpt-4o", "input": "call"});
    let answer = world.post("/v1/responses", &body).await.expect_status(200);
    assert_eq!(answer.header("x-belljar-rule"), "call");
    let output = answer.json()["output"].clone();
    let calls: Vec<&Value> = output
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["type"] == "function_call")
        .collect();
    assert_eq!(
        (
            &calls[0]["name"],
            &calls[0]["call_id"],
            &calls[0]["arguments"]
        ),
        (
            &json!("get_weather"),
            &json!("call_a"),
            &json!("{\"city\":\"Paris\",\"days\":3}")
        )
    );
    let body = json!({"model": "gpt-4o", "input": "text", "stream": true});
    let answer = world.post("/v1/responses", &body).await.expect_status(200);
    let all = events(&answer);
    let deltas: Vec<Value> = all
        .iter()
        .filter(|it| it["type"] == "response.output_text.delta")
        .cloned()
        .collect();
    assert_eq!(joined(&deltas, "/delta"), "Two words and text.");
    assert_eq!(all.last().unwrap()["type"], "response.completed");
    // Anthropic's.
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "call"}]});
    let answer = world
        .post("/v1/messages", &body)
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        (&answer["type"], &answer["stop_reason"]),
        (&json!("message"), &json!("tool_use"))
    );
    assert_eq!(
        answer["content"][0],
        json!({"type": "text", "text": "Let me look."})
    );
    assert_eq!(
        answer["content"][1]["input"],
        json!({"city": "Paris", "days": 3})
    );
    // Triton's.
    let body = json!({"text_input": "text"});
    let answer = world
        .post("/v2/models/fake/generate", &body)
        .await
        .expect_status(200);
    assert_eq!(answer.json()["text_output"], "Two words and text.");
    let answer = world
        .post("/v2/models/fake/generate_stream", &body)
        .await
        .expect_status(200);
    assert_eq!(
        joined(&events(&answer), "/text_output"),
        "Two words and text."
    );
}

#[tokio::test]
async fn vectors_are_scripted_as_well() {
    let host = TestHost::start().await;
    let rules = r#"
        [[rule]]
        name = "vector"
        match = { path = "/v1/embeddings", last_user = "b" }
        answer.embedding = [0.5, -0.25, 1]
        [[rule]]
        name = "rest"
        answer.echo = true
    "#;
    let world = World::new(&host, "vectors", rules).await;
    let body = json!({"model": "text-embedding-3-small", "input": ["a", "b"]});
    let answer = world.post("/v1/embeddings", &body).await.expect_status(200);
    assert_eq!(answer.header("x-belljar-rule"), "vector");
    let answer = answer.json();
    for index in 0..2 {
        assert_eq!(answer["data"][index]["embedding"], json!([0.5, -0.25, 1.0]));
    }
    assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    // A rule that has no vector leaves it to the model.
    let body = json!({"model": "text-embedding-3-small", "input": "a"});
    let answer = world
        .post("/v1/embeddings", &body)
        .await
        .expect_status(200)
        .json();
    assert!(answer["data"][0]["embedding"].as_array().unwrap().len() > 3);
}
