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

/// Places whose hits are reported unless a setting says other.
const REPORTED: [&str; 5] = ["history", "tool_result", "schema", "document", "tensor"];

/// The settings that say that hits in those places refuse a request.
const BLOCK: [(&str, &str); 5] = [
    ("screening.history", "block"),
    ("screening.tool_result", "block"),
    ("screening.schema", "block"),
    ("screening.document", "block"),
    ("screening.tensor", "block"),
];

/// Bodies with an attack: the route, the field that is named, the place, the body.
fn attacks_by_place() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let chat_route = "/v1/chat/completions";
    let hello = json!({"role":"user","content":"Hello, how are you?"});
    let with = |field: &str, value: Value| {
        let mut body = chat(hello.clone());
        body[field] = value;
        body
    };
    let call = |name: &str, arguments: &str| {
        json!({"role":"assistant","content":null,"tool_calls":[
            {"id":"c","type":"function","function":{"name":name,"arguments":arguments}}]})
    };
    let tool = |function: Value| json!([{"type":"function","function":function}]);
    let two =
        |message: Value| json!({"model":"fake","max_tokens":1,"messages":[hello.clone(), message]});
    let answered = |content: Value| {
        json!({"model":"fake","max_tokens":1,"messages":[
            hello.clone(), call("f", "{}"), {"role":"tool","tool_call_id":"c","content":content}]})
    };
    let called = |call: Value| {
        json!({"model":"fake","max_tokens":1,"messages":[
            hello.clone(), call, {"role":"tool","tool_call_id":"c","content":"Done."}]})
    };
    let schema = |format: Value| json!({"type":"json_schema","json_schema":format});
    let described =
        json!({"type":"object","properties":{"q":{"type":"string","description":ATTACK}}});
    let named = json!({"type":"object","properties":{ATTACK:{"type":"string"}}});
    let input = |name: &str| json!({"name":name,"datatype":"FP32","shape":[1],"data":[1.0]});
    let strings = json!({"name":"s","datatype":"BYTES","shape":[2],"data":["Hello there", ATTACK]});
    let infer = "/infer";
    let parameters = "tools[0].function.parameters";
    vec![
        (
            chat_route,
            "messages[0].content",
            "prompt",
            chat(json!({"role":"user","content":ATTACK})),
        ),
        (
            chat_route,
            "messages[1].content",
            "prompt",
            two(json!({"role":"system","content":ATTACK})),
        ),
        (
            chat_route,
            "messages[1].content",
            "prompt",
            two(json!({"role":"developer","content":ATTACK})),
        ),
        (
            chat_route,
            "messages[1].content[1]",
            "prompt",
            two(json!({"role":"user","content":[
            {"type":"text","text":"Hello there"},{"type":"text","text":ATTACK}]})),
        ),
        (
            chat_route,
            "messages[1].content",
            "history",
            two(json!({"role":"assistant","content":ATTACK})),
        ),
        (
            chat_route,
            "messages[1].tool_calls[0].function.arguments",
            "history",
            called(call("f", &json!({"query":[ATTACK]}).to_string())),
        ),
        (
            chat_route,
            "messages[1].tool_calls[0].function.arguments",
            "history",
            called(call("f", &json!({ATTACK:1}).to_string())),
        ),
        (
            chat_route,
            "messages[2].content",
            "tool_result",
            answered(json!(ATTACK)),
        ),
        (
            chat_route,
            "tools[0].function.description",
            "schema",
            with("tools", tool(json!({"name":"f","description":ATTACK}))),
        ),
        (
            chat_route,
            parameters,
            "schema",
            with("tools", tool(json!({"name":"f","parameters":described}))),
        ),
        (
            chat_route,
            parameters,
            "schema",
            with("tools", tool(json!({"name":"f","parameters":named}))),
        ),
        (
            chat_route,
            "response_format.json_schema.schema",
            "schema",
            with(
                "response_format",
                schema(json!({"name":"f","schema":described})),
            ),
        ),
        (
            chat_route,
            "stop[1]",
            "schema",
            with("stop", json!(["x", ATTACK])),
        ),
        (
            chat_route,
            "metadata[0]",
            "identifier",
            with("metadata", json!({"note":ATTACK})),
        ),
        (
            chat_route,
            "user",
            "identifier",
            with("user", json!("../../etc/passwd")),
        ),
        (
            chat_route,
            "model",
            "identifier",
            with("model", json!("../../etc/passwd")),
        ),
        (
            "/v1/embeddings",
            "input[1]",
            "document",
            json!({"model":"fake","input":["Hello there", ATTACK]}),
        ),
        (
            infer,
            "model",
            "identifier",
            json!({"model":ATTACK,"inputs":{"x":[1]}}),
        ),
        (
            infer,
            "inputs[1]",
            "tensor",
            json!({"model":"echo","inputs":[input("x"), input(ATTACK)]}),
        ),
        (
            infer,
            "inputs[0].data[1]",
            "tensor",
            json!({"model":"echo","inputs":[strings]}),
        ),
        (
            infer,
            "inputs[0].data[0]",
            "tensor",
            json!({"model":"echo","inputs":{"t":[ATTACK]}}),
        ),
        (
            infer,
            "id",
            "tensor",
            json!({"model":"echo","id":ATTACK,"inputs":[input("x")]}),
        ),
        (
            infer,
            "outputs[0]",
            "tensor",
            json!({"model":"echo","inputs":[input("x")],"outputs":[{"name":ATTACK}]}),
        ),
        (
            infer,
            "parameters[0]",
            "tensor",
            json!({"model":"echo","inputs":[input("x")],"parameters":{"style":ATTACK}}),
        ),
    ]
}

