//! Completions that begin with their prompts, and what else is checked of what a model is asked.

use crate::host::SHARED;
use serde_json::{Value, json};

async fn complete(more: Value) -> Value {
    let mut body = json!({"model":"gpt-3.5-turbo-instruct","max_tokens":4,"seed":1});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = SHARED.anonymous().post("/v1/completions", &body).await;
    answer.expect_status(200).json()
}

#[tokio::test]
async fn a_prompt_that_comes_back_has_its_tokens_in_front_of_those_of_the_answer() {
    let prompt = "Say this is a test";
    let body = json!({"model":"gpt-3.5-turbo-instruct","prompt":prompt});
    let tokens = SHARED.anonymous().post("/tokenize", &body).await;
    let ids = tokens.expect_status(200).json()["tokens"].clone();
    for more in [json!({"prompt":prompt}), json!({"prompt":ids})] {
        let mut more = more;
        more["echo"] = json!(true);
        more["logprobs"] = json!(1);
        let answer = complete(more.clone()).await;
        let choice = &answer["choices"][0];
        let text = choice["text"].as_str().unwrap();
        assert!(
            text.starts_with(prompt) && text.len() > prompt.len(),
            "{text}"
        );
        let logprobs = &choice["logprobs"];
        let listed = logprobs["tokens"].as_array().unwrap();
        let joined: String = listed.iter().map(|token| token.as_str().unwrap()).collect();
        assert_eq!(joined, text);
        assert_eq!(listed.len(), 5 + 4);
        for member in ["token_logprobs", "top_logprobs", "text_offset"] {
            assert_eq!(logprobs[member].as_array().unwrap().len(), listed.len());
        }
        // Nobody says how likely the first token was.
        assert_eq!(logprobs["token_logprobs"][0], Value::Null);
        assert!(logprobs["token_logprobs"][1].as_f64().unwrap() < 0.0);
        // The prompt alone, as evaluations ask for it.
        more["max_tokens"] = json!(0);
        let alone = complete(more).await;
        assert_eq!(alone["choices"][0]["text"], prompt);
        let logprobs = &alone["choices"][0]["logprobs"]["tokens"];
        assert_eq!(logprobs.as_array().unwrap().len(), 5);
        assert_eq!(alone["usage"]["completion_tokens"], 0);
    }
}

#[tokio::test]
async fn any_json_is_asked_for_with_the_word_where_openai_wants_it() {
    let chat = |model: &str, text: &str| {
        json!({"model":model,"messages":[{"role":"user","content":text}],
            "response_format":{"type":"json_object"}})
    };
    let client = SHARED.anonymous();
    let path = "/v1/chat/completions";
    for (model, text, status) in [
        ("gpt-4o", "Give me an object.", 400),
        ("gpt-4o", "Give me a Json object.", 200),
        ("fake", "Give me an object.", 200),
    ] {
        let answer = client.post(path, &chat(model, text)).await;
        let answer = answer.expect_status(status).json();
        if status == 400 {
            assert_eq!(answer["error"]["param"], "messages");
        }
    }
    let body = json!({"model":"gpt-4o","input":"Give me an object.","text":{"format":{"type":"json_object"}}});
    let answer = client.post("/v1/responses", &body).await.expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "input");
}

#[tokio::test]
async fn the_input_of_a_custom_tool_follows_its_grammar() {
    let client = SHARED.anonymous();
    let ask = |format: Value| {
        json!({"model":"gpt-4o","tool_choice":"required",
            "messages":[{"role":"user","content":"Add 4 and 38"}],
            "tools":[{"type":"custom","custom":{"name":"calc","format":format}}]})
    };
    let grammar = |syntax: &str, definition: &str| json!({"type":"grammar","grammar":{"syntax":syntax,"definition":definition}});
    let sum = "start: INT \"+\" INT\n%import common.INT";
    let body = ask(grammar("lark", sum));
    let answer = client.post("/v1/chat/completions", &body).await;
    let answer = answer.expect_status(200).json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["custom"]["input"], "4+38");

    for (format, place, message) in [
        (grammar("gbnf", "x"), "grammar.syntax", "expected `lark`"),
        (
            json!({"type":"grammar","syntax":"lark"}),
            "definition",
            "missing",
        ),
        (json!({"type":"json"}), "type", "expected `text`"),
        (json!({}), "type", "missing"),
        (json!("text"), "", "expected"),
        (
            grammar("lark", "start: a"),
            "tools",
            "line 1: there is no rule `a`",
        ),
    ] {
        let answer = client
            .post("/v1/chat/completions", &ask(format.clone()))
            .await;
        let error = answer.expect_status(400).json()["error"].clone();
        let told = format!("{} {}", error["param"], error["message"]);
        assert!(told.contains(place), "{format}: {told}");
        assert!(told.to_lowercase().contains(message), "{format}: {told}");
    }
}

