//! Chat completions that are spoken: `modalities` and `audio`.

use crate::host::SHARED;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn ask(more: Value) -> Value {
    let mut body = json!({"model":"gpt-4o-audio-preview","max_tokens":20,"seed":1,
        "modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"},
        "messages":[{"role":"user","content":"Tell me about lighthouses."}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn sound(audio: &Value) -> Vec<u8> {
    STANDARD.decode(audio["data"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_answer_is_spoken_for_as_long_as_one_would_speak() {
    let client = SHARED.anonymous();
    let written = ask(json!({"modalities":["text"]}));
    let written = client.post(CHAT, &written).await.expect_status(200).json();
    let text = written["choices"][0]["message"]["content"]
        .as_str()
        .unwrap();
    for (format, start) in [
        ("wav", &b"RIFF"[..]),
        ("pcm16", b""),
        ("flac", b"fLaC"),
        ("mp3", b"\xff\xf3"),
        ("opus", b"OggS"),
        ("aac", b"\xff\xf1"),
    ] {
        let body = ask(json!({"audio":{"voice":"alloy","format":format}}));
        let answer = client.post(CHAT, &body).await.expect_status(200).json();
        let choice = &answer["choices"][0];
        let message = &choice["message"];
        assert_eq!(message["content"], Value::Null, "{message}");
        assert_eq!(message["audio"]["transcript"], text, "{message}");
        assert_eq!(
            choice["finish_reason"],
            written["choices"][0]["finish_reason"]
        );
        let kept = message["audio"]["expires_at"].as_i64().unwrap();
        assert!(kept > answer["created"].as_i64().unwrap());
        let sound = sound(&message["audio"]);
        assert!(sound.starts_with(start), "{format}");
        if format == "pcm16" {
            // 24 000 samples of two bytes for each fifteen characters.
            assert_eq!(sound.len(), text.chars().count() * 3_200);
        }
    }
}

#[tokio::test]
async fn a_stream_sounds_as_the_whole() {
    let client = SHARED.anonymous();
    let pcm = json!({"audio":{"voice":"coral","format":"pcm16"}});
    let whole = client.post(CHAT, &ask(pcm.clone())).await;
    let whole = whole.expect_status(200).json()["choices"][0]["message"]["audio"].clone();
    let mut body = ask(pcm);
    body["stream"] = json!(true);
    let text = client.post(CHAT, &body).await.expect_status(200).text();
    let (mut said, mut heard, mut last) = (String::new(), Vec::new(), Value::Null);
    for event in text
        .split("\n\n")
        .filter_map(|line| line.strip_prefix("data: {"))
    {
        let chunk: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
        let delta = &chunk["choices"][0]["delta"];
        let audio = &delta["audio"];
        if audio["transcript"].is_string() {
            said.push_str(audio["transcript"].as_str().unwrap());
        }
        if audio["data"].is_string() {
            heard.extend(sound(audio));
        }
        if audio.is_object() {
            last = audio.clone();
        }
    }
    assert_eq!(said, whole["transcript"].as_str().unwrap());
    assert!(heard == sound(&whole));
    assert!(last["expires_at"].is_i64(), "{last}");
}

#[tokio::test]
async fn what_cannot_be_spoken_is_refused() {
    let client = SHARED.anonymous();
    for (more, param) in [
        (json!({"audio":null}), "audio"),
        (json!({"audio":{"format":"wav"}}), "audio.voice"),
        (
            json!({"audio":{"voice":"alloy","format":"ogg"}}),
            "audio.format",
        ),
        (
            json!({"audio":{"voice":"nobody","format":"wav"}}),
            "audio.voice",
        ),
        (json!({"stream":true}), "audio.format"),
        (json!({"modalities":["video"]}), "modalities"),
        (json!({"modalities":[]}), "modalities"),
    ] {
        let refused = client.post(CHAT, &ask(more.clone())).await;
        let refused = refused.expect_status(400).json();
        assert_eq!(refused["error"]["param"], param, "{more}: {refused}");
    }
    // A voice of one's own, and a call of a tool, which nobody says aloud.
    let tool = json!([{"type":"function","function":{"name":"look"}}]);
    let more = json!({"tools":tool,"tool_choice":"required",
        "audio":{"voice":{"id":"voice_1"},"format":"mp3"}});
    let answer = client
        .post(CHAT, &ask(more))
        .await
        .expect_status(200)
        .json();
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["audio"], Value::Null, "{message}");
    assert_eq!(message["tool_calls"][0]["function"]["name"], "look");
}
