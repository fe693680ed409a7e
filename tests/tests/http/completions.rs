//! `POST /v1/completions`.

use crate::host::SHARED;
use serde_json::{Value, json};

fn ask(more: Value) -> Value {
    let mut body = json!({"model":"fake","seed":1,"prompt":"Once upon a time","max_tokens":12});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn complete(more: Value) -> Value {
    let client = SHARED.anonymous();
    let answer = client.post("/v1/completions", &ask(more)).await;
    answer.expect_status(200).json()
}

/// The error of a request that is refused: its code, and the member that it names.
async fn refused(more: Value) -> (Value, Value) {
    let client = SHARED.anonymous();
    let answer = client.post("/v1/completions", &ask(more)).await;
    let error = answer.expect_status(400).json()["error"].clone();
    (error["code"].clone(), error["param"].clone())
}

/// The chunks of a stream, which ends as it should.
async fn stream(more: Value) -> Vec<Value> {
    let mut body = ask(more);
    body["stream"] = json!(true);
    let answer = SHARED.anonymous().post("/v1/completions", &body).await;
    let answer = answer.expect_status(200);
    let text = answer.text();
    let text = text.strip_suffix("data: [DONE]\n\n").unwrap();
    let events = text.split_terminator("\n\n");
    events
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

fn text(choice: &Value) -> &str {
    choice["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_text_goes_on_in_openais_shape() {
    let answer = complete(json!({})).await;
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["model"], "fake");
    let choice = &answer["choices"][0];
    assert!(!text(choice).is_empty());
    assert_eq!(
        (&choice["index"], &choice["logprobs"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(choice["finish_reason"], "length");
    let usage = &answer["usage"];
    assert_eq!(usage["completion_tokens"], 12);
    assert!(usage["prompt_tokens"].as_u64().unwrap() >= 4);
    assert_eq!(complete(json!({})).await["choices"], answer["choices"]);
}

#[tokio::test]
async fn without_a_length_it_is_sixteen_tokens() {
    let answer = complete(json!({"max_tokens":null})).await;
    assert_eq!(answer["usage"]["completion_tokens"], 16);
}

#[tokio::test]
async fn each_prompt_gets_its_answers_in_order() {
    let prompts = json!([
        "Tell me of rivers",
        "Tell me of mountains",
        "Tell me of deserts"
    ]);
    let answer = complete(json!({"prompt":prompts,"n":2,"max_tokens":30})).await;
    let choices = answer["choices"].as_array().unwrap();
    let indices: Vec<_> = choices.iter().map(|choice| &choice["index"]).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4, 5]);
    for (one, other) in [(0, 1), (0, 2), (2, 4)] {
        assert_ne!(choices[one]["text"], choices[other]["text"]);
    }
    let alone = complete(json!({"prompt":"Tell me of mountains","n":2,"max_tokens":30})).await;
    assert_eq!(alone["choices"][0]["text"], choices[2]["text"]);
    let usage = &answer["usage"];
    let each = alone["usage"]["prompt_tokens"].as_u64().unwrap();
    let all = usage["prompt_tokens"].as_u64().unwrap();
    assert!(
        (2 * each + 1..=4 * each).contains(&all),
        "a prompt is paid for once: {usage}"
    );
}

#[tokio::test]
async fn a_hundred_prompts_are_answered_at_once() {
    let prompts: Vec<_> = (0..100).map(|number| format!("Prompt {number}")).collect();
    let answer = complete(json!({"prompt":prompts})).await;
    assert_eq!(answer["choices"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn tokens_are_a_prompt() {
    for prompt in [json!([1, 2, 3]), json!([[1, 2, 3], [4, 5]])] {
        let lists = usize::from(prompt[0].is_array()) + 1;
        let answer = complete(json!({"prompt":prompt})).await;
        assert_eq!(answer["choices"].as_array().unwrap().len(), lists);
        let tokens = if lists == 1 { 3 } else { 5 };
        assert_eq!(answer["usage"]["prompt_tokens"], tokens);
    }
}

#[tokio::test]
async fn the_prompt_comes_back_where_it_is_asked_for() {
    let answer = complete(json!({"echo":true})).await;
    let plain = complete(json!({})).await;
    let expected = format!("Once upon a time{}", text(&plain["choices"][0]));
    assert_eq!(text(&answer["choices"][0]), expected);
    let streamed: String = stream(json!({"echo":true}))
        .await
        .iter()
        .map(|chunk| text(&chunk["choices"][0]).to_owned())
        .collect();
    assert_eq!(streamed, expected);
    let alone = complete(json!({"echo":true,"max_tokens":0})).await;
    assert_eq!(text(&alone["choices"][0]), "Once upon a time");
}

#[tokio::test]
async fn stop_strings_cut_exactly() {
    let whole = complete(json!({"max_tokens":60})).await;
    let whole = text(&whole["choices"][0]).to_owned();
    let stop = whole.split(' ').nth(5).unwrap();
    let answer = complete(json!({"max_tokens":60,"stop":[stop]})).await;
    let choice = &answer["choices"][0];
    assert_eq!(text(choice), whole.split_once(stop).unwrap().0);
    assert_eq!(choice["finish_reason"], "stop");
}

#[tokio::test]
async fn log_probabilities_come_in_lists_of_one_length() {
    let answer = complete(json!({"logprobs":2,"echo":true})).await;
    let choice = &answer["choices"][0];
    let logprobs = &choice["logprobs"];
    let list = |name: &str| logprobs[name].as_array().unwrap().clone();
    let (tokens, offsets) = (list("tokens"), list("text_offset"));
    // The four tokens of the prompt, and those of the answer.
    assert_eq!(tokens.len(), 16);
    assert_eq!(list("token_logprobs").len(), 16);
    let tops = list("top_logprobs");
    let mut tops = tops.iter().skip(4);
    assert!(tops.all(|top| top.as_object().unwrap().len() >= 2));
    let whole: Vec<char> = text(choice).chars().collect();
    for (token, offset) in tokens.iter().zip(&offsets) {
        let token = token.as_str().unwrap();
        let at = usize::try_from(offset.as_u64().unwrap()).unwrap();
        let found: String = whole[at..].iter().take(token.chars().count()).collect();
        assert_eq!(found, token);
    }
    let chunks = stream(json!({"logprobs":1})).await;
    let offsets: Vec<u64> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["logprobs"]["text_offset"][0].as_u64())
        .collect();
    assert_eq!(offsets[0], 0);
    assert!(offsets.is_sorted() && offsets.len() == 12);
}

#[tokio::test]
async fn the_best_of_several_are_given_and_all_are_paid_for() {
    let answer = complete(json!({"n":2,"best_of":5})).await;
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answer["usage"]["completion_tokens"], 60);
    assert_eq!(answer["choices"][0]["logprobs"], Value::Null);
}

#[tokio::test]
async fn a_stream_says_the_same_and_ends_with_the_usage() {
    let whole = complete(json!({"n":2})).await;
    let chunks = stream(json!({"n":2,"stream_options":{"include_usage":true}})).await;
    let (last, chunks) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole["usage"]);
    for index in 0..2 {
        let own = || {
            chunks
                .iter()
                .filter(move |chunk| chunk["choices"][0]["index"] == index)
        };
        let streamed: String = own().map(|chunk| text(&chunk["choices"][0])).collect();
        let index = usize::try_from(index).unwrap();
        assert_eq!(streamed, text(&whole["choices"][index]));
        let reasons: Vec<_> = own()
            .map(|chunk| &chunk["choices"][0]["finish_reason"])
            .filter(|reason| !reason.is_null())
            .collect();
        assert_eq!(reasons, [&whole["choices"][index]["finish_reason"]]);
    }
    for chunk in chunks {
        assert_eq!(
            (&chunk["object"], &chunk["usage"]),
            (&json!("text_completion"), &Value::Null)
        );
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_name() {
    for (more, param) in [
        (json!({"n":0}), "n"),
        (json!({"n":100_000}), "n"),
        (json!({"best_of":1,"n":2}), "best_of"),
        (json!({"best_of":21}), "best_of"),
        (json!({"best_of":3,"stream":true}), "best_of"),
        (json!({"logprobs":6}), "logprobs"),
        (json!({"max_tokens":0}), "max_tokens"),
        (json!({"prompt":[]}), "prompt"),
        (json!({"prompt":vec!["x";300]}), "prompt"),
        (json!({"prompt":["a",1]}), "prompt"),
        (json!({"prompt":[[1],[]]}), "prompt[1]"),
        (json!({"prompt":{"a":1}}), "prompt"),
        (json!({"stop":["a","b","c","d","e"]}), "stop"),
        (json!({"temperature":3}), "temperature"),
        (json!({"stream_options":{}}), "stream_options"),
        (json!({"messages":[]}), "messages"),
        (
            json!({"prompt":["fine","'; DROP TABLE users; --"]}),
            "prompt[1]",
        ),
    ] {
        let (_, named) = refused(more.clone()).await;
        assert_eq!(named, param, "{more}");
    }
}
