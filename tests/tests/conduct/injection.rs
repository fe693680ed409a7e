//! Attacks are refused wherever a text can stand; people who talk about code are not.

use belljar_tests::{Answer, Client, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

const ATTACK: &str = "'; DROP TABLE users; --";

fn chat(message: Value) -> Value {
    json!({"model":"fake","max_tokens":1,"messages":[message]})
}

async fn ask(caller: &Client, body: &Value) -> Answer {
    caller.post("/v1/chat/completions", body).await
}

/// Enough violations for what these tests send: bans are another promise.
const NO_BANS: (&str, &str) = ("enable_abuse_detection", "false");

#[tokio::test]
async fn the_documented_attack_gets_the_documented_answer() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let answer = ask(
        &host.anonymous(),
        &chat(json!({"role":"user","content":ATTACK})),
    )
    .await;
    let error = answer.clone().expect_status(400).json()["error"].clone();
    assert_eq!(error["code"], "injection_detected");
    assert_eq!(error["type"], "security_error");
    assert_eq!(
        error["message"],
        "Potential injection attack detected in request."
    );
    assert_eq!(error["param"], "messages[0].content");
    assert!(!answer.text().contains("DROP"));
}

#[tokio::test]
async fn every_place_of_a_text_is_screened() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let caller = host.anonymous();
    let hello = json!({"role":"user","content":"Hello, how are you?"});
    let with = |field: &str, value: Value| {
        let mut body = chat(hello.clone());
        body[field] = value;
        body
    };
    let call = |arguments: &str| {
        json!({"role":"assistant","content":null,"tool_calls":[
            {"id":"c","type":"function","function":{"name":"f","arguments":arguments}}]})
    };
    let tool = |description: &str| json!([{"type":"function","function":{"name":"f","description":description}}]);
    let two = |message: Value| json!({"model":"fake","messages":[hello.clone(), message]});
    let bodies = [
        (
            "messages[1].content",
            two(json!({"role":"system","content":ATTACK})),
        ),
        (
            "messages[1].content",
            two(json!({"role":"assistant","content":ATTACK})),
        ),
        (
            "messages[1].content[1]",
            two(json!({"role":"user","content":[
                {"type":"text","text":"Hello there"},{"type":"text","text":ATTACK}]})),
        ),
        (
            "messages[1].tool_calls[0].function.arguments",
            two(call(&json!({"query":[ATTACK]}).to_string())),
        ),
        ("tools[0].function.description", with("tools", tool(ATTACK))),
        ("metadata[0]", with("metadata", json!({"note":ATTACK}))),
        ("user", with("user", json!("../../etc/passwd"))),
        ("model", with("model", json!("../../etc/passwd"))),
    ];
    for (param, body) in bodies {
        let answer = ask(&caller, &body).await.expect_status(400);
        assert_eq!(answer.code(), "injection_detected", "{body}");
        assert_eq!(answer.json()["error"]["param"], param);
    }
    let input = json!({"model":"fake","input":["Hello there", ATTACK]});
    let answer = caller
        .post("/v1/embeddings", &input)
        .await
        .expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "input[1]");
    let answer = caller
        .get("/v1/models?x=%27%20OR%201%3D1%20--%20")
        .await
        .expect_status(400);
    assert_eq!(answer.code(), "injection_detected");
    let request = caller.request(Method::GET, "/v1/models");
    let request = request.header("x-note", "<script>alert(1)</script>");
    let answer = caller.send(request).await.unwrap().expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "header x-note");
    let infer = json!({"model":"../../etc/passwd","inputs":{"x":[1]}});
    let answer = caller.post("/infer", &infer).await.expect_status(400);
    assert_eq!(answer.code(), "injection_detected");
}

