//! Settings of the webhook, of tokens and of anomalies that change while a server runs, in a process
//! of its own behind its wall, with connections that stay open all the while.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar_tests::{Answer, Client, RawConnection, ServerProcess, TestBundle, guests};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::jwt::kit::{ISSUER, Signer, key_set};
use crate::kit::{Folder, PATIENCE};

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A server with a file of settings.
struct Edited {
    server: ServerProcess,
    file: PathBuf,
    /// A connection that is open from the start on.
    open: RawConnection,
}

impl Edited {
    async fn start(folder: &Folder, settings: &str) -> Self {
        let data = folder.path("data");
        belljar_tests::warm_up(&data).await;
        let file = data.join("belljar.toml");
        std::fs::write(&file, settings).unwrap();
        let server = ServerProcess::start_with(&data, |command| {
            command.arg("--config").arg(&file);
        })
        .await;
        let open = RawConnection::open(server.address()).await;
        Self { server, file, open }
    }

    /// Has the server read other settings, and asks something on the connection that was open
    /// before.
    async fn edit(&mut self, settings: &str) -> Answer {
        std::fs::write(&self.file, settings).unwrap();
        let answer = self.server.admin().post("/admin/reload", &json!({})).await;
        let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let said = self.open.exchange_some(request, PATIENCE).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        answer
    }

    /// The same, for settings that can be used; gives the names of those that have changed.
    #[track_caller]
    fn changed(answer: &Answer) -> Vec<String> {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let changed = body["changed"].as_array().unwrap().iter();
        changed
            .map(|change| change["key"].as_str().unwrap().to_owned())
            .collect()
    }

    fn at(&self, last: u8) -> Client {
        at(&self.server, last)
    }

    async fn ban(&self, last: u8) {
        ban(&self.server, last).await;
    }
}

/// A caller at an address of this machine.
fn at(server: &ServerProcess, last: u8) -> Client {
    let address = IpAddr::from([127, 0, 0, last]);
    server.anonymous().at(address)
}

/// Has an address of this machine banned.
pub(crate) async fn ban(server: &ServerProcess, last: u8) {
    let guesser = at(server, last).with_key("sk-belljar-wrong-wrong-wrong");
    for _ in 0..5 {
        guesser.get("/v1/models").await.expect_status(401);
    }
    guesser.get("/v1/models").await.expect_status(403);
    // Events are recorded in their order, and what makes a key waits for its own: the ban is
    // told, or not, by the settings of now.
    let key = json!({"name": "after a ban", "scopes": ["infer"]});
    let made = server.admin().post("/admin/keys", &key).await;
    made.expect_status(201);
}

/// A message as it came to the operator's server.
pub(crate) struct Told {
    path: String,
    id: String,
    time: String,
    signatures: String,
    body: Vec<u8>,
}

impl Told {
    async fn read(request: Request) -> Self {
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(body, 1 << 20).await;
        Self {
            path: head.uri.path().to_owned(),
            id: header("webhook-id"),
            time: header("webhook-timestamp"),
            signatures: header("webhook-signature"),
            body: body.unwrap().to_vec(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(&self, path: &str, secret: &str, banned: &str) {
        assert_eq!(self.path, path);
        let key = STANDARD
            .decode(secret.trim_start_matches("whsec_"))
            .unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.id, self.time).as_bytes());
        mac.update(&self.body);
        let expect = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(self.signatures, expect);
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert!(body.to_string().contains(banned), "{body}");
    }
}

/// A server of the operator's that takes every message.
pub(crate) async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, queue) = mpsc::unbounded_channel();
    let app = Router::new().fallback(move |request: Request| {
        let sender = sender.clone();
        async move { sender.send(Told::read(request).await).unwrap() }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, queue)
}

pub(crate) async fn next(queue: &mut mpsc::UnboundedReceiver<Told>) -> Told {
    let next = tokio::time::timeout(PATIENCE, queue.recv()).await;
    next.expect("a message comes").unwrap()
}

