//! What the settings of uploads and of what is stored bound.

use belljar_tests::{Answer, RawConnection, TestBundle, TestHost};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;

use crate::host::PATIENCE;

/// A bundle whose component is none.
fn broken(version: &str) -> TestBundle {
    TestBundle::new("broken", version, b"\0asm\x0d\0\x01\0 and no component")
}

/// Begins an upload and sends a piece of it whenever the answer is not there yet; gives the answer.
async fn dawdle(host: &TestHost, piece: &[u8]) -> String {
    let mut slow: RawConnection = host.raw().await;
    let head = format!(
        "POST /models HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\
         content-type: application/x-tar\r\ncontent-length: 1000000\r\n\r\n",
        host.admin().key().unwrap()
    );
    assert!(slow.write(head.as_bytes()).await);
    let begun = std::time::Instant::now();
    loop {
        slow.write(piece).await;
        let answer = slow.read_some(std::time::Duration::from_millis(20)).await;
        if !answer.is_empty() {
            return String::from_utf8_lossy(&answer).into_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "nobody ends it");
    }
}

/// Acts: `models.upload_stall`, `models.upload_time`, `models.upload_rate_min`.
#[tokio::test]
async fn uploads_have_a_pace() {
    for (settings, piece, code) in [
        (
            &[("models.upload_stall", "100 ms")][..],
            &b""[..],
            "upload_stalled",
        ),
        (
            &[
                ("models.upload_time", "200 ms"),
                ("models.upload_rate_min", "1 B"),
            ],
            b"x",
            "upload_too_slow",
        ),
        (
            &[
                ("models.upload_stall", "150 ms"),
                ("models.upload_rate_min", "1 MiB"),
            ],
            b"x",
            "models.upload_rate_min",
        ),
    ] {
        let host = TestHost::start_with(settings).await;
        let answer = dawdle(&host, piece).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{settings:?}: {answer}");
        assert!(answer.contains(code), "{settings:?}: {answer}");
    }
}

/// Acts: `models.failed_max`, `models.failed_time`, `model_logs.bytes_max`.
#[tokio::test]
async fn what_failed_is_kept_for_a_while() {
    let host = TestHost::start_with(&[("models.failed_max", "1")]).await;
    for version in ["1.0.0", "1.0.1"] {
        let _ = host
            .admin()
            .upload(broken(version).tar())
            .await
            .expect_status(422);
    }
    let kept = async |host: &TestHost| {
        let model = host.admin().get("/models/broken").await;
        let versions = model.json()["versions"].as_array().cloned();
        let of = |version: &Value| version["version"].as_str().unwrap().to_owned();
        versions
            .unwrap_or_default()
            .iter()
            .map(of)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&host).await, ["1.0.1"]);
    let brief = [
        ("models.failed_time", "1 ms"),
        ("model_logs.bytes_max", "1 KiB"),
    ];
    let host = TestHost::start_with(&brief).await;
    let _ = host
        .admin()
        .upload(broken("1.0.0").tar())
        .await
        .expect_status(422);
    let begun = std::time::Instant::now();
    while !kept(&host).await.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "it is kept");
        host.registry().remove_old_failures().await.unwrap();
    }
    // Of what a model writes, as many lines as fit.
    let talker = TestBundle::hostile("endless_log");
    let _ = host.admin().upload(talker.tar()).await.expect_status(201);
    let body = json!({"model": "endless_log", "inputs": {"x": [1]}});
    let _ = host
        .anonymous()
        .post("/infer", &body)
        .await
        .expect_status(502);
    let log = host.admin().get("/models/endless_log/logs").await;
    let log = log.expect_status(200).json();
    let lines = log["data"].as_array().unwrap();
    let bytes: usize = lines
        .iter()
        .map(|line| line["message"].as_str().unwrap().len())
        .sum();
    assert!(
        !lines.is_empty() && bytes <= 1024 && lines.len() < 100,
        "{log}"
    );
    assert_eq!(log["truncated"], true);
}

/// Acts: `archive.ratio_max`.
#[tokio::test]
async fn a_bundle_unpacks_to_so_many_times_its_size() {
    let bundle = TestBundle::echo("flat", "1.0.0").with_asset("zeros", &vec![0; 4 << 20]);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&bundle.tar()).unwrap();
    let packed = packed.finish().unwrap();
    let upload = async |ratio: &str| -> Answer {
        let host = TestHost::start_with(&[("archive.ratio_max", ratio)]).await;
        host.admin().upload(packed.clone()).await
    };
    let _ = upload("2000").await.expect_status(201);
    let refused = upload("2").await;
    assert_eq!(refused.code(), "ratio_too_high", "{}", refused.text());
}

/// Acts: `stored.key_bytes_max`, `stored.bytes_max`.
#[tokio::test]
async fn what_callers_store_has_bounds() {
    for bound in ["stored.key_bytes_max", "stored.bytes_max"] {
        let host = TestHost::start_with(&[(bound, "16 KiB")]).await;
        let caller = host.key("infer").await;
        let store = async || {
            let body =
                json!({"model": "fake", "input": "word ".repeat(400), "max_output_tokens": 1});
            let made = caller.post("/v1/responses", &body).await.expect_status(200);
            format!("/v1/responses/{}", made.json()["id"].as_str().unwrap())
        };
        let first = store().await;
        let _ = caller.get(&first).await.expect_status(200);
        let mut last = String::new();
        for _ in 0..8 {
            last = store().await;
        }
        let _ = caller.get(&last).await.expect_status(200);
        assert_eq!(
            caller.get(&first).await.status,
            404,
            "{bound}: the oldest has gone"
        );
    }
}
