//! Bans, failures of the audit log, anomalies and storms of caps are told to a server of the
//! operator's: a real one, which fails, hangs, sends elsewhere and checks signatures.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar::clock::{Clock, ManualClock};
use belljar_tests::{ServerProcess, TestBundle, TestHost};
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::anomaly::burst;
use crate::full_disk::cap_files;
use crate::kit::{WRONG_KEY, guess, local};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the operator's server does with a message.
#[derive(Clone, Copy)]
enum Reply {
    Status(u16),
    /// It says nothing, ever.
    Nothing,
    /// It sends to another address.
    Elsewhere,
    /// It answers with a body without end.
    Endless,
}

/// A message as it came.
#[derive(Clone)]
struct Delivery {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Delivery {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks the signature as Standard Webhooks has it.
    #[track_caller]
    fn verify(&self, secret: &str) {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(&self.body);
        let expect = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let mut signatures = self.header("webhook-signature").split(' ');
        assert!(signatures.any(|signature| signature == expect));
    }
}

#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    otherwise: Reply,
    seen: Arc<watch::Sender<Vec<Delivery>>>,
}

impl Receiver {
    /// A server that answers with these, and with the last of them from then on.
    async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            replies: Arc::new(Mutex::new(replies.iter().copied().collect())),
            otherwise: *replies.last().unwrap(),
            seen: Arc::new(watch::Sender::new(Vec::new())),
        };
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    fn url(&self) -> String {
        format!("http://{}/hook/TOKEN", self.address)
    }

    /// Waits until so many messages have come.
    async fn wait(&self, count: usize) -> Vec<Delivery> {
        let mut seen = self.seen.subscribe();
        let enough = seen.wait_for(|seen| seen.len() >= count);
        let waited = tokio::time::timeout(Duration::from_secs(60), enough).await;
        waited.expect("the messages come").unwrap().clone()
    }

    /// Starts a server that tells this one.
    async fn host(&self, settings: &[(&str, &str)]) -> TestHost {
        self.host_and_hand(settings).await.0
    }

    /// The same, and what moves its time.
    async fn host_and_hand(&self, settings: &[(&str, &str)]) -> (TestHost, ManualClock) {
        let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
        let quick = [
            ("webhook.retry_first", "20 ms"),
            ("webhook.timeout", "400 ms"),
        ];
        let all: Vec<_> = quick.iter().chain(settings).copied().collect();
        let host = TestHost::start_adjusted(clock, &all, |settings| {
            settings.webhook.url = Some(self.url().parse().unwrap());
            settings.webhook.secrets = vec![SECRET.parse().unwrap()];
        });
        (host.await, hand)
    }
}

async fn take(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let reply = receiver.replies.lock().pop_front();
    let reply = reply.unwrap_or(receiver.otherwise);
    let path = uri.path().to_owned();
    let delivery = Delivery {
        path,
        headers,
        body,
    };
    receiver.seen.send_modify(|seen| seen.push(delivery));
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Nothing => std::future::pending().await,
        Reply::Elsewhere => {
            let location = (header::LOCATION, "/elsewhere");
            (StatusCode::PERMANENT_REDIRECT, [location]).into_response()
        }
        Reply::Endless => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 4096]));
            Body::from_stream(futures_util::stream::repeat_with(chunk)).into_response()
        }
    }
}

/// A number from the metrics of a host; 0 where there is none.
async fn metric(host: &TestHost, line: &str) -> f64 {
    let text = host.admin().at(local(9)).get("/metrics").await.text();
    let found = text.lines().find_map(|l| l.strip_prefix(line));
    found.map_or(0.0, |rest| rest.trim().parse().unwrap())
}