/// Acts: `screening.history_threshold`, `screening.tool_result_threshold`,
/// `screening.schema_threshold`, `screening.document_threshold`, `screening.tensor_threshold`.
#[tokio::test]
async fn each_place_has_a_threshold_of_its_own() {
    const ALMOST_SURE: &str = "0.9999999";
    let thresholds = [
        ("screening.history_threshold", ALMOST_SURE),
        ("screening.tool_result_threshold", ALMOST_SURE),
        ("screening.schema_threshold", ALMOST_SURE),
        ("screening.document_threshold", ALMOST_SURE),
        ("screening.tensor_threshold", ALMOST_SURE),
    ];
    let host = TestHost::start_with(&[&BLOCK[..], &thresholds[..], &[NO_BANS]].concat()).await;
    for (route, _, place, body) in attacks_by_place() {
        let answer = host.anonymous().post(route, &body).await;
        let is_refused = answer.code() == "injection_detected";
        assert_eq!(is_refused, !REPORTED.contains(&place), "{body}");
    }
}

/// Acts: `screening.history`, `screening.tool_result`, `screening.schema`, `screening.document`,
/// `screening.tensor`.
#[tokio::test]
async fn every_place_of_a_text_is_screened() {
    let host = TestHost::start_with(&[&BLOCK[..], &[NO_BANS]].concat()).await;
    let caller = host.anonymous();
    for (route, param, _, body) in attacks_by_place() {
        let answer = caller.post(route, &body).await.expect_status(400);
        assert_eq!(answer.code(), "injection_detected", "{body}");
        assert_eq!(answer.json()["error"]["param"], param);
    }
    let answer = caller
        .get("/v1/models?x=%27%20OR%201%3D1%20--%20")
        .await
        .expect_status(400);
    assert_eq!(answer.code(), "injection_detected");
    let request = caller.request(Method::GET, "/v1/models");
    let request = request.header("x-note", "<script>alert(1)</script>");
    let answer = caller.send(request).await.unwrap().expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "header x-note");
}

#[tokio::test]
async fn what_models_tools_and_files_say_is_reported_and_never_counts() {
    let host = TestHost::start().await;
    let caller = host.anonymous();
    let mut reports = 0;
    for (route, param, place, body) in attacks_by_place() {
        if !REPORTED.contains(&place) {
            continue;
        }
        let answer = caller.post(route, &body).await;
        // Some of these name what `echo` does not have; none is refused for its text.
        assert_ne!(answer.code(), "injection_detected", "{body}");
        let report = answer.header("x-belljar-report");
        assert!(
            report.starts_with(&format!("{param}: sql in {place} ")),
            "{report}"
        );
        assert!(!report.contains("DROP"), "{report}");
        reports += 1;
    }
    assert!(reports > 10, "{reports}");
    let hello = chat(json!({"role":"user","content":"Hello, you."}));
    let _ = ask(&caller, &hello).await.expect_status(200);
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

/// Acts: `screening.prompt`, `screening.prompt_threshold`.
#[tokio::test]
async fn it_can_be_turned_off_whole_or_by_place() {
    for settings in [
        ("enable_injection_detection", "false"),
        ("screening.prompt", "off"),
        ("screening.prompt_threshold", "0.9999999"),
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

/// Acts: `screening.ban_threshold`.
#[tokio::test]
async fn a_doubtful_hit_refuses_a_request_and_locks_out_nobody() {
    let host = TestHost::start_with(&[("screening.ban_threshold", "0.9999999")]).await;
    let caller = host.anonymous();
    for _ in 0..6 {
        let answer = ask(&caller, &chat(json!({"role":"user","content":ATTACK}))).await;
        assert_eq!(answer.expect_status(400).code(), "injection_detected");
    }
    let hello = chat(json!({"role":"user","content":"Hello, you."}));
    let _ = ask(&caller, &hello).await.expect_status(200);
}

/// Strings of bytes that are no text are data, and so is a tensor of other numbers.
#[tokio::test]
async fn tensors_of_plain_words_and_of_bytes_pass_without_a_report() {
    let host = TestHost::start_with(&[("screening.tensor", "block")]).await;
    let caller = host.anonymous();
    let body = json!({"model":"echo","id":"a-1","parameters":{"style":"plain words"},"inputs":[
        {"name":"serving_default_x:0","datatype":"FP32","shape":[1],"data":[1.0]},
        {"name":"s","datatype":"BYTES","shape":[2],"data":["a cat", "/m/0x/y"]}]});
    let answer = caller.post("/infer", &body).await.expect_status(200);
    assert_eq!(answer.header("x-belljar-report"), "");
}
