//! `/models`: upload, list, activate, remove.

use crate::host::{SHARED, serial};
use belljar_tests::{RawConnection, TestBundle};
use reqwest::{Method, multipart};
use serde_json::json;

#[tokio::test]
async fn an_upload_becomes_a_model() {
    let (name, admin) = (format!("up-{}", serial()), SHARED.admin());
    let answer = admin
        .upload(TestBundle::echo(&name, "1.0.0").tar())
        .await
        .expect_status(201);
    assert_eq!(answer.header("location"), format!("/models/{name}/1.0.0"));
    let version = answer.json();
    assert_eq!(
        (&version["state"], &version["id"]),
        (&json!("active"), &json!(format!("{name}@1.0.0")))
    );
    assert_eq!(version["capabilities"], json!(["tensors"]));
    assert!(version["digest"].as_str().unwrap().starts_with("sha256:"));
    let answer = admin
        .post("/infer", &json!({"model":name,"inputs":{"x":[7]}}))
        .await
        .expect_status(200);
    assert_eq!(answer.json()["outputs"]["x"], json!([7]));
    let again = admin.upload(TestBundle::echo(&name, "1.0.0").tar()).await;
    assert_eq!(
        again.expect_status(201).json()["digest"],
        version["digest"],
        "the same again is no error"
    );
    let other = TestBundle::echo(&name, "1.0.0").with_line("description = \"other\"");
    assert_eq!(
        admin.upload(other.tar()).await.expect_status(409).code(),
        "version_conflict"
    );
}

#[tokio::test]
async fn an_upload_is_answered_before_it_is_ready() {
    let (name, admin) = (format!("poll-{}", serial()), SHARED.admin());
    let archive = TestBundle::echo(&name, "1.0.0").tar();
    let answer = admin
        .post_bytes("/models?activate=false", "application/x-tar", archive)
        .await;
    let location = answer.header("location").to_owned();
    assert!(
        answer.status == 202 || answer.status == 201,
        "{}",
        answer.text()
    );
    for _ in 0..600 {
        let state = admin.get(&location).await.expect_status(200).json()["state"].clone();
        if state == "ready" {
            let _ = admin
                .post(&format!("{location}/activate"), &json!({}))
                .await
                .expect_status(200);
            return;
        }
        assert_ne!(state, "failed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it never became ready");
}

#[tokio::test]
async fn a_form_does_as_well() {
    let (name, admin) = (format!("form-{}", serial()), SHARED.admin());
    let archive = TestBundle::echo(&name, "1.0.0").tar();
    let form = multipart::Form::new()
        .text("note", "ignored")
        .part("file", multipart::Part::bytes(archive).file_name("m.tar"));
    let request = admin
        .request(Method::POST, "/update_model?wait=true")
        .multipart(form);
    let answer = admin.send(request).await.unwrap().expect_status(201);
    assert_eq!(answer.json()["name"], name);
    // Larger than any limit that a library for forms has by itself.
    let noise: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let large =
        TestBundle::echo(&format!("form-{}", serial()), "1.0.0").with_asset("noise", &noise);
    let form = multipart::Form::new().part("file", multipart::Part::bytes(large.tar()));
    let request = admin.request(Method::POST, "/models").multipart(form);
    let _ = admin.send(request).await.unwrap().expect_status(202);
    let form = multipart::Form::new().text("other", "x");
    let request = admin.request(Method::POST, "/models").multipart(form);
    let answer = admin.send(request).await.unwrap().expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "file");
    let long = multipart::Form::new().text("note", "n".repeat(2_000_000));
    let archive = TestBundle::echo(&format!("form-{}", serial()), "1.0.0").tar();
    let form = long.part("file", multipart::Part::bytes(archive));
    let request = admin.request(Method::POST, "/models").multipart(form);
    let answer = admin.send(request).await.unwrap().expect_status(400);
    assert!(answer.text().contains("65536 bytes"), "{}", answer.text());
    let media_type = format!("multipart/form-data; boundary={}", "b".repeat(300));
    let answer = admin.post_bytes("/models", &media_type, vec![]).await;
    assert_eq!(answer.expect_status(400).code(), "invalid_multipart");
    let cut =
        b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"m\"\r\n\r\nabc".to_vec();
    let answer = admin
        .post_bytes("/models", "multipart/form-data; boundary=b", cut)
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let answer = admin
        .post_bytes("/models", "multipart/form-data", vec![])
        .await
        .expect_status(400);
    assert_eq!(answer.code(), "invalid_multipart");
}

