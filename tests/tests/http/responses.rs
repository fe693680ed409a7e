//! `/v1/responses` and `/v1/conversations`.

use crate::host::SHARED;
use belljar_tests::{Client, ServerProcess, TestHost};
use serde_json::{Value, json};

fn ask(more: Value) -> Value {
    let mut body = json!({"model":"gpt-5-mini","input":"Tell me about lighthouses.",
        "max_output_tokens":60});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn respond(more: Value) -> Value {
    let client = SHARED.anonymous();
    let answer = client.post("/v1/responses", &ask(more)).await;
    answer.expect_status(200).json()
}

async fn refused(more: Value) -> (Value, Value) {
    let client = SHARED.anonymous();
    let answer = client.post("/v1/responses", &ask(more.clone())).await;
    assert_eq!(answer.status, 400, "{more}: {}", answer.text());
    let error = answer.json()["error"].clone();
    (error["code"].clone(), error["param"].clone())
}

fn events(text: &str) -> Vec<Value> {
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
        data
    });
    events.collect()
}

async fn stream(more: Value) -> Vec<Value> {
    let mut body = ask(more);
    body["stream"] = json!(true);
    let answer = SHARED.anonymous().post("/v1/responses", &body).await;
    let events = events(&answer.expect_status(200).text());
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    events
}

fn text(response: &Value) -> &str {
    let output = response["output"].as_array().unwrap();
    let message = output
        .iter()
        .find(|item| item["type"] == "message")
        .unwrap();
    message["content"][0]["text"].as_str().unwrap()
}

/// A response without what differs from one to the next.
fn comparable(response: &Value) -> Value {
    let mut response = response.clone();
    for name in ["id", "created_at", "completed_at"] {
        response[name] = Value::Null;
    }
    for item in response["output"].as_array_mut().unwrap() {
        item["id"] = Value::Null;
        item["call_id"] = Value::Null;
    }
    response
}

fn weather() -> Value {
    json!({"type":"function","name":"get_weather","description":"The weather of a place",
        "parameters":{"type":"object","properties":{"city":{"type":"string"}},
        "required":["city"],"additionalProperties":false},"strict":true})
}

async fn poll(client: &Client, id: &str) -> Value {
    loop {
        let answer = client.get(&format!("/v1/responses/{id}")).await;
        let response = answer.expect_status(200).json();
        if !["queued", "in_progress"].contains(&response["status"].as_str().unwrap()) {
            return response;
        }
    }
}

