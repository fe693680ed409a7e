//! How long after a request the answer of a rule begins, and at which pace it goes on.

use super::*;

const RULES: &str = r#"
[[rule]]
name = "late"
match.last_user = "alpha"
answer = { text = "one two", delay = "250ms" }

[[rule]]
name = "late-and-slow"
match.last_user = "beta"
answer = { text = "one two", delay = "250ms", latency = "ttft=100ms,itl=10ms" }

[[rule]]
name = "slow"
match.last_user = "gamma"
answer = { text = "one two", latency = "ttft=100ms,itl=10ms" }

[[rule]]
name = "generated"
match.last_user = "delta"
answer = { generated = true, delay = "2s" }
"#;

/// Acts: `test.latency`, below what a rule says.
#[tokio::test]
async fn a_delay_comes_before_whatever_the_pace_is() {
    let host = TestHost::start_with(&[("test.latency", "ttft=5ms,itl=1ms")]).await;
    let world = World::new(&host, "delays", RULES).await;
    let set = world.host.admin();
    let clock = set.request(Method::PUT, "/admin/worlds/delays");
    let clock = set.send(clock.json(&json!({"clock": "virtual"}))).await;
    let _ = clock.unwrap().expect_success();
    for stream in [false, true] {
        for (text, first, last) in [
            ("alpha", "255.000", Some("256.000")),
            ("beta", "350.000", Some("360.000")),
            ("gamma", "100.000", Some("110.000")),
            ("delta", "2005.000", None),
            ("nothing that a rule is for", "5.000", None),
        ] {
            let mut body = chat(text);
            body["stream"] = stream.into();
            let answer = world.post(CHAT, &body).await.expect_status(200);
            if stream {
                let times = events(&answer);
                let times = times.iter().filter_map(|event| {
                    let is_said = event.pointer("/choices/0/delta/content");
                    is_said
                        .filter(|text| *text != "")
                        .and(event.pointer("/belljar/at_ms"))
                });
                let times: Vec<String> = times
                    .map(|at| format!("{:.3}", at.as_f64().unwrap()))
                    .collect();
                assert_eq!(times.first().unwrap(), first, "{text}");
                if let Some(last) = last {
                    assert_eq!(times.last().unwrap(), last, "{text}");
                }
            } else {
                assert_eq!(answer.header("x-belljar-ttft-ms"), first, "{text}");
                if let Some(last) = last {
                    assert_eq!(answer.header("x-belljar-e2e-ms"), last, "{text}");
                }
            }
        }
    }
}

/// What no text is has its delay as well, on the clock.
#[tokio::test]
async fn a_vector_and_a_fault_are_delayed() {
    let host = TestHost::start().await;
    let rules = "[[rule]]\nname = 'v'\nmatch.path = '/v1/embeddings'\n\
                 answer = { embedding = [1.0, 0.0], delay = '60ms' }\n\
                 [[rule]]\nname = 'f'\nanswer = { fault = 'status=503', delay = '60ms' }\n";
    let world = World::new(&host, "late", rules).await;
    for (path, body, status) in [
        (
            "/v1/embeddings",
            json!({"model": "text-embedding-3-small", "input": "x"}),
            200,
        ),
        (CHAT, chat("x"), 503),
    ] {
        let began = std::time::Instant::now();
        let _ = world.post(path, &body).await.expect_status(status);
        assert!(began.elapsed().as_millis() >= 60, "{path}");
    }
}