#[tokio::test]
async fn bad_bundles_are_refused_with_a_code() {
    let admin = SHARED.admin();
    let good = TestBundle::echo("cut", "1.0.0").tar();
    for archive in [
        vec![],
        vec![0; 1024],
        b"not a tar".to_vec(),
        good[..good.len() / 2].to_vec(),
    ] {
        let answer = admin
            .post_bytes("/models", "application/x-tar", archive)
            .await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(!answer.code().is_empty());
    }
    let broken = TestBundle::new(
        &format!("broken-{}", serial()),
        "1.0.0",
        b"\0asm not a component",
    );
    let answer = admin.upload(broken.tar()).await;
    assert!(
        answer.status == 400 || answer.status == 422,
        "{}",
        answer.text()
    );
    let greedy = TestBundle::echo("greedy", "1.0.0").with_limits("memory = \"100 GiB\"");
    let answer = admin.upload(greedy.tar()).await.expect_status(400);
    assert_eq!(answer.code(), "limit_over_policy");
}

/// Who asks for a model whose upload failed learns that, and where its author finds the reason; the
/// reason may be in the model's own words, which are the author's alone.
#[tokio::test]
async fn asking_for_a_model_whose_upload_failed_says_so() {
    let (admin, user) = (SHARED.admin(), SHARED.key("infer", &[]).await);
    let bundle = TestBundle::hostile("panics_in_load");
    let failed = admin.upload(bundle.tar()).await.expect_status(422);
    assert_eq!(failed.code(), "model_failed_to_load");
    let name = "panics_in_load";
    let ask = async |model: &str| {
        let body = json!({"model": model, "inputs": {"x": [1]}});
        user.post("/infer", &body).await
    };
    let answer = ask(name).await.expect_status(404);
    assert_eq!(answer.code(), "model_not_active");
    let by_id = ask(&format!("{name}@1.0.0")).await.expect_status(503);
    assert_eq!(by_id.code(), "model_not_ready");
    for text in [answer.text(), by_id.text()] {
        for part in [
            "panics_in_load@1.0.0 has failed",
            "`GET /models/panics_in_load/1.0.0`",
            "belljar models show",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("weights.bin"), "{text}");
    }
    assert!(answer.text().contains("(load_failed)"), "{}", answer.text());
    let shown = admin.get("/models/panics_in_load/1.0.0").await;
    assert!(shown.text().contains("weights.bin"), "{}", shown.text());
    // Beside a version that could answer, the name of that one is the advice.
    let other = TestBundle::echo(name, "2.0.0").tar();
    let other = admin.post_bytes(
        "/models?wait=true&activate=false",
        "application/x-tar",
        other,
    );
    let _ = other.await.expect_status(201);
    let answer = ask(name).await.expect_status(404);
    assert!(
        answer.text().contains("name a version"),
        "{}",
        answer.text()
    );
    let _ = admin.delete("/models/panics_in_load").await;
}

