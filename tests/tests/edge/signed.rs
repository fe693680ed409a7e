//! Requests that are signed: whom a signature lets in, once and in time, and what is done about
//! those that were altered or sent again.

use std::time::Duration;

use belljar::auth::{Allowance, Signing};
use belljar::clock::Clock;
use belljar_tests::{Answer, TestHost};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::TlsHost;
use crate::signer::{Draft, Signer, authority, signer, signer_with};

const MODELS: &str = "/v1/models";
/// Failures are the point of these tests.
const NO_BANS: (&str, &str) = ("enable_abuse_detection", "false");
const KEYS: (&str, &str) = ("require_api_key", "true");

fn chat() -> Value {
    json!({"model": "fake", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4})
}

#[track_caller]
fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.code(), code, "{}", answer.text());
}

#[tokio::test]
async fn a_signature_alone_lets_its_key_in() {
    let host = TestHost::start_with(&[KEYS]).await;
    let client = host.anonymous();
    for signing in [Signing::Optional, Signing::Required] {
        let signer = signer(&host, signing).await;
        let sent = signer.send(&client, Draft::get("/v1/models?limit=5")).await;
        let _ = sent.expect_status(200);
        let sent = signer
            .send(&client, Draft::post("/v1/chat/completions", &chat()))
            .await;
        let _ = sent.expect_status(200);
        // By the whole target, which has the query in it.
        let mut draft = Draft::get("/v1/models?limit=5");
        draft.components = vec!["@target-uri", "@method"];
        let _ = signer.send(&client, draft).await.expect_status(200);
        // With what else a client wants to have signed.
        let mut draft = Draft::get(MODELS).with("x-more", "a").with("x-more", "b");
        draft.components.push("x-more");
        draft.parameters = ";tag=\"app\";expires=99999999999".to_owned();
        let _ = signer.send(&client, draft).await.expect_status(200);
        // What it has used is counted for the key.
        let usage = host.keys().usage(&signer.id.parse().unwrap());
        assert_eq!(usage.requests, 4);
        assert!(usage.completion_tokens > 0);
    }
    // A key that does not sign has no signature.
    let id = host.keys().list().last().unwrap().id.clone();
    let plain = Signer {
        id: id.to_string(),
        ..signer(&host, Signing::Optional).await
    };
    refused(
        &plain.send(&client, Draft::get(MODELS)).await,
        "invalid_signature",
    );
}

#[tokio::test]
async fn a_key_that_must_sign_lets_nobody_in_alone() {
    let host = TestHost::start_with(&[]).await;
    let (must, may) = (
        signer(&host, Signing::Required).await,
        signer(&host, Signing::Optional).await,
    );
    let anonymous = host.anonymous();
    // It is no guess: whoever has the key alone is told what is missing, and not banned.
    for _ in 0..8 {
        let answer = anonymous.with_key(&must.key).get(MODELS).await;
        refused(&answer, "signature_required");
        let wanted = answer.header("accept-signature");
        assert!(wanted.contains("\"content-digest\""), "{wanted}");
    }
    for header in ["x-api-key", "api-key"] {
        let request = anonymous
            .request(Method::GET, MODELS)
            .header(header, &must.key);
        refused(
            &anonymous.send(request).await.unwrap(),
            "signature_required",
        );
    }
    let _ = anonymous
        .with_key(&may.key)
        .get(MODELS)
        .await
        .expect_status(200);
    // Beside a signature it may stand, and must be the same key.
    for key in [&must.key, "unused"] {
        let sent = must
            .send(&anonymous.with_key(key), Draft::get(MODELS))
            .await;
        let _ = sent.expect_status(200);
    }
    let sent = must
        .send(&anonymous.with_key(&may.key), Draft::get(MODELS))
        .await;
    assert_eq!(
        (sent.status, sent.code().as_str()),
        (400, "conflicting_credentials")
    );
    let made_up = format!("sk-belljar-{}", "0".repeat(64));
    let sent = must
        .send(&anonymous.with_key(&made_up), Draft::get(MODELS))
        .await;
    refused(&sent, "invalid_api_key");
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_refused() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let draft = Draft::post("/v1/chat/completions", &chat());
    let sent = draft.clone().signed(&signer, &authority(&client));
    let _ = sent.send(&client).await.expect_status(200);
    for _ in 0..3 {
        refused(&sent.send(&client).await, "signature_replayed");
    }
    // Another request with the same nonce, in another second.
    let mut again = Draft::get(MODELS).at(draft.created - 1);
    again.nonce = draft.nonce;
    refused(&signer.send(&client, again).await, "signature_replayed");
    // All at once: one is the first.
    let sent = Draft::get(MODELS).signed(&signer, &authority(&client));
    let all = join_all((0..30).map(|_| sent.send(&client))).await;
    let done = all.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1);
    // A failed attempt spends no nonce of somebody else's: it was not signed.
    let sent = Draft::get(MODELS).signed(&signer, &authority(&client));
    let broken = sent
        .clone()
        .altered("signature", |_| "sig=:AAAA:".to_owned());
    refused(&broken.send(&client).await, "invalid_signature");
    let _ = sent.send(&client).await.expect_status(200);
}

