//! JSON Web Tokens beside keys.

mod kept;
mod key_sets;
pub(crate) mod kit;
mod revocation;
mod settings;
mod wrong;

use std::time::Duration;

use belljar_tests::Client;
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use kit::{ISSUER, IssuerHost, NOW, Signer};

/// The status of a request for a model.
pub(crate) async fn infer(caller: &Client) -> u16 {
    let body = json!({"model": "echo", "inputs": {"x": [1]}});
    caller.post("/infer", &body).await.status
}

/// Acts: `jwt.algorithms`.
#[tokio::test]
async fn a_token_of_each_algorithm_is_taken() {
    let signers = [
        Signer::rsa("r256", Algorithm::RS256),
        Signer::rsa("r384", Algorithm::RS384),
        Signer::rsa("r512", Algorithm::RS512),
        Signer::rsa("p256", Algorithm::PS256),
        Signer::rsa("p384", Algorithm::PS384),
        Signer::rsa("p512", Algorithm::PS512),
        Signer::p256("e256"),
        Signer::p384("e384"),
        Signer::ed("ed"),
    ];
    let all = "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,EdDSA";
    let issuer = IssuerHost::start(&signers, &[("jwt.algorithms", all)]).await;
    for signer in &signers {
        let caller = issuer.caller(&signer.token(json!({})));
        // The second time it is known.
        for _ in 0..2 {
            assert_eq!(infer(&caller).await, 200, "{:?}", signer.algorithm);
        }
        // The name that RFC 9864 gives it.
        if signer.algorithm == Algorithm::EdDSA {
            let header = json!({"alg": "Ed25519", "kid": "ed", "typ": "at+jwt"});
            let token = signer.token_with(header, kit::claims(json!({})));
            assert_eq!(infer(&issuer.caller(&token)).await, 200);
        }
    }
    // What is not listed is not taken, whatever the keys could do.
    let few = IssuerHost::start(&signers, &[]).await;
    for signer in &signers {
        let expect = match signer.algorithm {
            Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => 200,
            _ => 401,
        };
        let status = infer(&few.caller(&signer.token(json!({})))).await;
        assert_eq!(status, expect, "{:?}", signer.algorithm);
        few.lift_bans().await;
    }
}

/// Acts: `jwt.scope_rules`, `jwt.models`, `jwt.tier`.
#[tokio::test]
async fn a_token_has_the_rights_that_its_claims_give() {
    let signer = Signer::ed("a");
    let settings = [
        ("jwt.scopes", "realm_access.roles"),
        ("jwt.scope_rules", "ml=infer+models:read,ops=admin"),
        ("jwt.models", "models"),
        ("jwt.tier", "tier"),
        ("jwt.caller", "email"),
        ("rate_limit.enabled", "true"),
    ];
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &settings).await;
    let with = |roles: Value, models: Value, tier: Value| {
        let claims = json!({"realm_access": {"roles": roles}, "models": models, "tier": tier,
            "email": "ann@acme.example", "sub": null});
        issuer.caller(&signer.token(claims))
    };
    let user = with(json!(["ml", "admin"]), json!("echo"), json!("tier-5"));
    assert_eq!(infer(&user).await, 200);
    let listed = user.get("/v1/models").await.expect_status(200);
    let listed = listed.json();
    let names: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert_eq!(names, ["echo"]);
    let _ = user.get("/admin/keys").await.expect_status(403);
    let limit = |answer: &belljar_tests::Answer| {
        answer
            .header("x-ratelimit-limit-requests")
            .parse::<u32>()
            .unwrap()
    };
    let high = limit(&user.get("/v1/models").await);
    let free = with(json!(["ml"]), json!(["echo", "fake"]), json!("free"));
    let low = limit(&free.get("/v1/models").await.expect_status(200));
    assert!(low < high, "{low} {high}");
    let operator = with(json!(["ops"]), json!("*"), Value::Null);
    let _ = operator.get("/admin/keys").await.expect_status(200);
    let _ = operator.get("/v1/models").await.expect_status(403);
    // Without the claim that says which models, there are none; without roles, no rights.
    let none = with(json!(["ml"]), Value::Null, Value::Null);
    assert_eq!(infer(&none).await, 404);
    let nobody = with(Value::Null, json!("*"), Value::Null);
    assert_eq!(infer(&nobody).await, 403);
}

