//! `logit_bias`: tokens that callers want more or less of.

use crate::host::SHARED;
use belljar_tokens::Encoding;
use serde_json::{Value, json};

const ASKED: &str = "Tell me of the sea, in a few sentences.";

/// An answer to a question, with the tokens of its text as it lists them.
async fn ask(text: &str, more: Value) -> (String, Vec<u32>, Value) {
    let mut body = json!({"model":"gpt-4o","seed":1,"logprobs":true,"top_logprobs":5,
        "messages":[{"role":"user","content":text}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = SHARED.anonymous().post("/v1/chat/completions", &body).await;
    let answer = answer.expect_status(200).json();
    let choice = answer["choices"][0].clone();
    let text = choice["message"]["content"].as_str().unwrap().to_owned();
    let listed = choice["logprobs"]["content"].as_array().unwrap();
    let all = listed.iter().flat_map(|token| {
        let others = token["top_logprobs"].as_array().unwrap().iter();
        std::iter::once(token).chain(others)
    });
    let ids = all.map(|token| {
        let token = token["token"].as_str().unwrap();
        Encoding::O200kBase.encode(token)[0]
    });
    (text, ids.collect(), answer)
}

fn ids(text: &str) -> Vec<u32> {
    Encoding::O200kBase.encode(text)
}

fn biases(tokens: &[u32], bias: f64) -> Value {
    let all = tokens.iter().map(|token| (token.to_string(), json!(bias)));
    json!({"logit_bias": all.collect::<serde_json::Map<_, _>>()})
}

#[tokio::test]
async fn a_token_that_is_forbidden_is_neither_in_the_answer_nor_among_what_could_be() {
    let (plain, ..) = ask(ASKED, json!({})).await;
    let mut tokens = ids(&plain);
    tokens.sort_unstable();
    tokens.dedup();
    // Each of them by itself, words and marks alike, and then many at once.
    let mut all: Vec<Vec<u32>> = tokens.iter().map(|token| vec![*token]).collect();
    all.push(tokens.iter().copied().step_by(2).collect());
    for forbidden in all {
        let (text, listed, answer) = ask(ASKED, biases(&forbidden, -100.0)).await;
        assert!(!text.is_empty());
        let is_said = ids(&text).into_iter().chain(listed);
        let said: Vec<u32> = is_said.filter(|token| forbidden.contains(token)).collect();
        assert_eq!(said, [] as [u32; 0], "{forbidden:?}: {text}");
        let listed = answer["choices"][0]["logprobs"]["content"].as_array();
        let used = &answer["usage"]["completion_tokens"];
        assert_eq!(*used, listed.unwrap().len());
    }
    let hello = [ids("hello")[0], ids("Hello")[0]];
    let (text, ..) = ask("Reply with exactly: hello", biases(&hello, -100.0)).await;
    assert!(
        !text.is_empty() && !text.to_lowercase().contains("hello"),
        "{text}"
    );
}

#[tokio::test]
async fn a_token_that_is_wanted_above_all_is_the_answer() {
    let sea = ids(" sea");
    let mut more = biases(&sea, 100.0);
    more["max_tokens"] = json!(300);
    for temperature in [0.0, 1.0] {
        more["temperature"] = json!(temperature);
        let (text, _, answer) = ask("Say hello.", more.clone()).await;
        assert_eq!(text, " sea".repeat(300));
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "length");
        let first = &choice["logprobs"]["content"][0];
        assert_eq!(first["token"], " sea");
        assert!(first["logprob"].as_f64().unwrap() > -0.01, "{first}");
        assert_eq!(first["top_logprobs"][0]["token"], " sea");
        assert!(
            first["top_logprobs"][1]["logprob"].as_f64().unwrap() < -50.0,
            "{first}"
        );
    }
    // Who does not say how much gets as much as of any answer.
    let (text, _, answer) = ask("Say hello.", biases(&sea, 100.0)).await;
    assert!(text.starts_with(" sea") && text.len() < 1_000);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn an_end_that_is_wanted_above_all_comes_first() {
    let end = Encoding::O200kBase.special_token("<|endoftext|>").unwrap();
    let (text, listed, answer) = ask(ASKED, biases(&[end], 100.0)).await;
    assert_eq!((text.as_str(), listed.len()), ("", 0));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], 0);
}

#[tokio::test]
async fn one_of_several_classes_is_chosen_and_a_stream_chooses_the_same() {
    let classes = [ids("yes")[0], ids("no")[0]];
    let mut met = std::collections::BTreeSet::new();
    for seed in 0..12 {
        let mut more = biases(&classes, 100.0);
        more["max_tokens"] = json!(1);
        more["seed"] = json!(seed);
        let (text, ..) = ask("Is the sea wide?", more.clone()).await;
        assert!(["yes", "no"].contains(&text.as_str()), "{text}");
        more["stream"] = json!(true);
        more["model"] = json!("gpt-4o");
        more["messages"] = json!([{"role":"user","content":"Is the sea wide?"}]);
        let answer = SHARED.anonymous().post("/v1/chat/completions", &more).await;
        let streamed = answer.expect_status(200).text().to_owned();
        assert!(
            streamed.contains(&format!(r#""content":"{text}""#)),
            "{streamed}"
        );
        met.insert(text);
    }
    assert_eq!(met.len(), 2, "{met:?}");
}

#[tokio::test]
async fn a_small_bias_shifts_and_json_stays_json() {
    let sea = ids(" sea");
    let count = async |bias: f64| {
        let mut count = 0;
        for seed in 0..10 {
            let mut more = biases(&sea, bias);
            more["seed"] = json!(seed);
            more["max_tokens"] = json!(60);
            let (text, ..) = ask("Tell me of the forest.", more).await;
            count += text.matches(" sea").count();
        }
        count
    };
    let counts = [count(0.0).await, count(5.0).await, count(8.0).await];
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
    let schema = json!({"type":"object","properties":{"city":{"type":"string"}},
        "required":["city"],"additionalProperties":false});
    let mut more = biases(&[ids("{\"")[0], ids("\":\"")[0]], -100.0);
    more["logit_bias"][sea[0].to_string()] = json!(100);
    more["response_format"] =
        json!({"type":"json_schema","json_schema":{"name":"t","strict":true,"schema":schema}});
    let (text, listed, _) = ask("Where is Paris?", more).await;
    let read: Value = serde_json::from_str(&text).unwrap();
    assert!(read["city"].is_string(), "{text}");
    assert!(!listed.contains(&ids("{\"")[0]), "{text}");
}
