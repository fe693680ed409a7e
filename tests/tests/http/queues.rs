//! Runs at once and runs that wait: each bound by itself, for the host and for one model.

use std::time::{Duration, Instant};

use belljar_tests::{Answer, Client, TestBundle, TestHost};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::host::PATIENCE;

/// Asks a model for a run that ends with its deadline.
fn ask(caller: &Client, model: &str) -> JoinHandle<Answer> {
    let (caller, body) = (
        caller.clone(),
        json!({"model": model, "inputs": {"x": [1]}}),
    );
    tokio::spawn(async move { caller.post("/infer", &body).await })
}

/// A server with two models whose runs take as long as that.
async fn host(settings: &[(&str, &str)], deadline: &str) -> TestHost {
    let spared = [("exempt_networks", "127.0.0.0/8")];
    let host = TestHost::start_with(&[settings, &spared].concat()).await;
    for name in ["one", "other"] {
        let bundle = TestBundle::new(name, "1.0.0", &belljar_test_guests::bytes("burns_fuel"));
        let limits = format!("fuel = 900_000_000_000\ndeadline = \"{deadline}\"");
        let bundle = bundle.with_limits(&limits);
        let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    }
    host
}

/// Waits until so many runs go on, or wait.
async fn until(host: &TestHost, which: &str, count: usize) {
    let begun = Instant::now();
    loop {
        let status = host.admin().get("/admin/status").await;
        let load = status.expect_status(200).json()["load"].clone();
        if load[which] == count {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{which} {count}: {load}");
        tokio::task::yield_now().await;
    }
}

/// Acts: `sandbox.runs_max`, `sandbox.queue_max`, `sandbox.model_runs_max`,
/// `sandbox.model_queue_max`.
#[tokio::test]
async fn each_bound_on_runs_holds_by_itself() {
    // Which models are refused while one run of the first goes on.
    for (settings, waiting, refused) in [
        (
            &[("sandbox.runs_max", "1"), ("sandbox.queue_max", "0")][..],
            0,
            &["one", "other"][..],
        ),
        (
            &[("sandbox.runs_max", "1"), ("sandbox.queue_max", "1")],
            1,
            &["one", "other"],
        ),
        (
            &[
                ("sandbox.model_runs_max", "1"),
                ("sandbox.model_queue_max", "0"),
            ],
            0,
            &["one"],
        ),
        (
            &[
                ("sandbox.model_runs_max", "1"),
                ("sandbox.model_queue_max", "1"),
            ],
            1,
            &["one"],
        ),
    ] {
        let patient = [("sandbox.queue_wait", "1 min")];
        let host = host(&[settings, &patient].concat(), "50 s").await;
        let caller = host.anonymous();
        let mut begun = vec![ask(&caller, "one")];
        until(&host, "running", 1).await;
        for _ in 0..waiting {
            begun.push(ask(&caller, "one"));
        }
        until(&host, "waiting", waiting).await;
        for model in refused {
            let answer = ask(&caller, model).await.unwrap();
            assert_eq!(answer.code(), "overloaded", "{settings:?}: {model}");
        }
        if refused.len() == 1 {
            begun.push(ask(&caller, "other"));
            until(&host, "running", 2).await;
        }
        for run in begun {
            run.abort();
        }
    }
}

/// Acts: `sandbox.queue_wait`.
#[tokio::test]
async fn a_run_waits_for_its_slot_as_long_as_it_is_told_to() {
    for (wait, code) in [("20 ms", "overloaded"), ("50 s", "deadline_exceeded")] {
        let settings = [("sandbox.runs_max", "1"), ("sandbox.queue_wait", wait)];
        let host = host(&settings, "700 ms").await;
        let first = ask(&host.anonymous(), "one");
        until(&host, "running", 1).await;
        let second = ask(&host.anonymous(), "other");
        let second = tokio::time::timeout(PATIENCE + Duration::from_secs(1), second).await;
        assert_eq!(second.unwrap().unwrap().code(), code, "{wait}");
        assert_eq!(first.await.unwrap().code(), "deadline_exceeded");
    }
}