#[tokio::test]
async fn what_was_altered_on_the_way_is_refused() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let other = signer_with(&host, Signing::Required, |_| {}).await;
    let draft = || Draft::post("/infer?model=echo", &json!({"inputs": {"x": [1, 2]}}));
    let sent = || draft().signed(&signer, &authority(&client));
    let _ = sent().send(&client).await.expect_status(200);
    let mut altered: Vec<(&str, Draft)> = Vec::new();
    let mut alter = |what, change: &dyn Fn(&mut Draft)| {
        let mut sent = sent();
        change(&mut sent);
        altered.push((what, sent));
    };
    alter("method", &|sent| sent.method = Method::PUT);
    alter("path", &|sent| {
        sent.target = "/v2/models/echo/infer?model=echo".to_owned()
    });
    alter("query", &|sent| {
        sent.target = "/infer?model=fake".to_owned()
    });
    alter("no query", &|sent| sent.target = "/infer".to_owned());
    alter("more query", &|sent| sent.target.push_str("&a=b"));
    alter("the model", &|sent| {
        sent.headers
            .push(("x-belljar-model".to_owned(), "fake".to_owned()));
    });
    alter("the packing", &|sent| {
        sent.headers
            .push(("content-encoding".to_owned(), "identity".to_owned()));
    });
    alter("a second type", &|sent| {
        sent.headers
            .push(("content-type".to_owned(), "application/msgpack".to_owned()));
    });
    let with = |name: &'static str, change: &dyn Fn(&str) -> String| sent().altered(name, change);
    altered.extend([
        (
            "type",
            with("content-type", &|_| "application/msgpack".to_owned()),
        ),
        (
            "digest",
            with("content-digest", &|_| {
                "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:".to_owned()
            }),
        ),
        (
            "nonce",
            with("signature-input", &|input| {
                input.replace("nonce=\"", "nonce=\"0")
            }),
        ),
        (
            "key",
            with("signature-input", &|input| {
                input.replace(&signer.id, &other.id)
            }),
        ),
        (
            "unknown key",
            with("signature-input", &|input| {
                input.replace(&signer.id, "key_0000000000000000")
            }),
        ),
        (
            "created",
            with("signature-input", &|input| {
                input.replace("created=1", "created=2")
            }),
        ),
        (
            "coverage",
            with("signature-input", &|input| {
                input.replace("\"content-digest\"", "")
            }),
        ),
        (
            "order",
            with("signature-input", &|input| {
                input.replace("\"@method\" \"@authority\"", "\"@authority\" \"@method\"")
            }),
        ),
        (
            "algorithm",
            with("signature-input", &|input| {
                input.replace("hmac-sha256", "ed25519")
            }),
        ),
        (
            "end",
            with("signature-input", &|input| {
                format!("{input};expires=99999999999")
            }),
        ),
        (
            "a byte",
            with("signature", &|text| {
                let (first, rest) = text.split_at("sig=:".len());
                let (byte, rest) = rest.split_at(1);
                let byte = if byte == "A" { "B" } else { "A" };
                format!("{first}{byte}{rest}")
            }),
        ),
        (
            "cut",
            with("signature", &|text| format!("{}:", &text[..text.len() - 9])),
        ),
        ("none", with("signature", &|_| String::new())),
        (
            "another label",
            with("signature", &|text| text.replace("sig=", "gis=")),
        ),
        (
            "another secret",
            draft().signed(
                &Signer {
                    secret: other.secret.clone(),
                    ..signer.clone()
                },
                &authority(&client),
            ),
        ),
        ("another server", {
            let mut draft = draft();
            draft.authority = Some("elsewhere.example".to_owned());
            draft.signed(&signer, "")
        }),
    ]);
    for (what, sent) in &altered {
        let answer = sent.send(&client).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "invalid_signature"),
            "{what}"
        );
    }
    let _ = sent().send(&client).await.expect_status(200);
}

