//! Certificates of clients, and whose rights they have.

use std::time::Instant;

use belljar::auth::{Allowance, NewKey, Signing};
use belljar::ids::KeyId;
use belljar::net::NetworkList;
use belljar_tests::{TestBundle, TestHost, guests};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType, SerialNumber};
use rustls::ClientConfig;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::kit::{Authority, Folder, Issued, PATIENCE, connect, has, run, s_client};
use crate::signer::{Draft, signer_with};

/// A server that asks its clients for certificates.
struct Asking {
    host: TestHost,
    server: Authority,
    clients: Authority,
    folder: Folder,
}

impl Asking {
    async fn start(mode: &str, settings: &[(&str, &str)]) -> Self {
        let (server, clients) = (Authority::new("servers"), Authority::new("clients"));
        let folder = Folder::new();
        let mut files = folder
            .certificate("server", &server.issue(&["localhost"]))
            .to_vec();
        files.push(("tls.client_ca", folder.write("clients.pem", &clients.pem())));
        files.push(("tls.client_auth", mode.to_owned()));
        let files = files.iter().map(|(key, value)| (*key, value.as_str()));
        let settings: Vec<_> = files.chain(settings.iter().copied()).collect();
        Self {
            host: TestHost::start_with(&settings).await,
            server,
            clients,
            folder,
        }
    }

    /// A client that shows a certificate.
    fn showing(&self, issued: &Issued) -> ClientConfig {
        self.server.trusting_and_showing(issued)
    }

    /// A key that rules can name.
    async fn key(&self, name: &str, change: impl FnOnce(&mut NewKey)) -> KeyId {
        let mut new = NewKey {
            name: name.to_owned(),
            scopes: "infer,models:read".parse().unwrap(),
            ..NewKey::default()
        };
        change(&mut new);
        self.host.keys().create(new).await.unwrap().record.id
    }

