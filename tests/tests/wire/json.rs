//! JSON that attacks: refused with 400 in the envelope, with the field named, before a model
//! sees it.

use belljar_tests::TestHost;
use serde_json::json;

/// Posts a body and insists on a refusal of that field.
async fn assert_refused(host: &TestHost, path: &str, body: &str, param: &str, message: &str) {
    let client = host.admin();
    let answer = client
        .post_bytes(path, "application/json", body.as_bytes().to_vec())
        .await
        .expect_status(400);
    let answer = answer.json();
    // The Open Inference Protocol has the words themselves as `error`, and the rest beside it.
    let (error, words) = match answer["error"].as_str() {
        Some(words) => (&answer, words),
        None => (
            &answer["error"],
            answer["error"]["message"].as_str().unwrap(),
        ),
    };
    assert_eq!(error["type"], "invalid_request_error", "{body}");
    let found = error["param"].as_str().unwrap_or_default();
    assert_eq!(found, param, "{error} {body}");
    assert!(words.contains(message), "{words}");
}

fn chat(message: &str) -> String {
    format!(
        r#"{{"model":"fake","max_tokens":1,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":"b"}},{message}]}}"#
    )
}

#[tokio::test]
async fn a_conversation_is_checked_before_a_model_sees_it() {
    let host = TestHost::start().await;
    let path = "/v1/chat/completions";
    let deep = format!(
        r#"{{"role":"user","content":"x","extra":{}1{}}}"#,
        "[".repeat(70),
        "]".repeat(70)
    );
    let wide = format!(
        r#"{{"role":"user","content":"x","extra":[0{}]}}"#,
        ",0".repeat(100_000)
    );
    let keys: Vec<String> = (0..1100).map(|n| format!("\"k{n}\":0")).collect();
    let keys = format!(
        r#"{{"role":"user","content":"x","extra":{{{}}}}}"#,
        keys.join(",")
    );
    let key = format!(r#"{{"role":"user","content":"x","{}":1}}"#, "k".repeat(600));
    for (message, param, words) in [
        (
            r#"{"role":"user","content":"a","na\u0000me":"b"}"#,
            "messages[2].na\u{fffd}me",
            "NUL",
        ),
        (
            r#"{"role":"user","content":"a","name":"b\u001b[2J"}"#,
            "messages[2].name",
            "control character",
        ),
        (
            r#"{"role":"user","content":"a\ud83d"}"#,
            "messages[2].content",
            "surrogate",
        ),
        (
            r#"{"role":"system","role":"user","content":"x"}"#,
            "messages[2].role",
            "twice",
        ),
        (
            r#"{"role":"user","content":"x","extra":{"a":1,"\u0061":2}}"#,
            "messages[2].extra.a",
            "twice",
        ),
        (
            r#"{"role":"user","content":"x","extra":1e400}"#,
            "messages[2].extra",
            "out of range",
        ),
        (&*wide, "messages[2].extra", "more than 100000 items"),
        (&*keys, "messages[2].extra", "more than 1024 keys"),
        (&*key, "messages[2]", "key longer than 512 bytes"),
        (
            r#"{"role":"user","content":7}"#,
            "messages[2].content",
            "expected a string or a list",
        ),
        (
            r#"{"role":"nobody","content":"x"}"#,
            "messages[2].role",
            "expected",
        ),
    ] {
        assert_refused(&host, path, &chat(message), param, words).await;
    }
    let too_deep = format!("messages[2].extra{}", "[0]".repeat(61));
    assert_refused(&host, path, &chat(&deep), &too_deep, "nests more than 64").await;
    for (field, param) in [
        (r#""temperature":1e400"#, "temperature"),
        (r#""temperature":3"#, "temperature"),
        (r#""top_p":-0.1"#, "top_p"),
        (r#""n":0"#, "n"),
        (r#""max_tokens":0"#, "max_tokens"),
        (r#""max_tokens":1e3"#, "max_tokens"),
        (r#""seed":99999999999999999999"#, "seed"),
        (r#""stream":"yes""#, "stream"),
        (r#""logit_bias":{"1":1000}"#, "logit_bias.1"),
        (r#""tools":{}"#, "tools"),
        (r#""user":"\u0007""#, "user"),
        (r#""metadata":{"k":"\u0007"}"#, "metadata[0]"),
        (r#""metadata":{"k":7}"#, "metadata.k"),
    ] {
        let body =
            format!(r#"{{"model":"fake","messages":[{{"role":"user","content":"a"}}],{field}}}"#);
        assert_refused(&host, path, &body, param, "").await;
    }
    assert_refused(
        &host,
        path,
        r#"{"model":"fake","messages":[]}"#,
        "messages",
        "at least one",
    )
    .await;
    // What people write, in any script, with pictures and tabs, is none of this.
    let fine = chat(
        r#"{"role":"user","content":"\ttab\r\n\u00e9\u4f60\u597d\ud83d\ude00 \u202e \u007f \\u0000"}"#,
    );
    let answer = host
        .anonymous()
        .post_bytes(path, "application/json", fine.into_bytes())
        .await;
    let _ = answer.expect_status(200);
}

#[tokio::test]
async fn every_route_that_reads_json_checks_it() {
    let host = TestHost::start().await;
    for (path, body, param) in [
        (
            "/v1/embeddings",
            r#"{"model":"fake","input":["a","\ud800"]}"#,
            "input[1]",
        ),
        (
            "/admin/keys",
            r#"{"name":"a\u0000","scopes":["infer"]}"#,
            "name",
        ),
        (
            "/admin/keys",
            r#"{"name":"a","name":"b","scopes":["infer"]}"#,
            "name",
        ),
        (
            "/infer",
            r#"{"model":"echo","model":"echo","inputs":{"x":[1]}}"#,
            "model",
        ),
        (
            "/infer",
            r#"{"model":"echo\u0000","inputs":{"x":[1]}}"#,
            "model",
        ),
        (
            "/infer",
            r#"{"model":"echo","inputs":{"x":[1,1e400]}}"#,
            "inputs.x[1]",
        ),
        (
            "/infer",
            r#"{"model":"echo","inputs":{"x":[1],"x":[2]}}"#,
            "inputs.x",
        ),
        (
            "/infer",
            r#"{"model":"echo","inputs":{"x":["\udc00"]}}"#,
            "inputs.x[0]",
        ),
        (
            "/infer",
            r#"{"model":"echo","inputs":{"a\u0001":[1]}}"#,
            "inputs.a\u{fffd}",
        ),
        (
            "/infer",
            r#"{"model":"echo","inputs":{"x":[1]},"parameters":{"p\u0001":"a"}}"#,
            "parameters.p\u{fffd}",
        ),
        (
            "/v2/models/echo/infer",
            r#"{"inputs":[{"name":"x\u0000","datatype":"INT64","shape":[1],"data":[1]}]}"#,
            "inputs[0].name",
        ),
        (
            "/v2/repository/index",
            r#"{"ready":true,"ready":false}"#,
            "ready",
        ),
    ] {
        assert_refused(&host, path, body, param, "").await;
    }
    // Also where the body may be left out.
    let path = "/admin/keys/key_0000000000000000/rotate";
    let body = r#"{"overlap":"1 m\u0000"}"#;
    assert_refused(&host, path, body, "overlap", "NUL character").await;
    // Tensors are data: long lists, and strings of any bytes that JSON can say.
    let long: Vec<u8> = vec![1; 150_000];
    let body = json!({"model": "echo", "inputs": {"x": long, "s": ["\u{0}\u{1}"]}});
    let _ = host
        .anonymous()
        .post("/infer", &body)
        .await
        .expect_status(200);
}

/// Texts as agents have them: colours of a terminal, page breaks, backspaces, in every member
/// that is text.
fn dirty_talk() -> String {
    r#"{"model":"fake","max_tokens":1,"stop":["\u001b[0m","\u0007"],"messages":[
        {"role":"system","content":"page one\fpage two"},
        {"role":"user","content":[{"type":"text","text":"a\u0000\u0007b\u009f"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
            "function":{"name":"run","arguments":"{\"command\":\"\\u001b[1mls\"}"}}]},
        {"role":"tool","tool_call_id":"c","content":"\u001b[31m10 %\b\b\b\b20 %\u007f"}],
        "tools":[{"type":"function","function":{"name":"run","description":"Runs\u0001.",
            "parameters":{"type":"object","properties":{"command":{"type":"string","description":"\u001b[1mAll"}}}}}]}"#
        .to_owned()
}

#[tokio::test]
async fn control_characters_in_texts_cost_nothing() {
    let host = TestHost::start().await;
    let caller = host.anonymous();
    let body = dirty_talk().into_bytes();
    let answer = caller.post_bytes("/v1/chat/completions", "application/json", body);
    let _ = answer.await.expect_status(200);
    // The model gets what is left: the same text, the same vector.
    let embed = async |text: &str| {
        let body = json!({"model":"fake","input":text});
        let answer = caller
            .post("/v1/embeddings", &body)
            .await
            .expect_status(200);
        answer.json()["data"][0]["embedding"].clone()
    };
    let bold = embed("\u{1b}[1mbold\u{7f}\u{0}\u{85} and\tplain\r\n").await;
    assert_eq!(bold, embed("[1mbold and\tplain\r\n").await);
    assert_ne!(bold, embed("[1mbold and plain").await);
    let body = json!({"model":"echo","inputs":{"x":[1]},"parameters":{"p":"a\u{1b}b"}});
    let _ = caller.post("/infer", &body).await.expect_status(200);
}

/// Acts: `input.control_characters`.
#[tokio::test]
async fn control_characters_are_refused_or_kept_where_that_is_asked_for() {
    let host = TestHost::start_with(&[("input.control_characters", "refuse")]).await;
    for (member, param) in [
        (r#""content":"a\fb""#, "messages[0].content"),
        (r#""content":"a\u009fb""#, "messages[0].content"),
        (r#""content":"a\u007fb""#, "messages[0].content"),
    ] {
        let body = format!(r#"{{"model":"fake","messages":[{{"role":"user",{member}}}]}}"#);
        assert_refused(
            &host,
            "/v1/chat/completions",
            &body,
            param,
            "control character",
        )
        .await;
    }
    for (member, param) in [
        (r#""stop":["a","\u0007"]"#, "stop[1]"),
        (r#""parameters":{"p":"\u0001"}"#, "parameters"),
        (r#""guided_regex":"\u001b""#, "parameters"),
        (r#""chat_template_kwargs":{"a":["\u001b"]}"#, "parameters"),
        (
            r#""tools":[{"type":"function","function":{"name":"f","description":"\f"}}]"#,
            "tools[0].function.description",
        ),
        (
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"title":"\b"}}}"#,
            "response_format.json_schema.schema",
        ),
    ] {
        let hello = r#""messages":[{"role":"user","content":"hi"}]"#;
        let body = format!(r#"{{"model":"fake",{hello},{member}}}"#);
        let path = "/v1/chat/completions";
        assert_refused(&host, path, &body, param, "control character").await;
    }
    let prompt = r#"{"model":"fake","prompt":["a","\f"]}"#;
    let path = "/v1/completions";
    assert_refused(&host, path, prompt, "prompt[1]", "control character").await;
    let input = r#"{"model":"fake","input":["a","\u001b[1m"]}"#;
    assert_refused(
        &host,
        "/v1/embeddings",
        input,
        "input[1]",
        "control character",
    )
    .await;
    let option = r#"{"model":"echo","inputs":{"x":[1]},"parameters":{"p":"\u0001"}}"#;
    assert_refused(
        &host,
        "/infer",
        option,
        "parameters[0]",
        "control character",
    )
    .await;
    let host = TestHost::start_with(&[("input.control_characters", "keep")]).await;
    let caller = host.anonymous();
    let embed = async |text: &str| {
        let body = json!({"model":"fake","input":text});
        let answer = caller
            .post("/v1/embeddings", &body)
            .await
            .expect_status(200);
        answer.json()["data"][0]["embedding"].clone()
    };
    assert_ne!(embed("a\u{7}b").await, embed("ab").await);
    let user = r#"{"model":"fake","input":"a","user":"a\u0007b"}"#;
    assert_refused(&host, "/v1/embeddings", user, "user", "control character").await;
}
