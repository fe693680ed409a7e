//! Tokens of every wrong kind: each is refused like any other, and each counts as a failed
//! authentication.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use belljar_tests::TestHost;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::infer;
use super::kit::{IssuerHost, NOW, Signer, claims, message};

/// A token that does not hold, and the reason that the audit log has.
struct Wrong {
    what: &'static str,
    token: String,
    reason: &'static str,
}

/// A token with another signature, of a secret that is no secret.
fn with_secret(header: &Value, secret: &[u8]) -> String {
    let message = message(header, &claims(json!({})));
    let key = EncodingKey::from_secret(secret).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.unwrap())
}

/// The wrong kinds, for an issuer with these two keys.
fn wrong_kinds(rsa: &Signer, ec: &Signer) -> Vec<Wrong> {
    let mut kinds = Vec::new();
    let mut add = |what, reason, token| {
        kinds.push(Wrong {
            what,
            token,
            reason,
        });
    };
    let claim = |name: &str, value: Value| {
        let mut other = json!({});
        other[name] = value;
        rsa.token(other)
    };
    let header = |name: &str, value: Value| {
        let mut header = rsa.header();
        header[name] = value;
        rsa.token_with(header, claims(json!({})))
    };
    add("expired", "token_expired", claim("exp", json!(NOW - 31)));
    add("without an end", "token_claims", claim("exp", Value::Null));
    add(
        "of another end",
        "token_claims",
        claim("exp", json!("never")),
    );
    add(
        "without end, nearly",
        "token_lifetime",
        claim("exp", json!(NOW + 90_000)),
    );
    add(
        "not yet valid",
        "token_not_yet_valid",
        claim("nbf", json!(NOW + 31)),
    );
    add(
        "of the future",
        "token_issued_in_future",
        claim("iat", json!(NOW + 31)),
    );
    add(
        "of another issuer",
        "token_issuer",
        claim("iss", json!("https://evil.example")),
    );
    add("of no issuer", "token_issuer", claim("iss", Value::Null));
    add(
        "for others",
        "token_audience",
        claim("aud", json!(["other", "models.evil.example"])),
    );
    add("for nobody", "token_audience", claim("aud", Value::Null));
    add("of nobody", "token_claims", claim("sub", Value::Null));
    add(
        "without keys' id",
        "token_no_kid",
        header("kid", Value::Null),
    );
    add(
        "of an unknown key",
        "token_unknown_kid",
        header("kid", json!("other")),
    );
    add("of a proof", "token_type", header("typ", json!("dpop+jwt")));
    add(
        "of a critical header",
        "token_critical",
        header("crit", json!(["exp"])),
    );
    add("unencoded", "token_critical", header("b64", json!(false)));
    add("packed", "token_critical", header("zip", json!("DEF")));
    add("with a key of its own", "token_unknown_kid", {
        let other = Signer::ed("own");
        let mut header = other.header();
        header["jwk"] = other.jwk();
        other.token_with(header, claims(json!({})))
    });
    add(
        "of another key's kind",
        "token_algorithm",
        header("alg", json!("ES256")),
    );
    add(
        "of an algorithm that is not listed",
        "token_algorithm",
        header("alg", json!("RS512")),
    );
    add(
        "of another kid's kind",
        "token_algorithm",
        header("kid", json!(ec.kid)),
    );
    add(
        "of a key with the same id",
        "token_signature",
        Signer::p256(&ec.kid).token(json!({})),
    );
    for alg in ["none", "None", "NONE", ""] {
        let mut header = rsa.header();
        header["alg"] = json!(alg);
        let message = message(&header, &claims(json!({})));
        add(
            "of none, unsigned",
            "token_algorithm",
            format!("{message}."),
        );
        let signed = rsa.token(json!({}));
        let signature = signed.rsplit_once('.').unwrap().1;
        add(
            "of none, signed",
            "token_algorithm",
            format!("{message}.{signature}"),
        );
    }
    // The classic: the public key as the secret of an algorithm that shares one.
    let n = URL_SAFE_NO_PAD
        .decode(rsa.jwk()["n"].as_str().unwrap())
        .unwrap();
    for alg in ["HS256", "RS256"] {
        let mut header = rsa.header();
        header["alg"] = json!(alg);
        let reason = if alg == "HS256" {
            "token_algorithm"
        } else {
            "token_signature"
        };
        add("of the public key", reason, with_secret(&header, &n));
        let jwk = rsa.jwk().to_string();
        add(
            "of the public key as JSON",
            reason,
            with_secret(&header, jwk.as_bytes()),
        );
    }
    let good = rsa.token(json!({"jti": "changed"}));
    let (body, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = body.split_once('.').unwrap();
    let other = message(&rsa.header(), &claims(json!({"sub": "root"})));
    add(
        "with other claims",
        "token_signature",
        format!("{other}.{signature}"),
    );
    add("unsigned", "token_signature", format!("{body}."));
    add(
        "cut off",
        "token_signature",
        good[..good.len() - 4].to_owned(),
    );
    add(
        "with a signature that is no base64",
        "token_signature",
        format!("{body}.A"),
    );
    add(
        "whose header is no JSON",
        "token_malformed",
        format!("AAAA.{body}"),
    );
    add(
        "whose header is no base64",
        "token_malformed",
        format!("A.e30.{signature}"),
    );
    add("whose header is a list", "token_malformed", {
        format!("{}.e30.{signature}", URL_SAFE_NO_PAD.encode("[]"))
    });
    let deep = format!(r#"{{"crit":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    add("of a deep header", "token_malformed", {
        format!("{}.e30.{signature}", URL_SAFE_NO_PAD.encode(deep))
    });
    add("whose claims are no object", "token_claims", {
        rsa.token_with(rsa.header(), json!("claims"))
    });
    add(
        "of two parts",
        "invalid_api_key",
        format!("{head}.{signature}"),
    );
    add("of four parts", "invalid_api_key", format!("{good}.e30"));
    add("of three empty parts", "invalid_api_key", "..".to_owned());
    add(
        "no token",
        "invalid_api_key",
        "this-is-not-a-token".to_owned(),
    );
    add(
        "oversized",
        "invalid_api_key",
        claim("note", json!("a".repeat(16 << 10))),
    );
    add("revoked", "token_revoked", claim("jti", json!("revoked")));
    kinds
}