#[tokio::test]
async fn the_input_of_a_custom_tool_is_a_text_that_follows_its_expression() {
    let expression = "[0-9]{2} [+*] [0-9]{2}";
    let client = SHARED.anonymous();
    let chat = json!({"model":"gpt-4o","tool_choice":"required",
        "messages":[{"role":"user","content":"Compute something."}],
        "tools":[{"type":"custom","custom":{"name":"calc","format":{"type":"grammar",
            "grammar":{"syntax":"regex","definition":expression}}}}]});
    let answer = client
        .post("/v1/chat/completions", &chat)
        .await
        .expect_status(200)
        .json();
    let of_chat = answer["choices"][0]["message"]["tool_calls"][0]["custom"]["input"].clone();
    let response = json!({"model":"gpt-4o","tool_choice":"required","input":"Compute something.",
        "tools":[{"type":"custom","name":"calc",
            "format":{"type":"grammar","syntax":"regex","definition":expression}}]});
    let answer = client
        .post("/v1/responses", &response)
        .await
        .expect_status(200)
        .json();
    for input in [of_chat, answer["output"][0]["input"].clone()] {
        let parts: Vec<_> = input.as_str().unwrap().split(' ').collect();
        let is_number = |text: &str| text.len() == 2 && text.parse::<u8>().is_ok();
        assert!(is_number(parts[0]) && is_number(parts[2]), "{input}");
        assert!(["+", "*"].contains(&parts[1]), "{input}");
    }
    let plain = json!({"model":"gpt-4o","tool_choice":"required",
        "messages":[{"role":"user","content":"Search for bell jars"}],
        "tools":[{"type":"custom","custom":{"name":"find"}}]});
    let answer = client
        .post("/v1/chat/completions", &plain)
        .await
        .expect_status(200)
        .json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["custom"]["input"], "bell jars");
}

#[tokio::test]
async fn sound_is_counted_by_itself_and_pictures_as_each_api_counts_them() {
    let client = SHARED.anonymous();
    let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wave.extend_from_slice(&8_000_u32.to_le_bytes());
    wave.extend_from_slice(&16_000_u32.to_le_bytes());
    wave.extend_from_slice(b"\x02\0\x10\0data");
    wave.extend_from_slice(&32_000_u32.to_le_bytes());
    wave.resize(wave.len() + 32_000, 0);
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &wave);
    let body = json!({"model":"gpt-4o-audio-preview","max_tokens":5,"messages":[{"role":"user","content":[
        {"type":"input_audio","input_audio":{"data":data,"format":"wav"}}]}]});
    let answer = client
        .post("/v1/chat/completions", &body)
        .await
        .expect_status(200)
        .json();
    let sound = &answer["usage"]["prompt_tokens_details"]["audio_tokens"];
    assert_eq!(*sound, 21, "{answer}");
    // A picture of 750 by 750 is 750 tokens by its area.
    let mut picture = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    picture.extend_from_slice(&750_u32.to_be_bytes());
    picture.extend_from_slice(&750_u32.to_be_bytes());
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &picture);
    let count = async |content: Value| {
        let body =
            json!({"model":"claude-sonnet-4-5","messages":[{"role":"user","content":content}]});
        let answer = client.post("/v1/messages/count_tokens", &body).await;
        answer.expect_status(200).json()["input_tokens"]
            .as_u64()
            .unwrap()
    };
    let text = json!({"type":"text","text":"Look."});
    let image =
        json!({"type":"image","source":{"type":"base64","media_type":"image/png","data":data}});
    assert_eq!(
        count(json!([text, image])).await,
        count(json!([text])).await + 750
    );
}