#[tokio::test]
async fn the_webhook_goes_elsewhere_from_a_reload_on_and_stays_where_it_cannot() {
    let (address, mut queue) = receiver().await;
    let hook = |path: &str, more: &str| {
        format!("[webhook]\nurl = 'http://{address}/{path}'\nevents = ['ban']\n{more}\n")
    };
    let folder = Folder::new();
    let first = hook("first", &format!("secret = ['{FIRST}']"));
    let mut server = Edited::start(&folder, &first).await;
    server.ban(2).await;
    next(&mut queue).await.expect("/first", FIRST, "127.0.0.2");
    let second = hook("second", &format!("secret = ['{SECOND}']"));
    let changed = Edited::changed(&server.edit(&second).await);
    assert_eq!(changed, ["webhook.url", "webhook.secret"]);
    server.ban(3).await;
    next(&mut queue)
        .await
        .expect("/second", SECOND, "127.0.0.3");
    // What cannot be used changes nothing, and is named.
    for (wrong, why) in [
        (
            hook("third", "secret_file = '/nowhere/secrets'"),
            "/nowhere/secrets",
        ),
        (hook("third", "secret = ['short']"), "webhook.secret"),
        (
            hook("third", "").replace("['ban']", "['bans']"),
            "webhook.events",
        ),
        ("[webhook]\nsecret_file = '/x'".to_owned(), "webhook.url"),
    ] {
        let refused = server.edit(&wrong).await.expect_status(422);
        assert!(refused.text().contains(why), "{why}: {}", refused.text());
    }
    server.ban(4).await;
    next(&mut queue)
        .await
        .expect("/second", SECOND, "127.0.0.4");
    // Other events, none at all, and what was told before.
    let others = second.replace("['ban']", "['anomaly']");
    assert_eq!(
        Edited::changed(&server.edit(&others).await),
        ["webhook.events"]
    );
    server.ban(5).await;
    Edited::changed(&server.edit("").await);
    server.ban(6).await;
    Edited::changed(&server.edit(&second).await);
    server.ban(7).await;
    next(&mut queue)
        .await
        .expect("/second", SECOND, "127.0.0.7");
    // Another machine is one that the wall lets nobody reach which was put up before.
    let (elsewhere, mut other) = receiver().await;
    let away = second.replace(&address.to_string(), &elsewhere.to_string());
    let answer = server.edit(&away).await;
    let metrics = server.server.admin().get("/metrics").await.text();
    if metrics.contains("belljar_wall{guard=\"network\"} 1") {
        let refused = answer.expect_status(422).text();
        assert!(refused.contains(&elsewhere.port().to_string()), "{refused}");
        server.ban(8).await;
        next(&mut queue)
            .await
            .expect("/second", SECOND, "127.0.0.8");
    } else {
        assert_eq!(Edited::changed(&answer), ["webhook.url"]);
        server.ban(8).await;
        next(&mut other)
            .await
            .expect("/second", SECOND, "127.0.0.8");
    }
    assert!(server.server.terminate().await.success());
}

async fn infer(caller: &Client) -> u16 {
    let body = json!({"model":"echo","inputs":{"x":[1]}});
    caller.post("/infer", &body).await.status
}