#[tokio::test]
async fn all_tokens_of_a_caller_share_its_limits_its_usage_and_its_name() {
    let signers = [Signer::ed("a"), Signer::p256("b")];
    let settings = [("rate_limit.enabled", "true"), ("rate_limit.rpm", "4")];
    let issuer = IssuerHost::start(&signers, &settings).await;
    let token = |at: usize, caller: &str, more: Value| {
        let mut claims = json!({"sub": caller});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        issuer.caller(&signers[at].token(claims))
    };
    for at in [0, 1, 0, 1] {
        assert_eq!(
            infer(&token(at, "ann", json!({"jti": at.to_string()}))).await,
            200
        );
    }
    assert_eq!(infer(&token(0, "ann", json!({"jti": "z"}))).await, 429);
    assert_eq!(infer(&token(0, "bob", json!({}))).await, 200);
    let callers = issuer.host.admin().get("/admin/jwt/callers").await;
    let callers = callers.expect_status(200).json();
    let rows = callers["data"].as_array().unwrap();
    let ann = rows.iter().find(|row| row["caller"] == "ann").unwrap();
    let id = belljar::ids::KeyId::of_caller(ISSUER, "ann");
    assert_eq!(ann["id"], id.as_str());
    assert_eq!(ann["usage"]["requests"], 5);
    assert_eq!(rows.len(), 2);
    let metrics = issuer.host.admin().get("/metrics").await.text();
    let line = format!("belljar_key_requests_total{{key_id=\"{id}\"}} 5");
    assert!(metrics.contains(&line), "{line}");
    // The limits of a tier that a token names are not begun anew by a token of another tier.
    let tiers = [("rate_limit.enabled", "true"), ("jwt.tier", "tier")];
    let issuer = IssuerHost::start(&signers, &tiers).await;
    let of_tier = |tier: &str| issuer.caller(&signers[0].token(json!({"tier": tier})));
    let remaining = async |caller: &Client| {
        let answer = caller.get("/v1/models").await.expect_status(200);
        answer
            .header("x-ratelimit-remaining-requests")
            .parse::<u32>()
            .unwrap()
    };
    let (free, other) = (of_tier("free"), of_tier("tier-1"));
    let first = remaining(&free).await;
    let _ = remaining(&other).await;
    assert_eq!(remaining(&free).await, first - 1);
}

/// Acts: `jwt.issuer`, `jwt.jwks`.
#[tokio::test]
async fn the_counts_of_a_caller_survive_a_restart() {
    let signer = Signer::ed("a");
    let folder = crate::kit::Folder::new();
    let keys = folder.write("keys.json", &kit::key_set(std::slice::from_ref(&signer)));
    let data = folder.path("data");
    belljar_tests::warm_up(&data).await;
    let start = async || {
        let settings = [
            ("BELLJAR_JWT_ISSUER", ISSUER),
            ("BELLJAR_JWT_AUDIENCE", "models"),
            ("BELLJAR_JWT_JWKS", keys.as_str()),
        ];
        belljar_tests::ServerProcess::start_with(&data, |command| {
            command.envs(settings);
        })
        .await
    };
    let now = jiff::Timestamp::now().as_second();
    let token = signer.token(json!({"iat": now, "nbf": now, "exp": now + 600}));
    let mut seen = Vec::new();
    for _ in 0..2 {
        let server = start().await;
        assert_eq!(infer(&server.with_key(&token)).await, 200);
        let callers = server.admin().get("/admin/jwt/callers").await;
        let callers = callers.expect_status(200).json();
        seen.push(callers["data"][0]["usage"]["requests"].as_u64().unwrap());
        let log = server.log();
        assert!(!log.contains(token.rsplit_once('.').unwrap().0), "{log}");
        assert!(server.terminate().await.success());
    }
    assert_eq!(seen, [1, 2]);
}

