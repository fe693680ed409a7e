//! Answers by rules: each kind of them on each API, apart by world, checked before they are used.

mod delays;
mod kinds;

use belljar_tests::{Answer, Client, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// A caller in a world of its own, which has rules.
struct World<'h> {
    host: &'h TestHost,
    client: Client,
    name: &'static str,
}

impl<'h> World<'h> {
    async fn new(host: &'h TestHost, name: &'static str, rules: &str) -> Self {
        let world = Self {
            host,
            client: host.anonymous(),
            name,
        };
        let _ = world.put(rules).await.expect_status(200);
        world
    }

    async fn put(&self, rules: &str) -> Answer {
        let admin = self.host.admin();
        let path = format!("/admin/worlds/{}/rules", self.name);
        let request = admin.request(Method::PUT, &path).body(rules.to_owned());
        let request = request.header("content-type", "application/toml");
        admin.send(request).await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    /// None where the connection ends without an answer.
    async fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let request = self.client.request(Method::POST, path).json(body);
        self.client
            .send(request.header("x-belljar-run", self.name))
            .await
    }

    async fn say(&self, text: &str) -> Answer {
        self.post(CHAT, &chat(text)).await
    }
}

fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
}

/// The data of the events of a stream.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// All texts under these names in some events, one after the other.
fn joined(events: &[Value], pointer: &str) -> String {
    let texts = events.iter().filter_map(|event| event.pointer(pointer));
    texts.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn a_conversation_is_told_by_what_is_in_it() {
    let host = TestHost::start().await;
    let rules = r#"
        [[rule]]
        name = "answer"
        match.tool_result = { tool = "get_weather", contains = "sunny" }
        answer.text = "It is {{ tool_result }} in turn {{ turn }}."
        [[rule]]
        name = "call"
        match = { last_user.matches = "weather in (?<city>\\w+)", offers_tool = "get_weather" }
        answer.tool_calls = [{ name = "get_weather", arguments = { city = "{{ captured.city }}" } }]
        [[rule]]
        name = "no-tool"
        match.body = { path = "$.tools", present = false }
        answer.text = "{{ body.model }} has no tools"
    "#;
    let world = World::new(&host, "turns", rules).await;
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]);
    let mut body = chat("What is the weather in Oslo?");
    let answer = world.post(CHAT, &body).await.expect_status(200).json();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "gpt-4o has no tools"
    );
    body["tools"] = tools;
    let answer = world.post(CHAT, &body).await.expect_status(200).json();
    let message = answer["choices"][0]["message"].clone();
    assert_eq!(
        message["tool_calls"][0]["function"]["arguments"],
        r#"{"city":"Oslo"}"#
    );
    let id = message["tool_calls"][0]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(json!({"role": "tool", "tool_call_id": id, "content": "sunny"}));
    let answer = world.post(CHAT, &body).await.expect_status(200).json();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "It is sunny in turn 2."
    );
    // The same conversation by Anthropic's API.
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 50,
    "tools": [{"name": "get_weather", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": "What is the weather in Oslo?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ]});
    let answer = world
        .post("/v1/messages", &body)
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["content"][0]["text"], "It is sunny in turn 2.");
}

const SEQUENCE: &str = r#"
[[rule]]
name = "flaky"
[rule.answer]
sequence = [
    { fault = "status=503" },
    { fault = "status=429;retry-after=2" },
    { text = "{{ world }} {{ count }}" },
]
"#;

#[tokio::test]
async fn sequences_go_on_in_each_world_for_itself() {
    let host = TestHost::start().await;
    let (one, two) = (
        World::new(&host, "one", SEQUENCE).await,
        World::new(&host, "two", SEQUENCE).await,
    );
    let status = async |world: &World<'_>| {
        let answer = world.say("hi").await;
        assert_eq!(answer.header("x-belljar-rule"), "flaky");
        answer.status
    };
    assert_eq!(status(&one).await, 503);
    assert_eq!(status(&two).await, 503);
    let limited = one.say("hi").await.expect_status(429);
    assert_eq!(limited.header("retry-after"), "2");
    assert_eq!(
        limited.header("x-belljar-fault"),
        "status=429;retry-after=2"
    );
    assert_eq!(limited.json()["error"]["code"], "rate_limit_exceeded");
    let said = async |world: &World<'_>| {
        let answer = world.say("hi").await.expect_status(200).json();
        answer["choices"][0]["message"]["content"].clone()
    };
    assert_eq!(said(&one).await, "one 3");
    assert_eq!(said(&one).await, "one 4");
    assert_eq!(status(&two).await, 429);
    assert_eq!(said(&two).await, "two 3");
    // Putting rules begins anew, and so does a world that was freed.
    let _ = one.put(SEQUENCE).await.expect_status(200);
    assert_eq!(status(&one).await, 503);
    let _ = host
        .admin()
        .delete("/admin/worlds/two")
        .await
        .expect_status(204);
    let answer = two.say("hi").await.expect_status(200);
    assert!(
        answer.headers.get("x-belljar-rule").is_none(),
        "its rules are gone with it"
    );
}

