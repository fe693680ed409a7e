//! How long texts take in a world, and how time passes there, as an administrator sets it; and who
//! has the last word on it.

use belljar_tests::{Answer, Client, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const TTFT: &str = "x-belljar-ttft-ms";

/// A chat in a world, with more headers.
async fn ask(caller: &Client, world: &str, headers: &[(&str, &str)]) -> Answer {
    let body = json!({
        "model": "fake", "seed": 1, "max_tokens": 4,
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
    });
    let mut request = caller.request(Method::POST, CHAT).json(&body);
    request = request.header("x-belljar-run", world);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    caller.send(request).await.unwrap().expect_status(200)
}

/// When the first token of a chat is said to have come, in milliseconds; none where time passes as
/// it does.
async fn first(caller: &Client, world: &str, headers: &[(&str, &str)]) -> Option<f64> {
    let answer = ask(caller, world, headers).await;
    let told = answer.headers.get(TTFT)?.to_str().unwrap();
    Some(told.parse().unwrap())
}

/// Changes a world.
async fn put(admin: &Client, world: &str, change: &Value) -> Answer {
    let path = format!("/admin/worlds/{world}");
    let request = admin.request(Method::PUT, &path).json(change);
    admin.send(request).await.unwrap()
}

#[tokio::test]
async fn a_world_has_the_latency_and_the_clock_that_it_was_given() {
    let host = TestHost::start().await;
    let (admin, caller) = (host.admin(), host.anonymous());
    let hours = json!({"latency": "ttft=7200s,itl=1s", "clock": "virtual"});
    let view = put(&admin, "w", &hours).await.expect_status(200).json();
    let shown = |view: &Value| (view["clock"].clone(), view["latency"].clone());
    let expected = (json!("virtual"), json!("ttft=7200s,itl=1s"));
    assert_eq!(shown(&view), expected);
    let path = "/admin/worlds/w";
    assert_eq!(shown(&admin.get(path).await.json()), expected);
    // Two hours, at once.
    assert_eq!(first(&caller, "w", &[]).await, Some(7_200_000.0));
    // Nobody else's.
    for world in ["default", "other"] {
        assert_eq!(first(&caller, world, &[]).await, None, "{world}");
        let view = admin.get(&format!("/admin/worlds/{world}")).await.json();
        assert_eq!(shown(&view), (json!("real"), Value::Null), "{world}");
    }
    // One of the two is changed without the other.
    let faster = json!({"latency": "ttft=3s"});
    let view = put(&admin, "w", &faster).await.expect_status(200).json();
    assert_eq!(shown(&view), (json!("virtual"), json!("ttft=3s")));
    assert_eq!(first(&caller, "w", &[]).await, Some(3_000.0));
    let at_once = json!({"latency": "none"});
    let view = put(&admin, "w", &at_once).await.expect_status(200).json();
    assert_eq!(shown(&view), (json!("virtual"), json!("none")));
    let real = put(&admin, "w", &json!({"clock": "real"})).await;
    let expected = (json!("real"), json!("none"));
    assert_eq!(shown(&real.expect_status(200).json()), expected);
    assert_eq!(first(&caller, "w", &[]).await, None);
    // What is wrong changes nothing, and makes no world.
    for change in [
        json!({"latency": "ttft=fast", "clock": "virtual", "seed": 7}),
        json!({"latency": "profile=none"}),
        json!({"latency": ""}),
    ] {
        for world in ["w", "none"] {
            let refused = put(&admin, world, &change).await.expect_status(400);
            assert_eq!(refused.json()["error"]["param"], "latency", "{change}");
        }
    }
    assert_eq!(shown(&admin.get(path).await.json()), expected);
    let none = admin.get("/admin/worlds/none").await;
    assert_eq!(none.expect_status(404).code(), "world_not_found");
    // With the world goes what it was given.
    let _ = put(&admin, "w", &hours).await.expect_status(200);
    let _ = admin.delete(path).await.expect_status(204);
    assert_eq!(first(&caller, "w", &[]).await, None);
}

/// Acts: `test.clock`.
#[tokio::test]
async fn a_header_comes_before_the_clock_of_a_world_and_that_before_the_settings() {
    for (setting, other) in [("real", "virtual"), ("virtual", "real")] {
        let host = TestHost::start_with(&[("test.clock", setting)]).await;
        let (admin, caller) = (host.admin(), host.anonymous());
        let _ = put(&admin, "w", &json!({"clock": other})).await;
        for (world, header, clock) in [
            ("unsaid", None, setting),
            ("unsaid", Some(other), other),
            ("w", None, other),
            ("w", Some(setting), setting),
            ("w", Some(other), other),
        ] {
            let headers = header.map(|clock| ("x-belljar-clock", clock));
            let headers: Vec<_> = headers.into_iter().collect();
            let seen = first(&caller, world, &headers).await.is_some();
            assert_eq!(seen, clock == "virtual", "{setting} {world} {header:?}");
        }
    }
}

/// Acts: `test.latency`.
#[tokio::test]
async fn a_header_comes_before_a_rule_and_that_before_a_world_and_that_before_the_settings() {
    let settings = [("test.latency", "ttft=1s"), ("test.clock", "virtual")];
    let host = TestHost::start_with(&settings).await;
    let (admin, caller) = (host.admin(), host.anonymous());
    let cases = [
        // By a header, by a rule, by the world: until the first token.
        (None, None, None, 1_000.0),
        (None, None, Some("ttft=2s"), 2_000.0),
        (None, Some("ttft=3s"), None, 3_000.0),
        (None, Some("ttft=3s"), Some("ttft=2s"), 3_000.0),
        (Some("ttft=4s"), None, None, 4_000.0),
        (Some("ttft=4s"), None, Some("ttft=2s"), 4_000.0),
        (Some("ttft=4s"), Some("ttft=3s"), None, 4_000.0),
        (Some("ttft=4s"), Some("ttft=3s"), Some("ttft=2s"), 4_000.0),
        // The pace of the model itself is as good a word as any other.
        (None, None, Some("none"), 0.0),
        (None, Some("none"), Some("ttft=2s"), 0.0),
        (Some("none"), Some("ttft=3s"), Some("ttft=2s"), 0.0),
        // Nothing of one is taken into another.
        (None, None, Some("itl=5ms"), 0.0),
        (None, Some("itl=5ms"), Some("ttft=2s"), 0.0),
        (Some("itl=5ms"), Some("ttft=3s"), Some("ttft=2s"), 0.0),
    ];
    for (number, (header, rule, of_world, expected)) in cases.into_iter().enumerate() {
        let world = format!("w{number}");
        if let Some(latency) = of_world {
            let change = put(&admin, &world, &json!({"latency": latency})).await;
            let _ = change.expect_status(200);
        }
        if let Some(latency) = rule {
            let answer = format!("{{ text = 'one two', latency = '{latency}' }}");
            let rules = format!("[[rule]]\nname = 'paced'\nanswer = {answer}");
            let path = format!("/admin/worlds/{world}/rules");
            let request = admin.request(Method::PUT, &path).body(rules);
            let request = request.header("content-type", "application/toml");
            let _ = admin.send(request).await.unwrap().expect_status(200);
        }
        let header = header.map(|latency| ("x-belljar-latency", latency));
        let headers: Vec<_> = header.into_iter().collect();
        let answer = ask(&caller, &world, &headers).await;
        let told = format!("{headers:?}, a rule's {rule:?}, the world's {of_world:?}");
        let is_by_rule = answer.headers.contains_key("x-belljar-rule");
        assert_eq!(is_by_rule, rule.is_some(), "{told}");
        let first: f64 = answer.header(TTFT).parse().unwrap();
        assert_eq!(first, expected, "{told}");
    }
}