#[tokio::test]
async fn people_may_talk_about_code() {
    let host = TestHost::start().await;
    let caller = host.anonymous();
    let texts = [
        "How do I drop a table in PostgreSQL without losing the rows that refer to it?",
        "What does `rm -rf build/` do, and is there a safer way?",
        "Please review this query:\n```sql\nSELECT * FROM users WHERE name = 'x' OR 1=1;\n```\nIs it vulnerable?",
        "Warum zeigt mein Browser <script> nicht an? Ich habe es in den Body geschrieben.",
        "{\"task\": \"summarise\", \"text\": \"The cat sat on the mat.\"}",
    ];
    for text in texts {
        let answer = ask(&caller, &chat(json!({"role":"user","content":text}))).await;
        assert_eq!(answer.status, 200, "{text}: {}", answer.text());
    }
    let browser = caller
        .request(Method::GET, "/v1/models")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        )
        .header("referer", "https://example.org/search?q=bell+jar&lang=en")
        .header(
            "sec-ch-ua",
            "\"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"",
        );
    caller.send(browser).await.unwrap().expect_status(200);
}

#[tokio::test]
async fn a_report_names_what_was_found_and_lets_it_pass() {
    let host = TestHost::start_with(&[("screening.prompt", "report")]).await;
    let caller = host.anonymous();
    let answer = ask(&caller, &chat(json!({"role":"user","content":ATTACK}))).await;
    let answer = answer.expect_status(200);
    let report = answer.header("x-belljar-report");
    assert!(report.starts_with("messages[0].content: sql"), "{report}");
    assert!(!report.contains("DROP"), "{report}");
    let quiet = ask(
        &caller,
        &chat(json!({"role":"user","content":"Hello, you."})),
    )
    .await;
    assert_eq!(quiet.header("x-belljar-report"), "");
}

#[tokio::test]
async fn it_can_be_turned_off_whole_or_by_kind() {
    for settings in [
        ("enable_injection_detection", "false"),
        ("screening.prompt", "off"),
    ] {
        let host = TestHost::start_with(&[settings]).await;
        let answer = ask(
            &host.anonymous(),
            &chat(json!({"role":"user","content":ATTACK})),
        )
        .await;
        assert_eq!(answer.status, 200, "{settings:?}");
    }
}

#[tokio::test]
async fn three_injections_are_a_ban() {
    let host = TestHost::start().await;
    let caller = host.anonymous();
    for _ in 0..3 {
        let answer = ask(&caller, &chat(json!({"role":"user","content":ATTACK}))).await;
        assert_eq!(answer.code(), "injection_detected");
    }
    let answer = ask(
        &caller,
        &chat(json!({"role":"user","content":"Hello, you."})),
    )
    .await;
    assert_eq!(answer.expect_status(403).code(), "ip_banned");
}

/// Names and options of a request for tensors are texts as well.
#[tokio::test]
async fn names_and_options_of_tensors_are_screened() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let caller = host.anonymous();
    let input = |name: &str| json!({"name":name,"datatype":"FP32","shape":[1],"data":[1.0]});
    let bodies = [
        ("model", json!({"model":ATTACK,"inputs":{"x":[1]}})),
        (
            "inputs[1]",
            json!({"model":"echo","inputs":[input("x"), input(ATTACK)]}),
        ),
        (
            "id",
            json!({"model":"echo","id":ATTACK,"inputs":[input("x")]}),
        ),
        (
            "outputs[0]",
            json!({"model":"echo","inputs":[input("x")],"outputs":[{"name":ATTACK}]}),
        ),
        (
            "parameters[0]",
            json!({"model":"echo","inputs":[input("x")],"parameters":{"style":ATTACK}}),
        ),
    ];
    for (place, body) in bodies {
        let answer = caller.post("/infer", &body).await.expect_status(400);
        assert_eq!(answer.code(), "injection_detected", "{body}");
        assert_eq!(answer.json()["error"]["param"], place);
    }
    let plain = json!({"model":"echo","id":"a-1","inputs":[input("serving_default_x:0")],
        "parameters":{"style":"plain words"}});
    let _ = caller.post("/infer", &plain).await.expect_status(200);
}