#[tokio::test]
async fn five_wrong_signatures_ban() {
    let host = TestHost::start_with(&[]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let sent = Draft::get(MODELS).signed(&signer, &authority(&client));
    let _ = sent.send(&client).await.expect_status(200);
    for _ in 0..5 {
        refused(&sent.send(&client).await, "signature_replayed");
    }
    assert_eq!(sent.send(&client).await.code(), "ip_banned");
}

/// Acts: `signed_requests.age_max`, `signed_requests.skew_max`.
#[tokio::test]
async fn a_signature_holds_for_its_time() {
    let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let settings = [
        NO_BANS,
        ("signed_requests.age_max", "30 s"),
        ("signed_requests.skew_max", "3 s"),
    ];
    let host = TestHost::start_at(clock.clone(), &settings).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let now = || clock.now().as_second();
    let ask = async |draft: Draft| signer.send(&client, draft).await;
    for (age, code) in [
        (0, ""),
        (30, ""),
        (-3, ""),
        (31, "signature_expired"),
        (-4, "signature_too_early"),
        (i64::from(i32::MAX), "signature_expired"),
        (-999_999_999_999, "signature_too_early"),
    ] {
        let answer = ask(Draft::get(MODELS).at(now() - age)).await;
        assert_eq!(answer.code(), code, "{age}");
        assert_eq!(answer.status == 200, code.is_empty(), "{age}");
    }
    let mut draft = Draft::get(MODELS).at(now());
    draft.parameters = format!(";expires={}", now() + 1);
    let sent = draft.signed(&signer, &authority(&client));
    hand.advance(Duration::from_secs(2));
    refused(&sent.send(&client).await, "signature_expired");
    // What was refused as used is refused as old later, and never taken again.
    let sent = Draft::get(MODELS)
        .at(now())
        .signed(&signer, &authority(&client));
    let _ = sent.send(&client).await.expect_status(200);
    for (seconds, code) in [(30, "signature_replayed"), (1, "signature_expired")] {
        hand.advance(Duration::from_secs(seconds));
        refused(&sent.send(&client).await, code);
    }
    // Somebody sets the clock back: what was forgotten is not new again.
    let _ = ask(Draft::get(MODELS).at(now())).await.expect_status(200);
    hand.set_by(-31);
    refused(&sent.send(&client).await, "signature_expired");
}

/// Acts: `signed_requests.nonces_max`, `signed_requests.nonces_per_key_max`.
#[tokio::test]
async fn a_full_memory_refuses_and_forgets_nothing() {
    let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let settings = [
        NO_BANS,
        ("signed_requests.nonces_max", "5"),
        ("signed_requests.nonces_per_key_max", "3"),
    ];
    let host = TestHost::start_at(clock.clone(), &settings).await;
    let client = host.anonymous();
    let (one, other) = (
        signer(&host, Signing::Required).await,
        signer(&host, Signing::Required).await,
    );
    let draft = || Draft::get(MODELS).at(clock.now().as_second());
    let first = draft().signed(&one, &authority(&client));
    let _ = first.send(&client).await.expect_status(200);
    for (signer, setting) in [
        (&one, "signed_requests.nonces_per_key_max"),
        (&other, "signed_requests.nonces_max"),
    ] {
        for _ in 0..2 {
            let _ = signer.send(&client, draft()).await.expect_status(200);
        }
        let full = signer.send(&client, draft()).await.expect_status(503);
        assert!(full.text().contains(setting), "{}", full.text());
        assert_eq!(full.header("retry-after"), "1");
    }
    // Wrong signatures take no room, and what was used is still known.
    refused(&first.send(&client).await, "signature_replayed");
    hand.advance(Duration::from_secs(61));
    let _ = other.send(&client, draft()).await.expect_status(200);
    let _ = one.send(&client, draft()).await.expect_status(200);
}

#[tokio::test]
async fn limits_and_the_end_of_a_key_hold_for_its_signatures() {
    let settings = [("rate_limit.enabled", "true"), NO_BANS];
    let host = TestHost::start_with(&settings).await;
    let client = host.anonymous();
    let signer = signer_with(&host, Signing::Required, |new| {
        new.allowance = Allowance {
            rpm: Some(2),
            ..Allowance::default()
        };
        new.scopes = "models:read".parse().unwrap();
    })
    .await;
    let answer = signer
        .send(&client, Draft::get(MODELS))
        .await
        .expect_status(200);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "2");
    let answer = signer
        .send(&client, Draft::post("/infer", &json!({})))
        .await;
    assert_eq!(answer.code(), "insufficient_scope");
    let answer = signer.send(&client, Draft::get(MODELS)).await;
    assert_eq!(answer.status, 429);
    let id = signer.id.parse().unwrap();
    host.keys().revoke(&id).await.unwrap();
    refused(
        &signer.send(&client, Draft::get(MODELS)).await,
        "invalid_api_key",
    );
    host.keys().delete(&id).await.unwrap();
    refused(
        &signer.send(&client, Draft::get(MODELS)).await,
        "invalid_signature",
    );
}

