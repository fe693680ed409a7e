//! Faults in a connection that several requests have at the same time.

use axum::http::{Request, StatusCode};
use belljar_tests::TestHost;
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use tokio::net::TcpStream;

/// A stream of a chat with a fault: the body, whose head has come.
async fn stream(requests: &SendRequest<Bytes>, host: &TestHost, fault: &str) -> RecvStream {
    let request = Request::post(format!("http://{}/v1/chat/completions", host.address()))
        .header("content-type", "application/json")
        .header("x-belljar-fault", fault)
        .body(())
        .unwrap();
    let body = r#"{"model":"fake","stream":true,"max_tokens":20,"messages":[{"role":"user","content":"The sea."}]}"#;
    let mut requests = requests.clone().ready().await.unwrap();
    let (answer, mut sending) = requests.send_request(request, false).unwrap();
    sending.send_data(Bytes::from(body), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body()
}

/// What comes of a body, and whether it ends as a whole one does.
async fn rest(mut body: RecvStream) -> (String, bool) {
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let Ok(data) = data else {
            return (String::from_utf8(text).unwrap(), false);
        };
        text.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    (String::from_utf8(text).unwrap(), true)
}

#[tokio::test]
async fn a_body_that_breaks_leaves_the_other_streams_of_its_connection() {
    let host = TestHost::start().await;
    let socket = TcpStream::connect(host.address()).await.unwrap();
    let (requests, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    for fault in ["reset-after=1", "half-close=1"] {
        let waiting = stream(&requests, &host, "stall=50ms;after=2").await;
        let broken = stream(&requests, &host, fault).await;
        let (text, is_whole) = rest(broken).await;
        assert!(!is_whole && !text.contains("[DONE]"), "{fault}: {text}");
        let (text, is_whole) = rest(waiting).await;
        assert!(
            is_whole && text.ends_with("data: [DONE]\n\n"),
            "{fault}: {text}"
        );
        let next = stream(&requests, &host, "delay=1ms").await;
        assert!(rest(next).await.1, "{fault}");
    }
}