/// Acts: `webhook.timeout`, `webhook.retry_first`.
#[tokio::test]
async fn a_ban_is_told_signed_and_again_until_it_is_taken() {
    let replies = [
        Reply::Status(500),
        Reply::Nothing,
        Reply::Elsewhere,
        Reply::Status(400),
        Reply::Status(204),
    ];
    let receiver = Receiver::start(&replies).await;
    let host = receiver.host(&[]).await;
    let begun = Instant::now();
    guess(&host.anonymous(), 5).await;
    let seen = receiver.wait(5).await;
    // With the pauses and the time of an attempt that are the defaults it would be 25 s.
    assert!(begun.elapsed() < Duration::from_secs(15));
    for delivery in &seen {
        assert_eq!(delivery.path, "/hook/TOKEN", "no redirect is followed");
        delivery.verify(SECRET);
        assert_eq!(delivery.header("webhook-id"), seen[0].header("webhook-id"));
        assert_eq!(delivery.body, seen[0].body);
        assert_eq!(delivery.header("content-type"), "application/json");
        assert!(delivery.header("user-agent").starts_with("belljar/"));
    }
    assert!(seen[0].header("webhook-id").starts_with("msg_"));
    assert_eq!(seen[0].header("webhook-timestamp"), "1893456000");
    let message = seen[0].json();
    assert_eq!(message["type"], "ban", "{message}");
    assert_eq!(message["timestamp"], "2030-01-01T00:00:00Z", "{message}");
    let data = &message["data"];
    assert_eq!(data["event"], "ban", "{message}");
    assert_eq!(data["address"], "127.0.0.1", "{message}");
    assert_eq!(
        data["about"]["reason"], "failed_authentication",
        "{message}"
    );
    let text = message.to_string();
    for secret in [WRONG_KEY, "sk-belljar", "whsec", "TOKEN"] {
        assert!(!text.contains(secret), "{text}");
    }
    // What comes next is told as well.
    guess(&host.anonymous().at(local(2)), 5).await;
    let seen = receiver.wait(6).await;
    assert_ne!(seen[5].header("webhook-id"), seen[0].header("webhook-id"));
    assert!(metric(&host, r#"belljar_webhook_attempts_total{outcome="failed"}"#).await >= 4.0);
    assert!(metric(&host, r#"belljar_webhook_messages_total{outcome="ok"}"#).await >= 1.0);
}

#[tokio::test]
async fn an_answer_without_end_is_an_answer() {
    let receiver = Receiver::start(&[Reply::Endless]).await;
    let host = receiver.host(&[]).await;
    guess(&host.anonymous(), 5).await;
    guess(&host.anonymous().at(local(2)), 5).await;
    let seen = receiver.wait(2).await;
    assert_ne!(seen[0].body, seen[1].body, "the first was taken at once");
}

/// Acts: `webhook.retry_time`.
#[tokio::test]
async fn a_message_is_given_up_in_time_and_at_once_where_nobody_wants_more() {
    for (reply, attempts) in [(Reply::Status(410), 1), (Reply::Status(503), 2)] {
        let receiver = Receiver::start(&[reply]).await;
        let host = receiver.host(&[("webhook.retry_time", "30 ms")]).await;
        guess(&host.anonymous(), 5).await;
        guess(&host.anonymous().at(local(2)), 5).await;
        let mut ids: Vec<String> = Vec::new();
        // The second message comes after the first was given up.
        for count in 1.. {
            let seen = receiver.wait(count).await;
            ids = seen
                .iter()
                .map(|d| d.header("webhook-id").to_owned())
                .collect();
            if ids[ids.len() - 1] != ids[0] {
                break;
            }
            assert!(count < 10, "it is not given up");
        }
        let of_first = ids.iter().filter(|id| **id == ids[0]).count();
        assert!(of_first <= attempts, "{of_first} attempts");
    }
}

/// Acts: `audit.cap_storm_runs`.
#[tokio::test]
async fn only_what_is_named_is_told() {
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    let settings = [
        ("webhook.events", "cap_storm,anomaly"),
        ("audit.cap_storm_runs", "3"),
    ];
    let host = receiver.host(&settings).await;
    guess(&host.anonymous().at(local(2)), 5).await;
    let bundle = TestBundle::hostile("burns_fuel").with_limits("fuel = 1_000_000");
    let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    let run = json!({"model": "burns_fuel", "inputs": {"x": [1]}});
    for _ in 0..6 {
        let _ = host
            .anonymous()
            .post("/infer", &run)
            .await
            .expect_status(502);
    }
    let message = receiver.wait(1).await[0].json();
    assert_eq!(message["type"], "cap_storm", "{message}");
    let about = json!({"model": "burns_fuel@1.0.0", "cap": "fuel", "runs": 3, "seconds": 60});
    assert_eq!(message["data"]["about"], about);
    host.stop().await;
    assert_eq!(receiver.seen.borrow().len(), 1, "one storm, and no ban");
}

#[tokio::test]
async fn an_anomaly_and_the_ban_that_it_leads_to_are_told() {
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    let settings = [
        ("anomaly.action", "ban"),
        ("anomaly.warm_up", "1 h"),
        ("webhook.events", "anomaly,ban"),
    ];
    let (host, hand) = receiver.host_and_hand(&settings).await;
    let caller = host.key("infer,models:read").await;
    burst(&host, &hand, &caller).await;
    let seen = receiver.wait(2).await;
    let mut messages: Vec<Value> = seen.iter().map(Delivery::json).collect();
    messages.sort_by_key(|message| message["type"].to_string());
    let [anomaly, ban] = messages.as_slice() else {
        panic!("{messages:#?}")
    };
    assert_eq!(anomaly["type"], "anomaly", "{anomaly}");
    let about = &anomaly["data"]["about"];
    assert_eq!(about["counts"]["requests"], 400, "{anomaly}");
    assert_eq!(about["caller"], anomaly["data"]["key_id"], "{anomaly}");
    assert_eq!(ban["type"], "ban", "{ban}");
    assert_eq!(ban["data"]["about"]["reason"], "anomaly", "{ban}");
    for delivery in &seen {
        delivery.verify(SECRET);
    }
}

/// A hundred bans, and nobody takes a message: requests go on, the queue ends, and so does a stop.
///
/// Acts: `webhook.queue_max`.
#[tokio::test]
async fn a_stop_with_a_full_queue_ends_in_time() {
    let receiver = Receiver::start(&[Reply::Nothing]).await;
    let settings = [("webhook.queue_max", "4"), ("webhook.timeout", "1 h")];
    let host = receiver.host(&settings).await;
    for last in 10..30 {
        guess(&host.anonymous().at(local(last)), 5).await;
    }
    receiver.wait(1).await;
    host.audit().flush().await;
    assert!(
        metric(
            &host,
            r#"belljar_webhook_messages_total{outcome="dropped"}"#
        )
        .await
            >= 10.0
    );
    let begun = Instant::now();
    host.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

/// The server reads its own log, and finds what somebody has changed in it.
///
/// Acts: `audit.verify_period`.
#[tokio::test]
async fn a_record_that_is_changed_under_the_server_is_told() {
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    let settings = [
        ("audit.verify_period", "20 ms"),
        ("webhook.events", "audit_failure"),
    ];
    let host = receiver.host(&settings).await;
    guess(&host.anonymous(), 1).await;
    host.audit().flush().await;
    let log = host.data_dir().join("audit.log");
    let text = std::fs::read_to_string(&log).unwrap();
    let changed = text.replacen("invalid_api_key", "invalid_api_kez", 1);
    assert_ne!(changed, text);
    // In place, as the server has the file open.
    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.write_all_at(changed.as_bytes(), 0).unwrap();
    let message = receiver.wait(1).await[0].json();
    assert_eq!(message["type"], "audit_failure", "{message}");
    assert_eq!(message["data"]["event"], "audit_broken", "{message}");
    let defect = message["data"]["about"]["defect"].as_str().unwrap();
    assert!(defect.contains("the line was changed"), "{defect}");
    // The same defect is told once, however often it is found.
    guess(&host.anonymous(), 1).await;
    host.stop().await;
    assert_eq!(receiver.seen.borrow().len(), 1);
}

/// The settings as operators give them, a log that cannot be written, and one that was cut.
///
/// Acts: `webhook.secret_file`.
#[tokio::test]
async fn failures_of_the_audit_log_are_told() {
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let secrets = directory.path().join("secrets");
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    std::fs::write(&secrets, format!("{SECRET}\n{other}\n")).unwrap();
    let start = async || {
        ServerProcess::start_with(&data, |command| {
            command
                .env("BELLJAR_WEBHOOK_URL", receiver.url())
                .env("BELLJAR_WEBHOOK_SECRET_FILE", &secrets)
                .env("BELLJAR_WEBHOOK_EVENTS", "audit_failure")
                .stderr(std::process::Stdio::null());
        })
        .await
    };
    let server = start().await;
    cap_files(&server, Some(1));
    guess(&server.anonymous(), 1).await;
    let seen = receiver.wait(1).await;
    assert_eq!(seen[0].json()["type"], "audit_failure");
    assert_eq!(seen[0].json()["data"]["event"], "audit_events_lost");
    // While secrets are exchanged either of them verifies.
    seen[0].verify(SECRET);
    seen[0].verify(other);
    cap_files(&server, None);
    assert!(server.terminate().await.success());
    let before = receiver.seen.borrow().len();
    let log = data.join("audit.log");
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&log, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    let server = start().await;
    let seen = receiver.wait(before + 1).await;
    let message = seen[before].json();
    assert_eq!(message["data"]["event"], "audit_lines_missing", "{message}");
    assert!(server.terminate().await.success());
}
