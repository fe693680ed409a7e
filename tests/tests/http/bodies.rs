//! Bodies that are too large, cut off, of the wrong type, or no JSON.

use crate::host::PATIENCE;
use crate::host::{Host, SHARED};
use belljar_tests::RawConnection;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
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

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// The status and code of the answer to a body that says how it is packed.
async fn packed(host: &Host, path: &str, coding: &str, body: Vec<u8>) -> (u16, String) {
    let client = host.anonymous();
    let request = client
        .request(Method::POST, path)
        .header("content-type", "application/json")
        .header("content-encoding", coding)
        .body(body);
    let answer = client.send(request).await.unwrap();
    let code = match answer.status {
        200 => String::new(),
        _ => answer.code(),
    };
    (answer.status, code)
}

#[tokio::test]
async fn a_packed_body_is_unpacked() {
    let bodies = [
        json!({"model":"echo","inputs":{"x":[1.0]}}),
        json!({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1.0]}]}),
        json!({"model":"fake","max_tokens":1,"messages":[{"role":"user","content":"x"}]}),
        json!({"model":"fake","input":"x"}),
    ];
    for (path, body) in JSON_ROUTES.into_iter().zip(bodies) {
        let whole = gzip(body.to_string().as_bytes());
        let answer = packed(&SHARED, path, "gzip", whole.clone()).await;
        assert_eq!(answer, (200, String::new()), "{path}");
        let cut = whole.get(..whole.len() - 4).unwrap().to_vec();
        let answer = packed(&SHARED, path, "gzip", cut).await;
        assert_eq!(answer, (400, "invalid_content_encoding".into()), "{path}");
        let answer = packed(&SHARED, path, "br", whole).await;
        assert_eq!(
            answer,
            (415, "unsupported_content_encoding".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_gzip_body_may_have_several_members() {
    let body = json!({"model":"fake","max_tokens":1,"messages":[{"role":"user","content":"x"}]});
    let body = body.to_string();
    let (front, back) = body.as_bytes().split_at(17);
    let named = |bytes: &[u8]| {
        let mut encoder = GzBuilder::new()
            .filename("a.json")
            .comment("half of it")
            .extra(*b"BC\x02\0\0\0")
            .write(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let path = "/v1/chat/completions";
    let one_a_byte: Vec<u8> = body.bytes().flat_map(|byte| gzip(&[byte])).collect();
    for good in [
        [gzip(front), gzip(back)].concat(),
        [gzip(b""), gzip(front), gzip(b""), gzip(back), gzip(b"")].concat(),
        [named(front), named(back)].concat(),
        one_a_byte,
    ] {
        let answer = packed(&SHARED, path, "gzip", good).await;
        assert_eq!(answer, (200, String::new()));
    }
    let broken = (400, "invalid_content_encoding".to_owned());
    let (whole, other) = (gzip(body.as_bytes()), gzip(b" "));
    for bad in [
        [&whole[..], b"\0"].concat(),
        [&whole[..], b"garbage"].concat(),
        [&whole[..], &other[..other.len() - 1]].concat(),
        [&whole[..], &other[..9]].concat(),
    ] {
        assert_eq!(packed(&SHARED, path, "gzip", bad).await, broken);
    }
    // Each costs a decoder: a body of nothing but empty members is no body.
    let empty = gzip(b"").repeat(3_000);
    assert_eq!(packed(&SHARED, path, "gzip", empty).await, broken);
}

#[tokio::test]
async fn a_packed_body_is_refused_by_what_comes_out_of_it() {
    let start = r#"{"model":"echo","inputs":{"x":1}"#;
    let body = |length: usize| format!("{start}{}}}", " ".repeat(length - start.len() - 1));
    let fits = packed(&SMALL, "/infer", "gzip", gzip(body(1_000).as_bytes())).await;
    assert_eq!(fits, (200, String::new()));
    let refusal = (413, "payload_too_large".to_owned());
    for path in JSON_ROUTES {
        let over = packed(&SMALL, path, "gzip", gzip(body(1_001).as_bytes())).await;
        assert_eq!(over, refusal, "{path}");
        let bomb = gzip(&vec![b' '; 400_000]);
        assert!(bomb.len() < 1_000);
        assert_eq!(packed(&SMALL, path, "gzip", bomb).await, refusal, "{path}");
    }
}

#[tokio::test]
async fn what_is_unpacked_is_screened() {
    let body =
        json!({"model":"fake","messages":[{"role":"user","content":"'; DROP TABLE users; --"}]});
    let body = gzip(body.to_string().as_bytes());
    let answer = packed(&SHARED, "/v1/chat/completions", "gzip", body).await;
    assert_eq!(answer, (400, "injection_detected".into()));
}

/// Lists whose items are what the members of the object would be, in some order.
#[tokio::test]
async fn a_list_is_no_object() {
    let admin = SHARED.admin();
    let hello = json!([{"role":"user","content":"hi"}]);
    let chat = |name: &str, value: Value| {
        let mut body = json!({"model":"fake","max_tokens":1,"messages":hello});
        body[name] = value;
        ("/v1/chat/completions", body)
    };
    for (path, body) in [
        ("/v1/chat/completions", json!(["fake", hello])),
        chat("messages", json!([["user", "hi"]])),
        chat("response_format", json!(["text", null])),
        chat("tools", json!([["function", {"name":"f"}, null]])),
        (
            "/v1/chat/completions",
            json!({"model":"fake","stream":true,"stream_options":[true],"messages":hello}),
        ),
        ("/v1/completions", json!(["fake", "x"])),
        ("/v1/embeddings", json!(["fake", "x", null, null, null])),
        (
            "/v1/messages",
            json!({"model":"fake","max_tokens":1,"messages":[["user", "hi"]]}),
        ),
        ("/v2/repository/index", json!([true])),
        ("/admin/keys", json!(["n", ["infer"]])),
        ("/admin/exemptions", json!(["192.0.2.0/24"])),
    ] {
        let answer = admin.post(path, &body).await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        assert!(
            answer.text().contains("expected an object, found a list"),
            "{path} {body}: {}",
            answer.text()
        );
    }
}