#[tokio::test]
async fn administrators_say_which_keys_sign() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let (admin, client) = (host.admin(), host.anonymous());
    let new = json!({"name": "a", "scopes": ["models:read"], "signing": "required"});
    let made = admin
        .post("/admin/keys", &new)
        .await
        .expect_status(201)
        .json();
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/keys/{id}/signing");
    let with = |answer: &Value| Signer {
        id: id.clone(),
        key: made["key"].as_str().unwrap().to_owned(),
        secret: answer["signing_secret"].as_str().unwrap().parse().unwrap(),
    };
    let works =
        async |signer: &Signer| signer.send(&client, Draft::get(MODELS)).await.status == 200;
    let first = with(&made);
    assert!(works(&first).await);
    // Another secret, and the first one for a while.
    let change = json!({"rotate": true, "overlap": "1h"});
    let changed = admin.post(&path, &change).await.expect_status(200);
    assert_eq!(changed.header("cache-control"), "no-store");
    let second = with(&changed.json());
    assert!(changed.json()["old_signing_secret_until"].is_string());
    assert!(works(&first).await && works(&second).await);
    let third = with(&admin.post(&path, &json!({"rotate": true})).await.json());
    assert!(!works(&first).await && !works(&second).await && works(&third).await);
    // Whether it must sign can change, and the secret stays.
    let changed = admin
        .post(&path, &json!({"signing": "optional"}))
        .await
        .json();
    assert_eq!(changed["signing"], "optional");
    assert!(changed.get("signing_secret").is_none() && works(&third).await);
    let bearer = client.with_key(&third.key);
    let _ = bearer.get(MODELS).await.expect_status(200);
    // A key that stops signing, and begins again with another secret.
    let _ = admin
        .post(&path, &json!({"signing": "none"}))
        .await
        .expect_status(200);
    assert!(!works(&third).await);
    let refused = admin.post(&path, &json!({"rotate": true})).await;
    assert_eq!(refused.expect_status(409).code(), "key_does_not_sign");
    let fourth = with(
        &admin
            .post(&path, &json!({"signing": "required"}))
            .await
            .json(),
    );
    assert!(!works(&third).await && works(&fourth).await);
    for (body, param) in [
        (json!({"signing": "always"}), "signing"),
        (json!({"rotate": true, "overlap": "8d"}), "overlap"),
        (json!({"signing": "none", "overlap": "1h"}), "overlap"),
        (json!({}), "signing"),
    ] {
        let answer = admin.post(&path, &body).await.expect_status(400);
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.text());
    }
    let own = host.key("infer").await;
    assert_eq!(
        own.post(&path, &json!({"signing": "none"})).await.status,
        403
    );
    let listed = admin.get(&format!("/admin/keys/{id}")).await.json();
    assert_eq!(listed["signing"], "required");
    assert!(!listed.to_string().contains("ss-belljar-"));
}