#[tokio::test]
async fn faults_of_rules_spoil_what_they_go_with() {
    let host = TestHost::start().await;
    let rules = r#"
        [[rule]]
        name = "cut"
        match.last_user = "cut"
        answer = { text = "one two three four five six", fault = "cut-after=2" }
        [[rule]]
        name = "no-done"
        match.last_user = "model"
        answer.fault = "no-done"
        [[rule]]
        name = "reset"
        answer.fault = "reset"
    "#;
    let world = World::new(&host, "faults", rules).await;
    let stream = |text: &str| {
        let mut body = chat(text);
        body["stream"] = json!(true);
        body
    };
    let cut = world.post(CHAT, &stream("cut")).await.expect_status(200);
    assert_eq!(events(&cut).len(), 2);
    assert_eq!(cut.header("x-belljar-fault"), "cut-after=2");
    let whole = world.post(CHAT, &stream("model")).await.expect_status(200);
    assert!(!whole.text().contains("[DONE]"));
    assert!(
        joined(&events(&whole), "/choices/0/delta/content").len() > 3,
        "the model has answered"
    );
    assert!(world.try_post(CHAT, &chat("anything")).await.is_none());
}

#[tokio::test]
async fn a_miss_is_loud_where_that_is_asked() {
    let host = TestHost::start().await;
    let rules = r#"
        strict = true
        [[rule]]
        name = "paris"
        match = { model = "gpt-*", last_user = "What is the capital of France?" }
        answer.text = "Paris"
        [[rule]]
        name = "poem"
        match.last_user = "Write a poem."
        answer.text = "..."
    "#;
    let world = World::new(&host, "strict", rules).await;
    let _ = world
        .say("What is the capital of France?")
        .await
        .expect_status(200);
    let missed = world
        .say("What is the capital of Italy?")
        .await
        .expect_status(404);
    assert_eq!(missed.code(), "no_rule");
    assert_eq!(
        missed.json()["error"]["message"],
        "no rule matches this request: the nearest is `paris`, whose `last_user`: expected …\" the capital of France?\", found …\" the capital of Italy?\", from character 24 on."
    );
    let ask = async |world: &World<'_>, strict: &str| {
        let request = host
            .anonymous()
            .request(Method::POST, CHAT)
            .json(&chat("hi"));
        let request = request
            .header("x-belljar-run", world.name)
            .header("x-belljar-strict", strict);
        host.anonymous().send(request).await.unwrap()
    };
    // One request may want it otherwise than the file.
    let _ = ask(&world, "false").await.expect_status(200);
    let lenient = World::new(&host, "lenient", &rules.replace("strict = true", "")).await;
    let _ = lenient.say("hi").await.expect_status(200);
    let _ = ask(&lenient, "true").await.expect_status(404);
    let wrong = ask(&lenient, "maybe").await.expect_status(400);
    assert_eq!(wrong.code(), "invalid_strict");
    // Also where there are no rules at all.
    let none = World {
        host: &host,
        client: host.anonymous(),
        name: "none",
    };
    let missed = ask(&none, "true").await.expect_status(404);
    assert_eq!(
        missed.json()["error"]["message"],
        "no rule matches this request: there are none."
    );
}

#[tokio::test]
async fn rules_are_checked_whole_before_they_are_used() {
    let host = TestHost::start().await;
    let world = World::new(&host, "checked", "[[rule]]\nname = 'a'\nanswer.text = 'A'").await;
    let wrong = "[[rule]]\nname = 'b'\nmach = {}\nanswer = { text = '{{ x', delay = '2' }";
    let answer = world.put(wrong).await.expect_status(422);
    assert_eq!(answer.code(), "invalid_rules");
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    for problem in [
        "line 3, column 1: unknown key `mach` in `[[rule]]`; did you mean `match`?",
        "line 4, column 19: this is no template",
        "line 4, column 35: `2` is no time",
    ] {
        assert!(message.contains(problem), "{message}");
    }
    let said = world.say("hi").await.expect_status(200).json();
    assert_eq!(
        said["choices"][0]["message"]["content"], "A",
        "what cannot be used changes nothing"
    );
    let path = "/admin/worlds/checked/rules";
    let admin = host.admin();
    assert_eq!(
        admin.get(path).await.expect_status(200).text(),
        "[[rule]]\nname = 'a'\nanswer.text = 'A'"
    );
    let _ = admin.delete(path).await.expect_status(204);
    assert_eq!(
        admin.get(path).await.expect_status(404).code(),
        "rules_not_found"
    );
    assert!(
        world
            .say("hi")
            .await
            .expect_status(200)
            .headers
            .get("x-belljar-rule")
            .is_none()
    );
    // Nothing but an administrator's business.
    let request = host.anonymous().request(Method::PUT, path).body("");
    let _ = host
        .anonymous()
        .send(request)
        .await
        .unwrap()
        .expect_status(401);
}