/// The keys come from the issuer's server, over a port that the wall lets through.
#[tokio::test]
async fn rules_for_tokens_change_and_streams_go_on() {
    let signer = Signer::ed("a");
    let keys = key_set(std::slice::from_ref(&signer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = listener.local_addr().unwrap();
    let app = Router::new().route("/keys", get(move || std::future::ready(keys.clone())));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let jwt = |more: &str| {
        format!(
            "require_api_key = true\nenable_abuse_detection = false\n[jwt]\nissuer = '{ISSUER}'\n\
             audience = ['models']\njwks = 'http://{issuer}/keys'\n{more}\n"
        )
    };
    let folder = Folder::new();
    let mut server = Edited::start(&folder, &jwt("")).await;
    let slow = TestBundle::new("slow", "1.0.0", &guests::bytes("slow_next"))
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"50 s\"");
    let uploaded = server.server.admin().upload(slow.tar()).await;
    uploaded.expect_status(201);
    let now = jiff::Timestamp::now().as_second();
    let token = |other: Value| {
        let mut claims = json!({"iat": now, "nbf": now, "exp": now + 600, "jti": "one"});
        for (name, value) in other.as_object().unwrap() {
            claims[name] = value.clone();
        }
        signer.token(claims)
    };
    let caller = server.server.with_key(&token(json!({})));
    let body = json!({"model": "slow", "stream": true, "max_tokens": 100_000,
        "parameters": {"turns": 20_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let request = caller.request(Method::POST, "/v1/chat/completions");
    let mut stream = request.json(&body).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    stream.chunk().await.unwrap().unwrap();

    for (rules, key, refused) in [
        ("algorithms = ['ES256']", "jwt.algorithms", 401),
        ("audience = ['others']", "jwt.audience", 401),
        ("caller = 'name'", "jwt.caller", 401),
        (
            "lifetime_max = '1s'\nleeway = '0s'",
            "jwt.lifetime_max",
            401,
        ),
        ("scope_rules = ['admins=admin']", "jwt.scope_rules", 403),
        ("scopes = 'rights'", "jwt.scopes", 403),
        ("models = 'allowed'", "jwt.models", 404),
    ] {
        let settings = match rules.strip_prefix("audience = ") {
            Some(audience) => jwt("").replace("['models']", audience),
            None => jwt(rules),
        };
        let changed = Edited::changed(&server.edit(&settings).await);
        assert!(changed.iter().any(|name| name == key), "{changed:?}");
        assert_eq!(infer(&caller).await, refused, "{rules}");
        Edited::changed(&server.edit(&jwt("")).await);
        assert_eq!(infer(&caller).await, 200, "{rules}");
    }
    // A clock that is ahead, and how far it may be.
    let early = server.server.with_key(&token(json!({"nbf": now + 120})));
    assert_eq!(infer(&early).await, 401);
    Edited::changed(&server.edit(&jwt("leeway = '4m'")).await);
    assert_eq!(infer(&early).await, 200);
    // What cannot be used changes nothing.
    for (wrong, why) in [
        ("leeway = '1h'", "jwt.leeway"),
        ("algorithms = ['none']", "jwt.algorithms"),
        ("revoked = '/nowhere/ids'", "/nowhere/ids"),
    ] {
        let refused = server.edit(&jwt(wrong)).await.expect_status(422);
        assert!(refused.text().contains(why), "{why}: {}", refused.text());
        assert_eq!(infer(&early).await, 200);
    }
    // Another issuer waits, and its rules with it.
    let other = jwt("leeway = '1s'").replace(ISSUER, "https://other.example");
    let answer = server.edit(&other).await.expect_status(200).json();
    assert_eq!(answer["changed"], json!([]), "{answer}");
    assert_eq!(infer(&caller).await, 200);
    // The stream has been open all the while, by rules that are long gone, and ends with its token.
    let piece = stream.chunk().await.unwrap().unwrap();
    assert!(!piece.starts_with(b"data: {\"error\""));
    let ids = server.file.with_file_name("revoked");
    std::fs::write(&ids, "one\n").unwrap();
    let revoked = jwt(&format!("revoked = '{}'", ids.display()));
    let changed = Edited::changed(&server.edit(&revoked).await);
    assert_eq!(changed, ["jwt.leeway", "jwt.revoked"]);
    assert_eq!(infer(&caller).await, 401);
    let mut text = String::new();
    while let Some(piece) = tokio::time::timeout(PATIENCE, stream.chunk())
        .await
        .unwrap()
        .unwrap()
    {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.contains("\"error\""), "{text}");
    assert!(server.server.terminate().await.success());
}

#[tokio::test]
async fn anomalies_are_watched_for_from_a_reload_on() {
    let folder = Folder::new();
    let mut server = Edited::start(&folder, "").await;
    let watched = async |server: &Edited| {
        let list = server.server.admin().get("/admin/anomalies").await;
        list.expect_status(200).json()["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(infer(&server.at(2)).await, 200);
    assert_eq!(watched(&server).await, 0);
    let on = "[anomaly]\naction = 'report'\nthreshold = 5\n";
    let changed = Edited::changed(&server.edit(on).await);
    assert_eq!(changed, ["anomaly.action", "anomaly.threshold"]);
    assert_eq!(infer(&server.at(2)).await, 200);
    assert_eq!(watched(&server).await, 1);
    let wrong = on.replace('5', "0");
    let refused = server.edit(&wrong).await.expect_status(422);
    assert!(refused.text().contains("anomaly.threshold"));
    assert_eq!(watched(&server).await, 1);
    Edited::changed(&server.edit("").await);
    assert_eq!(infer(&server.at(2)).await, 200);
    assert_eq!(watched(&server).await, 0);
    let told = tokio::time::timeout(Duration::from_secs(30), server.server.terminate());
    assert!(told.await.unwrap().success());
}
