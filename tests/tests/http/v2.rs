//! `/v2/*`: the Open Inference Protocol.

use crate::host::{LOCKED, SHARED, serial};
use belljar_tests::TestBundle;
use serde_json::{Value, json};

#[tokio::test]
async fn the_server_and_its_models_describe_themselves() {
    let client = SHARED.anonymous();
    let server = client.get("/v2").await.expect_status(200).json();
    assert_eq!(server["name"], "belljar");
    assert_eq!(
        server["extensions"],
        json!(["binary_tensor_data", "model_repository"])
    );
    assert_eq!(
        client.get("/v2/health/live").await.json(),
        json!({"live":true})
    );
    assert_eq!(
        client.get("/v2/health/ready").await.json(),
        json!({"ready":true})
    );
    let model = client
        .get("/v2/models/echo")
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        (&model["name"], &model["platform"]),
        (&json!("echo"), &json!("belljar_wasm"))
    );
    let version = model["versions"][0].as_str().unwrap();
    for path in [
        "/v2/models/echo/ready".to_owned(),
        format!("/v2/models/echo/versions/{version}"),
        format!("/v2/models/echo/versions/{version}/ready"),
    ] {
        assert_eq!(
            client.get(&path).await.expect_status(200).json()["name"],
            "echo"
        );
    }
    for path in [
        "/v2/models/nope",
        "/v2/models/nope/ready",
        "/v2/models/echo/versions/9.9.9",
        "/v2/models/echo/versions/x/ready",
    ] {
        assert_eq!(
            client.get(path).await.expect_status(404).code(),
            "model_not_found",
            "{path}"
        );
    }
}

#[tokio::test]
async fn inference_has_the_shapes_of_the_protocol() {
    let client = SHARED.anonymous();
    let body = json!({"id":"a","inputs":[
        {"name":"x","shape":[2,2],"datatype":"INT32","data":[1,2,3,4]},
        {"name":"s","shape":[1],"datatype":"BYTES","data":["ä"]},
        {"name":"b","shape":[2],"datatype":"BOOL","data":[true,false]}]});
    let answer = client
        .post("/v2/models/echo/infer", &body)
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        (&answer["model_name"], &answer["id"]),
        (&json!("echo"), &json!("a"))
    );
    assert_eq!(
        answer["outputs"],
        json!([
            {"name":"x","datatype":"INT32","shape":[2,2],"data":[1,2,3,4]},
            {"name":"s","datatype":"BYTES","shape":[1],"data":["ä"]},
            {"name":"b","datatype":"BOOL","shape":[2],"data":[true,false]}])
    );
    let bad = json!({"inputs":[{"name":"x","shape":[3],"datatype":"INT32","data":[1,2]}]});
    let answer = client
        .post("/v2/models/echo/infer", &bad)
        .await
        .expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "inputs[0].data");
}

#[tokio::test]
async fn the_repository_loads_and_unloads() {
    let name = format!("repo-{}", serial());
    let admin = SHARED.admin();
    for version in ["1.0.0", "1.1.0"] {
        let _ = admin
            .upload(TestBundle::echo(&name, version).tar())
            .await
            .expect_status(201);
    }
    let state = async || {
        let index = admin
            .post("/v2/repository/index", &json!({}))
            .await
            .expect_status(200)
            .json();
        let mine: Vec<Value> = index
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["name"] == name.as_str())
            .cloned()
            .collect();
        assert!(
            mine.iter().all(|entry| entry["state"] == "READY"),
            "{mine:?}"
        );
        mine.len()
    };
    assert_eq!(state().await, 2);
    let unload = format!("/v2/repository/models/{name}/unload");
    let load = format!("/v2/repository/models/{name}/load");
    let _ = admin.post(&unload, &json!({})).await.expect_status(200);
    let answer = admin
        .post("/infer", &json!({"model":name,"inputs":{"x":1}}))
        .await
        .expect_status(404);
    assert_eq!(answer.code(), "model_not_active");
    let _ = admin.post(&load, &json!({})).await.expect_status(200);
    let answer = admin
        .post("/infer", &json!({"model":name,"inputs":{"x":1}}))
        .await
        .expect_status(200);
    assert_eq!(answer.json()["version"], "1.1.0", "the newest is loaded");
    let _ = SHARED
        .anonymous()
        .post(&load, &json!({}))
        .await
        .expect_status(401);
    let reader = LOCKED.key("infer,models:read", &[]).await;
    let _ = reader
        .post("/v2/repository/models/echo/unload", &json!({}))
        .await
        .expect_status(403);
    let _ = admin
        .post("/v2/repository/models/nope/load", &json!({}))
        .await
        .expect_status(404);
}
