//! By which name the server is called.

use crate::heads::PATIENCE;
use belljar_tests::TestHost;

async fn status_and_code(host: &TestHost, request: &str) -> (u16, String) {
    let answer = host
        .raw()
        .await
        .exchange(request.as_bytes(), PATIENCE)
        .await;
    let status = answer.get(9..12).unwrap_or_default().parse().unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

#[tokio::test]
async fn a_host_is_named_once_and_well() {
    let host = TestHost::start().await;
    let get = |head: &str| format!("GET /health {head}connection: close\r\n\r\n");
    for (head, status, code) in [
        ("HTTP/1.1\r\nhost: localhost\r\n", 200, ""),
        ("HTTP/1.1\r\nHOST: 127.0.0.1:8000\r\n", 200, ""),
        ("HTTP/1.1\r\nhost: localhost.\r\n", 200, ""),
        ("HTTP/1.1\r\nhost: localhost.:80\r\n", 200, ""),
        ("HTTP/1.1\r\nhost: localhost:\r\n", 200, ""),
        ("HTTP/1.1\r\nhost: [::1]:\r\n", 200, ""),
        ("HTTP/1.1\r\nhost: localhost..\r\n", 400, "invalid_host"),
        ("HTTP/1.1\r\nhost: .\r\n", 400, "invalid_host"),
        (
            "HTTP/1.1\r\nhost: evil.example.:\r\n",
            403,
            "host_not_allowed",
        ),
        ("HTTP/1.0\r\n", 200, ""),
        ("HTTP/1.1\r\n", 400, "invalid_host"),
        ("HTTP/1.1\r\nhost:\r\n", 400, "invalid_host"),
        (
            "HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n",
            400,
            "invalid_host",
        ),
        (
            "HTTP/1.1\r\nhost: localhost, evil.example\r\n",
            400,
            "invalid_host",
        ),
        ("HTTP/1.1\r\nhost: user@localhost\r\n", 400, "invalid_host"),
        ("HTTP/1.1\r\nhost: localhost:99999\r\n", 400, "invalid_host"),
        ("HTTP/1.1\r\nhost: localhost/../x\r\n", 400, "invalid_host"),
        (
            "HTTP/1.1\r\nhost: evil.example\r\n",
            403,
            "host_not_allowed",
        ),
        (
            "HTTP/1.1\r\nhost: localhost.evil.example\r\n",
            403,
            "host_not_allowed",
        ),
    ] {
        let found = status_and_code(&host, &get(head)).await;
        assert_eq!(found, (status, code.to_owned()), "{head:?}");
    }
    for target in ["http://localhost.", "http://localhost:", "http://LOCALHOST"] {
        let absolute =
            format!("GET {target}/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let found = status_and_code(&host, &absolute).await;
        assert_eq!(found, (200, String::new()), "{target}");
    }
    let absolute =
        "GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let found = status_and_code(&host, absolute).await;
    assert_eq!(found, (400, "invalid_host".to_owned()));
}

#[tokio::test]
async fn names_can_be_allowed() {
    let host = TestHost::start_with(&[(
        "http.allowed_hosts",
        "models.example, dotted.example., [2001:db8::1]",
    )])
    .await;
    for (name, status) in [
        ("models.example", 200),
        ("MODELS.example:8080", 200),
        ("models.example.", 200),
        ("models.example.:", 200),
        ("dotted.example", 200),
        ("dotted.example.", 200),
        ("[2001:db8::1]:80", 200),
        ("localhost", 200),
        ("evil.example", 403),
    ] {
        let request = format!("GET /health HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
        assert_eq!(status_and_code(&host, &request).await.0, status, "{name}");
    }
}
