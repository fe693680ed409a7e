//! Each setting of conduct and of the audit log changes what happens, and settings that say
//! nothing together stop the start. Networks, proxies and sinks are in the files of their
//! promises.

use std::collections::BTreeMap;
use std::time::Duration;

use belljar::config::{Overrides, resolve};
use belljar_tests::{Client, ServerProcess};
use serde_json::json;

use crate::kit::{burst, expect_banned, get_with, guess, guess_with, host_at_rest, send_packed};

/// Variables that stop the start, and a word that the message has.
#[track_caller]
fn expect_refused(variables: &[(&str, &str)], word: &str) {
    let mut environment: BTreeMap<String, String> = BTreeMap::new();
    environment.insert("BELLJAR_DATA_DIR".to_owned(), "/nowhere".to_owned());
    for (name, value) in variables {
        environment.insert((*name).to_owned(), (*value).to_owned());
    }
    match resolve(&Overrides::default(), &environment) {
        Ok(_) => panic!("{variables:?} is taken"),
        Err(error) => assert!(error.to_string().contains(word), "{error}"),
    }
}

#[test]
fn contradictions_stop_the_start() {
    let trusted = ("BELLJAR_TRUSTED_PROXIES", "10.0.0.0/8");
    let off = ("BELLJAR_AUDIT_SINKS", "off");
    expect_refused(&[("BELLJAR_TRUSTED_PROXIES", "0.0.0.0/0")], "everybody");
    expect_refused(&[("BELLJAR_TRUSTED_PROXIES", "10.1.0.0/8")], "10.0.0.0/8");
    expect_refused(&[("BELLJAR_PROXY_PROTOCOL", "required")], "trusted_proxies");
    expect_refused(
        &[("BELLJAR_PROXY_PROTOCOL", "v1"), trusted],
        "off or required",
    );
    expect_refused(
        &[("BELLJAR_FORWARDED_HEADER", "forwarded")],
        "trusted_proxies",
    );
    expect_refused(
        &[("BELLJAR_METRICS_DENY_NETWORKS", "10.0.0.0/8")],
        "metrics.listen",
    );
    expect_refused(
        &[("BELLJAR_EXEMPT_NETWORKS", "::/0")],
        "enable_abuse_detection",
    );
    expect_refused(&[("BELLJAR_BAN_DURATIONS", "1h,5m,24h")], "shorter");
    expect_refused(&[("BELLJAR_BAN_DURATIONS", "5m,1h")], "three");
    expect_refused(&[("BELLJAR_BAN_WINDOW", "10 ms")], "second");
    expect_refused(&[("BELLJAR_CONDUCT_LONGEST_FROM", "30")], "longer_from");
    expect_refused(&[("BELLJAR_IPV6_PREFIX", "129")], "1 to 128");
    expect_refused(&[("BELLJAR_AUDIT_PATH", "/var/log/a"), off], "file");
    expect_refused(&[("BELLJAR_AUDIT_ON_FAILURE", "refuse"), off], "file");
    expect_refused(&[("BELLJAR_AUDIT_SYSLOG", "udp:127.0.0.1:514")], "syslog");
    expect_refused(&[("BELLJAR_AUDIT_SINKS", "paper")], "stdout");
}

