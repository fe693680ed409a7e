//! Settings of tokens that contradict one another, or name what cannot be used, stop the start.

use belljar_tests::TestHost;
use serde_json::json;

use super::infer;
use super::kit::{ISSUER, IssuerHost, NOW, Signer, key_set};
use crate::kit::Folder;
use crate::settings::refused;

#[test]
fn contradictions_stop_the_start() {
    let on = [
        ("jwt.issuer", ISSUER),
        ("jwt.audience", "models"),
        ("jwt.jwks", "keys.json"),
    ];
    assert_eq!(refused(&on), "");
    assert_eq!(refused(&[("jwt.issuer", "none")]), "");
    for (more, names) in [
        (("jwt.audience", "none"), "jwt.audience"),
        (("jwt.jwks", "none"), "jwt.jwks"),
        (("jwt.jwks", "http://id.example/keys"), "https://"),
        (("jwt.jwks", "https://a:b@id.example/keys"), "no password"),
        (("jwt.jwks_ca", "ca.pem"), "jwt.jwks_ca"),
        (("jwt.algorithms", "none"), "jwt.algorithms"),
        (("jwt.algorithms", "RS256,HS256"), "share their secret"),
        (("jwt.algorithms", "RS256,ES512"), "expected RS256"),
        (("jwt.leeway", "6 min"), "jwt.leeway"),
        (("jwt.lifetime_max", "0 s"), "jwt.lifetime_max"),
        (("jwt.reread_period", "500 ms"), "jwt.reread_period"),
        (("jwt.read_timeout", "0 s"), "jwt.read_timeout"),
        (("jwt.stale_max", "5 min"), "jwt.stale_max"),
        (("jwt.refresh", "2 h"), "jwt.stale_max"),
        (("jwt.caller", ""), "jwt.caller"),
        (("jwt.scope_rules", "ml=root"), "a rule is"),
        (("jwt.issuer", "a\nb"), "control"),
    ] {
        let others = on.iter().filter(|(key, _)| *key != more.0);
        let settings: Vec<_> = others.copied().chain([more]).collect();
        let why = refused(&settings);
        assert!(why.contains(names), "{more:?}: {why}");
    }
    // Without an issuer none of the others means anything.
    for alone in [
        ("jwt.audience", "models"),
        ("jwt.jwks", "keys.json"),
        ("jwt.tier", "tier"),
        ("jwt.leeway", "1 s"),
        ("jwt.revoked", "ids"),
    ] {
        assert!(refused(&[alone]).contains("jwt.issuer"), "{alone:?}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_stop_the_start_and_are_named() {
    let folder = Folder::new();
    let good = folder.write("good.json", &key_set(&[Signer::ed("a")]));
    let bad = folder.write(
        "bad.json",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}",
    );
    let ids = folder.write("ids", "fine\nnot fine\n");
    let gone = folder.path("gone.json");
    let gone = gone.to_str().unwrap();
    for (keys, revoked, why) in [
        (gone, "none", "gone.json: No such file"),
        (
            &bad,
            "none",
            "bad.json has no key that can be used: key 1: it is a secret",
        ),
        (&good, gone, "gone.json: No such file"),
        (&good, &ids, "ids, line 2"),
    ] {
        let settings = [
            ("jwt.issuer", ISSUER),
            ("jwt.audience", "models"),
            ("jwt.jwks", keys),
            ("jwt.revoked", revoked),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let started = tokio::spawn(async move {
            let settings = settings
                .each_ref()
                .map(|(key, value)| (key.as_str(), value.as_str()));
            drop(TestHost::start_with(&settings).await);
        });
        let panic = started.await.unwrap_err().into_panic();
        let said = panic.downcast_ref::<String>().unwrap();
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("c2VjcmV0"), "{said}");
    }
}

/// Each of the settings that is a number or a name acts.
///
/// Acts: `jwt.audience`, `jwt.leeway`, `jwt.lifetime_max`, `jwt.caller`, `jwt.scopes`.
#[tokio::test]
async fn each_setting_acts() {
    let signer = Signer::ed("a");
    let one = std::slice::from_ref(&signer);
    let ask = async |settings: &[(&str, &str)], claims: serde_json::Value| {
        let issuer = IssuerHost::start(one, settings).await;
        infer(&issuer.caller(&signer.token(claims))).await
    };
    let early = json!({"nbf": NOW + 31});
    assert_eq!(ask(&[("jwt.leeway", "31 s")], early.clone()).await, 200);
    assert_eq!(ask(&[], early).await, 401);
    let long = json!({"exp": NOW + 100_000});
    assert_eq!(ask(&[("jwt.lifetime_max", "2 d")], long.clone()).await, 200);
    assert_eq!(ask(&[], long).await, 401);
    let other = json!({"aud": "other"});
    assert_eq!(ask(&[("jwt.audience", "models,other")], other).await, 200);
    let named = json!({"sub": null, "client_id": "robot"});
    assert_eq!(
        ask(&[("jwt.caller", "client_id")], named.clone()).await,
        200
    );
    assert_eq!(ask(&[], named).await, 401);
    let roles = json!({"scope": null, "roles": ["infer"]});
    assert_eq!(ask(&[("jwt.scopes", "roles")], roles.clone()).await, 200);
    assert_eq!(ask(&[], roles).await, 403);
}