    /// The head and the body that a client gets for a path; empty where it is not let in.
    async fn ask(&self, client: ClientConfig, path: &str, headers: &str) -> String {
        let Ok(mut stream) = connect(self.host.address(), "localhost", client).await else {
            return String::new();
        };
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        // Of a certificate that is refused a client of 1.3 learns here.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
        let _ = read.await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The status of that.
    async fn status(&self, client: ClientConfig) -> String {
        let answer = self.ask(client, "/v1/models", "").await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

fn as_client(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn elsewhere_only() -> NetworkList {
    NetworkList::new(vec!["192.0.2.0/24".parse().unwrap()], 1).unwrap()
}

const KEYS: (&str, &str) = ("require_api_key", "true");
const ROBOT: (&str, &str) = ("tls.client_keys", "dns:robot.example=robot");

#[tokio::test]
async fn a_certificate_has_the_rights_of_its_key() {
    let host = Asking::start("optional", &[KEYS, ROBOT]).await;
    let id = host.key("robot", |_| {}).await;
    let robot = host.clients.issue_with(&["robot.example"], as_client);
    assert_eq!(host.status(host.showing(&robot)).await, "200");
    assert_eq!(
        host.host.keys().usage(&id).requests,
        1,
        "it counts as the key's"
    );
    let beyond = host.ask(host.showing(&robot), "/admin/keys", "").await;
    assert!(
        beyond.starts_with("HTTP/1.1 403"),
        "not what the key may do: {beyond}"
    );
    // Who shows none is nobody.
    assert_eq!(host.status(host.server.trusting()).await, "401");
    let other = host.clients.issue_with(&["other.example"], as_client);
    assert_eq!(
        host.status(host.showing(&other)).await,
        "401",
        "no rule is for it"
    );
}

#[tokio::test]
async fn a_keys_limits_networks_and_end_hold_for_its_certificate() {
    let limited = [KEYS, ROBOT, ("rate_limit.enabled", "true")];
    let host = Asking::start("required", &limited).await;
    let robot = host.clients.issue_with(&["robot.example"], as_client);
    assert_eq!(
        host.status(host.showing(&robot)).await,
        "403",
        "there is no such key yet"
    );
    let id = host
        .key("robot", |new| {
            new.allowance = Allowance {
                rpm: Some(2),
                ..Allowance::default()
            };
        })
        .await;
    for expected in ["200", "200", "429"] {
        assert_eq!(host.status(host.showing(&robot)).await, expected);
    }
    host.host.keys().revoke(&id).await.unwrap();
    let answer = host.ask(host.showing(&robot), "/v1/models", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("revoked"),
        "{answer}"
    );
    // Another of the name takes its place.
    let elsewhere = |new: &mut NewKey| new.networks.allow = elsewhere_only();
    host.key("robot", elsewhere).await;
    let answer = host.ask(host.showing(&robot), "/v1/models", "").await;
    assert!(answer.contains("address_not_allowed"), "{answer}");
}

/// Acts: `tls.client_keys`.
#[tokio::test]
async fn names_of_each_kind_can_be_ruled() {
    let rules = "cn:one=k1,email:two@acme.example=k2,uri:spiffe://acme/*=k3,ip:10.1.2.3=k4";
    let host = Asking::start("required", &[KEYS, ("tls.client_keys", rules)]).await;
    let mut ids = Vec::new();
    for name in ["k1", "k2", "k3", "k4"] {
        ids.push(host.key(name, |_| {}).await);
    }
    let changes: [fn(&mut CertificateParams); 4] = [
        |params| params.distinguished_name.push(DnType::CommonName, "one"),
        |params| {
            let name = "two@acme.example".try_into().unwrap();
            params.subject_alt_names.push(SanType::Rfc822Name(name));
        },
        |params| {
            let name = "spiffe://acme/three".try_into().unwrap();
            params.subject_alt_names.push(SanType::URI(name));
        },
        |params| {
            let address = SanType::IpAddress([10, 1, 2, 3].into());
            params.subject_alt_names.push(address);
        },
    ];
    for (change, id) in changes.into_iter().zip(&ids) {
        let issued = host.clients.issue_with(&[], |params| {
            as_client(params);
            change(params);
        });
        assert_eq!(host.status(host.showing(&issued)).await, "200", "{id}");
        assert_eq!(host.host.keys().usage(id).requests, 1, "{id}");
    }
}

#[tokio::test]
async fn a_connection_without_a_good_certificate_is_refused_where_one_is_required() {
    let host = Asking::start("required", &[]).await;
    let good = host.clients.issue_with(&["a.example"], as_client);
    assert_eq!(
        host.status(host.showing(&good)).await,
        "200",
        "without rules it is a wall"
    );
    assert_eq!(
        host.status(host.server.trusting()).await,
        "",
        "none is shown"
    );
    let stranger = Authority::new("clients").issue_with(&["a.example"], as_client);
    assert_eq!(
        host.status(host.showing(&stranger)).await,
        "",
        "others vouch for it"
    );
    let expired = host.clients.issue_with(&["a.example"], |params| {
        as_client(params);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    assert_eq!(
        host.status(host.showing(&expired)).await,
        "",
        "it has expired"
    );
    let of_server = host.clients.issue_with(&["a.example"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(
        host.status(host.showing(&of_server)).await,
        "",
        "it is a server's"
    );
}

#[tokio::test]
async fn where_rules_are_and_certificates_required_one_has_to_be_for_it() {
    let host = Asking::start("required", &[ROBOT]).await;
    host.key("robot", |_| {}).await;
    let other = host.clients.issue_with(&["other.example"], as_client);
    let answer = host.ask(host.showing(&other), "/v1/models", "").await;
    assert!(answer.contains("certificate_not_mapped"), "{answer}");
    let key = format!("x-api-key: {}\r\n", host.host.admin().key().unwrap());
    let answer = host.ask(host.showing(&other), "/v1/models", &key).await;
    assert!(
        answer.contains("certificate_not_mapped"),
        "nor with a key: {answer}"
    );
    let answer = host.ask(host.showing(&other), "/health/live", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_key_in_the_request_counts_for_more_and_a_made_up_one_for_nothing() {
    let host = Asking::start("optional", &[KEYS, ROBOT]).await;
    let id = host.key("robot", |_| {}).await;
    let robot = host.clients.issue_with(&["robot.example"], as_client);
    let admin = format!("x-api-key: {}\r\n", host.host.admin().key().unwrap());
    let answer = host.ask(host.showing(&robot), "/admin/keys", &admin).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let made_up = "authorization: Bearer unused\r\n";
    let answer = host.ask(host.showing(&robot), "/v1/models", made_up).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(host.host.keys().usage(&id).requests, 1);
    let ours = format!("authorization: Bearer sk-belljar-{}\r\n", "a".repeat(43));
    let answer = host.ask(host.showing(&robot), "/v1/models", &ours).await;
    assert!(
        answer.starts_with("HTTP/1.1 401"),
        "a mistake shows: {answer}"
    );
}

/// A certificate is no key: where its key must sign, it lets nobody in alone. And who is turned away
/// for a certificate stays out, whatever was signed.
#[tokio::test]
async fn a_signature_stands_beside_a_certificate_and_not_above_it() {
    let host = Asking::start("required", &[KEYS, ROBOT]).await;
    let named = |new: &mut NewKey| new.name = "robot".to_owned();
    let signer = signer_with(&host.host, Signing::Required, named).await;
    let [robot, other] =
        ["robot.example", "other.example"].map(|name| host.clients.issue_with(&[name], as_client));
    let signed = || {
        let mut draft = Draft::get("/v1/models");
        draft.authority = Some("localhost".to_owned());
        let headers = draft.signed(&signer, "").headers;
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        lines.collect::<String>()
    };
    let ask = async |issued: &Issued, headers: &str| {
        host.ask(host.showing(issued), "/v1/models", headers).await
    };
    let alone = ask(&robot, "").await;
    assert!(alone.contains("\"signature_required\""), "{alone}");
    let both = ask(&robot, &signed()).await;
    assert!(both.starts_with("HTTP/1.1 200"), "{both}");
    let unmapped = ask(&other, &signed()).await;
    assert!(
        unmapped.contains("\"certificate_not_mapped\""),
        "{unmapped}"
    );
}

/// A server whose clients' certificates can be revoked, and the settings beside.
async fn revoking(settings: &[(&str, &str)]) -> Asking {
    let folder = Folder::new();
    let clients = Authority::new("clients");
    let server = Authority::new("servers");
    let none = folder.write("list.pem", &clients.revoking(&[]));
    let files = folder.certificate("server", &server.issue(&["localhost"]));
    let authorities = folder.write("clients.pem", &clients.pem());
    let of_certificates = [
        (files[0].0, files[0].1.as_str()),
        (files[1].0, &files[1].1),
        ("tls.client_ca", &authorities),
        ("tls.client_auth", "required"),
        ("tls.client_crl", &none),
        ("tls.watch_period", "20 ms"),
    ];
    let host = TestHost::start_with(&[&of_certificates, settings].concat()).await;
    Asking {
        host,
        server,
        clients,
        folder,
    }
}

impl Asking {
    /// A certificate for a name, with its serial number.
    fn numbered(&self, name: &str, number: u8) -> Issued {
        self.clients.issue_with(&[name], |params| {
            as_client(params);
            params.serial_number = Some(SerialNumber::from_slice(&[number]));
        })
    }

    fn revoke(&self, number: u8) {
        let list = self.clients.revoking(&[number]);
        self.folder.write("list.pem", &list);
    }
}

/// Acts: `tls.client_auth`, `tls.client_ca`, `tls.client_crl`.
#[tokio::test]
async fn a_revoked_certificate_is_refused_on_open_connections_too() {
    let host = revoking(&[]).await;
    let (good, bad) = (host.numbered("a.example", 1), host.numbered("a.example", 2));
    let mut open = connect(host.host.address(), "localhost", host.showing(&bad))
        .await
        .unwrap();
    let request = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut exchange = async || {
        open.write_all(request).await.unwrap();
        let mut answer = vec![0; 64 << 10];
        let read = tokio::time::timeout(PATIENCE, open.read(&mut answer)).await;
        let read = read.unwrap().unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    assert!(exchange().await.starts_with("HTTP/1.1 200"));
    host.revoke(2);
    let deadline = Instant::now() + PATIENCE;
    while !host.status(host.showing(&bad)).await.is_empty() {
        assert!(
            Instant::now() < deadline,
            "a new connection is still let in"
        );
    }
    let answer = exchange().await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("invalid_certificate"), "{answer}");
    assert_eq!(host.status(host.showing(&good)).await, "200");
}

/// A stream of a client with a certificate, as its bytes come.
struct OpenStream<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> OpenStream<S> {
    /// Sends a request and reads the first bytes of what comes.
    async fn begin(mut stream: S, head: &str, body: &[u8]) -> (Self, String) {
        let head = format!(
            "POST {head} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut open = Self(stream);
        let first = open.more().await;
        (open, first)
    }

    /// The next bytes; none at the end.
    async fn more(&mut self) -> String {
        let mut piece = vec![0; 64 << 10];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut piece)).await;
        let read = read.unwrap().unwrap();
        String::from_utf8_lossy(&piece[..read]).into_owned()
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_certificate_it_was_asked_for_with() {
    let names = "dns:a.example=a,dns:b.example=b";
    let host = revoking(&[KEYS, ("tls.client_keys", names)]).await;
    for name in ["a", "b"] {
        let all = |new: &mut NewKey| new.scopes = "infer,models:write".parse().unwrap();
        let _ = host.key(name, all).await;
    }
    let (good, bad) = (host.numbered("a.example", 1), host.numbered("b.example", 2));
    let connected = async |issued| {
        let client = host.showing(issued);
        connect(host.host.address(), "localhost", client)
            .await
            .unwrap()
    };
    let slow = TestBundle::new("slow", "1.0.0", &guests::bytes("slow_next"))
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"50 s\"");
    let (_, taken) =
        OpenStream::begin(connected(&good).await, "/models?wait=true", &slow.tar()).await;
    assert!(taken.starts_with("HTTP/1.1 201"), "{taken}");
    let ask = json!({"model": "slow", "stream": true, "max_tokens": 100_000,
        "parameters": {"turns": 20_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let ask = ask.to_string();
    let chat = "/v1/chat/completions";
    let (mut kept, first) = OpenStream::begin(connected(&good).await, chat, ask.as_bytes()).await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let (mut cut, first) = OpenStream::begin(connected(&bad).await, chat, ask.as_bytes()).await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    host.revoke(2);
    let mut last = String::new();
    while !last.contains("invalid_certificate") {
        let more = cut.more().await;
        assert!(!more.is_empty(), "ended without a reason: {last}");
        last.push_str(&more);
    }
    assert!(last.contains("data: {\"error\":"), "{last}");
    // The other's goes on.
    for _ in 0..3 {
        let more = kept.more().await;
        assert!(!more.is_empty() && !more.contains("\"error\""), "{more}");
    }
}

#[tokio::test]
async fn sessions_with_certificates_are_never_resumed() {
    let host = Asking::start("optional", &[]).await;
    let robot = host.clients.issue_with(&["robot.example"], as_client);
    let client = host.showing(&robot);
    for _ in 0..2 {
        let stream = connect(host.host.address(), "localhost", client.clone()).await;
        let stream = stream.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
        crate::kit::get(stream, "/health/live").await.unwrap();
    }
}

/// How programs of others fare that show a certificate: whether each was served, and what it said.
async fn served(host: &Asking, issued: &Issued) -> Vec<(&'static str, bool, String)> {
    let trusted = host.folder.write("authority.pem", &host.server.pem());
    let certificate = host.folder.write("robot.pem", &issued.certificate);
    let key = host.folder.write("robot.key", &issued.key);
    let port = host.host.address().port();
    let (at, resolve) = (
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}:127.0.0.1"),
    );
    let url = format!("https://localhost:{port}/v1/models");
    let script = "import ssl, sys, urllib.request as r\n\
        context = ssl.create_default_context(cafile=sys.argv[1])\n\
        context.load_cert_chain(sys.argv[2], sys.argv[3])\n\
        print(r.urlopen(sys.argv[4], context=context, timeout=20).status)";
    let curl = [
        "-sSf",
        "--cacert",
        &trusted,
        "--resolve",
        &resolve,
        "--cert",
        &certificate,
        "--key",
        &key,
        &url,
    ];
    let python = ["-c", script, &trusted, &certificate, &key, &url];
    // By 1.2, where a client learns within the handshake that its certificate is refused.
    let shown = ["-cert", &certificate, "-key", &key, "-tls1_2"];
    let openssl = [&s_client(&at, &trusted)[..], &shown].concat();
    let mut served = Vec::new();
    for (program, arguments) in [
        ("curl", &curl[..]),
        ("python3", &python[..]),
        ("openssl", &openssl[..]),
    ] {
        if has(program) {
            let (went_well, said) = run(program, arguments).await;
            served.push((program, went_well, said));
        }
    }
    served
}

#[tokio::test]
async fn curl_python_and_openssl_show_certificates_until_they_are_revoked() {
    let host = revoking(&[KEYS, ROBOT]).await;
    host.key("robot", |_| {}).await;
    let [good, bad] = [1, 2].map(|number| host.numbered("robot.example", number));
    for issued in [&good, &bad] {
        for (program, is_served, said) in served(&host, issued).await {
            assert!(is_served, "{program}: {said}");
        }
    }
    host.revoke(2);
    let deadline = Instant::now() + PATIENCE;
    while !host.status(host.showing(&bad)).await.is_empty() {
        assert!(Instant::now() < deadline, "the list is not read");
    }
    for (issued, expected) in [(&good, true), (&bad, false)] {
        for (program, is_served, said) in served(&host, issued).await {
            assert_eq!(is_served, expected, "{program}: {said}");
        }
    }
    if has("curl") {
        let port = host.host.address().port();
        let (url, resolve) = (
            format!("https://localhost:{port}/v1/models"),
            format!("localhost:{port}:127.0.0.1"),
        );
        let trusted = host.folder.write("authority.pem", &host.server.pem());
        let shows_none = ["-sS", "--cacert", &trusted, "--resolve", &resolve, &url];
        let (went_well, said) = run("curl", &shows_none).await;
        assert!(!went_well, "none is shown: {said}");
    }
}

/// What a certificate earns is its own: nobody has presented a key.
#[tokio::test]
async fn a_certificate_alone_earns_a_ban() {
    let settings = [
        KEYS,
        ROBOT,
        ("conduct.count_by_key", "true"),
        ("conduct.injections_max", "2"),
    ];
    let host = Asking::start("optional", &settings).await;
    let id = host.key("robot", |_| {}).await;
    let robot = host.clients.issue_with(&["robot.example"], as_client);
    let attack = "/v1/models?q=%27%20OR%201%3D1%3B%20DROP%20TABLE%20users--";
    for _ in 0..2 {
        let answer = host.ask(host.showing(&robot), attack, "").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let answer = host.ask(host.showing(&robot), "/v1/models", "").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("\"ip_banned\""), "{answer}");
    let admin = format!("x-api-key: {}\r\n", host.host.admin().key().unwrap());
    let bans = host.ask(host.showing(&robot), "/admin/bans", &admin).await;
    assert!(bans.contains(id.as_str()), "by its key: {bans}");
    // Others of that address, by certificate or by key, are as they were.
    host.key("other", |_| {}).await;
    let nobody = host.ask(host.server.trusting(), "/health/live", "").await;
    assert!(nobody.starts_with("HTTP/1.1 200"), "{nobody}");
    let answer = host.ask(host.server.trusting(), "/v1/models", &admin).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