#[tokio::test]
async fn what_a_trusted_proxy_says_it_was_asked_for_counts() {
    let trusting = [
        ("trusted_proxies", "127.0.0.0/8"),
        NO_BANS,
        ("http.allowed_hosts", "*"),
    ];
    for (settings, works) in [(&trusting[..], true), (&trusting[1..], false)] {
        let host = TestHost::start_with(settings).await;
        let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
        for component in ["@target-uri", "@authority"] {
            let mut draft = Draft::get(MODELS);
            (draft.scheme, draft.authority) = ("https", Some("models.example".to_owned()));
            draft.components = vec!["@method", "@path", "@query", component];
            let sent = draft.signed(&signer, "");
            let plain = sent.send(&client).await;
            refused(&plain, "invalid_signature");
            let sent = sent
                .with("x-forwarded-host", "Models.Example:443, inner")
                .with("x-forwarded-proto", "https");
            let proxied = sent.send(&client).await;
            assert_eq!(
                proxied.status == 200,
                works,
                "{component}: {}",
                proxied.text()
            );
        }
        // A proxy that passes the name on needs to say nothing more.
        let mut draft = Draft::get(MODELS).with("host", "models.example");
        draft.authority = Some("models.example".to_owned());
        let _ = signer.send(&client, draft).await.expect_status(200);
    }
}

/// Over HTTP/2 with TLS: the authority comes in a field of its own, and the scheme is https.
#[tokio::test]
async fn the_target_is_what_the_client_asked_for_over_tls_and_in_any_spelling() {
    let tls = TlsHost::start(&[("require_api_key", "true"), NO_BANS]).await;
    let signer = signer(&tls.host, Signing::Required).await;
    let mut config = tls.authority.trusting();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let http = reqwest::Client::builder()
        .no_proxy()
        .resolve("localhost", tls.address())
        .tls_backend_preconfigured(config)
        .build()
        .unwrap();
    let own = format!("localhost:{}", tls.address().port());
    for target in ["/v1/models", "/openai/v1/models?api-version=1"] {
        let mut draft = Draft::get(target);
        draft.scheme = "https";
        draft.components = vec!["@method", "@target-uri"];
        for (scheme, status) in [("https", 200), ("http", 401)] {
            draft.scheme = scheme;
            let sent = draft.clone().signed(&signer, &own);
            let mut request = http.get(tls.url(target));
            for (name, value) in &sent.headers {
                request = request.header(name, value);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            assert_eq!(answer.status(), status, "{target} {scheme}");
        }
    }
}

#[tokio::test]
async fn signatures_of_others_and_nonsense_break_nothing() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let client = host.anonymous();
    let bot = "web=(\"@authority\");created=1;keyid=\"other\";tag=\"web-bot-auth\"";
    let ask = async |input: &[u8], signature: &[u8]| {
        let request = client
            .request(Method::GET, MODELS)
            .header("signature-input", input)
            .header("signature", signature);
        client.send(request).await.unwrap()
    };
    // Where nobody signs they are nobody's.
    let _ = ask(b"(((", b"x").await.expect_status(200);
    let _signer = signer(&host, Signing::Optional).await;
    let _ = ask(bot.as_bytes(), b"web=:AAAA:").await.expect_status(200);
    let nested = format!("a=({})", "\"x\" ".repeat(5_000));
    for input in [
        &b"((("[..],
        b"",
        b"\xff\xfe",
        b"sig=(\"@method\");created=99999999999999999999;keyid=\"key_0123456789abcdef\"",
        b"sig=(\"@method\");created=1;nonce=\"\";keyid=\"key_0123456789abcdef\"",
        nested.as_bytes(),
    ] {
        let status = ask(input, b"sig=:AAAA:").await.status;
        assert!(matches!(status, 200 | 401), "{status} {input:?}");
    }
}