/// What the audit log has of an address.
async fn recorded(host: &TestHost, address: IpAddr) -> Vec<Value> {
    host.audit().flush().await;
    let text = std::fs::read_to_string(host.data_dir().join("audit.log")).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_address = lines.filter(|line| line["address"] == address.to_string());
    of_address.collect()
}

#[tokio::test]
async fn each_is_refused_like_any_other_and_counts_as_a_failed_authentication() {
    let (rsa, ec) = (Signer::rsa("rsa", Algorithm::RS256), Signer::p256("ec"));
    let kinds = wrong_kinds(&rsa, &ec);
    assert!(kinds.len() > 40, "{}", kinds.len());
    let issuer = IssuerHost::start(&[rsa.named("rsa"), ec.named("ec")], &[]).await;
    let revoked = issuer.host.admin();
    let revoked = revoked
        .post("/admin/jwt/revoked", &json!({"jti": "revoked"}))
        .await;
    let _ = revoked.expect_status(201);
    // Each from an address of its own, which five of them ban.
    let mut addresses = (2..=254).map(|last| IpAddr::from([127, 0, 0, last]));
    let mut answers = std::collections::BTreeSet::new();
    for Wrong {
        what,
        token,
        reason,
    } in kinds
    {
        let address = addresses.next().unwrap();
        let caller = issuer.caller(&token).at(address);
        for _ in 0..5 {
            let answer = caller.get("/v1/models").await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text());
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
            let error = answer.json()["error"].clone();
            assert_eq!(error["code"], "invalid_api_key", "{what}");
            assert_eq!(error["type"], "authentication_error", "{what}");
            assert_eq!(error["param"], Value::Null, "{what}");
            answers.insert(error["message"].as_str().unwrap().to_owned());
        }
        let banned = caller.get("/v1/models").await;
        assert_eq!(
            (banned.status, banned.code().as_str()),
            (403, "ip_banned"),
            "{what}"
        );
        let events = recorded(&issuer.host, address).await;
        let failed = events
            .iter()
            .find(|event| event["event"] == "authentication_failed");
        assert_eq!(failed.unwrap()["about"]["reason"], reason, "{what}");
        if token.len() > 30 {
            assert!(!format!("{events:?}").contains(&token[..30]), "{what}");
        }
    }
    // What is in the form of a token has one answer, and what is not has that of a key.
    let expected = [
        "The API key is malformed.",
        "The API key is not valid.",
        "The token is not valid.",
    ];
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), expected);
    // A good one is still taken.
    assert_eq!(infer(&issuer.caller(&rsa.token(json!({})))).await, 200);
}

/// One key with no id: a token that names none is taken, and one that names another is not.
#[tokio::test]
async fn one_key_alone_needs_no_id() {
    let signer = Signer::p256("only");
    let mut jwk = signer.jwk();
    jwk.as_object_mut().unwrap().remove("kid");
    let folder = crate::kit::Folder::new();
    let keys = folder.write("keys.json", &json!({"keys": [jwk]}).to_string());
    let issuer = IssuerHost::start_with_keys(folder, &keys, &[]).await;
    let header = json!({"alg": "ES256"});
    let token = signer.token_with(header, claims(json!({})));
    assert_eq!(infer(&issuer.caller(&token)).await, 200);
    assert_eq!(infer(&issuer.caller(&signer.token(json!({})))).await, 401);
}

/// Many wrong and good ones at once, over and over: the good ones are taken and nothing panics.
#[tokio::test(flavor = "multi_thread")]
async fn good_ones_are_taken_among_many_wrong_ones() {
    let (rsa, ec) = (Signer::rsa("rsa", Algorithm::RS256), Signer::p256("ec"));
    let settings = [("enable_abuse_detection", "false")];
    let issuer = IssuerHost::start(&[rsa.named("rsa"), ec.named("ec")], &settings).await;
    let mut asked = tokio::task::JoinSet::new();
    for (index, wrong) in wrong_kinds(&rsa, &ec).into_iter().enumerate() {
        if wrong.what == "revoked" {
            continue;
        }
        let good = issuer.caller(&ec.token(json!({"sub": format!("caller {}", index % 7)})));
        let wrong = issuer.caller(&wrong.token);
        asked.spawn(async move {
            for _ in 0..5 {
                assert_eq!(infer(&wrong).await, 401);
                assert_eq!(infer(&good).await, 200);
            }
        });
    }
    while let Some(outcome) = asked.join_next().await {
        outcome.unwrap();
    }
}
