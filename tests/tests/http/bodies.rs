//! Bodies that are too large, cut off, of the wrong type, or no JSON.

use crate::host::PATIENCE;
use crate::host::{Host, SHARED};
use belljar_tests::RawConnection;
use reqwest::Method;
use serde_json::json;
use std::sync::LazyLock;

/// A server that takes small bodies only.
static SMALL: LazyLock<Host> = LazyLock::new(|| {
    Host::start(&[
        ("max_request_size", "1000 B"),
        ("max_upload_size", "5000 B"),
    ])
});

const JSON_ROUTES: [&str; 4] = [
    "/infer",
    "/v2/models/echo/infer",
    "/v1/chat/completions",
    "/v1/embeddings",
];

#[tokio::test]
async fn an_announced_length_is_refused_before_the_body() {
    for path in JSON_ROUTES {
        let mut connection = RawConnection::open(SMALL.address()).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-type: application/json\r\n\
             content-length: 1001\r\n\r\n"
        );
        assert!(connection.write(head.as_bytes()).await);
        let answer = connection.read_all(PATIENCE).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        assert!(answer.contains(r#""code":"payload_too_large""#), "{answer}");
    }
}

#[tokio::test]
async fn a_chunked_body_is_refused_while_it_is_read() {
    for path in JSON_ROUTES {
        let mut connection = RawConnection::open(SMALL.address()).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        assert!(connection.write(head.as_bytes()).await);
        for _ in 0..3 {
            let chunk = format!("190\r\n{}\r\n", " ".repeat(400));
            let _ = connection.write(chunk.as_bytes()).await;
        }
        let answer = connection.read_all(PATIENCE).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_just_at_the_limit_is_read() {
    let body = |length: usize| {
        let start = r#"{"model":"echo","inputs":{"x":1}"#;
        format!("{start}{}}}", " ".repeat(length - start.len() - 1)).into_bytes()
    };
    let client = SMALL.anonymous();
    let _ = client
        .post_bytes("/infer", "application/json", body(1_000))
        .await
        .expect_status(200);
    let _ = client
        .post_bytes("/infer", "application/json", body(1_001))
        .await
        .expect_status(413);
}

#[tokio::test]
async fn an_upload_has_a_limit_of_its_own() {
    let mut connection = RawConnection::open(SMALL.address()).await;
    let key = SMALL.admin().key().unwrap().to_owned();
    let head = format!(
        "POST /models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nexpect: 100-continue\r\n\
         content-type: application/x-tar\r\ncontent-length: 5001\r\n\r\n"
    );
    assert!(connection.write(head.as_bytes()).await);
    let answer = connection.read_all(PATIENCE).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 413 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let small = SMALL
        .admin()
        .post_bytes("/models", "application/x-tar", vec![0; 2_000])
        .await;
    assert_eq!(small.status, 400, "{}", small.text());
}

#[tokio::test]
async fn json_routes_take_json_only() {
    let client = SHARED.anonymous();
    for path in ["/v1/chat/completions", "/v1/embeddings", "/infer"] {
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ] {
            let answer = client
                .post_bytes(path, content_type, b"{}".to_vec())
                .await
                .expect_status(415);
            assert_eq!(
                answer.code(),
                "unsupported_media_type",
                "{path} {content_type}"
            );
        }
        let request = client.request(Method::POST, path).body("{}");
        assert_eq!(
            client.send(request).await.unwrap().status,
            400,
            "no type is JSON"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_is_400() {
    let client = SHARED.anonymous();
    for path in [
        "/v1/chat/completions",
        "/v1/embeddings",
        "/infer",
        "/v2/models/echo/infer",
    ] {
        for body in [
            "",
            "{",
            "[",
            "nul",
            "{\"model\":\"echo\",}",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
            "\"x\"",
            "1",
        ] {
            let answer = client
                .post_bytes(path, "application/json", body.as_bytes().to_vec())
                .await;
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
            assert!(!answer.code().is_empty(), "{}", answer.text());
        }
        let invalid = vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'];
        let _ = client
            .post_bytes(path, "application/json", invalid)
            .await
            .expect_status(400);
        let deep = "[".repeat(100_000).into_bytes();
        let _ = client
            .post_bytes(path, "application/json", deep)
            .await
            .expect_status(400);
        let deep = format!(r#"{{"x":{}"#, r#"{"x":"#.repeat(100_000)).into_bytes();
        let _ = client
            .post_bytes(path, "application/json", deep)
            .await
            .expect_status(400);
    }
}

#[tokio::test]
async fn errors_do_not_repeat_what_was_sent() {
    let client = SHARED.anonymous();
    let secret = "hunter2hunter2";
    for body in [
        json!({"model":"fake","messages":secret}),
        json!({"model":"fake","messages":[{"role":secret,"content":"x"}]}),
        json!({"model":"fake","messages":[{"role":"user","content":{"a":secret}}]}),
        json!({"model":"fake","messages":[{"role":"user","content":"x"}],"temperature":secret}),
        json!({"model":"fake","messages":[{"role":"user","content":"x"}],"stop":{"a":secret}}),
    ] {
        let answer = client
            .post("/v1/chat/completions", &body)
            .await
            .expect_status(400);
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    for _ in 0..20 {
        let mut connection = RawConnection::open(SHARED.address()).await;
        let head = "POST /infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
        assert!(connection.write(head.as_bytes()).await);
        drop(connection);
    }
    let _ = SHARED
        .anonymous()
        .get("/health/ready")
        .await
        .expect_status(200);
}

#[tokio::test]
async fn packed_bodies_are_415() {
    let client = SHARED.anonymous();
    for path in JSON_ROUTES {
        let request = client
            .request(Method::POST, path)
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .body(vec![0x1f, 0x8b]);
        let answer = client.send(request).await.unwrap().expect_status(415);
        assert_eq!(answer.code(), "unsupported_content_encoding");
    }
}
