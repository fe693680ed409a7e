#![allow(clippy::unwrap_used)]
use super::*;
use crate::recording::Headers;
use serde_json::json;
use std::time::Duration;

fn answer(status: u16, kind: &str, content: Content) -> Answer {
    Answer {
        status,
        headers: Headers::from([("content-type".to_owned(), kind.to_owned())]),
        after: Duration::ZERO,
        content,
    }
}

fn whole(value: &Value) -> Answer {
    let body = Body::new(value.to_string().into_bytes());
    answer(200, "application/json", Content::Whole(body))
}

fn stream(events: &[&str]) -> Answer {
    let events = events.iter().map(|event| Event {
        after: Duration::ZERO,
        body: Body::new(format!("{event}\n\n").into_bytes()),
    });
    answer(200, "text/event-stream", Content::Stream(events.collect()))
}

#[track_caller]
fn check(recorded: &Answer, live: &Answer, expect: &[&str]) {
    let told: Vec<String> = drift(recorded, live).iter().map(Drift::to_string).collect();
    assert_eq!(told, expect);
}

fn completion() -> Value {
    json!({
        "id": "chatcmpl-8dj2K",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    })
}

fn changed(change: impl Fn(&mut Value)) -> Answer {
    let mut value = completion();
    change(&mut value);
    whole(&value)
}

#[test]
fn ids_times_counts_and_generated_text_do_not_drift() {
    let live = changed(|value| {
        value["id"] = "chatcmpl-x".into();
        value["created"] = 1_800_000_000.into();
        value["choices"][0]["message"]["content"] = "Something else.".into();
        value["usage"]["completion_tokens"] = 20.into();
    });
    check(&whole(&completion()), &live, &[]);
}

#[test]
fn what_has_drifted_is_said_by_path() {
    let recorded = whole(&completion());
    let drifted = |change: &dyn Fn(&mut Value), expect: &[&str]| {
        check(&recorded, &changed(change), expect);
    };
    drifted(
        &|v| v["id"] = "msg_1".into(),
        &[r#"$.id was "chatcmpl-…", is "msg_…""#],
    );
    drifted(
        &|v| v["created"] = "now".into(),
        &["$.created was a number, is a text"],
    );
    drifted(
        &|v| v["choices"][0]["finish_reason"] = "length".into(),
        &[r#"$.choices[*].finish_reason was "stop", is "length""#],
    );
    drifted(
        &|v| v["choices"][0]["message"]["content"] = Value::Null,
        &["$.choices[*].message.content was a text, is null"],
    );
    drifted(
        &|v| v["choices"][0]["message"]["refusal"] = Value::Null,
        &["$.choices[*].message.refusal is new: null"],
    );
    drifted(
        &|v| drop(v.as_object_mut().unwrap().remove("usage")),
        &["$.usage is missing"],
    );
    drifted(
        &|v| v["choices"] = json!({}),
        &["$.choices was an array, is an object"],
    );
    drifted(
        &|v| {
            let one = v["choices"][0].clone();
            v["choices"] =
                json!([one, {"index": 1, "message": {"role": "assistant", "content": ""}}]);
        },
        &["$.choices[*].finish_reason is missing in 1 of 2"],
    );
}

#[test]
fn vectors_drift_by_their_length() {
    let vector = |length: usize| whole(&json!({"data": [{"embedding": vec![0.5; length]}]}));
    check(&vector(8), &vector(8), &[]);
    check(
        &vector(8),
        &vector(4),
        &["$.data[*].embedding was 8 numbers, is 4"],
    );
}

#[test]
fn status_type_and_form_drift() {
    let text =
        |status, kind, body: &[u8]| answer(status, kind, Content::Whole(Body::new(body.to_vec())));
    check(
        &text(200, "text/plain", b"a"),
        &text(200, "text/plain; charset=utf-8", b"b"),
        &[],
    );
    check(
        &text(200, "application/json", b"{}"),
        &text(503, "text/html", b"<html>"),
        &[
            "status was 200, is 503",
            "content-type was `application/json`, is `text/html`",
            "body was JSON, is text",
        ],
    );
    check(
        &stream(&["data: [DONE]"]),
        &text(200, "text/event-stream", b""),
        &["body was a stream, is in one piece"],
    );
    check(
        &text(200, "a/b", b"\xff"),
        &text(200, "a/b", b""),
        &["body was bytes, is empty"],
    );
}

fn chunk(delta: &Value, reason: &Value) -> String {
    let chunk = json!({"object": "chat.completion.chunk", "choices": [{"delta": delta, "finish_reason": reason}]});
    format!("data: {chunk}")
}

#[test]
fn events_drift_by_their_order_and_not_by_their_number() {
    let head = chunk(&json!({"role": "assistant"}), &Value::Null);
    let text = |text: &str| chunk(&json!({"content": text}), &Value::Null);
    let end = chunk(&json!({}), &"stop".into());
    let recorded = stream(&[&head, &text("a"), &text("b"), &end, "data: [DONE]"]);
    let live = stream(&[&head, ": keep-alive", &text("longer"), &end, "data: [DONE]"]);
    check(&recorded, &live, &[]);
    let live = stream(&[&head, &text("a"), &end]);
    check(
        &recorded,
        &live,
        &["events were chat.completion.chunk, [DONE], are chat.completion.chunk"],
    );
    let live = stream(&[
        &head,
        &chunk(&json!({"content": 7}), &Value::Null),
        &end,
        "data: [DONE]",
    ]);
    check(
        &recorded,
        &live,
        &["chat.completion.chunk $.choices[*].delta.content was a text, is a number"],
    );
    let live = stream(&[
        &head,
        &text("a"),
        &chunk(&json!({}), &"length".into()),
        "data: [DONE]",
    ]);
    check(
        &recorded,
        &live,
        &[r#"chat.completion.chunk $.choices[*].finish_reason was "stop", is "length""#],
    );
}

#[test]
fn events_with_names_are_compared_by_them() {
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}");
    let start = event(
        "message_start",
        json!({"type": "message_start", "message": {"id": "msg_1"}}),
    );
    let ping = event("ping", json!({"type": "ping"}));
    let text = event(
        "content_block_delta",
        json!({"delta": {"text": "x"}, "index": 0}),
    );
    let stop = event("message_stop", json!({"type": "message_stop"}));
    let recorded = stream(&[&start, &ping, &text, &text, &stop]);
    check(&recorded, &stream(&[&start, &text, &stop]), &[]);
    let other = event(
        "content_block_delta",
        json!({"delta": {"text": "x", "new": 1}}),
    );
    check(
        &recorded,
        &stream(&[&start, &other, &stop]),
        &[
            "content_block_delta $.delta.new is new: a number",
            "content_block_delta $.index is missing",
        ],
    );
    check(
        &recorded,
        &stream(&[&start, &stop]),
        &[
            "events were message_start, content_block_delta, message_stop, are message_start, \
         message_stop",
        ],
    );
    check(
        &recorded,
        &stream(&[]),
        &["events were message_start, content_block_delta, message_stop, are none"],
    );
}

#[test]
fn ids_are_compared_by_what_is_always_the_same() {
    let id = |text: &str| whole(&json!({ "id": text }));
    for (one, other) in [
        ("req_aa_1", "req_bb_2"),
        (
            "67e55044-10b1-426f-9247-bb680e5fe0c8",
            "aaaaaaaa-10b1-426f-9247-bb680e5fe0c8",
        ),
        ("8d2k", "zz"),
    ] {
        check(&id(one), &id(other), &[]);
    }
}