/// Acts: `webhook.allow_http`.
#[test]
fn messages_go_to_another_machine_in_the_clear_only_where_that_is_asked_for() {
    let hook = [
        ("BELLJAR_WEBHOOK_URL", "http://alerts.example:8080/hook"),
        (
            "BELLJAR_WEBHOOK_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ),
    ];
    expect_refused(&hook, "webhook.allow_http");
    let mut environment = BTreeMap::from([("BELLJAR_DATA_DIR", "/nowhere")]);
    environment.extend(hook);
    environment.insert("BELLJAR_WEBHOOK_ALLOW_HTTP", "true");
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let environment: BTreeMap<_, _> = environment.into_iter().map(owned).collect();
    let reach = resolve(&Overrides::default(), &environment)
        .unwrap()
        .reach();
    assert!(
        reach.connect.contains(&8080),
        "the wall leaves its port open"
    );
}

#[tokio::test]
async fn how_long_bans_and_violations_last() {
    let settings = [("ban_durations", "7 s,8 s,9 s"), ("ban_window", "10")];
    let (host, hand) = host_at_rest(&settings).await;
    let caller = host.anonymous();
    guess(&caller, 4).await;
    hand.advance(Duration::from_secs(10));
    guess(&caller, 5).await;
    assert_eq!(expect_banned(&caller.get("/v1/models").await), 7);
}

/// Acts: `conduct.failed_authentications_max`, `conduct.longer_from`, `conduct.longest_from`.
#[tokio::test]
async fn how_many_violations_make_which_ban() {
    let settings = [
        ("conduct.failed_authentications_max", "2"),
        ("conduct.longer_from", "3"),
        ("conduct.longest_from", "5"),
    ];
    let (host, hand) = host_at_rest(&settings).await;
    let caller = host.anonymous();
    let mut seconds = Vec::new();
    for times in [2, 1] {
        guess(&caller, times).await;
        let ban = expect_banned(&caller.get("/v1/models").await);
        hand.advance(Duration::from_secs(ban.min(600)));
        seconds.push(ban);
    }
    // The third violation in all is the first of the longer bans.
    assert_eq!(seconds, [300, 3600]);
    let settings = [("conduct.longer_from", "1"), ("conduct.longest_from", "2")];
    let (host, hand) = host_at_rest(&settings).await;
    guess(&host.anonymous(), 1).await;
    let ban = expect_banned(&host.anonymous().get("/v1/models").await);
    assert_eq!(ban, 3600);
    hand.advance(Duration::from_secs(3600));
}

/// Acts: `conduct.injections_max`, `conduct.oversized_bodies_max`, `conduct.rate_violations_max`.
#[tokio::test]
async fn each_kind_has_a_threshold_of_its_own() {
    let settings = [
        ("max_request_size", "1 MiB"),
        ("conduct.oversized_bodies_max", "2"),
    ];
    let (host, _) = host_at_rest(&settings).await;
    let (caller, big) = (host.anonymous(), burst(2 << 20));
    for _ in 0..2 {
        assert_eq!(send_packed(&caller, &big).await.status, 413);
    }
    expect_banned(&send_packed(&caller, &big).await);

    let settings = [
        ("rate_limit.enabled", "true"),
        ("rate_limit.rpm", "1"),
        ("conduct.rate_violations_max", "2"),
    ];
    let (host, _) = host_at_rest(&settings).await;
    let ask = json!({"model": "echo", "inputs": {"x": [1]}});
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(host.anonymous().post("/infer", &ask).await.status);
    }
    assert_eq!(statuses, [200, 429, 429, 403]);

    let (host, _) = host_at_rest(&[("conduct.injections_max", "1")]).await;
    let attack = "'; DROP TABLE users; --";
    let message = json!({"role": "user", "content": attack});
    let ask = json!({"model": "fake", "messages": [message]});
    let path = "/v1/chat/completions";
    let refused = host.anonymous().post(path, &ask).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    expect_banned(&host.anonymous().post(path, &ask).await);
}

/// Acts: `ipv6_prefix`, `conduct.addresses_max`.
#[tokio::test]
async fn how_much_of_an_ipv6_address_counts_and_how_many_are_remembered() {
    let proxied = ("trusted_proxies", "127.0.0.1");
    let (host, _) = host_at_rest(&[proxied, ("ipv6_prefix", "128")]).await;
    let proxy = host.anonymous();
    guess_with(&proxy, 5, &[("x-forwarded-for", "2001:db8::1")]).await;
    let neighbour = [("x-forwarded-for", "2001:db8::2")];
    let answer = get_with(&proxy, "/v1/models", &neighbour).await;
    let _ = answer.expect_status(200);

    let (host, _) = host_at_rest(&[proxied, ("conduct.addresses_max", "1")]).await;
    let proxy = host.anonymous();
    let (one, other) = (
        [("x-forwarded-for", "192.0.2.1")],
        [("x-forwarded-for", "192.0.2.2")],
    );
    guess_with(&proxy, 4, &one).await;
    guess_with(&proxy, 1, &other).await;
    // Forgotten for the other one.
    guess_with(&proxy, 4, &one).await;
    let answer = get_with(&proxy, "/v1/models", &one).await;
    let _ = answer.expect_status(200);
}

/// Acts: `audit.sinks`, `audit.path`, `audit.syslog`.
#[tokio::test]
async fn the_audit_log_goes_where_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (data, elsewhere) = (
        directory.path().join("data"),
        directory.path().join("elsewhere.log"),
    );
    let socket = directory.path().join("syslog");
    let daemon = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    let printed = directory.path().join("stdout");
    let stdout = std::fs::File::create(&printed).unwrap();
    let server = ServerProcess::start_with(&data, |command| {
        command
            .env("BELLJAR_AUDIT_SINKS", "file,stdout,syslog")
            .env("BELLJAR_AUDIT_PATH", &elsewhere)
            .env("BELLJAR_AUDIT_SYSLOG", &socket)
            .stdout(stdout);
    })
    .await;
    guess(&Client::new(server.address(), None), 1).await;
    assert!(server.terminate().await.success());
    let written = std::fs::read_to_string(&elsewhere).unwrap();
    let printed = std::fs::read_to_string(&printed).unwrap();
    let first = written.lines().next().unwrap();
    assert!(first.contains(r#""event":"configuration""#), "{first}");
    // All sinks get the same lines.
    for line in written.lines() {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    let mut buffer = [0; 16_384];
    let length = daemon.recv(&mut buffer).unwrap();
    let received = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(
        received.starts_with("<109>1 ") && received.ends_with(first),
        "{received}"
    );
    // What is on and what is off is printed from the running parts.
    for line in [
        "failed authentication 5",
        "audit log   file, stdout, syslog",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}
