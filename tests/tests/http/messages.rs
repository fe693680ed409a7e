//! `POST /v1/messages`: Anthropic's API.

use crate::host::SHARED;
use belljar_tests::TestHost;
use reqwest::Method;
use serde_json::{Value, json};

fn ask(more: Value) -> Value {
    let mut body = json!({"model":"claude-sonnet-4-5","max_tokens":40,
        "messages":[{"role":"user","content":"Tell me about lighthouses."}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn message(more: Value) -> Value {
    let client = SHARED.anonymous();
    let answer = client.post("/v1/messages", &ask(more)).await;
    answer.expect_status(200).json()
}

/// The events of a stream: names and data.
async fn stream(more: Value) -> Vec<(String, Value)> {
    let mut body = ask(more);
    body["stream"] = json!(true);
    let answer = SHARED.anonymous().post("/v1/messages", &body).await;
    let answer = answer.expect_status(200);
    assert_eq!(
        answer.header("content-type"),
        "text/event-stream; charset=utf-8"
    );
    let text = answer.text();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name);
        (name, data)
    });
    events.collect()
}

/// What a client makes of a stream: the message with its blocks.
fn gathered(events: &[(String, Value)]) -> Value {
    let (name, first) = &events[0];
    assert_eq!(name, "message_start");
    let mut message = first["message"].clone();
    let mut arguments = String::new();
    for (name, data) in &events[1..] {
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(data["index"], message["content"].as_array().unwrap().len());
                let block = data["content_block"].clone();
                message["content"].as_array_mut().unwrap().push(block);
                arguments.clear();
            }
            "content_block_delta" => {
                let index = usize::try_from(data["index"].as_u64().unwrap()).unwrap();
                let block = &mut message["content"][index];
                let delta = &data["delta"];
                let (member, kind) = match delta["type"].as_str().unwrap() {
                    "text_delta" => ("text", "text"),
                    "thinking_delta" => ("thinking", "thinking"),
                    "signature_delta" => ("signature", "thinking"),
                    "input_json_delta" => {
                        arguments.push_str(delta["partial_json"].as_str().unwrap());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(block["type"], kind);
                let text = block[member].as_str().unwrap().to_owned();
                block[member] = json!(text + delta[member].as_str().unwrap());
            }
            "content_block_stop" => {
                let block = message["content"]
                    .as_array_mut()
                    .unwrap()
                    .last_mut()
                    .unwrap();
                if block["type"] == "tool_use" {
                    block["input"] = serde_json::from_str(&arguments).unwrap();
                }
            }
            "message_delta" => {
                for member in ["stop_reason", "stop_sequence"] {
                    message[member] = data["delta"][member].clone();
                }
                for (member, count) in data["usage"].as_object().unwrap() {
                    message["usage"][member] = count.clone();
                }
            }
            "message_stop" | "ping" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(events.last().unwrap().0, "message_stop");
    message["id"] = Value::Null;
    message
}

/// The message of a refusal.
async fn refused(more: Value) -> String {
    let client = SHARED.anonymous();
    let answer = client.post("/v1/messages", &ask(more.clone())).await;
    assert_eq!(answer.status, 400, "{more}: {}", answer.text());
    let error = answer.json();
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["type"], "invalid_request_error");
    let members: Vec<_> = error["error"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["message", "type"]);
    assert!(error["request_id"].is_string(), "{error}");
    error["error"]["message"].as_str().unwrap().to_owned()
}

fn weather() -> Value {
    json!({"name":"get_weather","description":"The weather of a place",
        "input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}})
}

#[tokio::test]
async fn a_message_has_anthropics_shape() {
    let answer = message(json!({})).await;
    assert!(answer["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["role"], "assistant");
    assert_eq!(answer["model"], "claude-sonnet-4-5");
    assert_eq!(answer["content"][0]["type"], "text");
    assert!(!answer["content"][0]["text"].as_str().unwrap().is_empty());
    assert_eq!(answer["stop_sequence"], Value::Null);
    assert!(["end_turn", "max_tokens"].contains(&answer["stop_reason"].as_str().unwrap()));
    let usage = &answer["usage"];
    assert!(usage["input_tokens"].as_u64().unwrap() > 3);
    assert!((1..=40).contains(&usage["output_tokens"].as_u64().unwrap()));
    assert_eq!(usage["cache_read_input_tokens"], 0);
}

#[tokio::test]
async fn a_stream_is_the_message_in_pieces() {
    for more in [
        json!({}),
        json!({"thinking":{"type":"enabled","budget_tokens":1024},"max_tokens":1200}),
        json!({"tools":[weather()],"tool_choice":{"type":"any"}, "max_tokens":200}),
        json!({"stop_sequences":["the"],"max_tokens":400}),
        json!({"max_tokens":3}),
    ] {
        let mut whole = message(more.clone()).await;
        whole["id"] = Value::Null;
        let mut streamed = gathered(&stream(more.clone()).await);
        for message in [&mut whole, &mut streamed] {
            for block in message["content"].as_array_mut().unwrap() {
                if block["type"] == "tool_use" {
                    assert!(block["id"].as_str().unwrap().starts_with("toolu_"));
                }
            }
        }
        assert_eq!(streamed, whole, "{more}");
    }
}

#[tokio::test]
async fn the_stop_sequence_is_named() {
    let whole = message(json!({"max_tokens":400})).await;
    let text = whole["content"][0]["text"].as_str().unwrap();
    let word = text.split(' ').nth(7).unwrap();
    let answer = message(json!({"max_tokens":400,"stop_sequences":["zzz", word]})).await;
    assert_eq!(answer["stop_reason"], "stop_sequence");
    assert_eq!(answer["stop_sequence"], word);
    assert_eq!(
        answer["content"][0]["text"],
        text.split_once(word).unwrap().0
    );
}

#[tokio::test]
async fn thoughts_come_first_and_can_be_sent_back() {
    let thinking = json!({"type":"enabled","budget_tokens":2048});
    let answer = message(json!({"thinking":thinking,"max_tokens":4000})).await;
    let content = &answer["content"];
    assert_eq!(content[0]["type"], "thinking");
    assert!(!content[0]["signature"].as_str().unwrap().is_empty());
    assert_eq!(content[1]["type"], "text");
    let messages = json!([{"role":"user","content":"Tell me about lighthouses."},
        {"role":"assistant","content":content},{"role":"user","content":"And then?"}]);
    let next = message(json!({"messages":messages,"thinking":thinking,"max_tokens":4000})).await;
    assert_eq!(next["content"][0]["type"], "thinking");
    let without = message(json!({"thinking":{"type":"disabled"}})).await;
    assert_eq!(without["content"][0]["type"], "text");
}

#[tokio::test]
async fn tools_are_called_and_their_results_are_read() {
    let tools = json!([weather()]);
    let question = json!({"role":"user","content":"What is the weather in Paris?"});
    let answer = message(json!({"tools":tools,"messages":[question],"max_tokens":200})).await;
    assert_eq!(answer["stop_reason"], "tool_use");
    let content = answer["content"].as_array().unwrap();
    let call = content
        .iter()
        .find(|block| block["type"] == "tool_use")
        .unwrap();
    assert_eq!(call["name"], "get_weather");
    assert!(call["input"]["city"].is_string());
    let result = json!({"type":"tool_result","tool_use_id":call["id"],
        "content":[{"type":"text","text":"18 degrees, light rain"}]});
    let messages = json!([question, {"role":"assistant","content":content},
        {"role":"user","content":[result, {"type":"text","text":"Shall I take a coat?"}]}]);
    let next = message(json!({"tools":tools,"messages":messages,"max_tokens":200})).await;
    assert_eq!(next["content"][0]["type"], "text", "{next}");
    for (choice, is_called) in [
        (json!({"type":"none"}), false),
        (json!({"type":"any"}), true),
        (json!({"type":"tool","name":"get_weather"}), true),
    ] {
        let ask = json!({"tools":tools,"tool_choice":choice,"max_tokens":200});
        let reason = message(ask).await["stop_reason"].clone();
        assert_eq!(reason == "tool_use", is_called, "{choice}: {reason}");
    }
}

#[tokio::test]
async fn an_answer_follows_a_schema() {
    let schema = json!({"type":"object","properties":{"name":{"type":"string"},
        "age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false});
    let format = json!({"type":"json_schema","schema":schema});
    for more in [
        json!({"output_config":{"format":format}}),
        json!({"output_format":format}),
    ] {
        let mut more = more;
        more["max_tokens"] = json!(500);
        let answer = message(more).await;
        let text = answer["content"][0]["text"].as_str().unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(
            value["name"].is_string() && value["age"].is_i64(),
            "{value}"
        );
    }
}

#[tokio::test]
async fn blocks_of_all_kinds_are_taken_and_counted() {
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let image =
        json!({"type":"image","source":{"type":"base64","media_type":"image/png","data":pixel}});
    let blocks = json!([
        {"type":"text","text":"Look.","cache_control":{"type":"ephemeral"}},
        image,
        {"type":"image","source":{"type":"url","url":"https://example.org/a.png"}},
        {"type":"document","title":"notes","context":"of May","source":{"type":"text",
            "media_type":"text/plain","data":"The sea is calm."},"citations":{"enabled":true}},
        {"type":"document","source":{"type":"content","content":[{"type":"text","text":"Fog."}]}},
        {"type":"search_result","source":"https://example.org","title":"A page",
            "content":[{"type":"text","text":"Waves."}]}
    ]);
    let count = async |messages: Value| {
        let body = json!({"model":"claude-sonnet-4-5","messages":messages,
            "system":[{"type":"text","text":"Be brief."}],"tools":[weather()]});
        let answer = SHARED
            .anonymous()
            .post("/v1/messages/count_tokens", &body)
            .await;
        answer.expect_status(200).json()["input_tokens"]
            .as_u64()
            .unwrap()
    };
    let alone = count(json!([{"role":"user","content":"Look."}])).await;
    let all = count(json!([{"role":"user","content":blocks}])).await;
    assert!(all > alone + 50, "{alone} and {all}");
    let answer = message(json!({"system":"Be brief.","tools":[weather()],
        "messages":[{"role":"user","content":"Look."}]}))
    .await;
    assert_eq!(answer["usage"]["input_tokens"], alone);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_name() {
    let user = |content: Value| json!({"messages":[{"role":"user","content":content}]});
    let call = json!({"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}});
    for (more, param) in [
        (json!({"max_tokens":null}), json!("max_tokens")),
        (json!({"max_tokens":0}), json!("max_tokens")),
        (json!({"messages":[]}), json!("messages")),
        (
            json!({"messages":[{"role":"system","content":"x"}]}),
            json!("messages[0].role"),
        ),
        (
            json!({"messages":[{"role":"assistant","content":"x"}]}),
            json!("messages[0].role"),
        ),
        (json!({"temperature":1.5}), json!("temperature")),
        (json!({"stop_sequences":[" "]}), json!("stop_sequences[0]")),
        (
            json!({"thinking":{"type":"enabled","budget_tokens":1024}}),
            json!("max_tokens"),
        ),
        (
            json!({"thinking":{"type":"enabled","budget_tokens":5}}),
            json!("thinking.budget_tokens"),
        ),
        (json!({"thinking":{"type":"often"}}), json!("thinking.type")),
        (json!({"tool_choice":{"type":"any"}}), json!("tool_choice")),
        (
            json!({"tools":[{"name":"a b","input_schema":{}}]}),
            json!("tools[0].name"),
        ),
        (
            json!({"tools":[{"name":"a"}]}),
            json!("tools[0].input_schema"),
        ),
        (
            json!({"tools":[{"name":"a","input_schema":{"type":"objekt"}}]}),
            json!("tools[0].input_schema"),
        ),
        (user(json!("")), json!("messages[0].content")),
        (user(json!([])), json!("messages[0].content")),
        (
            user(json!([{"type":"text"}])),
            json!("messages[0].content[0].text"),
        ),
        (
            user(json!([{"type":"video"}])),
            json!("messages[0].content[0].type"),
        ),
        (
            user(
                json!([{"type":"image","source":{"type":"base64","media_type":"image/png","data":"!"}}]),
            ),
            json!("messages[0].content[0].source.data"),
        ),
        (
            user(json!([{"type":"tool_result","tool_use_id":"x","content":"y"}])),
            json!("messages[0].content[0].tool_use_id"),
        ),
        (
            json!({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[call]},
            {"role":"user","content":"y"}]}),
            json!("messages[2]"),
        ),
        (
            json!({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y "}]}),
            json!("messages[1].content"),
        ),
        (json!({"model":5}), json!("model")),
        (json!({"max_tokns":5}), json!("max_tokns")),
        (json!({"system":"'; DROP TABLE users; --"}), json!("system")),
        (
            user(json!("'; DROP TABLE users; --")),
            json!("messages[0].content"),
        ),
    ] {
        let message = refused(more.clone()).await;
        assert!(
            message.contains(param.as_str().unwrap()),
            "{more}: {message}"
        );
    }
}

#[tokio::test]
async fn what_the_caller_has_begun_is_gone_on_with() {
    let asked = "Give me JSON with the keys name and city for Ana from Lisbon.";
    for begun in ["{", r#"{"name":"#, r#"{"name": ""#, r#"{"name": "Ana","#] {
        let answer = message(json!({"messages":[
            {"role":"user","content":asked},{"role":"assistant","content":begun}]}))
        .await;
        let rest = answer["content"][0]["text"].as_str().unwrap();
        let whole: Value = serde_json::from_str(&format!("{begun}{rest}"))
            .unwrap_or_else(|error| panic!("{error}: {begun}{rest}"));
        assert_eq!(whole, json!({"name":"Ana","city":"Lisbon"}), "{begun}");
        assert_eq!(answer["stop_reason"], "end_turn");
    }
    let answer = message(json!({"messages":[
        {"role":"user","content":"Reply with exactly: one two three"},
        {"role":"assistant","content":"one two"}]}))
    .await;
    assert_eq!(answer["content"][0]["text"], " three");
}

#[tokio::test]
async fn errors_are_anthropics_on_its_paths_and_for_its_clients() {
    let client = SHARED.anonymous();
    let missing = client
        .post("/v1/messages", &ask(json!({"model":"nobody"})))
        .await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"]["type"], "not_found_error");
    assert_eq!(missing.header("request-id"), missing.header("x-request-id"));
    let host = TestHost::start_with(&[("require_api_key", "true")]).await;
    let stranger = host.anonymous();
    let request = stranger.request(Method::POST, "/v1/messages");
    let request = request
        .header("x-api-key", "sk-ant-wrong")
        .header("anthropic-version", "2023-06-01");
    let wrong = stranger.send(request.json(&ask(json!({}))));
    let wrong = wrong.await.unwrap();
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json()["error"]["type"], "authentication_error");
    let method = client.get("/v1/messages").await;
    assert_eq!(method.status, 405);
    assert_eq!(method.json()["type"], "error");
    // The same error in OpenAI's words.
    let openai = client.get("/v1/models/nobody").await.json();
    assert_eq!(openai["error"]["code"], "model_not_found");
    let request = client.request(Method::GET, "/v1/models/nobody");
    let answer = client
        .send(request.header("anthropic-version", "2023-06-01"))
        .await
        .unwrap();
    assert_eq!(answer.json()["error"]["type"], "not_found_error");
}

#[tokio::test]
async fn models_are_listed_page_by_page() {
    let client = SHARED.anonymous();
    let get = async |path: &str| {
        let request = client.request(Method::GET, path);
        client
            .send(request.header("anthropic-version", "2023-06-01"))
            .await
            .unwrap()
    };
    let first = get("/v1/models?limit=2").await.expect_status(200).json();
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&first["has_more"], &first["data"][0]["type"]),
        (&json!(true), &json!("model"))
    );
    assert!(
        first["data"][0]["created_at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    let last = first["last_id"].as_str().unwrap();
    let next = get(&format!("/v1/models?limit=2&after_id={last}"))
        .await
        .json();
    assert_ne!(next["first_id"], first["first_id"]);
    let before = next["first_id"].as_str().unwrap();
    let back = get(&format!("/v1/models?limit=2&before_id={before}"))
        .await
        .json();
    assert_eq!(back["data"], first["data"]);
    assert_eq!(get("/v1/models?limit=0").await.status, 400);
    assert_eq!(get("/v1/models?after_id=nobody").await.status, 400);
    let one = get("/v1/models/claude-sonnet-4-5")
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        (&one["type"], &one["id"]),
        (&json!("model"), &json!("claude-sonnet-4-5"))
    );
    assert_eq!(client.get("/v1/models").await.json()["object"], "list");
}
