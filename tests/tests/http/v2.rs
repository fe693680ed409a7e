//! `/v2/*`: the Open Inference Protocol.

use crate::host::{LOCKED, SHARED, serial};
use belljar_tests::{Answer, TestBundle, TestHost};
use reqwest::Method;
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
    assert_eq!(answer.json()["param"], "inputs[0].data");
}

/// What every error of the protocol is: a text, and more beside it.
fn expect_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.json();
    assert!(
        body["error"].as_str().is_some_and(|text| !text.is_empty()),
        "{body}"
    );
    assert_eq!(body["code"], code, "{body}");
    assert!(body["type"].is_string(), "{body}");
    assert!(body.get("param").is_some(), "{body}");
    assert_eq!(answer.header("content-type"), "application/json");
    let length: usize = answer.header("content-length").parse().unwrap();
    assert_eq!(length, answer.body.len());
}

#[tokio::test]
async fn errors_are_a_text_whoever_refuses() {
    let client = SHARED.anonymous();
    let infer = "/v2/models/echo/infer";
    for (method, path, status, code) in [
        ("GET", "/v2/models/nope", 404, "model_not_found"),
        (
            "GET",
            "/v2/models/echo/versions/9.9.9",
            404,
            "model_not_found",
        ),
        ("GET", "/v2/nothing/here", 404, "unknown_url"),
        ("GET", "/v2/", 404, "unknown_url"),
        ("DELETE", "/v2/models/echo", 405, "method_not_allowed"),
        ("GET", infer, 405, "method_not_allowed"),
        ("POST", "/v2/models/nope/infer", 400, "invalid_value"),
        (
            "POST",
            "/v2/repository/models/nope/load",
            401,
            "invalid_api_key",
        ),
        (
            "GET",
            "/v2/models/echo?path=%3Cscript%3Ealert(1)%3C/script%3E",
            400,
            "injection_detected",
        ),
    ] {
        let request = client.request(method.parse().unwrap(), path);
        let answer = client.send(request).await.unwrap();
        expect_error(&answer, status, code);
    }
    let admin = SHARED.admin();
    let answer = admin
        .post("/v2/repository/models/nope/unload", &json!({}))
        .await;
    expect_error(&answer, 404, "model_not_found");
    for (content_type, body, status, code) in [
        ("text/csv", &b"1,2"[..], 415, "unsupported_media_type"),
        ("application/x-pickle", b"x", 415, "pickle_refused"),
        (
            "application/json",
            br#"{"inputs":[{"name":"x","shape":[3],"datatype":"INT32","data":[1]}]}"#,
            400,
            "invalid_value",
        ),
    ] {
        let answer = client.post_bytes(infer, content_type, body.to_vec()).await;
        expect_error(&answer, status, code);
    }
    let request = client
        .request(Method::POST, infer)
        .header("accept", "text/html");
    let answer = client.send(request.body("{}")).await.unwrap();
    expect_error(&answer, 406, "not_acceptable");
    // Before the handler, and on other paths as ever.
    let answer = LOCKED.anonymous().get("/v2").await;
    expect_error(&answer, 401, "invalid_api_key");
    let reader = LOCKED.key("models:read", &[]).await;
    expect_error(
        &reader.post(infer, &json!({})).await,
        403,
        "insufficient_scope",
    );
    let elsewhere = LOCKED.anonymous().get("/v22").await.expect_status(401);
    assert_eq!(elsewhere.json()["error"]["code"], "invalid_api_key");
}

#[tokio::test]
async fn errors_of_limits_and_of_models_are_a_text_too() {
    let settings = [
        ("max_request_size", "200 B"),
        ("rate_limit.enabled", "true"),
        ("rate_limit.rpm", "3"),
    ];
    let host = TestHost::start_with(&settings).await;
    let (client, admin) = (host.anonymous(), host.admin());
    let bundle = TestBundle::new("traps", "1.0.0", &belljar_test_guests::bytes("traps"));
    let _ = admin.upload(bundle.tar()).await.expect_status(201);
    let infer = "/v2/models/traps/infer";
    let large = vec![b' '; 1_000];
    let answer = client.post_bytes(infer, "application/json", large).await;
    expect_error(&answer, 413, "payload_too_large");
    let body = json!({"inputs":[{"name":"x","datatype":"INT32","shape":[1],"data":[1]}]});
    expect_error(&client.post(infer, &body).await, 502, "model_trapped");
    let _ = client.post(infer, &body).await;
    let answer = client.post(infer, &body).await;
    expect_error(&answer, 429, "rate_limit_exceeded");
    assert!(!answer.header("retry-after").is_empty());
    let stopped = host.stop().await;
    drop(stopped);
}

