//! `POST /v1/chat/completions`.

use crate::host::SHARED;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) fn ask(more: Value) -> Value {
    let mut body =
        json!({"model":"fake","seed":1,"messages":[{"role":"user","content":"Say something."}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The events of a stream, each without its `data: `.
async fn stream(body: &Value) -> Vec<String> {
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", body)
        .await
        .expect_status(200);
    assert_eq!(
        answer.header("content-type"),
        "text/event-stream; charset=utf-8"
    );
    let text = answer.text();
    let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
    events
        .map(|event| event.strip_prefix("data: ").unwrap().to_owned())
        .collect()
}

fn chunks(events: &[String]) -> Vec<Value> {
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done, "[DONE]");
    chunks
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect()
}

fn text_of(chunks: &[Value], index: u64) -> String {
    let deltas = chunks
        .iter()
        .filter(|chunk| chunk["choices"][0]["index"] == index);
    deltas
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect()
}

#[tokio::test]
async fn an_answer_has_openais_shape() {
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &ask(json!({"max_tokens":20})))
        .await;
    let answer = answer.expect_status(200).json();
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(
        (&answer["object"], &answer["model"]),
        (&json!("chat.completion"), &json!("fake"))
    );
    assert!(
        answer["system_fingerprint"]
            .as_str()
            .unwrap()
            .starts_with("fp_")
    );
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["index"], &choice["message"]["role"]),
        (&json!(0), &json!("assistant"))
    );
    assert!(!choice["message"]["content"].as_str().unwrap().is_empty());
    assert_eq!(
        (&choice["message"]["refusal"], &choice["logprobs"]),
        (&Value::Null, &Value::Null)
    );
    let usage = &answer["usage"];
    assert!(usage["completion_tokens"].as_u64().unwrap() <= 20);
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn a_stream_says_the_same_piece_by_piece() {
    let body = ask(json!({"max_tokens":50}));
    let whole = SHARED
        .anonymous()
        .post("/v1/chat/completions", &body)
        .await
        .expect_status(200)
        .json();
    let mut body = body;
    body["stream"] = json!(true);
    let chunks = chunks(&stream(&body).await);
    assert_eq!(
        chunks[0]["choices"][0],
        json!({"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null})
    );
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk"
                && chunk["id"] == chunks[0]["id"])
    );
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(
        text_of(&chunks, 0),
        whole["choices"][0]["message"]["content"].as_str().unwrap()
    );
    let last = &chunks.last().unwrap()["choices"][0];
    assert_eq!(
        (&last["delta"], &last["finish_reason"]),
        (&json!({}), &whole["choices"][0]["finish_reason"])
    );
}

#[tokio::test]
async fn usage_comes_last_when_asked_for() {
    let body = ask(json!({"stream":true,"max_tokens":5,"stream_options":{"include_usage":true}}));
    let chunks = chunks(&stream(&body).await);
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["completion_tokens"].as_u64().unwrap() <= 5);
    assert!(
        others
            .iter()
            .all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
}

#[tokio::test]
async fn the_cap_on_tokens_holds() {
    for field in ["max_tokens", "max_completion_tokens"] {
        let answer = SHARED
            .anonymous()
            .post("/v1/chat/completions", &ask(json!({field:3})))
            .await;
        let answer = answer.expect_status(200).json();
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"]["completion_tokens"], 3);
    }
}

#[tokio::test]
async fn stop_strings_end_the_text() {
    let client = SHARED.anonymous();
    let whole = client
        .post("/v1/chat/completions", &ask(json!({"max_tokens":40})))
        .await
        .expect_status(200)
        .json();
    let whole = whole["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    let words: Vec<&str> = whole.split_whitespace().collect();
    let stop = words[words.len() / 2];
    let expect = &whole[..whole.find(stop).unwrap()];
    for stop in [json!(stop), json!([stop, "never said"])] {
        let body = ask(json!({"max_tokens":40,"stop":stop}));
        let answer = client
            .post("/v1/chat/completions", &body)
            .await
            .expect_status(200)
            .json();
        assert_eq!(
            answer["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .trim_end(),
            expect.trim_end()
        );
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        let mut body = body;
        body["stream"] = json!(true);
        assert_eq!(
            text_of(&chunks(&stream(&body).await), 0).trim_end(),
            expect.trim_end()
        );
    }
}

#[tokio::test]
async fn several_answers_differ_and_are_paid_for() {
    let body = ask(json!({"n":3,"max_tokens":12}));
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &body)
        .await
        .expect_status(200)
        .json();
    let texts: Vec<&str> = answer["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["message"]["content"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 3);
    let mut body = body;
    body["stream"] = json!(true);
    let chunks = chunks(&stream(&body).await);
    for (index, text) in (0_u64..).zip(&texts) {
        assert_eq!(text_of(&chunks, index), *text);
    }
}

#[tokio::test]
async fn tools_are_called() {
    let tools = json!([{"type":"function","function":{"name":"weather","parameters":{
        "type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]);
    let body = ask(json!({"tools":tools,"tool_choice":"required"}));
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &body)
        .await
        .expect_status(200)
        .json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&json!("function"), &json!("weather"))
    );
    assert!(!call["id"].as_str().unwrap().is_empty());
    let arguments: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["city"].is_string());

    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    let chunks = chunks(&stream(&streamed).await);
    let parts: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(
        (&parts[0]["type"], &parts[0]["function"]["name"]),
        (&json!("function"), &json!("weather"))
    );
    let joined: String = parts
        .iter()
        .filter_map(|part| part["function"]["arguments"].as_str())
        .collect();
    assert_eq!(joined, call["function"]["arguments"].as_str().unwrap());

    let legacy =
        ask(json!({"functions":[tools[0]["function"]],"function_call":{"name":"weather"}}));
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &legacy)
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        answer["choices"][0]["message"]["function_call"]["name"],
        "weather"
    );
}

#[tokio::test]
async fn a_conversation_with_everything_in_it_is_taken() {
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let body = ask(json!({"max_tokens":5,"messages":[
        {"role":"system","content":"Be brief."},
        {"role":"developer","content":[{"type":"text","text":"Really."}]},
        {"role":"user","name":"ann","content":[
            {"type":"text","text":"What is this?"},
            {"type":"image_url","image_url":{"url":format!("data:image/png;base64,{pixel}"),"detail":"low"}},
            {"type":"image_url","image_url":"https://example.com/x.png"},
            {"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},
            {"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,YQ=="}}]},
        {"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":[
            {"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"A pixel."},
        {"role":"assistant","content":null,"function_call":{"name":"look","arguments":"{}"}},
        {"role":"function","name":"look","content":"Still a pixel."}],
        "temperature":0,"top_p":1,"n":1,"stop":null,"logit_bias":{"5":-100},"user":"u","metadata":{"a":"b"},"store":false,
        "service_tier":"auto","modalities":["text"],"reasoning_effort":"low","verbosity":"low",
        "response_format":{"type":"text"},"top_k":40,"min_p":0.1,"parameters":{"x":1,"y":"z"},"stream":null}));
    let _ = SHARED
        .anonymous()
        .post("/v1/chat/completions", &body)
        .await
        .expect_status(200);
}

#[tokio::test]
async fn slips_name_their_field() {
    let user = |content: Value| json!({"messages":[{"role":"user","content":content}]});
    let part = |part: Value| user(json!([part]));
    for (more, param) in [
        (json!({"model":null}), "model"),
        (json!({"messages":[]}), "messages"),
        (json!({"messages":"hi"}), "messages"),
        (json!({"messages":[{"content":"x"}]}), "messages[0].role"),
        (
            json!({"messages":[{"role":"user","content":"x"},{"role":"boss","content":"x"}]}),
            "messages[1].role",
        ),
        (json!({"messages":[{"role":"user"}]}), "messages[0].content"),
        (user(json!(5)), "messages[0].content"),
        (user(json!([])), "messages[0].content"),
        (part(json!({"type":"video"})), "messages[0].content[0].type"),
        (part(json!({"type":"text"})), "messages[0].content[0].text"),
        (
            part(json!({"type":"text","text":5})),
            "messages[0].content[0].text",
        ),
        (
            part(json!({"type":"image_url","image_url":{"url":"ftp://x"}})),
            "messages[0].content[0].image_url.url",
        ),
        (
            part(json!({"type":"image_url","image_url":{"url":"data:image/png;base64,%%"}})),
            "messages[0].content[0].image_url.url",
        ),
        (
            part(json!({"type":"input_audio","input_audio":{"data":"AA==","format":"ogg"}})),
            "messages[0].content[0].input_audio.format",
        ),
        (
            part(json!({"type":"file","file":{"file_id":"file-1"}})),
            "messages[0].content[0].file.file_id",
        ),
        (
            json!({"messages":[{"role":"tool","content":"x"}]}),
            "messages[0].tool_call_id",
        ),
        (json!({"temperature":2.5}), "temperature"),
        (json!({"temperature":"hot"}), "temperature"),
        (json!({"top_p":1.5}), "top_p"),
        (json!({"presence_penalty":-3}), "presence_penalty"),
        (json!({"frequency_penalty":3}), "frequency_penalty"),
        (json!({"n":0}), "n"),
        (json!({"n":1000}), "n"),
        (json!({"n":1.5}), "n"),
        (json!({"max_tokens":0}), "max_tokens"),
        (json!({"max_tokens":-1}), "max_tokens"),
        (
            json!({"max_completion_tokens":99_999_999_999_u64}),
            "max_completion_tokens",
        ),
        (json!({"stop":[""]}), "stop[0]"),
        (json!({"stop":vec!["x"; 5]}), "stop"),
        (json!({"stop":["a", 5]}), "stop[1]"),
        (json!({"logit_bias":{"x":1}}), "logit_bias"),
        (json!({"logit_bias":{"1":101}}), "logit_bias.1"),
        (json!({"top_logprobs":5}), "top_logprobs"),
        (json!({"logprobs":true,"top_logprobs":21}), "top_logprobs"),
        (json!({"seed":"x"}), "seed"),
        (json!({"tools":[{"type":"web"}]}), "tools[0].type"),
        (
            json!({"tools":[{"type":"function","function":{"name":"a b"}}]}),
            "tools[0].function.name",
        ),
        (
            json!({"tools":[{"type":"function","function":{"name":"a","parameters":5}}]}),
            "tools[0].function.parameters",
        ),
        (json!({"tool_choice":"required"}), "tool_choice"),
        (json!({"tool_choice":"maybe"}), "tool_choice"),
        (
            json!({"response_format":{"type":"xml"}}),
            "response_format.type",
        ),
        (
            json!({"response_format":{"type":"json_schema"}}),
            "response_format.json_schema",
        ),
        (
            json!({"stream_options":{"include_usage":true}}),
            "stream_options",
        ),
        (json!({"stream":"yes"}), "stream"),
        (json!({"reasoning_effort":"extreme"}), "reasoning_effort"),
        (json!({"modalities":["video"]}), "modalities"),
        (json!({"parameters":{"a":[1]}}), "parameters.a"),
        (json!({"max_tokns":5}), "max_tokns"),
    ] {
        let answer = SHARED
            .anonymous()
            .post("/v1/chat/completions", &ask(more.clone()))
            .await
            .expect_status(400);
        assert_eq!(
            answer.json()["error"]["param"],
            param,
            "{more}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &ask(json!({"max_tokns":5})))
        .await;
    assert_eq!(
        answer.json()["error"]["message"],
        "Unrecognized request argument supplied: max_tokns. Did you mean max_tokens?"
    );
}

#[tokio::test]
async fn unknown_models_are_404() {
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &ask(json!({"model":"gpt-9"})))
        .await
        .expect_status(404);
    assert_eq!(answer.code(), "model_not_found");
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &ask(json!({"model":"echo"})))
        .await
        .expect_status(400);
    assert_eq!(answer.code(), "capability_missing");
}

#[tokio::test]
async fn log_probabilities_go_with_the_tokens() {
    let body = ask(json!({"logprobs":true,"top_logprobs":2,"max_tokens":4}));
    let answer = SHARED
        .anonymous()
        .post("/v1/chat/completions", &body)
        .await
        .expect_status(200)
        .json();
    let choice = &answer["choices"][0];
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    let joined: String = tokens
        .iter()
        .map(|token| token["token"].as_str().unwrap())
        .collect();
    assert_eq!(joined, choice["message"]["content"].as_str().unwrap());
    assert!(
        tokens
            .iter()
            .all(|token| token["logprob"].as_f64().unwrap() <= 0.0)
    );
    assert!(
        tokens
            .iter()
            .all(|token| token["top_logprobs"].as_array().unwrap().len() <= 2)
    );
}

#[tokio::test]
async fn a_thousand_streams_at_once_end_well() {
    let client = SHARED.anonymous();
    let body = ask(json!({"stream":true,"max_tokens":16}));
    let asks = (0..200).map(|_| {
        let (client, body) = (client.clone(), body.clone());
        async move {
            let request = client
                .request(Method::POST, "/v1/chat/completions")
                .json(&body);
            let answer = client.send(request).await.unwrap();
            // A full queue is an answer, too; a hang or a cut stream is not.
            assert!(
                answer.status == 503 || answer.text().ends_with("data: [DONE]\n\n"),
                "{}",
                answer.text()
            );
        }
    });
    let started = Instant::now();
    futures_util::future::join_all(asks).await;
    assert!(started.elapsed() < Duration::from_secs(60));
}
