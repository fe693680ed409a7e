//! Requests and tokens a minute: what is promised in the headers holds to the second.

use belljar::clock::{Clock, ManualClock};
use belljar_tests::{Answer, Client, TestHost};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

use crate::kit::get_with;

const START: &str = "2026-01-01T00:00:00Z";

async fn host(settings: &[(&str, &str)]) -> (TestHost, ManualClock) {
    let (clock, hand) = Clock::manual(START.parse().unwrap());
    let mut all = vec![("rate_limit.enabled", "true")];
    all.extend_from_slice(settings);
    (TestHost::start_at(clock, &all).await, hand)
}

fn echo() -> Value {
    json!({"model":"echo","inputs":{"x":[1,2]}})
}

fn chat(max_tokens: u32) -> Value {
    json!({"model":"fake","seed":1,"max_tokens":max_tokens,
           "messages":[{"role":"user","content":"Say something."}]})
}

fn number(answer: &Answer, header: &str) -> u64 {
    let text = answer.header(header);
    text.parse()
        .unwrap_or_else(|_| panic!("{header}: {text:?}"))
}

#[tokio::test]
async fn the_seventh_of_six_requests_is_refused_until_the_time_that_is_said() {
    let (host, hand) = host(&[("rate_limit.rpm", "6")]).await;
    let caller = host.anonymous();
    for left in (0..6).rev() {
        let answer = caller.post("/infer", &echo()).await.expect_status(200);
        assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 6);
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), left);
    }
    let refused = caller.post("/infer", &echo()).await.expect_status(429);
    assert_eq!(refused.code(), "rate_limit_exceeded");
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    // Six a minute is one each ten seconds.
    assert_eq!(number(&refused, "retry-after"), 10);
    assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    let epoch = START.parse::<Timestamp>().unwrap().as_second() as u64;
    assert_eq!(number(&refused, "x-ratelimit-reset-requests"), epoch + 60);

    hand.advance(Duration::from_secs(9));
    let early = caller.post("/infer", &echo()).await.expect_status(429);
    assert_eq!(number(&early, "retry-after"), 1);
    hand.advance(Duration::from_secs(1));
    caller.post("/infer", &echo()).await.expect_status(200);
    caller.post("/infer", &echo()).await.expect_status(429);
}

#[tokio::test]
async fn every_answer_of_a_limited_route_has_the_six_headers_and_operations_have_none() {
    let (host, _) = host(&[]).await;
    let caller = host.anonymous();
    let six = |answer: &Answer| {
        let names = ["limit", "remaining", "reset"];
        let all = names
            .iter()
            .flat_map(|name| ["requests", "tokens"].map(|of| format!("x-ratelimit-{name}-{of}")));
        all.filter(|name| !answer.header(name).is_empty()).count()
    };
    let limited = [
        caller.post("/infer", &echo()).await,
        caller.post("/infer", &json!({"model":"nope"})).await,
        caller.post("/v1/chat/completions", &chat(1)).await,
        caller.post("/v1/chat/completions", &json!({})).await,
        caller
            .post_bytes("/v1/chat/completions", "application/json", b"{".to_vec())
            .await,
        caller.get("/v1/models").await,
        caller.get("/v1/models/nope").await,
        caller.get("/no/such/route").await,
        caller.delete("/infer").await,
    ];
    for answer in limited {
        assert_eq!(six(&answer), 6, "{} {}", answer.status, answer.text());
    }
    for path in ["/health/live", "/health/ready", "/openapi.json"] {
        assert_eq!(six(&caller.get(path).await), 0, "{path}");
    }
    assert_eq!(six(&host.admin().get("/admin/keys").await), 0);
}

#[tokio::test]
async fn what_a_request_did_not_use_comes_back() {
    let (host, _) = host(&[("rate_limit.tpm", "1000")]).await;
    let caller = host.anonymous();
    let answer = caller
        .post("/v1/chat/completions", &chat(900))
        .await
        .expect_status(200);
    let used = answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert!(used < 900, "the answer ends by itself: {used}");
    let after = caller.get("/v1/models").await;
    assert_eq!(number(&after, "x-ratelimit-remaining-tokens"), 1000 - used);
}

#[tokio::test]
async fn tokens_run_out_and_come_back_at_their_pace() {
    let (host, hand) = host(&[("rate_limit.tpm", "600")]).await;
    let caller = host.anonymous();
    // Ten tokens a second; each request reserves what it may use, and gives back the rest.
    let refused = loop {
        let answer = caller.post("/v1/chat/completions", &chat(100)).await;
        if answer.status != 200 {
            break answer.expect_status(429);
        }
    };
    assert_eq!(refused.code(), "rate_limit_exceeded");
    let requests = number(&refused, "x-ratelimit-remaining-requests");
    let wait = number(&refused, "retry-after");
    hand.advance(Duration::from_secs(wait - 1));
    let early = caller.post("/v1/chat/completions", &chat(100)).await;
    assert_eq!(early.status, 429, "waiting less is not enough");
    hand.advance(Duration::from_secs(1));
    let answer = caller.post("/v1/chat/completions", &chat(100)).await;
    let answer = answer.expect_status(200);
    // What was refused for its tokens has not been taken as a request either.
    let passed = 500 * wait / 60;
    let left = number(&answer, "x-ratelimit-remaining-requests");
    assert!(left >= (requests + passed).min(500) - 1, "{left}");
}

