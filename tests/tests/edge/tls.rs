//! TLS on the server's own port.

use std::time::Duration;

use belljar_tests::{Client, RawConnection, TestBundle, TestHost};
use rustls::{ProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::kit::{
    Authority, Folder, PATIENCE, TlsHost, begin, connect, get, has, run, s_client, shown,
};

/// The first byte of a TLS handshake.
const HANDSHAKE: &[u8] = &[22];

#[tokio::test]
async fn both_versions_and_both_protocols_are_spoken() {
    let host = TlsHost::start(&[]).await;
    for spoken in [&version::TLS12, &version::TLS13] {
        for protocol in ["h2", "http/1.1"] {
            let mut client = host.authority.trusting_with(&[spoken]);
            client.alpn_protocols = vec![protocol.into()];
            let stream = connect(host.address(), "localhost", client).await.unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(spoken.version));
            assert_eq!(session.alpn_protocol(), Some(protocol.as_bytes()));
        }
        // Without a word about it, HTTP/1 is meant.
        let client = host.authority.trusting_with(&[spoken]);
        let stream = connect(host.address(), "localhost", client).await.unwrap();
        let answer = get(stream, "/v1/models").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let mut client = host.authority.trusting();
    client.alpn_protocols = vec![b"spdy/3".to_vec()];
    let other = connect(host.address(), "localhost", client).await;
    other.expect_err("another protocol is not agreed on");
}

/// Acts: `tls.min_version`.
#[tokio::test]
async fn the_oldest_version_can_be_chosen() {
    let host = TlsHost::start(&[("tls.min_version", "1.3")]).await;
    let old = host.authority.trusting_with(&[&version::TLS12]);
    connect(host.address(), "localhost", old)
        .await
        .expect_err("1.2 is too old");
    let new = host.connect().await;
    let spoken = new.get_ref().1.protocol_version();
    assert_eq!(spoken, Some(ProtocolVersion::TLSv1_3));
}

/// Acts: `tls.cert`, `tls.key`.
#[tokio::test]
async fn a_client_is_shown_the_certificate_for_its_name() {
    let (authority, folder) = (Authority::new("the test"), Folder::new());
    let names: [&[&str]; 3] = [
        &["localhost"],
        &["a.example"],
        &["*.b.example", "b.example"],
    ];
    let issued = names.map(|names| authority.issue(names));
    let files = |suffix: &str, text: &dyn Fn(usize) -> String| {
        let paths = (0..3).map(|at| folder.write(&format!("{at}.{suffix}"), &text(at)));
        paths.collect::<Vec<_>>().join(",")
    };
    let certificates = files("pem", &|at| issued[at].certificate.clone());
    let keys = files("key", &|at| issued[at].key.clone());
    let settings = [("tls.cert", certificates.as_str()), ("tls.key", &keys)];
    let host = TestHost::start_with(&settings).await;
    for name in ["localhost", "A.example", "b.example", "x.b.example"] {
        let stream = connect(host.address(), name, authority.trusting()).await;
        stream.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    // The first one is shown for want of a better, and such a client does not take it.
    for name in ["x.a.example", "x.y.b.example", "elsewhere.example"] {
        let stream = connect(host.address(), name, authority.trusting()).await;
        let error = stream.expect_err(name).to_string();
        assert!(error.contains("not valid for name"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_chain_is_shown_as_a_whole_and_a_key_may_be_in_its_certificates_file() {
    let (root, folder) = (Authority::new("root"), Folder::new());
    let middle = root.authority("middle");
    let issued = middle.issue(&["localhost"]);
    let all = [issued.key, issued.certificate, middle.pem()].concat();
    let file = folder.write("all.pem", &all);
    let host = TestHost::start_with(&[("tls.cert", &file)]).await;
    let stream = connect(host.address(), "localhost", root.trusting()).await;
    let answer = get(stream.unwrap(), "/health/live").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn each_form_of_key_is_read() {
    if !has("openssl") {
        return;
    }
    let folder = Folder::new();
    let (key, certificate) = (folder.path("key"), folder.path("pem"));
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    let forms: [(&str, &[&str]); 4] = [
        (
            "BEGIN EC PRIVATE KEY",
            &["ecparam", "-genkey", "-noout", "-name", "prime256v1"],
        ),
        ("BEGIN RSA PRIVATE KEY", &["genrsa", "-traditional"]),
        ("BEGIN PRIVATE KEY", &["genpkey", "-algorithm", "RSA"]),
        ("BEGIN PRIVATE KEY", &["genpkey", "-algorithm", "ED25519"]),
    ];
    for (begins, arguments) in forms {
        let made = run("openssl", &[arguments, &["-out", key]].concat()).await;
        assert!(made.0, "{}", made.1);
        assert!(std::fs::read_to_string(key).unwrap().contains(begins));
        let signed = run(
            "openssl",
            &[
                "req",
                "-x509",
                "-new",
                "-key",
                key,
                "-out",
                certificate,
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
            ],
        )
        .await;
        assert!(signed.0, "{}", signed.1);
        let host = TestHost::start_with(&[("tls.cert", certificate), ("tls.key", key)]).await;
        let at = host.address().to_string();
        let shaken = run("openssl", &s_client(&at, certificate)).await;
        assert!(
            shaken.1.contains("Verify return code: 0 (ok)"),
            "{begins}: {}",
            shaken.1
        );
    }
}

#[tokio::test]
async fn a_plain_request_is_told_what_is_wrong() {
    let host = TlsHost::start(&[]).await;
    let mut plain = RawConnection::open(host.address()).await;
    let request = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answer = plain.exchange(request, PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(
        answer.contains("tls_required") && answer.contains("https://"),
        "{answer}"
    );
    assert_eq!(
        host.metric("belljar_tls_handshakes_total{outcome=\"plain\"}")
            .await,
        1.0
    );
}

/// Acts: `tls.handshake_timeout`.
#[tokio::test]
async fn a_slow_handshake_is_cut_off_and_counted() {
    let host = TlsHost::start(&[("tls.handshake_timeout", "300 ms")]).await;
    for begun in [&b""[..], HANDSHAKE, &[22, 3, 1, 2, 0, 1]] {
        let mut slow = RawConnection::open(host.address()).await;
        slow.write(begun).await;
        assert_eq!(slow.read_all(PATIENCE).await, b"", "{begun:?}");
    }
    assert_eq!(
        host.metric("belljar_connections_cut_total{reason=\"handshake\"}")
            .await,
        3.0
    );
    assert_eq!(
        host.metric("belljar_tls_handshakes_total{outcome=\"late\"}")
            .await,
        3.0
    );
}

/// Acts: `tls.handshakes_max`.
#[tokio::test]
async fn handshakes_at_once_are_bounded_and_the_next_waits_its_turn() {
    let settings = [
        ("tls.handshakes_max", "1"),
        ("metrics.listen", "127.0.0.1:0"),
        ("tls.handshake_timeout", "60 s"),
    ];
    let host = TlsHost::start(&settings).await;
    // Who says nothing holds no place.
    let _silent = TcpStream::connect(host.address()).await.unwrap();
    drop(host.connect().await);
    let mut slow = TcpStream::connect(host.address()).await.unwrap();
    slow.write_all(HANDSHAKE).await.unwrap();
    let metrics = Client::new(host.host.metrics_address().unwrap(), None);
    while !metrics
        .get("/metrics")
        .await
        .text()
        .contains("belljar_tls_handshakes_open 1")
    {
        tokio::task::yield_now().await;
    }
    let mut waits = std::pin::pin!(host.connect());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waits).await;
    assert!(early.is_err(), "there was a second place");
    drop(slow);
    let stream = tokio::time::timeout(PATIENCE, waits).await.unwrap();
    let answer = get(stream, "/health/live").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn slow_handshakes_take_the_places_of_their_own_address() {
    let settings = [
        ("http.connections_per_address_max", "2"),
        ("tls.handshake_timeout", "60 s"),
    ];
    let host = TlsHost::start(&settings).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut connection = RawConnection::open(host.address()).await;
        connection.write(HANDSHAKE).await;
        slow.push(connection);
    }
    let mut third = RawConnection::open(host.address()).await;
    assert_eq!(third.read_all(PATIENCE).await, b"", "closed without a word");
    let mut other = RawConnection::open_from([127, 0, 0, 2], host.address()).await;
    let plain = other.exchange(b"GET / HTTP/1.1\r\n\r\n", PATIENCE).await;
    assert!(
        plain.contains("tls_required"),
        "another address has its own: {plain}"
    );
}

/// Acts: `tls.hsts`.
#[tokio::test]
async fn browsers_are_told_to_stay_with_https_only_where_that_is_set() {
    const HSTS: &str = "strict-transport-security: max-age=31536000";
    let host = TlsHost::start(&[("tls.hsts", "365 d")]).await;
    for path in ["/v1/models", "/no/such/route"] {
        let answer = get(host.connect().await, path).await.unwrap();
        assert!(answer.contains(HSTS), "{answer}");
    }
    let host = TlsHost::start(&[]).await;
    let answer = get(host.connect().await, "/v1/models").await.unwrap();
    assert!(!answer.contains("strict-transport"), "{answer}");
}

/// Acts: `tls.redirect_listen`, `tls.redirect_port`.
#[tokio::test]
async fn plain_requests_to_the_redirect_port_are_sent_to_https() {
    let settings = [("tls.redirect_listen", "127.0.0.1:0")];
    let host = TlsHost::start(&settings).await;
    let port = host.address().port();
    let redirect = host.host.redirect_address().unwrap();
    for method in ["GET", "POST"] {
        let mut plain = RawConnection::open(redirect).await;
        let request = format!(
            "{method} /v1/models?x=1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        );
        let answer = plain.exchange(request.as_bytes(), PATIENCE).await;
        assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
        let location = format!("location: https://localhost:{port}/v1/models?x=1\r\n");
        assert!(answer.contains(&location), "{answer}");
    }
    let mut plain = RawConnection::open(redirect).await;
    let request = b"GET / HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n";
    let answer = plain.exchange(request, PATIENCE).await;
    assert!(
        answer.starts_with("HTTP/1.1 403"),
        "sends nobody elsewhere: {answer}"
    );
    let settings = [
        ("tls.redirect_listen", "127.0.0.1:0"),
        ("tls.redirect_port", "443"),
    ];
    let host = TlsHost::start(&settings).await;
    let mut plain = RawConnection::open(host.host.redirect_address().unwrap()).await;
    let request = b"GET /x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = plain.exchange(request, PATIENCE).await;
    assert!(
        answer.contains("location: https://localhost/x\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_proxy_header_comes_before_the_handshake() {
    let settings = [
        ("proxy_protocol", "required"),
        ("trusted_proxies", "127.0.0.1"),
        ("deny_networks", "192.0.2.9"),
    ];
    let host = TlsHost::start(&settings).await;
    for (last, status) in [(7, "200"), (9, "403")] {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
        let ends = [192, 0, 2, last, 10, 0, 0, 1, 1, 2, 0, 80];
        stream
            .write_all(&[&start[..], &ends].concat())
            .await
            .unwrap();
        let stream = begin(stream, "localhost", host.authority.trusting()).await;
        let answer = get(stream.unwrap(), "/v1/models").await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn sessions_are_resumed() {
    let host = TlsHost::start(&[]).await;
    let client = host.authority.trusting();
    for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let stream = connect(host.address(), "localhost", client.clone()).await;
        let stream = stream.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
        // The ticket comes with the first answer.
        get(stream, "/health/live").await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_is_encrypted_piece_by_piece() {
    let host = TlsHost::start(&[]).await;
    let body = serde_json::json!({
        "model": "fake", "stream": true, "max_tokens": 20,
        "messages": [{"role": "user", "content": "hi"}],
    });
    let client = host.http().build().unwrap();
    let request = client.post(host.url("/v1/chat/completions")).json(&body);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
}

#[tokio::test]
async fn an_old_or_foreign_certificate_is_the_clients_to_refuse() {
    let (authority, folder) = (Authority::new("the test"), Folder::new());
    let expired = authority.issue_with(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let files = folder.certificate("old", &expired);
    let settings = files.each_ref().map(|(key, value)| (*key, value.as_str()));
    let host = TestHost::start_with(&settings).await;
    let stream = connect(host.address(), "localhost", authority.trusting()).await;
    let error = stream.expect_err("it has expired").to_string();
    assert!(error.contains("expired"), "{error}");
    let stranger = Authority::new("the test");
    let stream = connect(host.address(), "localhost", stranger.trusting()).await;
    let error = stream.expect_err("another vouches for it").to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn nonsense_for_a_handshake_ends_its_connection_and_no_other() {
    let host = TlsHost::start(&[]).await;
    for nonsense in [
        &[22; 4096][..],
        b"\x16\x03\x01\x00\x05hello",
        &[22, 3, 3, 255, 255],
    ] {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        closed.expect("is closed").ok();
    }
    let stream = host.connect().await;
    assert!(!shown(&stream).is_empty());
    let answer = get(stream, "/health/live").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_caller_that_leaves_ends_its_run() {
    let host = TlsHost::start(&[("metrics.listen", "127.0.0.1:0")]).await;
    let guest = belljar_tests::guests::bytes("burns_fuel");
    let endless = TestBundle::new("endless", "1.0.0", &guest)
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"60 s\"");
    let upload = host
        .http()
        .build()
        .unwrap()
        .post(host.url("/models?wait=true"));
    let upload = upload
        .bearer_auth(host.host.admin().key().unwrap())
        .header("content-type", "application/x-tar")
        .body(endless.tar());
    assert_eq!(upload.send().await.unwrap().status(), 201);
    let metrics = Client::new(host.host.metrics_address().unwrap(), None);
    let running = async |count: &str| {
        let series = format!("belljar_sandbox_running {count}\n");
        let deadline = std::time::Instant::now() + PATIENCE;
        while !metrics.get("/metrics").await.text().contains(&series) {
            assert!(std::time::Instant::now() < deadline, "not {count} runs");
            tokio::task::yield_now().await;
        }
    };
    let mut stream = host.connect().await;
    let body = r#"{"model":"endless","inputs":{"x":[1]}}"#;
    let head = "POST /infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    running("1").await;
    drop(stream);
    running("0").await;
}
