//! Tokens that are not taken any more: by an administrator's word, by a file, and by their time.
//! Their open streams end within a second.

use std::time::{Duration, Instant};

use belljar_tests::{Client, ServerProcess, TestBundle, TestHost, guests};
use reqwest::Method;
use serde_json::json;

use super::infer;
use super::kit::{ISSUER, IssuerHost, NOW, Signer, key_set};
use crate::kit::{Folder, PATIENCE};

/// What is promised.
const PROMISED: Duration = Duration::from_secs(1);

/// Uploads a model that takes its time for each word and keeps its sandbox all the while.
pub(super) async fn upload_slow(host: &TestHost) {
    let slow = TestBundle::new("slow", "1.0.0", &guests::bytes("slow_next"))
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"50 s\"");
    let _ = host.admin().upload(slow.tar()).await.expect_status(201);
}

/// Begins a stream of that model and reads its first piece.
pub(super) async fn open_stream(caller: &Client) -> reqwest::Response {
    let body = json!({"model": "slow", "stream": true, "max_tokens": 100_000,
        "parameters": {"turns": 20_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let request = caller.request(Method::POST, "/v1/chat/completions");
    let mut response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.chunk().await.unwrap().unwrap();
    response
}

/// Reads a stream to its end and says what the last event was.
pub(super) async fn last_event(mut stream: reqwest::Response) -> String {
    let mut text = String::new();
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.to_owned()
}

#[tokio::test]
async fn a_token_that_ends_takes_its_streams_along_and_no_others() {
    let signer = Signer::ed("a");
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &[]).await;
    upload_slow(&issuer.host).await;
    let admin = issuer.host.admin();
    let (other, revoked, expiring) = (
        issuer.caller(&signer.token(json!({"jti": "other"}))),
        issuer.caller(&signer.token(json!({"jti": "revoked"}))),
        issuer.caller(&signer.token(json!({"jti": "expiring", "exp": NOW + 60}))),
    );
    let mut going_on = open_stream(&other).await;
    for (caller, at_end) in [(&revoked, 0), (&expiring, 90)] {
        let stream = open_stream(caller).await;
        if at_end > 0 {
            issuer.hand.advance(Duration::from_secs(at_end));
        } else {
            let body = json!({"jti": "revoked"});
            let _ = admin
                .post("/admin/jwt/revoked", &body)
                .await
                .expect_status(201);
        }
        let since = Instant::now();
        let last = last_event(stream).await;
        assert!(since.elapsed() < PROMISED, "{:?}", since.elapsed());
        assert!(
            last.starts_with("data: {\"error\":") && last.contains("invalid_api_key"),
            "{last}"
        );
        assert_eq!(infer(caller).await, 401);
    }
    for _ in 0..3 {
        let piece = going_on.chunk().await.unwrap().unwrap();
        assert!(!piece.starts_with(b"data: {\"error\""));
    }
}

#[tokio::test]
async fn a_revocation_is_recorded_listed_and_forgotten_when_it_means_nothing() {
    let signer = Signer::ed("a");
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &[]).await;
    let admin = issuer.host.admin();
    let body = json!({"jti": "stolen"});
    let made = admin
        .post("/admin/jwt/revoked", &body)
        .await
        .expect_status(201)
        .json();
    assert_eq!(made["jti"], "stolen");
    // A day, and the leeway twice.
    assert_eq!(made["until"], "2030-01-02T00:01:00Z");
    let again = admin
        .post("/admin/jwt/revoked", &body)
        .await
        .expect_status(200)
        .json();
    assert_eq!(again, made);
    let listed = admin
        .get("/admin/jwt/revoked")
        .await
        .expect_status(200)
        .json();
    assert_eq!(listed["data"], json!([made]));
    for bad in [
        json!({"jti": ""}),
        json!({"jti": "a b"}),
        json!({"jti": "a".repeat(257)}),
        json!({"jti": 5}),
        json!({}),
        json!({"jti": "a", "until": 5}),
    ] {
        let _ = admin
            .post("/admin/jwt/revoked", &bad)
            .await
            .expect_status(400);
    }
    let user = issuer.host.key("infer").await;
    let _ = user
        .post("/admin/jwt/revoked", &body)
        .await
        .expect_status(403);
    issuer.host.audit().flush().await;
    let log = std::fs::read_to_string(issuer.host.data_dir().join("audit.log")).unwrap();
    assert_eq!(log.matches("\"token_revoked\"").count(), 1, "{log}");
    assert_eq!(
        infer(&issuer.caller(&signer.token(json!({"jti": "stolen"})))).await,
        401
    );
    issuer.hand.advance(Duration::from_secs(24 * 3600 + 60));
    let next = json!({"jti": "next"});
    let _ = admin
        .post("/admin/jwt/revoked", &next)
        .await
        .expect_status(201);
    let listed = admin
        .get("/admin/jwt/revoked")
        .await
        .expect_status(200)
        .json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    // Without tokens there is nothing to revoke.
    let host = TestHost::start().await;
    let answer = host
        .admin()
        .post("/admin/jwt/revoked", &body)
        .await
        .expect_status(409);
    assert_eq!(answer.code(), "no_tokens_taken");
    let callers = host
        .admin()
        .get("/admin/jwt/callers")
        .await
        .expect_status(200);
    assert_eq!(callers.json()["data"], json!([]));
}

/// A server in a process of its own, by the time of the machine, and who signs for it.
struct Issuing {
    signer: Signer,
    folder: Folder,
    data: std::path::PathBuf,
    settings: Vec<(&'static str, String)>,
}

impl Issuing {
    async fn new() -> Self {
        let (signer, folder) = (Signer::ed("a"), Folder::new());
        let keys = folder.write("keys.json", &key_set(std::slice::from_ref(&signer)));
        let ids = folder.write("revoked", "");
        let data = folder.path("data");
        belljar_tests::warm_up(&data).await;
        let settings = vec![
            ("BELLJAR_JWT_ISSUER", ISSUER.to_owned()),
            ("BELLJAR_JWT_AUDIENCE", "models".to_owned()),
            ("BELLJAR_JWT_JWKS", keys),
            ("BELLJAR_JWT_REVOKED", ids),
        ];
        Self {
            signer,
            folder,
            data,
            settings,
        }
    }

    async fn start(&self) -> ServerProcess {
        ServerProcess::start_with(&self.data, |command| {
            command.envs(self.settings.clone());
        })
        .await
    }

    fn token(&self, jti: &str) -> String {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({"iat": now, "nbf": now, "exp": now + 600, "jti": jti});
        self.signer.token(claims)
    }
}

#[tokio::test]
async fn what_was_revoked_is_refused_after_a_kill() {
    let issuing = Issuing::new().await;
    let token = issuing.token("stolen");
    let server = issuing.start().await;
    assert_eq!(infer(&server.with_key(&token)).await, 200);
    let body = json!({"jti": "stolen"});
    let revoked = server.admin().post("/admin/jwt/revoked", &body).await;
    let _ = revoked.expect_status(201);
    assert_eq!(infer(&server.with_key(&token)).await, 401);
    server.kill();
    let server = issuing.start().await;
    assert_eq!(infer(&server.with_key(&token)).await, 401);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_hang_up_has_the_files_read_at_once() {
    let issuing = Issuing::new().await;
    let server = issuing.start().await;
    let (first, second) = (issuing.token("first"), issuing.token("second"));
    let status = async |token: &str| infer(&server.with_key(token)).await;
    assert_eq!((status(&first).await, status(&second).await), (200, 200));
    let hang_up = || {
        let pid = i32::try_from(server.pid()).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    };
    let deadline = Instant::now() + PATIENCE;
    let logged = |line: &str| {
        while !server.log().contains(line) {
            assert!(Instant::now() < deadline, "never logged: {line}");
        }
    };
    issuing.folder.write("revoked", "first\n");
    hang_up();
    logged("the settings have been read again");
    assert_eq!((status(&first).await, status(&second).await), (401, 200));
    // What cannot be used changes nothing, of the other file either.
    issuing.folder.write("revoked", "second\n");
    issuing.folder.write("keys.json", "{}");
    hang_up();
    logged("reload: the settings stay as they are");
    assert_eq!((status(&first).await, status(&second).await), (401, 200));
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn the_command_line_revokes_and_lists() {
    let issuing = Issuing::new().await;
    let server = issuing.start().await;
    let token = issuing.token("stolen");
    assert_eq!(infer(&server.with_key(&token)).await, 200);
    let run = async |arguments: &[&str]| {
        let data = issuing.data.to_str().unwrap();
        let all = [&["jwt"], arguments, &["--data-dir", data]].concat();
        let program = belljar_tests::program();
        let (went_well, said) = crate::kit::run(program.to_str().unwrap(), &all).await;
        assert!(went_well, "{said}");
        said
    };
    let id = belljar::ids::KeyId::of_caller(ISSUER, "ann");
    let callers = run(&["callers"]).await;
    assert!(
        callers.contains(id.as_str()) && callers.contains("ann"),
        "{callers}"
    );
    let revoked = run(&["revoke", "stolen"]).await;
    assert!(revoked.contains("stolen are revoked"), "{revoked}");
    assert!(run(&["revoked"]).await.contains("stolen"));
    let listed: serde_json::Value =
        serde_json::from_str(&run(&["revoked", "--json"]).await).unwrap();
    assert_eq!(listed["data"][0]["jti"], "stolen");
    assert_eq!(infer(&server.with_key(&token)).await, 401);
    assert!(server.terminate().await.success());
}

/// Acts: `jwt.revoked`.
#[tokio::test]
async fn a_file_of_ids_is_read_from_time_to_time() {
    let signer = Signer::ed("a");
    let folder = Folder::new();
    let ids = folder.write("revoked", "# stolen\nfirst\n");
    let settings = [
        ("jwt.revoked", ids.as_str()),
        ("jwt.refresh", "1 min"),
        ("enable_abuse_detection", "false"),
    ];
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &settings).await;
    let token = |jti: &str| issuer.caller(&signer.token(json!({"jti": jti})));
    let (first, second) = (token("first"), token("second"));
    assert_eq!((infer(&first).await, infer(&second).await), (401, 200));
    folder.write("revoked", "second\n");
    issuer.hand.advance(Duration::from_secs(60));
    let deadline = Instant::now() + PATIENCE;
    while infer(&second).await != 401 {
        assert!(Instant::now() < deadline, "the file is not read");
    }
    assert_eq!(infer(&first).await, 200);
    // What cannot be read leaves the list as it was.
    folder.write("revoked", "two words\n");
    issuer.hand.advance(Duration::from_secs(60));
    let reads = "belljar_jwt_key_reads_total{outcome=\"ok\"}";
    let before = issuer.metric(reads).await;
    issuer.hand.advance(Duration::from_secs(60));
    while issuer.metric(reads).await <= before {
        assert!(Instant::now() < deadline, "the file is not read");
    }
    assert_eq!(infer(&second).await, 401);
}
