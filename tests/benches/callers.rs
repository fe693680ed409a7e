//! What it costs to find out who calls: a key, a token that is known, a token that is looked into,
//! by algorithm; and what the watch for anomalies adds to a request.
//!
//! `cargo bench -p belljar-tests --bench callers`. The figures of one run stand beside one another:
//! their ratios say more than they do.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement"
)]

use std::net::IpAddr;
use std::time::Duration;

use belljar::audit::AuditLog;
use belljar::auth::{self, JwtConfig, KeySource, KeyStore, NewKey, PresentedKey};
use belljar::clock::Clock;
use belljar::db::Db;
use belljar::guard::{AbuseConfig, Anomalies, AnomalyAction, AnomalyConfig, Bans};
use belljar::ids::KeyId;
use belljar::net::ClientAddress;
use criterion::{BatchSize, Criterion};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use serde_json::json;
use tokio::runtime::Runtime;

const ISSUER: &str = "https://id.example";

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut criterion = Criterion::default()
        .sample_size(30)
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    runtime.block_on(who_calls(&mut criterion));
    runtime.block_on(watched(&mut criterion));
    criterion.final_summary();
}

/// Keys of an issuer, by the names of their algorithms.
fn issuer_keys() -> Vec<(&'static str, Algorithm, EncodingKey)> {
    let elliptic = |kind| {
        let key = KeyPair::generate_for(kind).unwrap();
        EncodingKey::from_ec_der(&key.serialize_der())
    };
    let rsa = || EncodingKey::from_rsa_der(include_bytes!("../tests/edge/jwt/rsa.der"));
    vec![
        ("RS256", Algorithm::RS256, rsa()),
        ("PS256", Algorithm::PS256, rsa()),
        ("ES256", Algorithm::ES256, elliptic(&PKCS_ECDSA_P256_SHA256)),
        ("ES384", Algorithm::ES384, elliptic(&PKCS_ECDSA_P384_SHA384)),
    ]
}

/// The value of the header that a token comes in.
fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

async fn who_calls(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let keys = issuer_keys();
    let set: Vec<_> = keys
        .iter()
        .map(|(name, algorithm, key)| {
            let jwk = Jwk::from_encoding_key(key, *algorithm).unwrap();
            let mut jwk = serde_json::to_value(jwk).unwrap();
            jwk["kid"] = json!(name);
            jwk
        })
        .collect();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, json!({ "keys": set }).to_string()).unwrap();
    let config = auth::Config {
        require_key: true,
        jwt: JwtConfig {
            issuer: Some(ISSUER.parse().unwrap()),
            audience: vec!["belljar".parse().unwrap()],
            jwks: Some(KeySource::File(file)),
            algorithms: keys
                .iter()
                .map(|(name, ..)| name.parse().unwrap())
                .collect(),
            ..JwtConfig::default()
        },
        ..auth::Config::default()
    };
    let db = Db::open(folder.path()).await.unwrap();
    let store = KeyStore::open(db, &config, Clock::system()).await.unwrap();
    let new = NewKey {
        name: "bench".to_owned(),
        scopes: "infer".parse().unwrap(),
        ..NewKey::default()
    };
    let made = store.create(new).await.unwrap();
    let secret = made.secret.expose().as_bytes();
    let mut group = criterion.benchmark_group("who calls");
    group.bench_function("key", |bench| {
        bench.iter(|| {
            store
                .authenticate(Some(&PresentedKey::parse(secret).unwrap()))
                .unwrap()
        });
    });
    for (name, algorithm, key) in &keys {
        let mut header = Header::new(*algorithm);
        header.kid = Some((*name).to_owned());
        let mut number = 0_u64;
        let mut token = || {
            number += 1;
            let now = jiff::Timestamp::now().as_second();
            let claims = json!({"iss": ISSUER, "aud": "belljar", "sub": "ann", "iat": now,
                "exp": now + 3_600, "jti": number.to_string(), "scope": "infer"});
            jsonwebtoken::encode(&header, &claims, key).unwrap()
        };
        let known = token();
        let look = async |token: &str| {
            let value = bearer(token);
            let presented = PresentedKey::from_authorization(&value).unwrap();
            store
                .examine(&presented)
                .await
                .of(&presented)
                .unwrap()
                .unwrap()
        };
        look(&known).await;
        group.bench_function(format!("token, known, {name}"), |bench| {
            let value = bearer(&known);
            let presented = || PresentedKey::from_authorization(&value).unwrap();
            bench.iter(|| store.authenticate(Some(&presented())).unwrap());
        });
        // Another one each time: what was looked into is known.
        let here = tokio::runtime::Handle::current();
        group.bench_function(format!("token, first, {name}"), |bench| {
            bench.iter_batched(
                &mut token,
                |token| tokio::task::block_in_place(|| here.block_on(look(&token))),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

async fn watched(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path()).await.unwrap();
    let (clock, audit) = (Clock::system(), AuditLog::default());
    let bans = Bans::open(
        db.clone(),
        clock.clone(),
        audit.clone(),
        AbuseConfig::default(),
        64,
    );
    let bans = bans.await.unwrap();
    let open = async |action| {
        let config = AnomalyConfig {
            action,
            ..AnomalyConfig::default()
        };
        let (db, clock, audit) = (db.clone(), clock.clone(), audit.clone());
        Anomalies::open(config, db, clock, audit, bans.clone())
            .await
            .unwrap()
    };
    let address = ClientAddress::new(IpAddr::from([192, 0, 2, 7]), 64);
    let key: KeyId = "key_0123456789abcdef".parse().unwrap();
    let mut group = criterion.benchmark_group("a request that is watched");
    for (name, action) in [("off", AnomalyAction::Off), ("on", AnomalyAction::Report)] {
        let anomalies = open(action).await;
        group.bench_function(name, |bench| {
            bench.iter(|| anomalies.enter(Some(&key), address, false).unwrap());
        });
    }
    group.finish();
}
