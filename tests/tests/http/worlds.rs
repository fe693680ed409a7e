//! Worlds: tests that run at once and do not meet; and what was asked in them.

use belljar_tests::{Answer, Client, TestBundle, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

async fn within(client: &Client, world: &str, path: &str, body: &Value) -> Answer {
    let request = client.request(Method::POST, path).json(body);
    client
        .send(request.header("x-belljar-run", world))
        .await
        .unwrap()
}

async fn put(admin: &Client, path: &str, kind: &str, body: String) {
    let request = admin.request(Method::PUT, path).body(body);
    let request = request.header("content-type", kind);
    let _ = admin.send(request).await.unwrap().expect_status(200);
}

fn chat(about: &str) -> Value {
    json!({"model": "fake", "max_tokens": 12, "messages": [{"role": "user", "content": about}]})
}

const CHAT: &str = "/v1/chat/completions";

/// Sixty-four workers with faults, rules, times and journals of their own, ten thousand requests in
/// all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tests_at_once_do_not_meet() {
    const WORKERS: usize = 64;
    const REQUESTS: usize = 157;
    /// Every so many requests one is answered by a rule.
    const SAID_EVERY: usize = 39;
    let settings = [
        ("test.journal_max", "1000"),
        ("test.journal_body_max", "64"),
    ];
    let host = TestHost::start_with(&settings).await;
    let (admin, client) = (host.admin(), host.anonymous());
    let worker = async |index: usize| {
        let world = format!("worker-{index}");
        let own = format!("/admin/worlds/{world}");
        // As many of each as tell the worker.
        for (status, next) in [(500, index + 1), (503, 2)] {
            let rule =
                json!({"fault": format!("status={status}"), "next": next, "path": "/v1/models"});
            let added = admin.post(&format!("{own}/faults"), &rule).await;
            let _ = added.expect_status(201);
        }
        // Its own words, and hours that nobody waits for.
        let text = format!("{{{{ world }}}} has {index}: {{{{ count }}}}");
        let rules = format!("[[rule]]\nname = 'of-{index}'\nanswer.text = '{text}'");
        put(&admin, &format!("{own}/rules"), "application/toml", rules).await;
        let times = json!({"clock": "virtual", "latency": format!("ttft={}m", index + 1)});
        put(&admin, &own, "application/json", times.to_string()).await;
        let (mut seen, mut said) = (Vec::new(), Vec::new());
        for number in 1..=REQUESTS {
            let request = client.request(Method::GET, "/v1/models");
            let answer = client.send(request.header("x-belljar-run", &world)).await;
            seen.push(answer.unwrap().status);
            if number % SAID_EVERY == 0 {
                let answer = within(&client, &world, CHAT, &chat("hi")).await;
                let answer = answer.expect_status(200);
                let first: f64 = answer.header("x-belljar-ttft-ms").parse().unwrap();
                said.push((
                    answer.header("x-belljar-rule").to_owned(),
                    answer.json()["choices"][0]["message"]["content"].clone(),
                    first,
                ));
            }
        }
        let mut expected = vec![500; index + 1];
        expected.extend([503, 503]);
        expected.resize(REQUESTS, 200);
        assert_eq!(seen, expected, "{world}");
        let words = |count: usize| {
            let text = format!("{world} has {index}: {count}");
            let minutes = (index + 1) as f64;
            (format!("of-{index}"), json!(text), minutes * 60_000.0)
        };
        let all = REQUESTS + said.len();
        let expected: Vec<_> = (1..=REQUESTS / SAID_EVERY).map(words).collect();
        assert_eq!(said, expected, "{world}");
        let view = admin.get(&own).await.json();
        assert_eq!(view["requests"], json!(all), "{world}");
        let journal = admin.get(&format!("/admin/journal?world={world}")).await;
        let journal = journal.expect_status(200).json();
        let entries = journal["data"].as_array().unwrap();
        assert_eq!(entries.len(), all, "{world}");
        let is_of = json!(["x-belljar-run", world]);
        for (number, entry) in (1..).zip(entries) {
            assert_eq!(entry["number"], number, "{world}");
            let headers = entry["headers"].as_array().unwrap();
            assert!(headers.contains(&is_of), "{world}: {entry}");
        }
        let with = |member: &str| {
            let has = entries.iter().filter(|entry| !entry[member].is_null());
            has.count()
        };
        assert_eq!((with("fault"), with("rule")), (index + 3, expected.len()));
    };
    futures_util::future::join_all((0..WORKERS).map(worker)).await;
}

