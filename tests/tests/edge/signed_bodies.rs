//! Bodies that are signed by their digest: nothing acts on one that is another.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar::auth::Signing;
use belljar_tests::{Answer, Client, TestBundle, TestHost};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::signer::{Draft, Signer, authority, signer};

const NO_BANS: (&str, &str) = ("enable_abuse_detection", "false");

#[track_caller]
fn altered(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.code(), "content_digest_mismatch");
}

/// Sends a signed request with another body than was signed.
async fn send_with(signer: &Signer, client: &Client, draft: Draft, body: Vec<u8>) -> Answer {
    let mut sent = draft.signed(signer, &authority(client));
    sent.body = Some(body);
    sent.send(client).await
}

#[tokio::test]
async fn a_body_that_was_altered_is_refused_however_it_is_read() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let tensor = json!({"model": "echo", "inputs": {"x": [1, 2]}});
    let chat = json!({"model": "fake", "messages": [{"role": "user", "content": "hi"}]});
    let streamed = json!({"model": "fake", "stream": true,
        "messages": [{"role": "user", "content": "hi"}]});
    for (target, body) in [
        ("/infer", tensor),
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", streamed),
    ] {
        let draft = || Draft::post(target, &body);
        let _ = signer.send(&client, draft()).await.expect_status(200);
        let signed = body.to_string().into_bytes();
        let changed = body
            .to_string()
            .replace("hi", "ho")
            .replace("[1,2]", "[1,3]");
        altered(&send_with(&signer, &client, draft(), changed.into_bytes()).await);
        altered(&send_with(&signer, &client, draft(), [&signed[..], b" "].concat()).await);
        let cut = signed[..signed.len() - 1].to_vec();
        altered(&send_with(&signer, &client, draft(), cut).await);
        altered(&send_with(&signer, &client, draft(), Vec::new()).await);
        // In pieces.
        let mut sent = draft().signed(&signer, &authority(&client));
        let pieces = [&signed[..5], b"x", &signed[6..]].map(<[u8]>::to_vec);
        let pieces = pieces.map(Ok::<_, std::io::Error>);
        let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        sent.body = None;
        let mut request = client.request(sent.method.clone(), target).body(stream);
        for (name, value) in &sent.headers {
            request = request.header(name, value);
        }
        altered(&client.send(request).await.unwrap());
    }
    // A body that was added to a request without one.
    let mut sent = Draft::get("/v1/models").signed(&signer, &authority(&client));
    sent.body = Some(b"{}".to_vec());
    let answer = sent.send(&client).await.expect_status(401);
    assert_eq!(answer.code(), "invalid_signature");
}

/// The digest is that of what is sent, packed as it is.
#[tokio::test]
async fn a_packed_body_is_signed_as_it_is_sent() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let pack = |text: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let packed = pack(r#"{"model": "echo", "inputs": {"x": [1]}}"#);
    let draft = || {
        let mut draft = Draft::post_bytes("/infer", "application/json", packed.clone())
            .with("content-encoding", "gzip");
        draft.components.push("content-encoding");
        draft
    };
    let _ = signer.send(&client, draft()).await.expect_status(200);
    let other = pack(r#"{"model": "echo", "inputs": {"x": [2]}}"#);
    altered(&send_with(&signer, &client, draft(), other).await);
}

#[tokio::test]
async fn sha_512_counts_where_it_is_there() {
    let host = TestHost::start_with(&[NO_BANS]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let body = json!({"model": "echo", "inputs": {"x": [1]}});
    let digest = |of: &Value| {
        let digest = Sha512::digest(of.to_string().as_bytes());
        format!("sha-512=:{}:", STANDARD.encode(digest))
    };
    let draft = |digest: String| {
        Draft::post("/infer", &body)
            .altered("content-digest", |sha256| format!("{sha256}, {digest}"))
    };
    let _ = signer
        .send(&client, draft(digest(&body)))
        .await
        .expect_status(200);
    altered(&signer.send(&client, draft(digest(&json!({})))).await);
    let unknown =
        Draft::post("/infer", &body).altered("content-digest", |_| "md5=:AAAA:".to_owned());
    let answer = signer.send(&client, unknown).await.expect_status(401);
    assert_eq!(answer.code(), "invalid_signature");
}

fn form(tar: &[u8], behind: &str) -> Vec<u8> {
    let mut form = b"--edge\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
        --edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"m.tar\"\r\n\r\n"
        .to_vec();
    form.extend_from_slice(tar);
    form.extend_from_slice(b"\r\n--edge--\r\n");
    form.extend_from_slice(behind.as_bytes());
    form
}

/// A bundle whose digest does not agree is never there, not even for a moment: the registry sees
/// the end of a body only where it agrees.
#[tokio::test]
async fn a_bundle_is_not_there_before_its_digest_has_agreed() {
    const UPLOAD: &str = "/models?wait=true";
    const FORM: &str = "multipart/form-data; boundary=edge";
    let host = TestHost::start_with(&[NO_BANS]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let good = TestBundle::echo("mine", "1.0.0").tar();
    let evil = TestBundle::echo("mine", "1.0.1").tar();
    let plain = |body: &[u8]| Draft::post_bytes(UPLOAD, "application/x-tar", body.to_vec());
    let in_form = |body: &[u8], behind| Draft::post_bytes(UPLOAD, FORM, form(body, behind));
    let padded = [&evil[..], &[0; 1024]].concat();
    for (draft, body) in [
        (plain(&good), evil.clone()),
        (plain(&evil), padded),
        (in_form(&good, ""), form(&evil, "")),
        // Only what stands behind the bundle was altered, where no reader of forms looks.
        (in_form(&evil, ""), form(&evil, "x")),
        (in_form(&evil, "x"), form(&evil, "")),
    ] {
        altered(&send_with(&signer, &client, draft, body).await);
        assert!(
            host.registry()
                .list(&belljar::auth::Caller::anonymous())
                .iter()
                .all(|model| model.name.as_str() != "mine")
        );
    }
    let _ = signer.send(&client, plain(&good)).await.expect_status(201);
    let _ = signer
        .send(&client, in_form(&evil, "x"))
        .await
        .expect_status(201);
    // What stands behind a form has a bound.
    let answer = signer
        .send(&client, in_form(&evil, &"x".repeat(70 << 10)))
        .await;
    let answer = answer.expect_status(400);
    assert_eq!(answer.code(), "upload_broke_off", "{}", answer.text());
}

#[tokio::test]
async fn altered_bodies_count_as_wrong_signatures() {
    let host = TestHost::start_with(&[]).await;
    let (client, signer) = (host.anonymous(), signer(&host, Signing::Required).await);
    let draft = || Draft::post("/infer", &json!({"model": "echo", "inputs": {"x": [1]}}));
    for _ in 0..5 {
        altered(&send_with(&signer, &client, draft(), b"{}".to_vec()).await);
    }
    assert_eq!(signer.send(&client, draft()).await.code(), "ip_banned");
}