/// Each would take the server down, or hold it up, if it were taken at its word.
#[tokio::test]
async fn hostile_rules_are_refused_and_hostile_templates_end() {
    let host = TestHost::start().await;
    let world = World::new(&host, "hostile", "").await;
    let rule = |more: &str| format!("[[rule]]\nname = 'a'\nanswer.text = ''\n{more}");
    for (rules, problem) in [
        (
            rule(r"match.last_user.matches = '(\w{100}){100}'"),
            "too large",
        ),
        (rule(r"match.body = '$..*..*'"), "one `..`"),
        (format!("a = {}", "[".repeat(10_000)), "this is no TOML"),
        (
            rule(&format!(
                "match.last_user.matches = '{}'",
                "(".repeat(2_000)
            )),
            "no regular expression",
        ),
        ("x".repeat((1 << 20) + 1), "a rule file of 1048577 bytes"),
    ] {
        let answer = world.put(&rules).await.expect_status(422);
        assert!(
            answer.text().contains(problem),
            "{problem}: {}",
            answer.text()
        );
    }
    let loops = "{% for a in range(10000) %}".repeat(4);
    let ends = "{% endfor %}".repeat(4);
    for template in [
        format!("{loops}x{ends}"),
        "{{ 'a' * 100000000000 }}".to_owned(),
        format!(
            "{{% set a = 'aaaaaaaa' %}}{}{{{{ a }}}}",
            "{% set a = a ~ a %}".repeat(40)
        ),
    ] {
        let rules = format!("[[rule]]\nname = 'endless'\nanswer.text = '''{template}'''");
        let _ = world.put(&rules).await.expect_status(200);
        let answer = world.say("hi").await.expect_status(500);
        assert_eq!(answer.code(), "rule_failed");
        assert!(
            answer.text().contains("the rule `endless`"),
            "{}",
            answer.text()
        );
    }
    // A path over a deep body, and one over a large one.
    let _ = world
        .put(&rule("match.body = '$..needle'"))
        .await
        .expect_status(200);
    let mut body = chat("hi");
    body["metadata"] = json!({"a": "b"});
    body["messages"] = json!(vec![
        json!({"role": "user", "content": "hay ".repeat(50)});
        400
    ]);
    let answer = world.post(CHAT, &body).await.expect_status(200);
    assert!(answer.headers.get("x-belljar-rule").is_none());
    let _ = host
        .anonymous()
        .get("/health/live")
        .await
        .expect_status(200);
}

/// Acts: `test.rules`.
#[tokio::test]
async fn the_file_of_the_server_answers_where_a_world_has_no_rules() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    std::fs::write(
        folder.path().join("pairs.jsonl"),
        r#"{"request": "2 + 2?", "answer": "4"}"#,
    )
    .unwrap();
    write(
        "[[rule]]\nname = 'pairs'\nanswer.data_set = 'pairs.jsonl'\n[[rule]]\nname = 'rest'\nanswer.text = 'one'",
    );
    let host = TestHost::start_with(&[("test.rules", file.to_str().unwrap())]).await;
    let say = async |text: &str| {
        let answer = host
            .anonymous()
            .post(CHAT, &chat(text))
            .await
            .expect_status(200);
        let rule = answer.header("x-belljar-rule").to_owned();
        (
            rule,
            answer.json()["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .to_owned(),
        )
    };
    assert_eq!(say("2 + 2?").await, ("pairs".to_owned(), "4".to_owned()));
    assert_eq!(say("hi").await, ("rest".to_owned(), "one".to_owned()));
    let world = World::new(&host, "own", "[[rule]]\nname = 'own'\nanswer.text = 'own'").await;
    assert_eq!(world.say("hi").await.header("x-belljar-rule"), "own");
    let _ = host
        .admin()
        .delete("/admin/worlds/own/rules")
        .await
        .expect_status(204);
    assert_eq!(world.say("hi").await.header("x-belljar-rule"), "rest");
}