#[tokio::test]
async fn a_key_counts_for_more_than_a_token_beside_it() {
    let signer = Signer::ed("a");
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &[]).await;
    let key = issuer.host.key("models:read").await;
    let key = key.key().unwrap().to_owned();
    let (good, bad) = (
        signer.token(json!({})),
        Signer::ed("a").token(json!({"sub": "mallory"})),
    );
    let plain = issuer.host.anonymous();
    let ask = async |headers: &[(&str, &str)], path: &str| {
        let mut request = plain.request(Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = plain.send(request).await.unwrap();
        (answer.status, answer.code())
    };
    let (good, bad) = (format!("Bearer {good}"), format!("Bearer {bad}"));
    let path = "/v1/models";
    for authorization in [&good, &bad] {
        let both: [(&str, &str); 2] = [("authorization", authorization), ("x-api-key", &key)];
        assert_eq!(
            ask(&both, path).await.0,
            200,
            "the token is another layer's"
        );
    }
    // A token is taken from `Authorization` alone, and two that differ are no credential.
    let token = good.trim_start_matches("Bearer ");
    assert_eq!(ask(&[("x-api-key", token)], path).await.0, 401);
    let wrong = ask(&[("authorization", &good), ("x-api-key", "wrong")], path).await;
    assert_eq!(wrong, (400, "conflicting_credentials".to_owned()));
    let two = ask(&[("authorization", &good), ("authorization", &bad)], path).await;
    assert_eq!(two, (400, "conflicting_credentials".to_owned()));
    let twice = ask(&[("authorization", &good), ("authorization", &good)], path).await;
    assert_eq!(twice.0, 200);
}

/// Where no key is required, a token that does not hold is a mistake that shows.
#[tokio::test]
async fn where_no_key_is_needed_a_wrong_token_is_refused() {
    let signer = Signer::ed("a");
    let settings = [
        ("require_api_key", "false"),
        ("jwt.scopes", "none-of-these"),
    ];
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &settings).await;
    assert_eq!(infer(&issuer.host.anonymous()).await, 200);
    assert_eq!(infer(&issuer.caller("made-up-by-a-client")).await, 200);
    assert_eq!(
        infer(&issuer.caller(&signer.token(json!({})))).await,
        403,
        "it says nothing"
    );
    assert_eq!(
        infer(&issuer.caller(&Signer::ed("a").token(json!({})))).await,
        401
    );
    // Two tokens of which neither was seen before: one is looked into, and they differ.
    let plain = issuer.host.anonymous();
    let mut request = plain.request(Method::GET, "/v1/models");
    for caller in ["ann", "bob"] {
        request = request.bearer_auth(signer.token(json!({"sub": caller, "jti": "two"})));
    }
    let answer = plain.send(request).await.unwrap().expect_status(400);
    assert_eq!(answer.code(), "conflicting_credentials");
    // Without an issuer, a token is a key like any other that is not known.
    let host = belljar_tests::TestHost::start().await;
    let token = signer.token(json!({}));
    assert_eq!(infer(&host.anonymous().with_key(&token)).await, 200);
    let locked = belljar_tests::TestHost::start_with(&[("require_api_key", "true")]).await;
    assert_eq!(infer(&locked.anonymous().with_key(&token)).await, 401);
}

#[tokio::test]
async fn bans_by_key_find_callers_by_token() {
    let signer = Signer::ed("a");
    let settings = [
        ("conduct.count_by_key", "true"),
        ("conduct.injections_max", "1"),
    ];
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &settings).await;
    let caller =
        |name: &str, jti: &str| issuer.caller(&signer.token(json!({"sub": name, "jti": jti})));
    let attack = json!({"model": "fake", "messages": [{"role": "user",
        "content": "'; DROP TABLE users; --"}]});
    let mallory = caller("mallory", "1");
    let _ = mallory
        .post("/v1/chat/completions", &attack)
        .await
        .expect_status(400);
    // With another token it is the same caller.
    for banned in [&mallory, &caller("mallory", "2")] {
        let refused = banned.get("/v1/models").await.expect_status(403);
        assert_eq!(refused.code(), "ip_banned");
    }
    assert_eq!(infer(&caller("ann", "1")).await, 200);
    let bans = issuer
        .host
        .admin()
        .get("/admin/bans")
        .await
        .expect_status(200)
        .json();
    let id = belljar::ids::KeyId::of_caller(ISSUER, "mallory");
    assert_eq!(bans["data"][0]["key_id"], id.as_str());
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let signer = Signer::ed("a");
    let issuer = IssuerHost::start(std::slice::from_ref(&signer), &[("jwt.leeway", "2 s")]).await;
    let caller = issuer.caller(&signer.token(json!({"exp": NOW + 10})));
    assert_eq!(infer(&caller).await, 200);
    issuer.hand.advance(Duration::from_millis(11_999));
    assert_eq!(infer(&caller).await, 200);
    issuer.hand.advance(Duration::from_millis(1));
    assert_eq!(infer(&caller).await, 401);
    // One that comes late for the first time is refused as well.
    let late = issuer.caller(&signer.token(json!({"exp": NOW + 10, "jti": "late"})));
    assert_eq!(infer(&late).await, 401);
}