#[tokio::test]
async fn what_can_never_fit_is_a_bad_request_and_a_default_always_fits() {
    let (host, _) = host(&[("rate_limit.tpm", "50")]).await;
    let caller = host.anonymous();
    let refused = caller.post("/v1/chat/completions", &chat(60)).await;
    let refused = refused.expect_status(400);
    assert_eq!(refused.code(), "tokens_exceed_limit");
    assert!(refused.text().contains("50"), "{}", refused.text());
    let mut open_ended = chat(1);
    open_ended.as_object_mut().unwrap().remove("max_tokens");
    let answer = caller.post("/v1/chat/completions", &open_ended).await;
    let usage = answer.expect_status(200).json()["usage"].clone();
    assert!(
        usage["completion_tokens"].as_u64().unwrap() <= 50,
        "{usage}"
    );
}

/// A stream that its caller leaves gives back what was not made by then.
#[tokio::test]
async fn a_stream_that_is_cut_is_settled() {
    let (host, _) = host(&[("rate_limit.tpm", "10000")]).await;
    let caller = host.anonymous();
    let mut body = chat(9_000);
    body["stream"] = json!(true);
    let request = caller.request(reqwest::Method::POST, "/v1/chat/completions");
    let mut response = request.json(&body).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);
    for _ in 0..5_000 {
        let after = caller.get("/health").await;
        drop(after);
        let left = number(
            &caller.get("/v1/models").await,
            "x-ratelimit-remaining-tokens",
        );
        if left > 1_000 {
            assert!(left < 10_000, "the prompt and what was made are paid for");
            return;
        }
    }
    panic!("the reservation never came back");
}

#[tokio::test]
async fn limits_are_kept_by_verified_key_and_an_unknown_key_is_none() {
    let (host, _) = host(&[("rate_limit.rpm", "2")]).await;
    let (one, other) = (host.key("infer").await, host.key("infer").await);
    for _ in 0..2 {
        one.post("/infer", &echo()).await.expect_status(200);
    }
    one.post("/infer", &echo()).await.expect_status(429);
    other.post("/infer", &echo()).await.expect_status(200);
    // A fresh made-up key with each request is still one address.
    let statuses = [1, 2, 3].map(|n| {
        let caller = host.anonymous().with_key(&format!("made-up-key-{n}"));
        async move { caller.post("/infer", &echo()).await.status }
    });
    let mut seen = Vec::new();
    for status in statuses {
        seen.push(status.await);
    }
    assert_eq!(seen, [200, 200, 429]);
}

/// Acts: `rate_limit.routes`.
#[tokio::test]
async fn a_key_may_have_a_tier_and_limits_of_its_own_and_a_route_its_own_pace() {
    let (host, _) = host(&[("rate_limit.routes", "/v1/models=3:100")]).await;
    let limits = async |caller: &Client, path: &str| {
        let answer = caller.get(path).await;
        let limit = |of| number(&answer, &format!("x-ratelimit-limit-{of}"));
        (limit("requests"), limit("tokens"))
    };
    let anonymous = host.anonymous();
    assert_eq!(limits(&anonymous, "/v2").await, (500, 30_000));
    assert_eq!(limits(&anonymous, "/v1/models").await, (3, 100));
    let admin = host.admin();
    let create = async |more: Value| {
        let mut body = json!({"name":"n","scopes":["infer","models:read"]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = admin.post("/admin/keys", &body).await.expect_status(201);
        anonymous.with_key(made.json()["key"].as_str().unwrap())
    };
    let tiers = [
        ("free", (60, 10_000)),
        ("tier-1", (500, 30_000)),
        ("tier-2", (5_000, 450_000)),
        ("tier-3", (10_000, 1_000_000)),
        ("tier-4", (30_000, 5_000_000)),
        ("tier-5", (100_000, 15_000_000)),
    ];
    for (tier, expect) in tiers {
        let caller = create(json!({"tier":tier})).await;
        assert_eq!(limits(&caller, "/v2").await, expect, "{tier}");
    }
    let own = create(json!({"rpm":7})).await;
    assert_eq!(limits(&own, "/v2").await, (7, 30_000));
    assert_eq!(limits(&own, "/v1/models").await, (7, 100));
}

/// Acts: `rate_limit.reset`.
#[tokio::test]
async fn the_reset_can_be_a_duration() {
    let (host, _) = host(&[("rate_limit.rpm", "1"), ("rate_limit.reset", "duration")]).await;
    let answer = host.anonymous().post("/infer", &echo()).await;
    assert_eq!(answer.header("x-ratelimit-reset-requests"), "1m0s");
    assert_eq!(answer.header("x-ratelimit-reset-tokens"), "0s");
}

#[tokio::test]
async fn on_a_loopback_address_nothing_is_limited_unless_it_is_said() {
    let host = TestHost::start_with(&[("rate_limit.rpm", "1")]).await;
    for _ in 0..3 {
        let answer = host.anonymous().post("/infer", &echo()).await;
        let answer = answer.expect_status(200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "");
    }
}

/// Who is forgotten for others has a minute anew.
///
/// Acts: `rate_limit.addresses_max`.
#[tokio::test]
async fn so_many_addresses_are_remembered() {
    for (remembered, then) in [("1", 200), ("100000", 429)] {
        let settings = [
            ("rate_limit.rpm", "1"),
            ("rate_limit.addresses_max", remembered),
            ("trusted_proxies", "127.0.0.1"),
            ("enable_abuse_detection", "false"),
        ];
        let (host, _) = host(&settings).await;
        let proxy = host.anonymous();
        let ask = async |address: String| {
            let headers = [("x-forwarded-for", address.as_str())];
            get_with(&proxy, "/v1/models", &headers).await.status
        };
        let first = || "192.0.2.1".to_owned();
        assert_eq!(ask(first()).await, 200);
        assert_eq!(ask(first()).await, 429);
        // The table is in parts, of which each keeps one at least.
        for last in 0..300 {
            assert_eq!(
                ask(format!("198.18.{}.{}", last / 100, last % 100)).await,
                200
            );
        }
        assert_eq!(ask(first()).await, then, "{remembered}");
    }
}