#[tokio::test]
async fn the_same_world_on_two_servers_has_the_same_chance() {
    let (host, other) = (TestHost::start().await, TestHost::start().await);
    for host in [&host, &other] {
        let bundle = TestBundle::hostile("time_and_chance").tar();
        let _ = host.admin().upload(bundle).await.expect_status(201);
    }
    let chance = async |host: &TestHost, world: &str| {
        let body = json!({"model": "time_and_chance", "inputs": {"x": [1]}});
        let answer = within(&host.anonymous(), world, "/infer", &body).await;
        answer.expect_status(200).json()["outputs"]["random"].to_string()
    };
    let seed = async |host: &TestHost, world: &str| {
        let path = format!("/admin/worlds/{world}");
        let request = host.admin().request(Method::PUT, &path);
        let answer = host.admin().send(request.json(&json!({"seed": 7}))).await;
        let _ = answer.unwrap().expect_status(200);
    };
    let (first, second) = (chance(&host, "a").await, chance(&host, "a").await);
    assert_ne!(first, second, "it goes on in a world");
    let again = (chance(&other, "a").await, chance(&other, "a").await);
    assert_eq!(again, (first.clone(), second));
    assert_ne!(chance(&host, "b").await, first);
    seed(&host, "b").await;
    seed(&other, "c").await;
    assert_eq!(chance(&host, "b").await, chance(&other, "c").await);
}

