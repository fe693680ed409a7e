//! The keys that vouch for tokens: from a file and from a URL, changed, gone, and of servers that
//! mean no good.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Router, routing::get};
use belljar_tests::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::infer;
use super::kit::{IssuerHost, NOW, Signer, key_set};
use crate::kit::{Authority, Folder, PATIENCE};

/// A server of keys.
#[derive(Clone)]
struct KeyServer {
    address: SocketAddr,
    answers: Arc<Answers>,
}

struct Answers {
    asked: AtomicUsize,
    said: Mutex<Said>,
}

#[derive(Clone)]
enum Said {
    Keys(String),
    Status(u16),
    Elsewhere(String),
    Nothing,
}

impl KeyServer {
    async fn start(first: Said) -> Self {
        let answers = Arc::new(Answers {
            asked: AtomicUsize::new(0),
            said: Mutex::new(first),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&answers);
        let route = get(async move || {
            shared.asked.fetch_add(1, Ordering::AcqRel);
            let said = shared.said.lock().unwrap().clone();
            match said {
                Said::Keys(keys) => keys.into_response(),
                Said::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
                Said::Elsewhere(url) => axum::response::Redirect::temporary(&url).into_response(),
                Said::Nothing => std::future::pending().await,
            }
        });
        let routes = Router::new().route("/keys", route);
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, answers }
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    fn says(&self, said: Said) {
        *self.answers.said.lock().unwrap() = said;
    }

    fn asked(&self) -> usize {
        self.answers.asked.load(Ordering::Acquire)
    }

    /// A server that takes tokens by these keys.
    async fn issuer(&self, settings: &[(&str, &str)]) -> IssuerHost {
        IssuerHost::start_with_keys(Folder::new(), &self.url(), settings).await
    }
}

fn keys(signers: &[&Signer]) -> Said {
    let signers: Vec<Signer> = signers
        .iter()
        .map(|signer| signer.named(&signer.kid))
        .collect();
    Said::Keys(key_set(&signers))
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

async fn infer_status(caller: &Client) -> (u16, String) {
    let answer = caller.get("/v1/models").await;
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_new_tokens_at_once_are_one_question() {
    let signer = Signer::ed("a");
    let server = KeyServer::start(Said::Status(500)).await;
    let issuer = Arc::new(server.issuer(&[]).await);
    let first = issuer.caller(&signer.token(json!({})));
    until("the first reading has failed", async || {
        infer(&first).await == 503
    })
    .await;
    assert_eq!(server.asked(), 1);
    server.says(keys(&[&signer]));
    issuer.hand.advance(Duration::from_secs(10));
    let mut asked = tokio::task::JoinSet::new();
    for at in 0..50 {
        let token = signer.token(json!({"sub": format!("caller {at}")}));
        let issuer = Arc::clone(&issuer);
        asked.spawn(async move { infer(&issuer.caller(&token)).await });
    }
    while let Some(status) = asked.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(server.asked(), 2);
}

/// Acts: `jwt.reread_period`.
#[tokio::test]
async fn a_key_that_is_new_is_found_at_once_and_made_up_ids_ask_once_in_a_while() {
    let (old, new) = (Signer::ed("old"), Signer::p256("new"));
    let server = KeyServer::start(keys(&[&old])).await;
    let settings = [
        ("enable_abuse_detection", "false"),
        ("jwt.reread_period", "10 s"),
    ];
    let issuer = server.issuer(&settings).await;
    assert_eq!(infer(&issuer.caller(&old.token(json!({})))).await, 200);
    let asked = server.asked();
    // Right after a reading nothing is asked again, whatever is made up.
    for at in 0..20 {
        let made_up = old.named(&format!("made up {at}")).token(json!({}));
        assert_eq!(infer(&issuer.caller(&made_up)).await, 401);
    }
    assert_eq!(server.asked(), asked);
    issuer.hand.advance(Duration::from_secs(10));
    server.says(keys(&[&old, &new]));
    assert_eq!(
        infer(&issuer.caller(&new.token(json!({})))).await,
        200,
        "found at once"
    );
    assert_eq!(server.asked(), asked + 1);
    for at in 0..20 {
        let made_up = old.named(&format!("made up again {at}")).token(json!({}));
        assert_eq!(infer(&issuer.caller(&made_up)).await, 401);
    }
    assert_eq!(server.asked(), asked + 1);
    assert_eq!(infer(&issuer.caller(&old.token(json!({})))).await, 200);
}

/// Acts: `jwt.refresh`.
#[tokio::test]
async fn a_key_that_is_gone_takes_its_tokens_along() {
    let (old, new) = (Signer::ed("old"), Signer::p256("new"));
    let server = KeyServer::start(keys(&[&old])).await;
    let issuer = server.issuer(&[("jwt.refresh", "1 min")]).await;
    super::revocation::upload_slow(&issuer.host).await;
    let caller = issuer.caller(&old.token(json!({})));
    let stream = super::revocation::open_stream(&caller).await;
    server.says(keys(&[&new]));
    assert_eq!(infer(&caller).await, 200, "nobody has asked yet");
    issuer.hand.advance(Duration::from_secs(60));
    until("the key is gone", async || infer(&caller).await == 401).await;
    issuer.lift_bans().await;
    assert_eq!(infer(&issuer.caller(&new.token(json!({})))).await, 200);
    let last = super::revocation::last_event(stream).await;
    assert!(last.contains("invalid_api_key"), "{last}");
    // The same id with another key: what the old one has signed is not taken.
    let other = Signer::p256("new");
    server.says(keys(&[&other]));
    let before = issuer.caller(&new.token(json!({})));
    issuer.hand.advance(Duration::from_secs(60));
    until("the key is another", async || infer(&before).await == 401).await;
}

/// Acts: `jwt.stale_max`.
#[tokio::test]
async fn keys_that_cannot_be_read_again_are_used_for_a_while() {
    let signer = Signer::ed("a");
    let server = KeyServer::start(keys(&[&signer])).await;
    let settings = [
        ("jwt.refresh", "1 min"),
        ("jwt.stale_max", "10 min"),
        ("jwt.lifetime_max", "2 h"),
    ];
    let issuer = server.issuer(&settings).await;
    let token = |jti: &str| issuer.caller(&signer.token(json!({"jti": jti, "exp": NOW + 7_000})));
    let known = token("known");
    assert_eq!(infer_status(&known).await.0, 200);
    server.says(Said::Status(500));
    issuer.hand.advance(Duration::from_secs(60));
    until("a reading fails", async || {
        issuer
            .metric("belljar_jwt_key_reads_total{outcome=\"failed\"}")
            .await
            > 0.0
    })
    .await;
    issuer.hand.advance(Duration::from_secs(539));
    assert_eq!(
        infer_status(&token("new")).await.0,
        200,
        "after 9 minutes and 59 seconds"
    );
    assert_eq!(infer_status(&known).await.0, 200);
    issuer.hand.advance(Duration::from_secs(1));
    let unavailable = (503, "token_keys_unavailable".to_owned());
    for _ in 0..7 {
        assert_eq!(infer_status(&known).await, unavailable);
        assert_eq!(infer_status(&token("newer")).await, unavailable);
    }
    let answer = known.get("/v1/models").await;
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    // It is nobody's conduct: keys and health go on, from the same address.
    assert_eq!(infer(&issuer.host.key("infer").await).await, 200);
    let _ = issuer
        .host
        .anonymous()
        .get("/health/ready")
        .await
        .expect_status(200);
    server.says(keys(&[&signer]));
    issuer.hand.advance(Duration::from_secs(10));
    until("the keys are back", async || {
        infer_status(&known).await.0 == 200
    })
    .await;
}

/// Acts: `jwt.read_timeout`.
#[tokio::test]
async fn servers_of_keys_that_mean_no_good_hold_nobody_up() {
    let signer = Signer::ed("a");
    let good = KeyServer::start(keys(&[&signer])).await;
    let many = format!("{{\"keys\":[{}]}}", vec!["{}"; 100_000].join(","));
    for said in [
        Said::Status(404),
        Said::Status(204),
        Said::Elsewhere(good.url()),
        Said::Nothing,
        Said::Keys(String::new()),
        Said::Keys("<html></html>".to_owned()),
        Said::Keys("{\"keys\":[]}".to_owned()),
        Said::Keys("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"kid\":\"a\"}]}".to_owned()),
        Said::Keys("[".repeat(100_000)),
        Said::Keys(" ".repeat((256 << 10) + 1)),
        Said::Keys(many),
    ] {
        let server = KeyServer::start(said).await;
        let issuer = server.issuer(&[("jwt.read_timeout", "300 ms")]).await;
        let token = issuer.caller(&signer.token(json!({})));
        let waiting = tokio::spawn(async move { infer_status(&token).await });
        // Others are not held up by the one who waits.
        assert_eq!(infer(&issuer.host.key("infer").await).await, 200);
        let status = tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(status, (503, "token_keys_unavailable".to_owned()));
    }
    assert_eq!(good.asked(), 0, "nobody is sent elsewhere");
}

#[tokio::test]
async fn a_client_that_leaves_while_keys_are_read_leaves_nothing_behind() {
    let signer = Signer::ed("a");
    let server = KeyServer::start(Said::Nothing).await;
    let issuer = server.issuer(&[("jwt.read_timeout", "500 ms")]).await;
    for at in 0..10 {
        let caller = issuer.caller(&signer.token(json!({"jti": at.to_string()})));
        let asking = tokio::spawn(async move { infer(&caller).await });
        tokio::task::yield_now().await;
        asking.abort();
    }
    server.says(keys(&[&signer]));
    let caller = issuer.caller(&signer.token(json!({})));
    until("the keys are read", async || {
        issuer.hand.advance(Duration::from_secs(10));
        infer(&caller).await == 200
    })
    .await;
}

/// A server of keys over TLS, which answers each connection once.
async fn encrypted(authority: &Authority, body: String) -> SocketAddr {
    let issued = authority.issue(&["localhost", "127.0.0.1"]);
    let config = crate::kit::server_config(&issued);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::clone(&config));
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

/// Acts: `jwt.jwks_ca`.
#[tokio::test]
async fn keys_over_tls_come_from_whom_the_authority_vouches_for() {
    let signer = Signer::ed("a");
    let (authority, other) = (Authority::new("keys"), Authority::new("others"));
    let address = encrypted(&authority, key_set(std::slice::from_ref(&signer))).await;
    let url = format!("https://{address}/keys");
    for (authority, expect) in [(&authority, 200), (&other, 503)] {
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let issuer = IssuerHost::start_with_keys(folder, &url, &[("jwt.jwks_ca", &ca)]).await;
        let status = infer(&issuer.caller(&signer.token(json!({})))).await;
        assert_eq!(status, expect);
    }
}

#[tokio::test]
async fn a_file_of_keys_may_change_and_what_cannot_be_used_changes_nothing() {
    let (old, new) = (Signer::ed("old"), Signer::p256("new"));
    let settings = [
        ("jwt.refresh", "1 min"),
        ("enable_abuse_detection", "false"),
    ];
    let issuer = IssuerHost::start(std::slice::from_ref(&old), &settings).await;
    let (by_old, by_new) = (
        issuer.caller(&old.token(json!({}))),
        issuer.caller(&new.token(json!({}))),
    );
    assert_eq!((infer(&by_old).await, infer(&by_new).await), (200, 401));
    issuer.folder.write("keys.json", "half a file");
    issuer.hand.advance(Duration::from_secs(60));
    until("a reading fails", async || {
        issuer
            .metric("belljar_jwt_key_reads_total{outcome=\"failed\"}")
            .await
            > 0.0
    })
    .await;
    assert_eq!(infer(&by_old).await, 200);
    issuer
        .folder
        .write("keys.json", &key_set(std::slice::from_ref(&new)));
    issuer.hand.advance(Duration::from_secs(60));
    until("the new key is there", async || infer(&by_new).await == 200).await;
    assert_eq!(infer(&by_old).await, 401);
}
