//! Tokens as callers count them: by the encodings of the models whose names they know.

use crate::host::SHARED;
use belljar_tests::{Client, TestHost};
use belljar_tokens::Encoding;
use serde_json::{Value, json};

fn chat(model: &str, text: &str, more: Value) -> Value {
    let mut body = json!({"model":model,"seed":1,"messages":[{"role":"user","content":text}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn ask(path: &str, body: &Value) -> Value {
    let answer = SHARED.anonymous().post(path, body).await;
    answer.expect_status(200).json()
}

async fn refused(path: &str, body: &Value) -> Value {
    let answer = SHARED.anonymous().post(path, body).await;
    answer.expect_status(400).json()["error"].clone()
}

/// The chunks of a stream.
async fn stream(client: &Client, path: &str, body: &Value) -> Vec<Value> {
    let answer = client.post(path, body).await.expect_status(200);
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[tokio::test]
async fn a_prompt_has_the_tokens_that_openai_documents() {
    for (model, tokens) in [("gpt-4o", 9), ("gpt-4", 9), ("gpt-3.5-turbo-0125", 9)] {
        let body = chat(model, "hello world", json!({"max_tokens":5}));
        let answer = ask("/v1/chat/completions", &body).await;
        assert_eq!(answer["usage"]["prompt_tokens"], tokens, "{model}");
    }
    // "tiktoken is great!" has 6 tokens in `cl100k_base`.
    let body = json!({"model":"text-embedding-3-small","input":"tiktoken is great!"});
    let answer = ask("/v1/embeddings", &body).await;
    assert_eq!(answer["usage"], json!({"prompt_tokens":6,"total_tokens":6}));
}

#[tokio::test]
async fn an_answer_has_the_tokens_that_its_text_has() {
    for (model, encoding) in [
        ("gpt-4o", Encoding::O200kBase),
        ("gpt-4", Encoding::Cl100kBase),
    ] {
        for more in [
            json!({}),
            json!({"max_tokens":17}),
            json!({"response_format":{"type":"json_object"}}),
            json!({"stop":[" the"]}),
        ] {
            let body = chat(model, "Tell me of the sea, in words or JSON.", more.clone());
            let answer = ask("/v1/chat/completions", &body).await;
            let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
            let usage = &answer["usage"];
            assert_eq!(
                usage["completion_tokens"],
                encoding.count(text),
                "{more}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_comes_token_by_token() {
    let body = chat(
        "gpt-4o",
        "Tell me of the sea.",
        json!({"stream":true,"max_tokens":40,"stream_options":{"include_usage":true}}),
    );
    let chunks = stream(&SHARED.anonymous(), "/v1/chat/completions", &body).await;
    let texts: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .filter(|text| !text.is_empty())
        .collect();
    let whole = texts.concat();
    assert_eq!(texts.len(), Encoding::O200kBase.count(&whole), "{texts:?}");
    for text in &texts {
        assert_eq!(Encoding::O200kBase.count(text), 1, "{text:?}");
    }
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!(usage["completion_tokens"], texts.len());

    let body = chat("gpt-4o", "Tell me of the sea.", json!({"max_tokens":40}));
    let answer = ask("/v1/chat/completions", &body).await;
    assert_eq!(answer["choices"][0]["message"]["content"], whole);
}

#[tokio::test]
async fn max_tokens_are_tokens_of_the_models_encoding() {
    for max_tokens in [1, 2, 7, 33] {
        for path in ["/v1/chat/completions", "/v1/completions"] {
            let mut body = chat("gpt-4o", "Tell me of the sea.", json!({}));
            body["max_tokens"] = max_tokens.into();
            if path == "/v1/completions" {
                body.as_object_mut().unwrap().remove("messages");
                body["prompt"] = "Tell me of the sea.".into();
            }
            let answer = ask(path, &body).await;
            assert_eq!(answer["choices"][0]["finish_reason"], "length");
            assert_eq!(answer["usage"]["completion_tokens"], max_tokens);
        }
    }
}

#[tokio::test]
async fn log_probabilities_are_of_the_tokens_of_the_text() {
    let more = json!({"logprobs":true,"top_logprobs":3,"max_tokens":30});
    let body = chat("gpt-4o", "Tell me of the sea.", more);
    let answer = ask("/v1/chat/completions", &body).await;
    let choice = &answer["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    let said: Vec<_> = tokens
        .iter()
        .map(|token| token["token"].as_str().unwrap())
        .collect();
    assert_eq!(said.concat(), text);
    let expected: Vec<_> = Encoding::O200kBase
        .encode(text)
        .into_iter()
        .map(|id| std::str::from_utf8(Encoding::O200kBase.bytes(id).unwrap()).unwrap())
        .collect();
    assert_eq!(said, expected);
    for token in tokens {
        assert_eq!(
            token["bytes"],
            json!(token["token"].as_str().unwrap().as_bytes())
        );
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 3);
        assert!(
            top.iter()
                .all(|other| { Encoding::O200kBase.count(other["token"].as_str().unwrap()) == 1 })
        );
    }
}

#[tokio::test]
async fn calls_of_tools_are_counted() {
    let tools = json!([{"type":"function","function":{"name":"get_weather","parameters":
        {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]);
    let more = json!({"tools":tools,"tool_choice":"required"});
    let body = chat("gpt-4o", "What is the weather in Paris?", more);
    let answer = ask("/v1/chat/completions", &body).await;
    let calls = answer["choices"][0]["message"]["tool_calls"]
        .as_array()
        .unwrap();
    let count = |text: &Value| Encoding::O200kBase.count(text.as_str().unwrap());
    let tokens: usize = calls
        .iter()
        .map(|call| count(&call["function"]["name"]) + count(&call["function"]["arguments"]))
        .sum();
    assert_eq!(answer["usage"]["completion_tokens"], tokens);
}

#[tokio::test]
async fn a_prompt_over_the_context_is_refused_before_any_byte() {
    let long = "word ".repeat(20_000);
    for is_stream in [false, true] {
        let body = chat("gpt-3.5-turbo", &long, json!({"stream":is_stream}));
        let error = refused("/v1/chat/completions", &body).await;
        assert_eq!(error["code"], "context_length_exceeded");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["param"], "messages");
        let message = error["message"].as_str().unwrap();
        let begin = "This model's maximum context length is 16385 tokens. However, your messages \
                     resulted in ";
        assert!(message.starts_with(begin), "{message}");

        let body = json!({"model":"gpt-4","input":long,"stream":is_stream});
        let error = refused("/v1/responses", &body).await;
        assert_eq!(error["code"], "context_length_exceeded");
        assert_eq!(error["param"], "input");

        let body = json!({"model":"claude-sonnet-4-5","max_tokens":9,"stream":is_stream,
            "messages":[{"role":"user","content":"word ".repeat(210_000)}]});
        let answer = SHARED.anonymous().post("/v1/messages", &body).await;
        let error = answer.expect_status(400).json()["error"].clone();
        assert_eq!(error["type"], "invalid_request_error");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("prompt is too long: 2"), "{message}");
        assert!(message.ends_with(" tokens > 200000 maximum"), "{message}");
    }
    let body = json!({"model":"text-embedding-3-small","input":["short",long]});
    let error = refused("/v1/embeddings", &body).await;
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("context_length_exceeded"), &json!("input[1]"))
    );
    let body = json!({"model":"gpt-3.5-turbo-instruct","prompt":long});
    let error = refused("/v1/completions", &body).await;
    assert_eq!(error["param"], "prompt");
    let body = chat("gpt-4o", &long, json!({"max_tokens":5}));
    let answer = ask("/v1/chat/completions", &body).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 20_008);
}

#[tokio::test]
async fn an_answer_longer_than_the_model_writes_is_refused() {
    let body = chat("gpt-4o", "Hello", json!({"max_tokens":16_385}));
    let error = refused("/v1/chat/completions", &body).await;
    assert_eq!(error["param"], "max_tokens");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("supports at most 16384 completion tokens"),
        "{message}"
    );
    let body = chat("gpt-4", "Hello", json!({"max_completion_tokens":8_190}));
    let error = refused("/v1/chat/completions", &body).await;
    assert_eq!(error["code"], "context_length_exceeded");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("(8 in the messages, 8190 in the completion)"),
        "{message}"
    );
}

#[tokio::test]
async fn a_prompt_that_was_sent_before_is_in_the_cache_of_its_key_alone() {
    let host = TestHost::start().await;
    let (one, other) = (host.key("infer").await, host.key("infer").await);
    let long = "Some instructions that stay the same. ".repeat(300);
    let body = |end: &str| {
        let messages = json!([{"role":"system","content":long},{"role":"user","content":end}]);
        json!({"model":"gpt-4o","messages":messages,"max_tokens":5})
    };
    let cached = async |client: &Client, end: &str| {
        let answer = client.post("/v1/chat/completions", &body(end)).await;
        let usage = answer.expect_status(200).json()["usage"].clone();
        let cached = usage["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap();
        (cached, usage["prompt_tokens"].as_u64().unwrap())
    };
    let (first, tokens) = cached(&one, "Hello").await;
    assert!(tokens > 2_048, "{tokens}");
    assert_eq!(first, 0);
    let (second, tokens) = cached(&one, "Good evening").await;
    assert!(second >= 1_024 && second % 128 == 0 && second <= tokens);
    assert!(
        tokens - second < 128 + 16,
        "all but the end: {second} of {tokens}"
    );
    assert_eq!(cached(&other, "Hello").await.0, 0, "another key");

    let body = json!({"model":"gpt-4o","max_output_tokens":16,"input":"Hi","instructions":long});
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = one
            .post("/v1/responses", &body)
            .await
            .expect_status(200)
            .json();
        seen.push(
            answer["usage"]["input_tokens_details"]["cached_tokens"]
                .as_u64()
                .unwrap(),
        );
    }
    assert!(seen[1] >= 1_024, "{seen:?}");
}

#[tokio::test]
async fn a_short_prompt_is_never_in_the_cache() {
    let body = chat("gpt-4o", "Hello", json!({"max_tokens":5}));
    for _ in 0..2 {
        let answer = ask("/v1/chat/completions", &body).await;
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    }
}

#[tokio::test]
async fn what_claudes_callers_mark_is_written_to_the_cache_and_read_from_it() {
    let host = TestHost::start().await;
    let client = host.key("infer").await;
    let long = "Some instructions that stay the same. ".repeat(300);
    let body = |is_marked: bool, is_stream: bool| {
        let mut block = json!({"type":"text","text":long});
        if is_marked {
            block["cache_control"] = json!({"type":"ephemeral"});
        }
        json!({"model":"claude-sonnet-4-5","max_tokens":5,"stream":is_stream,"system":[block],
            "messages":[{"role":"user","content":"Hello"}]})
    };
    let usage = async |is_marked| {
        let answer = client.post("/v1/messages", &body(is_marked, false)).await;
        let usage = answer.expect_status(200).json()["usage"].clone();
        let of = |name: &str| usage[name].as_u64().unwrap();
        (
            of("input_tokens"),
            of("cache_creation_input_tokens"),
            of("cache_read_input_tokens"),
        )
    };
    let (all, 0, 0) = usage(false).await else {
        unreachable!("nothing is marked")
    };
    let (rest, written, 0) = usage(true).await else {
        unreachable!("it was not there")
    };
    assert!(written > 1_024 && rest + written == all);
    assert_eq!(usage(true).await, (rest, 0, written));
    let chunks = stream(&client, "/v1/messages", &body(true, true)).await;
    assert_eq!(
        chunks[0]["message"]["usage"]["cache_read_input_tokens"],
        written
    );
    assert_eq!(chunks[0]["message"]["usage"]["input_tokens"], rest);
}

#[tokio::test]
async fn prompts_that_are_token_ids_are_read_as_their_text() {
    let complete = async |prompt: Value| {
        let body = json!({"model":"davinci-002","prompt":prompt,"max_tokens":9,"seed":1});
        ask("/v1/completions", &body).await
    };
    let words = complete(json!("hello world")).await;
    let ids = complete(json!([15339, 1917])).await;
    assert_eq!(words["choices"], ids["choices"]);
    assert_eq!(
        (&words["usage"], &ids["usage"]["prompt_tokens"]),
        (&ids["usage"], &json!(2))
    );

    let vector = async |input: Value| {
        let body = json!({"model":"text-embedding-3-small","input":input});
        ask("/v1/embeddings", &body).await["data"][0]["embedding"].clone()
    };
    assert_eq!(
        vector(json!("hello world")).await,
        vector(json!([15339, 1917])).await
    );

    for (path, body, place) in [
        (
            "/v1/completions",
            json!({"model":"davinci-002","prompt":[[15339],[200_000]]}),
            "prompt[1]",
        ),
        (
            "/v1/completions",
            json!({"model":"davinci-002","prompt":[200_000]}),
            "prompt",
        ),
        (
            "/v1/embeddings",
            json!({"model":"text-embedding-3-small","input":[[1],[300_000]]}),
            "input[1]",
        ),
    ] {
        assert_eq!(refused(path, &body).await["param"], place);
    }
}

#[tokio::test]
async fn counts_are_those_of_the_answer() {
    let body = json!({"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hello world"}],
        "system":"Be brief."});
    let counted = ask("/v1/messages/count_tokens", &body).await["input_tokens"].clone();
    let mut body = body;
    body["max_tokens"] = 5.into();
    let answer = ask("/v1/messages", &body).await;
    assert_eq!(answer["usage"]["input_tokens"], counted);
    let body = json!({"model":"gpt-4o","input":"hello world"});
    let counted = ask("/v1/responses/input_tokens", &body).await["input_tokens"].clone();
    assert_eq!(counted, 9);
    let answer = ask("/v1/responses", &body).await;
    assert_eq!(answer["usage"]["input_tokens"], counted);
}

#[tokio::test]
async fn a_text_is_cut_into_tokens_and_put_together_again() {
    let body = json!({"model":"gpt-4","prompt":"hello world","return_token_strs":true});
    let answer = ask("/tokenize", &body).await;
    let expected = json!({"count":2,"max_model_len":8192,"tokens":[15339,1917],
        "token_strs":["hello"," world"]});
    assert_eq!(answer, expected);
    let body = json!({"model":"gpt-4","tokens":[15339,1917]});
    let answer = ask("/detokenize", &body).await;
    assert_eq!(answer, json!({"prompt":"hello world"}));

    let long = "The quick brown fox — 你好 🙂. ".repeat(2_000);
    let answer = ask("/tokenize", &json!({"model":"gpt-4o","prompt":long})).await;
    assert_eq!(answer["count"], Encoding::O200kBase.count(&long));
    assert_eq!(answer["token_strs"], Value::Null);
    let tokens = answer["tokens"].clone();
    let answer = ask("/detokenize", &json!({"model":"gpt-4o","tokens":tokens})).await;
    assert_eq!(answer["prompt"], long);
}

#[tokio::test]
async fn a_conversation_is_cut_into_the_tokens_that_it_is_charged_for() {
    let messages = json!([{"role":"system","content":"Be brief."},
        {"role":"user","name":"ada","content":"hello world"}]);
    let body = json!({"model":"gpt-4o","messages":messages});
    let cut = ask("/tokenize", &body).await;
    let answer = ask("/v1/chat/completions", &body).await;
    assert_eq!(answer["usage"]["prompt_tokens"], cut["count"]);
    assert_eq!(cut["tokens"].as_array().unwrap().len(), cut["count"]);
    let body = json!({"model":"gpt-4o","tokens":cut["tokens"]});
    let text = ask("/detokenize", &body).await["prompt"].clone();
    let expected = "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user:ada<|im_sep|>\
                    hello world<|im_end|><|im_start|>assistant<|im_sep|>";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn what_cannot_be_cut_is_refused_by_its_member() {
    for (path, body, param) in [
        ("/tokenize", json!({"model":"gpt-4"}), "prompt"),
        (
            "/tokenize",
            json!({"model":"gpt-4","prompt":"x","messages":[{"role":"user","content":"x"}]}),
            "messages",
        ),
        (
            "/detokenize",
            json!({"model":"gpt-4","tokens":[1,300_000]}),
            "tokens[1]",
        ),
        ("/detokenize", json!({"model":"gpt-4"}), "tokens"),
        ("/tokenize", json!({"model":"echo","prompt":"x"}), "model"),
    ] {
        assert_eq!(refused(path, &body).await["param"], param, "{body}");
    }
    let body = json!({"model":"nobody","prompt":"x"});
    let answer = SHARED.anonymous().post("/tokenize", &body).await;
    let _ = answer.expect_status(404);
}

#[tokio::test]
async fn a_model_with_a_tokenizer_of_its_own_is_asked() {
    let model = SHARED.guest("does_everything", "").await;
    let body = json!({"model":model,"prompt":"hi","return_token_strs":true});
    let answer = ask("/tokenize", &body).await;
    let expected =
        json!({"count":2,"max_model_len":null,"tokens":[104,105],"token_strs":["h","i"]});
    assert_eq!(answer, expected);
    let answer = ask("/detokenize", &json!({"model":model,"tokens":[104,105]})).await;
    assert_eq!(answer["prompt"], "hi");
    let error = refused("/detokenize", &json!({"model":model,"tokens":[256]})).await;
    assert_eq!(error["param"], "tokens");
    let body = json!({"model":model,"messages":[{"role":"user","content":"hi"}]});
    assert_eq!(refused("/tokenize", &body).await["param"], "messages");
}

#[tokio::test]
async fn the_oldest_items_are_left_out_where_the_caller_allows_it() {
    let item = |text: &str| json!({"role":"user","content":text});
    let input = json!([
        item(&"old ".repeat(5_000)),
        item(&"newer ".repeat(5_000)),
        item("Hello")
    ]);
    let mut body = json!({"model":"gpt-4","input":input,"instructions":"Be brief.",
        "truncation":"auto","max_output_tokens":16});
    let answer = ask("/v1/responses", &body).await;
    let tokens = answer["usage"]["input_tokens"].as_u64().unwrap();
    assert!((5_000..5_100).contains(&tokens), "{tokens}");
    body["truncation"] = "disabled".into();
    assert_eq!(
        refused("/v1/responses", &body).await["code"],
        "context_length_exceeded"
    );
}