/// Acts: `test.worlds_max`.
#[tokio::test]
async fn worlds_are_bounded_and_can_be_freed() {
    let host = TestHost::start_with(&[("test.worlds_max", "2")]).await;
    let (admin, client) = (host.admin(), host.anonymous());
    for world in ["one", "two"] {
        let _ = within(&client, world, CHAT, &chat("hi"))
            .await
            .expect_status(200);
    }
    let full = within(&client, "three", CHAT, &chat("hi")).await;
    assert_eq!(full.expect_status(429).code(), "too_many_worlds");
    let names = async || {
        let list = admin.get("/admin/worlds").await.expect_status(200).json();
        let data = list["data"].as_array().unwrap().clone();
        data.iter()
            .map(|world| world["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["default", "one", "two"]);
    let _ = admin.delete("/admin/worlds/one").await.expect_status(204);
    let _ = admin.delete("/admin/worlds/one").await.expect_status(404);
    let _ = within(&client, "three", CHAT, &chat("hi"))
        .await
        .expect_status(200);
    assert_eq!(names().await, ["default", "three", "two"]);
    let wrong = within(&client, "a b", CHAT, &chat("hi")).await;
    assert_eq!(wrong.expect_status(400).code(), "invalid_world");
}

/// Acts: `test.world_idle`.
#[tokio::test]
async fn a_world_that_nobody_uses_goes() {
    let host = TestHost::start_with(&[("test.world_idle", "1 ms")]).await;
    let _ = within(&host.anonymous(), "one", CHAT, &chat("hi"))
        .await
        .expect_status(200);
    let gone = async {
        while host.admin().get("/admin/worlds/one").await.status != 404 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone)
        .await
        .unwrap();
}

/// Acts: `test.clock`.
#[tokio::test]
async fn time_is_virtual_where_the_settings_say_so() {
    let host = TestHost::start_with(&[("test.clock", "virtual")]).await;
    let request = host
        .anonymous()
        .request(Method::POST, CHAT)
        .json(&chat("hi"));
    let request = request.header("x-belljar-fault", "delay=10h");
    let _ = host
        .anonymous()
        .send(request)
        .await
        .unwrap()
        .expect_status(200);
    let view = host.admin().get("/admin/worlds/default").await.json();
    assert_eq!(view["clock"], "virtual");
    let change = host.admin().request(Method::PUT, "/admin/worlds/default");
    let change = change.json(&json!({"clock": "sometimes"}));
    let refused = host.admin().send(change).await.unwrap().expect_status(400);
    assert_eq!(refused.json()["error"]["param"], "clock");
}

/// Acts: `test.journal_max`, `test.journal_body_max`.
#[tokio::test]
async fn a_journal_has_what_was_asked_and_what_was_answered() {
    let settings = [("test.journal_max", "3"), ("test.journal_body_max", "64")];
    let host = TestHost::start_with(&settings).await;
    let (admin, client) = (host.admin(), host.anonymous());
    let _ = within(&client, "w", CHAT, &chat("first"))
        .await
        .expect_status(200);
    let keyed = admin.request(Method::POST, CHAT).json(&chat("Paris"));
    let keyed = keyed
        .header("x-belljar-run", "w")
        .header("x-belljar-fault", "status=503");
    let _ = admin.send(keyed).await.unwrap().expect_status(503);
    let list = async |query: &str| {
        let list = admin.get(&format!("/admin/journal?world=w{query}")).await;
        list.expect_status(200).json()["data"]
            .as_array()
            .unwrap()
            .clone()
    };
    let all = list("").await;
    assert_eq!(all.len(), 2);
    let (one, two) = (&all[0], &all[1]);
    assert_eq!(
        (&one["path"], &one["model"], &one["status"]),
        (&json!(CHAT), &json!("fake"), &json!(200))
    );
    assert!(one["body"]["text"].as_str().unwrap().len() <= 64);
    assert!(
        one["body"]["bytes"].as_u64().unwrap() > 64,
        "what it had is told"
    );
    assert!(
        one["answer"]["text"]
            .as_str()
            .unwrap()
            .starts_with("{\"id\":\"chatcmpl")
    );
    assert!(one["is_complete"].as_bool().unwrap());
    let timings = &one["timings"];
    assert!(timings["end_ms"].as_f64().unwrap() >= timings["head_ms"].as_f64().unwrap());
    assert_eq!(
        (&two["fault"], &two["status"]),
        (&json!("status=503"), &json!(503))
    );
    assert!(two["key"].is_string());
    let key = admin.key().unwrap();
    assert!(
        !json!(all).to_string().contains(key),
        "what lets in is never written down"
    );
    assert_eq!(list("&status=5xx").await.len(), 1);
    assert_eq!(list("&after=1").await.len(), 1);

    let verify = async |assertion: Value| {
        let verdict = admin.post("/admin/journal/verify", &assertion).await;
        verdict.expect_status(200).json()
    };
    let like = |path: &str| json!({"world": "w", "path": path, "fault": "status=*"});
    assert_eq!(
        verify(json!({"like": like(CHAT), "exactly": 1})).await["holds"],
        true
    );
    let missed = verify(json!({"like": like("/v1/embeddings")})).await;
    assert_eq!(
        (&missed["holds"], &missed["count"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(
        missed["nearest"],
        json!({"number": 2, "differs_in": ["path"]})
    );
    for _ in 0..3 {
        let _ = within(&client, "w", CHAT, &chat("more"))
            .await
            .expect_status(200);
    }
    assert_eq!(
        list("").await.first().unwrap()["number"],
        3,
        "the oldest have gone"
    );
    let _ = admin
        .delete("/admin/journal?world=w")
        .await
        .expect_status(204);
    assert!(list("").await.is_empty());
    let _ = admin
        .get("/admin/journal?world=other")
        .await
        .expect_status(404);
    let _ = admin
        .get("/admin/journal?world=w&modle=x")
        .await
        .expect_status(400);
}

/// Acts: `test.journal_bytes_max`.
#[tokio::test]
async fn a_journal_has_so_many_bytes() {
    let settings = [
        ("test.journal_max", "100"),
        ("test.journal_bytes_max", "4 KiB"),
    ];
    let host = TestHost::start_with(&settings).await;
    for _ in 0..20 {
        let answer = host.anonymous().post(CHAT, &chat("hi")).await;
        let _ = answer.expect_status(200);
    }
    let list = host
        .admin()
        .get("/admin/journal")
        .await
        .expect_status(200)
        .json();
    let entries = list["data"].as_array().unwrap().len();
    assert!((1..8).contains(&entries), "{entries}");
}

#[tokio::test]
async fn nothing_is_written_down_unless_it_is_asked_for() {
    let host = TestHost::start().await;
    let _ = host
        .anonymous()
        .post(CHAT, &chat("hi"))
        .await
        .expect_status(200);
    let none = host.admin().get("/admin/journal").await;
    assert_eq!(none.expect_status(409).code(), "journal_is_off");
}