/// Names keep their letters where they begin a sentence.
#[tokio::test]
async fn a_refusal_that_begins_with_a_name_leaves_it_as_it_is() {
    let (admin, name) = (SHARED.admin(), format!("letters-{}", serial()));
    let answer = admin.delete("/models/echo").await.expect_status(409);
    assert!(
        answer.json()["error"]["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("echo@")),
        "{}",
        answer.text()
    );
    let first = TestBundle::echo(&name, "1.0.0");
    let _ = admin.upload(first.tar()).await.expect_status(201);
    let other = TestBundle::echo(&name, "1.0.0").with_asset("a", b"a");
    let answer = admin.upload(other.tar()).await.expect_status(409);
    let message = answer.json()["error"]["message"].clone();
    let message = message.as_str().unwrap();
    assert!(
        message.starts_with(&format!("{name}@1.0.0 exists")),
        "{message}"
    );
    let bad = TestBundle::echo(&name, "1.0.1").with_line("nonsense = 1");
    let answer = admin.upload(bad.tar()).await.expect_status(400);
    let message = answer.json()["error"]["message"].clone();
    assert!(
        message.as_str().unwrap().starts_with("model.toml"),
        "{message}"
    );
    let _ = admin.delete(&format!("/models/{name}")).await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let name = format!("gone-{}", serial());
    let archive = TestBundle::echo(&name, "1.0.0").tar();
    let key = SHARED.admin().key().unwrap().to_owned();
    for cut in [1, 600, archive.len() / 2, archive.len() - 1] {
        let mut connection = RawConnection::open(SHARED.address()).await;
        let head = format!(
            "POST /models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
            archive.len()
        );
        assert!(connection.write(head.as_bytes()).await);
        assert!(connection.write(&archive[..cut]).await);
        drop(connection);
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let _ = SHARED
        .admin()
        .get(&format!("/models/{name}"))
        .await
        .expect_status(404);
}

#[tokio::test]
async fn versions_switch_and_go() {
    let (name, admin) = (format!("switch-{}", serial()), SHARED.admin());
    for version in ["1.0.0", "2.0.0"] {
        let _ = admin
            .upload(TestBundle::echo(&name, version).tar())
            .await
            .expect_status(201);
    }
    let active = async || {
        let answer = admin
            .post("/infer", &json!({"model":name,"inputs":{"x":1}}))
            .await;
        answer.expect_status(200).json()["version"].clone()
    };
    assert_eq!(active().await, "2.0.0");
    let _ = admin
        .post(&format!("/models/{name}/1.0.0/activate"), &json!({}))
        .await
        .expect_status(200);
    assert_eq!(active().await, "1.0.0");
    let model = admin
        .get(&format!("/models/{name}"))
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        (
            &model["active"],
            model["versions"].as_array().unwrap().len()
        ),
        (&json!("1.0.0"), 2)
    );
    let _ = admin
        .delete(&format!("/models/{name}/2.0.0"))
        .await
        .expect_status(204);
    let _ = admin
        .get(&format!("/models/{name}/2.0.0"))
        .await
        .expect_status(404);
    let _ = admin
        .post(&format!("/models/{name}/deactivate"), &json!({}))
        .await
        .expect_status(200);
    let _ = admin
        .delete(&format!("/models/{name}"))
        .await
        .expect_status(204);
    let _ = admin
        .delete(&format!("/models/{name}"))
        .await
        .expect_status(404);
    assert_eq!(
        admin.delete("/models/echo").await.expect_status(409).code(),
        "model_is_embedded"
    );
}

#[tokio::test]
async fn managing_needs_a_key() {
    let client = SHARED.anonymous();
    let _ = client.get("/models").await.expect_status(200);
    let _ = client
        .post_bytes("/models", "application/x-tar", vec![])
        .await
        .expect_status(401);
    let _ = client.delete("/models/echo").await.expect_status(401);
    let _ = client
        .post("/models/echo/deactivate", &json!({}))
        .await
        .expect_status(401);
    let other = SHARED
        .key("models:read,models:write", &["somebody-else"])
        .await;
    let answer = other
        .upload(TestBundle::echo("not-mine", "1.0.0").tar())
        .await
        .expect_status(403);
    assert_eq!(answer.code(), "model_not_allowed");
    for path in ["/models/ECHO", "/models/echo/one"] {
        let _ = client.get(path).await.expect_status(404);
    }
    // What climbs out of its folder does not come as far as a look-up.
    let answer = client.get("/models/..%2fetc").await.expect_status(400);
    assert_eq!(answer.code(), "injection_detected");
}
