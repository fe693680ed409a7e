//! Machines whose time of day is wrong: answers keep coming.

use std::path::{Path, PathBuf};

use belljar::clock::Clock;
use belljar_tests::{ServerProcess, TestHost};
use serde_json::json;

/// The library that gives a process another time of day, where it is installed.
fn faketime() -> Option<PathBuf> {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu", "."];
    let places = places
        .iter()
        .flat_map(|place| ["lib", "lib64"].map(|lib| Path::new("/usr").join(lib).join(place)));
    let mut files = places.map(|place| place.join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.is_file())
}

/// What the libraries below do with the time, too.
#[tokio::test]
async fn a_process_whose_machine_has_no_clock_answers() {
    // `.ci/run` installs it.
    let Some(library) = faketime() else { return };
    for time in ["1965-01-01 00:00:00", "9999-12-31 23:59:00"] {
        let directory = tempfile::tempdir().unwrap();
        let server = ServerProcess::start_with(&directory.path().join("data"), |command| {
            command
                .env("LD_PRELOAD", &library)
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("FAKETIME", format!("@{time}"));
        })
        .await;
        let (admin, caller) = (server.admin(), server.anonymous());
        let chat = json!({"model": "fake", "messages": [{"role": "user", "content": "hi"}]});
        for _ in 0..4 {
            let answer = caller.get("/health").await.expect_status(200);
            assert!(!answer.header("date").is_empty(), "{time}");
            let answer = caller.post("/v1/chat/completions", &chat).await;
            assert_eq!(answer.status, 200, "{time}: {}", answer.text());
        }
        let key = json!({"name": "n", "scopes": ["infer"]});
        let made = admin.post("/admin/keys", &key).await.expect_status(201);
        let made = made.json();
        let with_key = server.with_key(made["key"].as_str().unwrap());
        let _ = with_key.get("/v1/models").await.expect_status(200);
        crate::kit::guess(&caller, 5).await;
        crate::kit::expect_banned(&caller.get("/v1/models").await);
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
}

#[tokio::test]
async fn before_1970_and_in_the_far_future_everything_answers() {
    for time in [
        "1965-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9998-06-01T00:00:00Z",
    ] {
        let (clock, hand) = Clock::manual(time.parse().unwrap());
        let host = TestHost::start_at(clock, &[("rate_limit.enabled", "true")]).await;
        let (admin, caller) = (host.admin(), host.anonymous());
        let chat = json!({"model": "fake", "messages": [{"role": "user", "content": "hi"}]});
        for path in ["/health", "/v1/models", "/metrics", "/v1/models/echo"] {
            let answer = caller.get(path).await;
            assert_eq!(answer.status, 200, "{time} {path}: {}", answer.text());
        }
        let answer = caller.post("/v1/chat/completions", &chat).await;
        assert_eq!(answer.status, 200, "{time}: {}", answer.text());
        let key = json!({"name": "n", "scopes": ["infer", "models:read"]});
        let made = admin
            .post("/admin/keys", &key)
            .await
            .expect_status(201)
            .json();
        let with_key = caller.with_key(made["key"].as_str().unwrap());
        let _ = with_key.get("/v1/models").await.expect_status(200);
        let path = format!("/admin/keys/{}", made["id"].as_str().unwrap());
        let _ = admin.get(&path).await.expect_status(200);
        let rotate = json!({"overlap": "1 h"});
        let rotated = admin.post(&format!("{path}/rotate"), &rotate).await;
        let _ = rotated.expect_status(200);
        crate::kit::guess(&caller, 5).await;
        crate::kit::expect_banned(&caller.get("/v1/models").await);
        let _ = admin.get("/admin/bans").await.expect_status(200);
        // An hour on, as when a clock is set.
        hand.advance(std::time::Duration::from_secs(3600));
        let _ = caller.get("/v1/models").await.expect_status(200);
        assert!(!answer.header("date").is_empty());
        let directory = host.stop().await;
        let log = std::fs::read_to_string(directory.path().join("audit.log")).unwrap();
        assert!(log.contains("key_created"), "{log}");
    }
}
