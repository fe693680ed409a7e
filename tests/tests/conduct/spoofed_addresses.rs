//! A spoofed header can neither dodge a ban nor frame someone.

use belljar_tests::Client;
use reqwest::Method;

use crate::kit::{expect_banned, get_with, guess_with, host_at_rest, local};

#[tokio::test]
async fn a_stranger_cannot_dodge_by_header() {
    let (host, _) = host_at_rest(&[("trusted_proxies", "127.0.0.9")]).await;
    let caller = host.anonymous();
    for number in 1..=5 {
        let other = format!("192.0.2.{number}");
        let forwarded = format!("for={other}");
        let headers = [
            ("x-forwarded-for", other.as_str()),
            ("forwarded", forwarded.as_str()),
            ("x-real-ip", other.as_str()),
        ];
        guess_with(&caller, 1, &headers).await;
    }
    for headers in [
        [].as_slice(),
        &[("x-forwarded-for", "192.0.2.99")],
        &[("forwarded", "for=192.0.2.99")],
        &[("x-forwarded-for", "127.0.0.9")],
    ] {
        expect_banned(&get_with(&caller, "/v1/models", headers).await);
    }
}

#[tokio::test]
async fn a_stranger_cannot_frame_anybody() {
    let (host, _) = host_at_rest(&[("trusted_proxies", "127.0.0.9")]).await;
    let (attacker, proxy) = (host.anonymous(), host.anonymous().at(local(9)));
    let victim = [("x-forwarded-for", "192.0.2.7")];
    guess_with(&attacker, 5, &victim).await;
    let answer = get_with(&proxy, "/v1/models", &victim).await;
    let _ = answer.expect_status(200);
}

#[tokio::test]
async fn behind_a_proxy_each_caller_is_held_to_its_own_address() {
    let (host, _) = host_at_rest(&[("trusted_proxies", "127.0.0.0/29")]).await;
    let proxy = host.anonymous();
    // What the caller wrote stands to the left of what the proxy has appended.
    for spoofed in ["198.51.100.1", "198.51.100.2", "127.0.0.2", "unknown", "\""] {
        let chain = format!("{spoofed}, 192.0.2.7");
        guess_with(&proxy, 1, &[("x-forwarded-for", chain.as_str())]).await;
    }
    let banned = [("x-forwarded-for", "198.51.100.9, 192.0.2.7")];
    expect_banned(&get_with(&proxy, "/v1/models", &banned).await);
    for header in ["198.51.100.1", "192.0.2.8", "192.0.2.7, 192.0.2.9"] {
        let headers = [("x-forwarded-for", header)];
        let answer = get_with(&proxy, "/v1/models", &headers).await;
        let _ = answer.expect_status(200);
    }
    // The same address by the other header.
    let standard = [("forwarded", "for=198.51.100.1, for=\"192.0.2.7:4711\"")];
    expect_banned(&get_with(&proxy, "/v1/models", &standard).await);
    // Two lines of one header are one chain.
    let two = [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    expect_banned(&appended(&proxy, &two).await);
}

#[tokio::test]
async fn legal_headers_with_nothing_in_them_name_the_caller() {
    let (host, _) = host_at_rest(&[
        ("trusted_proxies", "127.0.0.1, 10.0.0.0/8"),
        ("conduct.failed_authentications_max", "1"),
    ])
    .await;
    let proxy = host.anonymous();
    for (number, (name, value)) in [
        ("x-forwarded-for", "A,,10.0.0.1"),
        ("x-forwarded-for", ",A"),
        ("x-forwarded-for", "A, ,"),
        ("forwarded", "for=A;"),
        ("forwarded", "for=A;;proto=http"),
        ("forwarded", ";for=A, ,for=10.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let caller = format!("203.0.113.{}", number + 1);
        let value = value.replace('A', &caller);
        guess_with(&proxy, 1, &[(name, value.as_str())]).await;
        let headers = [(name, value.as_str())];
        expect_banned(&get_with(&proxy, "/v1/models", &headers).await);
        let other = [("x-forwarded-for", "192.0.2.99")];
        let answer = get_with(&proxy, "/v1/models", &other).await;
        let _ = answer.expect_status(200);
    }
}

#[tokio::test]
async fn a_proxy_whose_header_cannot_be_read_is_not_banned_for_its_callers() {
    let (host, _) = host_at_rest(&[("trusted_proxies", "127.0.0.1, 10.0.0.0/8")]).await;
    let proxy = host.anonymous();
    for (name, value) in [
        ("x-forwarded-for", "unknown"),
        ("x-forwarded-for", "203.0.113.1, what, 10.0.0.1"),
        ("x-forwarded-for", ""),
        ("x-forwarded-for", " , ,"),
        ("forwarded", ""),
        ("forwarded", ";, ;"),
        ("forwarded", "for=_hidden"),
        ("forwarded", "proto=https"),
        ("forwarded", "for=203.0.113.1;for=203.0.113.2"),
    ] {
        guess_with(&proxy, 6, &[(name, value)]).await;
        let answer = get_with(&proxy, "/v1/models", &[(name, value)]).await;
        let _ = answer.expect_status(200);
    }
    let bans = host.admin();
    let headers = [("forwarded", "for=192.0.2.99")];
    let bans = get_with(&bans, "/admin/bans", &headers).await;
    assert_eq!(
        bans.expect_status(200).json()["data"],
        serde_json::json!([])
    );
}

/// `GET` with several lines of one header.
async fn appended(client: &Client, headers: &[(&str, &str)]) -> belljar_tests::Answer {
    let mut request = client.request(Method::GET, "/v1/models");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await.unwrap()
}

#[tokio::test]
async fn two_headers_that_disagree_are_refused_and_hit_nobody() {
    let (host, _) = host_at_rest(&[("trusted_proxies", "127.0.0.1")]).await;
    let proxy = host.anonymous();
    let both = [
        ("x-forwarded-for", "192.0.2.7"),
        ("forwarded", "for=198.51.100.1"),
    ];
    let answer = get_with(&proxy, "/v1/models", &both).await;
    assert_eq!(answer.expect_status(400).code(), "conflicting_addresses");
}

/// Acts: `forwarded_header`.
#[tokio::test]
async fn the_chosen_header_alone_counts() {
    let settings = [
        ("trusted_proxies", "127.0.0.1"),
        ("forwarded_header", "x-forwarded-for"),
    ];
    let (host, _) = host_at_rest(&settings).await;
    let proxy = host.anonymous();
    for number in 1..=5 {
        let spoofed = format!("for=198.51.100.{number}");
        let headers = [
            ("x-forwarded-for", "192.0.2.7"),
            ("forwarded", spoofed.as_str()),
        ];
        guess_with(&proxy, 1, &headers).await;
    }
    let headers = [("x-forwarded-for", "192.0.2.7")];
    expect_banned(&get_with(&proxy, "/v1/models", &headers).await);
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_caller() {
    let (host, _) = host_at_rest(&[("trusted_proxies", "127.0.0.1")]).await;
    let proxy = host.anonymous();
    for number in 1..=5 {
        let address = format!("2001:db8:1:2::{number}");
        guess_with(&proxy, 1, &[("x-forwarded-for", address.as_str())]).await;
    }
    let same = [("x-forwarded-for", "2001:db8:1:2:ffff::1")];
    expect_banned(&get_with(&proxy, "/v1/models", &same).await);
    let other = [("x-forwarded-for", "2001:db8:1:3::1")];
    let answer = get_with(&proxy, "/v1/models", &other).await;
    let _ = answer.expect_status(200);
}