#[tokio::test]
async fn a_response_has_openais_shape() {
    let response = respond(json!({"metadata":{"a":"b"},"instructions":"Be brief."})).await;
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(response["object"], "response");
    assert_eq!(response["model"], "gpt-5-mini");
    let status = response["status"].as_str().unwrap();
    assert!(["completed", "incomplete"].contains(&status));
    assert_eq!(response["error"], Value::Null);
    assert_eq!(response["metadata"], json!({"a":"b"}));
    assert_eq!(response["instructions"], "Be brief.");
    assert_eq!(response["tool_choice"], "auto");
    assert_eq!(response["text"]["format"], json!({"type":"text"}));
    let message = &response["output"][0];
    assert!(message["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(
        (&message["type"], &message["role"]),
        (&json!("message"), &json!("assistant"))
    );
    assert_eq!(message["content"][0]["type"], "output_text");
    assert_eq!(message["content"][0]["annotations"], json!([]));
    assert!(!text(&response).is_empty());
    let usage = &response["usage"];
    let (input, output) = (&usage["input_tokens"], &usage["output_tokens"]);
    let total = input.as_u64().unwrap() + output.as_u64().unwrap();
    assert_eq!(usage["total_tokens"], total);
}

#[tokio::test]
async fn a_stream_tells_the_response_in_the_documented_order() {
    for more in [
        json!({}),
        json!({"max_output_tokens":5}),
        json!({"reasoning":{"effort":"low","summary":"auto"},"max_output_tokens":300}),
        json!({"tools":[weather()],"tool_choice":"required","max_output_tokens":300}),
        json!({"tools":[{"type":"custom","name":"note"}],"tool_choice":{"type":"custom","name":"note"}}),
        json!({"include":["message.output_text.logprobs"],"top_logprobs":2}),
    ] {
        let whole = respond(more.clone()).await;
        let events = stream(more.clone()).await;
        let kinds: Vec<&str> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds[..2], ["response.created", "response.in_progress"]);
        let last = events.last().unwrap();
        assert_eq!(
            last["type"],
            format!("response.{}", whole["status"].as_str().unwrap())
        );
        assert_eq!(comparable(&last["response"]), comparable(&whole), "{more}");
        // Each item begins, grows and ends; what its events say is what it is.
        let mut text = String::new();
        let mut open: Option<Value> = None;
        for event in &events[2..events.len() - 1] {
            let kind = event["type"].as_str().unwrap();
            match kind {
                "response.output_item.added" => {
                    assert!(open.is_none(), "{kind}");
                    open = Some(event["item"]["id"].clone());
                    text.clear();
                }
                "response.output_item.done" => {
                    assert_eq!(open.take(), Some(event["item"]["id"].clone()));
                    let index = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
                    assert_eq!(event["item"], last["response"]["output"][index]);
                }
                _ => {
                    assert_eq!(Some(&event["item_id"]), open.as_ref(), "{kind}");
                    if kind.ends_with(".delta") {
                        text.push_str(event["delta"].as_str().unwrap());
                    }
                    for member in ["text", "arguments", "input"] {
                        if kind.ends_with(".done") && event[member].is_string() {
                            assert_eq!(event[member], text, "{kind}");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn one_goes_on_from_another() {
    let first = respond(json!({"input":"My name is Marguerite.","instructions":"Be brief."})).await;
    let id = first["id"].as_str().unwrap();
    let more = json!({"input":"What is my name?","previous_response_id":id});
    let second = respond(more).await;
    assert_eq!(second["previous_response_id"], id);
    let tokens = |response: &Value| response["usage"]["input_tokens"].as_u64().unwrap();
    assert!(
        tokens(&second) > tokens(&first),
        "what was said before counts"
    );
    let alone = respond(json!({"input":"What is my name?"})).await;
    assert!(tokens(&second) > tokens(&alone) + 10);
    let third = json!({"input":[{"role":"user","content":"And now?"}],
        "previous_response_id":second["id"]});
    assert!(tokens(&respond(third).await) > tokens(&second));
    let client = SHARED.anonymous();
    let gone = client.delete(&format!("/v1/responses/{id}")).await;
    assert_eq!(
        gone.expect_status(200).json(),
        json!({"id":id,"object":"response","deleted":true})
    );
    let (code, param) = refused(json!({"previous_response_id":id})).await;
    assert_eq!(
        (code, param),
        (
            json!("previous_response_not_found"),
            json!("previous_response_id")
        )
    );
}

#[tokio::test]
async fn tools_are_called_and_their_outputs_are_read() {
    let question = json!({"role":"user","content":"What is the weather in Paris?"});
    let first =
        respond(json!({"input":[question],"tools":[weather()],"max_output_tokens":300})).await;
    let call = first["output"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["type"] == "function_call");
    let call = call.unwrap_or_else(|| panic!("{first}"));
    assert_eq!(
        (&call["name"], &call["status"]),
        (&json!("get_weather"), &json!("completed"))
    );
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["city"].is_string());
    let output =
        json!({"type":"function_call_output","call_id":call["call_id"],"output":"18 degrees"});
    // By what is stored, and by sending everything back.
    let next =
        respond(json!({"input":[output],"previous_response_id":first["id"],"tools":[weather()]}))
            .await;
    assert!(!text(&next).is_empty());
    let mut all = vec![question];
    all.extend(first["output"].as_array().unwrap().iter().cloned());
    all.push(output.clone());
    let again = respond(json!({"input":all,"tools":[weather()]})).await;
    assert!(!text(&again).is_empty());
    let (_, param) = refused(json!({"input":[output]})).await;
    assert_eq!(param, "input[0].call_id");
    let (_, param) = refused(json!({"input":"x","previous_response_id":first["id"]})).await;
    assert_eq!(param, "previous[1]");
}

#[tokio::test]
async fn an_answer_follows_a_schema() {
    let schema = json!({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},
        "required":["name","age"],"additionalProperties":false});
    let format = json!({"type":"json_schema","name":"person","schema":schema,"strict":true});
    let response = respond(json!({"text":{"format":format},"max_output_tokens":500})).await;
    let value: Value = serde_json::from_str(text(&response)).unwrap();
    assert!(
        value["name"].is_string() && value["age"].is_i64(),
        "{value}"
    );
    assert_eq!(response["text"]["format"], format);
}

#[tokio::test]
async fn what_is_kept_can_be_read_and_what_is_not_cannot() {
    let client = SHARED.anonymous();
    let made = respond(
        json!({"input":[{"role":"user","content":[{"type":"input_text","text":"Hi"},
        {"type":"input_image","image_url":"https://example.org/a.png"}]},
        {"role":"user","content":"there"}]}),
    )
    .await;
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.expect_status(200).json(), made);
    let items = client
        .get(&format!("{path}/input_items?order=asc"))
        .await
        .expect_status(200)
        .json();
    assert_eq!(items["object"], "list");
    assert_eq!(items["data"][0]["content"][0]["text"], "Hi");
    assert_eq!(
        items["data"][1]["content"],
        json!([{"type":"input_text","text":"there"}])
    );
    assert!(items["data"][1]["id"].as_str().unwrap().starts_with("msg_"));
    let page = client
        .get(&format!("{path}/input_items?limit=1"))
        .await
        .json();
    assert_eq!(
        (&page["data"][0], &page["has_more"]),
        (&items["data"][1], &json!(true))
    );
    let after = page["last_id"].as_str().unwrap();
    let page = client
        .get(&format!("{path}/input_items?limit=1&after={after}"))
        .await
        .json();
    assert_eq!(
        (&page["data"][0], &page["has_more"]),
        (&items["data"][0], &json!(false))
    );
    let told = client
        .get(&format!("{path}?stream=true"))
        .await
        .expect_status(200)
        .text();
    let told = events(&told);
    assert_eq!(told.last().unwrap()["response"], made);
    let not = respond(json!({"store":false})).await;
    let path = format!("/v1/responses/{}", not["id"].as_str().unwrap());
    let answer = client.get(&path).await.expect_status(404);
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn what_is_stored_belongs_to_its_key_and_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data).await;
    let key = |name: &str| json!({"name": name, "scopes": ["infer"]});
    let admin = server.admin();
    let ann = admin
        .post("/admin/keys", &key("ann"))
        .await
        .expect_status(201)
        .json();
    let bob = admin
        .post("/admin/keys", &key("bob"))
        .await
        .expect_status(201)
        .json();
    let secret = |key: &Value| key["key"].as_str().unwrap().to_owned();
    let (ann, bob) = (secret(&ann), secret(&bob));
    let client = server.anonymous().with_key(&ann);
    let made = client
        .post("/v1/responses", &ask(json!({})))
        .await
        .expect_status(200)
        .json();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    server.kill();
    let server = ServerProcess::start(&data).await;
    let client = server.anonymous();
    assert_eq!(
        client
            .with_key(&ann)
            .get(&path)
            .await
            .expect_status(200)
            .json(),
        made
    );
    let _ = client.with_key(&bob).get(&path).await.expect_status(404);
    let _ = client.with_key(&bob).delete(&path).await.expect_status(404);
    let _ = client.get(&path).await.expect_status(404);
}

#[tokio::test]
async fn work_in_the_background_is_polled_listened_to_and_resumed() {
    let client = SHARED.anonymous();
    let queued = respond(json!({"background":true})).await;
    assert_eq!(queued["status"], "queued");
    let id = queued["id"].as_str().unwrap();
    let done = poll(&client, id).await;
    assert!(
        ["completed", "incomplete"].contains(&done["status"].as_str().unwrap()),
        "{done}"
    );
    assert_eq!(done["background"], true);
    assert!(!text(&done).is_empty());
    let told = stream(json!({"background":true})).await;
    let id = told[0]["response"]["id"].as_str().unwrap().to_owned();
    let middle = told.len() / 2;
    let path = format!("/v1/responses/{id}?stream=true&starting_after={middle}");
    let rest = client.get(&path).await.expect_status(200).text();
    assert_eq!(events(&rest), told[middle + 1..]);
    let answer = client
        .post(&format!("/v1/responses/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(
        answer.expect_status(200).json()["id"],
        id,
        "what is over stays as it is"
    );
    let here = respond(json!({})).await;
    let path = format!("/v1/responses/{}/cancel", here["id"].as_str().unwrap());
    let _ = client.post(&path, &json!({})).await.expect_status(400);
    let (_, param) = refused(json!({"background":true,"store":false})).await;
    assert_eq!(param, "store");
}

#[tokio::test]
async fn work_in_the_background_can_be_cancelled_and_does_not_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data).await;
    let component = belljar_test_guests::bytes("slow_next");
    let slow = belljar_tests::TestBundle::new("slow", "1.0.0", &component)
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"50 s\"");
    let _ = server.admin().upload(slow.tar()).await.expect_status(201);
    let client = server.anonymous();
    let body =
        json!({"model":"slow","input":"x","background":true,"parameters":{"turns":200_000_000}});
    let begin = async || {
        let answer = client.post("/v1/responses", &body).await;
        answer.expect_status(200).json()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let id = begin().await;
    let answer = client
        .post(&format!("/v1/responses/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(answer.expect_status(200).json()["status"], "cancelled");
    let id = begin().await;
    server.kill();
    let server = ServerProcess::start(&data).await;
    let answer = server.anonymous().get(&format!("/v1/responses/{id}")).await;
    let response = answer.expect_status(200).json();
    assert_eq!(
        (&response["status"], &response["error"]["code"]),
        (&json!("failed"), &json!("server_error"))
    );
}

#[tokio::test]
async fn a_response_that_is_cancelled_as_it_ends_is_one_or_the_other() {
    let client = SHARED.anonymous();
    for tokens in 16..80 {
        let begun = respond(json!({"background":true,"max_output_tokens":tokens})).await;
        let path = format!("/v1/responses/{}/cancel", begun["id"].as_str().unwrap());
        let answer = client.post(&path, &json!({})).await.json();
        let ends = ["cancelled", "incomplete", "completed"];
        assert!(ends.iter().any(|end| answer["status"] == *end), "{answer}");
    }
}

#[tokio::test]
async fn a_conversation_gathers_what_is_said_in_it() {
    let client = SHARED.anonymous();
    let new = json!({"metadata":{"topic":"sea"},"items":[{"role":"user","content":"Hello"}]});
    let conversation = client
        .post("/v1/conversations", &new)
        .await
        .expect_status(200)
        .json();
    assert_eq!(conversation["object"], "conversation");
    let id = conversation["id"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}");
    let first = respond(json!({"conversation":id})).await;
    assert_eq!(first["conversation"], json!({"id":id}));
    let second = respond(json!({"conversation":{"id":id},"input":"And then?"})).await;
    let tokens = |response: &Value| response["usage"]["input_tokens"].as_u64().unwrap();
    assert!(tokens(&second) > tokens(&first));
    let items = client.get(&format!("{path}/items?order=asc")).await.json();
    let kinds: Vec<&Value> = items["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["role"])
        .collect();
    assert_eq!(kinds, ["user", "user", "assistant", "user", "assistant"]);
    let item = items["data"][0]["id"].as_str().unwrap();
    let one = client
        .get(&format!("{path}/items/{item}"))
        .await
        .expect_status(200)
        .json();
    assert_eq!(one, items["data"][0]);
    let _ = client
        .delete(&format!("{path}/items/{item}"))
        .await
        .expect_status(200);
    let _ = client
        .get(&format!("{path}/items/{item}"))
        .await
        .expect_status(404);
    let more = json!({"items":[{"role":"developer","content":"Be brief."}]});
    let added = client
        .post(&format!("{path}/items"), &more)
        .await
        .expect_status(200)
        .json();
    assert_eq!(added["data"][0]["role"], "developer");
    let changed = client
        .post(&path, &json!({"metadata":{"topic":"land"}}))
        .await;
    assert_eq!(
        changed.expect_status(200).json()["metadata"],
        json!({"topic":"land"})
    );
    assert_eq!(
        client.get(&path).await.json()["metadata"],
        json!({"topic":"land"})
    );
    let (code, _) = refused(json!({"conversation":id,"previous_response_id":first["id"]})).await;
    assert_eq!(code, "mutually_exclusive_parameters");
    let _ = client.delete(&path).await.expect_status(200);
    let _ = client.get(&path).await.expect_status(404);
    let answer = client
        .post("/v1/responses", &ask(json!({"conversation":id})))
        .await;
    let _ = answer.expect_status(404);
}

/// Acts: `stored.retention`.
#[tokio::test]
async fn nothing_is_stored_where_the_settings_say_so() {
    let host = TestHost::start_with(&[("stored.retention", "0")]).await;
    let client = host.anonymous();
    let made = client
        .post("/v1/responses", &ask(json!({})))
        .await
        .expect_status(200)
        .json();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    let _ = client.get(&path).await.expect_status(404);
    let background = client
        .post("/v1/responses", &ask(json!({"background":true})))
        .await;
    let _ = background.expect_status(400);
    let _ = client
        .post("/v1/conversations", &json!({}))
        .await
        .expect_status(400);
}

#[tokio::test]
async fn tokens_of_an_input_are_counted() {
    let client = SHARED.anonymous();
    let body = json!({"model":"gpt-5-mini","input":"Tell me about lighthouses."});
    let counted = client
        .post("/v1/responses/input_tokens", &body)
        .await
        .expect_status(200)
        .json();
    let made = respond(json!({})).await;
    assert_eq!(counted["input_tokens"], made["usage"]["input_tokens"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_name() {
    let item = |item: Value| json!({"input":[item]});
    for (more, param) in [
        (json!({"input":null}), "input"),
        (json!({"input":[]}), "input"),
        (json!({"input":5}), "input"),
        (item(json!("x")), "input[0]"),
        (
            item(json!({"role":"nobody","content":"x"})),
            "input[0].role",
        ),
        (item(json!({"role":"user"})), "input[0].content"),
        (item(json!({"type":"dance"})), "input[0].type"),
        (
            item(json!({"role":"user","content":[{"type":"video"}]})),
            "input[0].content[0].type",
        ),
        (
            item(json!({"type":"item_reference","id":"msg_nobody"})),
            "input[0].id",
        ),
        (
            item(json!({"type":"function_call","call_id":"a","name":"b","arguments":"{}"})),
            "input[0]",
        ),
        (json!({"max_output_tokens":0}), "max_output_tokens"),
        (json!({"temperature":3}), "temperature"),
        (json!({"truncation":"often"}), "truncation"),
        (json!({"top_logprobs":21}), "top_logprobs"),
        (json!({"reasoning":{"effort":"huge"}}), "reasoning.effort"),
        (json!({"reasoning":{"summary":"long"}}), "reasoning.summary"),
        (
            json!({"text":{"format":{"type":"xml"}}}),
            "text.format.type",
        ),
        (
            json!({"text":{"format":{"type":"json_schema","name":"a","schema":{"type":"objekt"}}}}),
            "text.format.schema",
        ),
        (json!({"tools":[{"type":"hammer"}]}), "tools[0].type"),
        (json!({"tools":[{"type":"function"}]}), "tools[0].name"),
        (json!({"tool_choice":"required"}), "tool_choice"),
        (
            json!({"tool_choice":{"type":"function","name":"a"}}),
            "tool_choice",
        ),
        (
            json!({"previous_response_id":"resp_nobody"}),
            "previous_response_id",
        ),
        (json!({"messages":[]}), "messages"),
        (
            json!({"instructions":"'; DROP TABLE users; --"}),
            "instructions",
        ),
        (
            json!({"input":"'; DROP TABLE users; --"}),
            "input[0].content",
        ),
    ] {
        let (_, named) = refused(more.clone()).await;
        assert_eq!(named, param, "{more}");
    }
}
