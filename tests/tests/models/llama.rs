//! What a caller of a real runtime sees.

use serde_json::{Value, json};

use crate::cached::cached;
use crate::kit::{SHARED, bundle, chat, choice};
use crate::made::{self, Spec};

#[tokio::test]
async fn a_chat_is_answered_at_once_and_as_a_stream_alike() {
    let client = SHARED.anonymous();
    let more = json!({"seed": 7});
    let whole = client.post("/v1/chat/completions", &chat(&more)).await;
    let whole = whole.expect_status(200).json();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(!text.is_empty());
    let more = json!({"seed": 7, "stream": true, "stream_options": {"include_usage": true}});
    let stream = client.post("/v1/chat/completions", &chat(&more)).await;
    let stream = stream.expect_status(200).text();
    let events = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    let events: Vec<Value> = events
        .map(|event| serde_json::from_str(&format!("{{{event}")).unwrap())
        .collect();
    let pieces = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), text);
    let usage = events
        .iter()
        .find(|event| event["usage"].is_object())
        .unwrap();
    assert_eq!(
        usage["usage"]["total_tokens"],
        whole["usage"]["total_tokens"]
    );
}

/// The prompt of a chat has the tokens of the template, and those are the model's own.
#[tokio::test]
async fn usage_is_counted_by_the_tokenizer_of_the_model() {
    let client = SHARED.anonymous();
    let count = async |text: &str| {
        let body = json!({"model": "tiny", "prompt": text});
        let answer = client.post("/tokenize", &body).await.expect_status(200);
        answer.json()["count"].as_u64().unwrap()
    };
    let said = "the thing in the jar";
    // "the" and " the" are tokens, as are "th" and "in" in "thing" and alone; the rest are bytes.
    assert_eq!(count(said).await, 12);
    let answer = client.post("/v1/chat/completions", &chat(&json!({}))).await;
    let usage = answer.expect_status(200).json()["usage"].clone();
    let marks = count("user\n").await + count("\n").await + count("assistant\n").await + 3;
    assert_eq!(usage["prompt_tokens"], count(said).await + marks);
    let body = json!({"model": "tiny", "prompt": "<|im_end|> \u{e4}"});
    let tokens = client.post("/tokenize", &body).await.json()["tokens"].clone();
    assert_eq!(
        tokens.as_array().unwrap().len(),
        13,
        "a mark in a text is text"
    );
    let body = json!({"model": "tiny", "tokens": tokens});
    let text = client
        .post("/detokenize", &body)
        .await
        .expect_status(200)
        .json();
    assert_eq!(text["prompt"], "<|im_end|> \u{e4}");
}

#[tokio::test]
async fn nobodys_words_end_a_turn() {
    let client = SHARED.anonymous();
    let prompt_tokens = async |content: &str| {
        let more = json!({"max_tokens": 1, "messages": [{"role": "user", "content": content}]});
        let answer = client.post("/v1/chat/completions", &chat(&more)).await;
        answer.expect_status(200).json()["usage"]["prompt_tokens"]
            .as_u64()
            .unwrap()
    };
    // Ten bytes of a name are ten tokens here, and a mark would be one.
    assert_eq!(
        prompt_tokens("<|im_end|>").await,
        prompt_tokens("<_im_end_>").await
    );
}

#[tokio::test]
async fn log_probabilities_are_of_the_model_and_in_order() {
    let more = json!({"logprobs": true, "top_logprobs": 5, "max_tokens": 8, "temperature": 0});
    let choice = choice(&SHARED.anonymous(), &more).await;
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    assert!(!tokens.is_empty());
    for token in tokens {
        let others = token["top_logprobs"].as_array().unwrap();
        let logprobs: Vec<f64> = others
            .iter()
            .map(|other| other["logprob"].as_f64().unwrap())
            .collect();
        assert_eq!(logprobs.len(), 5);
        assert!(logprobs.is_sorted_by(|a, b| a >= b));
        assert!(logprobs.iter().map(|logprob| logprob.exp()).sum::<f64>() <= 1.0 + 1e-5);
        // The likeliest is the one that is taken where there is no chance.
        assert_eq!(token["logprob"], others[0]["logprob"]);
    }
}

#[tokio::test]
async fn equal_seeds_give_equal_answers_and_a_bias_is_obeyed() {
    let client = SHARED.anonymous();
    let said = async |more: &Value| choice(&client, more).await["message"]["content"].clone();
    let first = said(&json!({"seed": 1, "temperature": 2})).await;
    assert_eq!(first, said(&json!({"seed": 1, "temperature": 2})).await);
    assert_ne!(first, said(&json!({"seed": 2, "temperature": 2})).await);
    let biased = json!({"temperature": 0, "max_tokens": 3, "logit_bias": {"97": 100}});
    assert_eq!(said(&biased).await, "aaa");
    let stopped = json!({"temperature": 0, "logit_bias": {"97": 100}, "stop": ["aa"]});
    assert_eq!(said(&stopped).await, "");
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_refused_with_both_numbers() {
    let content = "x".repeat(made::CONTEXT);
    let body = chat(&json!({"messages": [{"role": "user", "content": content}]}));
    let answer = SHARED.anonymous().post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 400);
    let said = format!("this model sees {}", made::CONTEXT);
    assert!(answer.text().contains(&said), "{}", answer.text());
}

#[tokio::test]
async fn a_file_that_is_no_model_is_refused_at_upload_by_name() {
    let mut file = made::tiny(&Spec::default());
    let missing = "blk.1.ffn_up.weight";
    file.tensors.retain(|tensor| tensor.name != missing);
    let archive = bundle("torn", &file.bytes()).tar();
    let answer = SHARED.admin().upload(archive).await;
    let text = answer.expect_status(422).text();
    assert!(
        text.contains("tensor `blk.1.ffn_up.weight` is missing"),
        "{text}"
    );
}

/// A known model says what other programs have it say.
#[tokio::test]
async fn smollm2_tells_the_colour_of_the_sky() {
    const NAME: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
    let Some(path) = cached(NAME) else {
        eprintln!("skipped: {NAME} is not in the cache of models");
        return;
    };
    let archive = bundle("smollm2", &std::fs::read(path).unwrap()).tar();
    let _ = SHARED.admin().upload(archive).await.expect_status(201);
    let more = json!({"model": "smollm2", "temperature": 0, "messages": [
        {"role": "user", "content": "What is the colour of the sky? Answer in one sentence."}]});
    let choice = choice(&SHARED.anonymous(), &more).await;
    assert_eq!(
        choice["message"]["content"],
        "The sky is a deep shade of indigo, with a hint of pink."
    );
}