/// Asks `echo` for two outputs, `a` and `b`, both `FP32` and sent as binary or not, and gives the
/// names of those that came as binary.
async fn binary_outputs(path: &str, is_binary: bool, more: Value, accept: &str) -> Vec<String> {
    let tensor = |name: &str| {
        if is_binary {
            json!({"name":name,"datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}})
        } else {
            json!({"name":name,"datatype":"FP32","shape":[1],"data":[1.5]})
        }
    };
    let mut head = json!({"inputs":[tensor("a"), tensor("b")]});
    for (name, value) in more.as_object().unwrap() {
        head[name] = value.clone();
    }
    let head = head.to_string();
    let client = SHARED.anonymous();
    let mut request = client
        .request(Method::POST, path)
        .header("content-type", "application/json");
    if path == "/infer" {
        request = request.header("x-belljar-model", "echo");
    }
    let mut body = head.clone().into_bytes();
    if is_binary {
        request = request.header("inference-header-content-length", head.len());
        body.extend([1.5_f32.to_le_bytes(), 1.5_f32.to_le_bytes()].concat());
    }
    if !accept.is_empty() {
        request = request.header("accept", accept);
    }
    let answer = client.send(request.body(body)).await.unwrap();
    let answer = answer.expect_status(200);
    let length = answer.header("inference-header-content-length");
    let (json, tail) = match length.parse::<usize>() {
        Ok(length) => {
            assert_eq!(answer.header("content-type"), "application/octet-stream");
            answer.body.split_at(length)
        }
        Err(_) => {
            assert_eq!(answer.header("content-type"), "application/json");
            (&answer.body[..], &[][..])
        }
    };
    let json: Value = serde_json::from_slice(json).unwrap();
    let outputs = json["outputs"].as_array().unwrap().clone();
    let (binary, plain): (Vec<Value>, Vec<Value>) = outputs
        .into_iter()
        .partition(|output| output["parameters"]["binary_data_size"] == 4);
    assert!(plain.iter().all(|output| output["data"] == json!([1.5])));
    assert_eq!(tail, vec![1.5_f32.to_le_bytes(); binary.len()].concat());
    let names = binary.iter().map(|output| output["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn outputs_are_json_unless_they_are_asked_for_as_binary() {
    let of_all = |wanted: Value| json!({"parameters":{"binary_data_output":wanted}});
    let of_each = |a: Value, b: Value| json!({"outputs":[{"name":"a","parameters":a},{"name":"b","parameters":b}]});
    let both = |all: bool, a: Value, b: Value| {
        let mut more = of_each(a, b);
        more["parameters"] = json!({"binary_data_output":all});
        more
    };
    let (yes, no) = (json!({"binary_data":true}), json!({"binary_data":false}));
    let cases = [
        (json!({}), "", vec![]),
        (of_all(json!(false)), "", vec![]),
        (of_all(json!(null)), "", vec![]),
        (of_all(json!(true)), "", vec!["a", "b"]),
        (json!({"outputs":[{"name":"b"}]}), "", vec![]),
        (of_each(yes.clone(), json!({})), "", vec!["a"]),
        (of_each(yes.clone(), yes.clone()), "*/*", vec!["a", "b"]),
        (of_each(no.clone(), no.clone()), "", vec![]),
        (both(true, no.clone(), json!({})), "", vec!["b"]),
        (both(false, yes.clone(), json!({})), "", vec!["a"]),
        (both(true, no.clone(), no.clone()), "", vec![]),
        // `Accept` narrows it.
        (of_all(json!(true)), "application/json", vec![]),
        (
            of_each(yes.clone(), yes.clone()),
            "application/json",
            vec![],
        ),
        (
            of_all(json!(true)),
            "application/json, */*;q=0.1",
            vec!["a", "b"],
        ),
        (json!({}), "application/octet-stream", vec!["a", "b"]),
        (
            of_each(no.clone(), json!({})),
            "application/octet-stream",
            vec!["b"],
        ),
        (
            both(true, no.clone(), no),
            "application/octet-stream",
            vec![],
        ),
        (
            json!({}),
            "application/octet-stream, application/json",
            vec![],
        ),
    ];
    let client = SHARED.anonymous();
    let version = client.get("/v2/models/echo").await.json()["versions"][0].clone();
    let version = version.as_str().unwrap();
    let versioned = format!("/v2/models/echo/versions/{version}/infer");
    for path in ["/v2/models/echo/infer", versioned.as_str(), "/infer"] {
        let path = path.to_owned();
        for (more, accept, expect) in &cases {
            for is_binary in [false, true] {
                let found = binary_outputs(&path, is_binary, more.clone(), accept).await;
                assert_eq!(&found, expect, "{path} {is_binary} {more} {accept}");
            }
        }
    }
}

#[tokio::test]
async fn a_number_that_json_has_no_word_for_is_an_error_that_names_its_output() {
    let client = SHARED.anonymous();
    let infinity = 0x7f80_0000_u32.to_le_bytes();
    let head = json!({"inputs":[{"name":"x","datatype":"FP32","shape":[1],
        "parameters":{"binary_data_size":4}}]})
    .to_string();
    let body = [head.as_bytes(), &infinity].concat();
    let ask = |path: &'static str, accept: &'static str| {
        let request = client
            .request(Method::POST, path)
            .header("x-belljar-model", "echo")
            .header("inference-header-content-length", head.len())
            .header("accept", accept)
            .body(body.clone());
        async { client.send(request).await.unwrap() }
    };
    let answer = ask("/v2/models/echo/infer", "*/*").await;
    expect_error(&answer, 406, "not_acceptable");
    let text = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(
        text.contains("`x`") && text.contains("binary_data"),
        "{text}"
    );
    let answer = ask("/infer", "application/json").await.expect_status(406);
    assert!(answer.text().contains("application/msgpack"));
    for accept in ["application/octet-stream", "application/msgpack"] {
        let answer = ask("/infer", accept).await.expect_status(200);
        assert!(answer.body.ends_with(&infinity) || accept.ends_with("msgpack"));
    }
}

#[tokio::test]
async fn null_is_absent() {
    let client = SHARED.anonymous();
    let body = json!({"id":null,"model_version":null,"parameters":{"a":null},"outputs":null,
        "inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1],
            "parameters":{"content_type":null}}]});
    let answer = client.post("/v2/models/echo/infer", &body).await;
    let answer = answer.expect_status(200).json();
    assert!(answer.get("id").is_none(), "{answer}");
    assert!(answer.get("parameters").is_none(), "{answer}");
    let body = json!({"model":"echo","id":null,"model_version":null,"parameters":null,
        "inputs":{"x":[1]}});
    let answer = client.post("/infer", &body).await.expect_status(200).json();
    assert!(answer.get("id").is_none(), "{answer}");
    let answer = client
        .post("/v2/repository/index", &json!({"ready":null}))
        .await;
    let _ = answer.expect_status(200);
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

#[tokio::test]
async fn an_output_that_the_model_does_not_give_is_refused_by_its_name() {
    let client = SHARED.anonymous();
    let ask = |wanted: Value| {
        json!({"outputs":wanted,"inputs":[
        {"name":"a","shape":[1],"datatype":"FP32","data":[1.5]},
        {"name":"b","shape":[1],"datatype":"FP32","data":[2.5]}]})
    };
    // `echo` declares nothing, so only its answer tells.
    let path = "/v2/models/echo/infer";
    let answer = client.post(path, &ask(json!([{"name":"b"}]))).await;
    let answer = answer.expect_status(200).json();
    let names: Vec<_> = answer["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["b"]);
    let answer = client
        .post(path, &ask(json!([{"name":"b"},{"name":"z"}])))
        .await;
    let error = answer.expect_status(400).json();
    assert_eq!(error["param"], "outputs[1]");
    let message = error["error"].as_str().unwrap();
    assert!(
        message.contains("gave no such output; it gave `b`"),
        "{message}"
    );
    let body = json!({"model":"echo","inputs":{"x":[1.0]},"outputs":["y"]});
    let error = client.post("/infer", &body).await.expect_status(400).json();
    assert_eq!(error["error"]["param"], "outputs[0]");
}
