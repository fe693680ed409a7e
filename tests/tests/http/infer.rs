//! `POST /infer`: each format in and out.

use crate::host::SHARED;
use belljar_tests::{Answer, Client};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(client: &Client, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = client.request(Method::POST, "/infer").body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await.unwrap()
}

#[tokio::test]
async fn safetensors_that_name_a_tensor_twice_are_refused() {
    let one = |first: &str, second: &str| {
        let header = format!("{{{first},{second}}}");
        let mut body = (header.len() as u64).to_le_bytes().to_vec();
        body.extend(header.as_bytes());
        body.extend([0; 8]);
        body
    };
    let tensor = |name: &str, from: u32| {
        format!(
            r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{from},{}]}}"#,
            from + 4
        )
    };
    let whole = r#""x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let twice = one(r#""__metadata__":{"model":"echo","model":"other"}"#, whole);
    let media_type = "application/vnd.safetensors";
    let client = SHARED.admin();
    for body in [
        one(whole, whole),
        one(whole, &whole.replace("\"x\"", "\"\\u0078\"")),
        twice,
    ] {
        let answer = client.post_bytes("/infer", media_type, body).await;
        let answer = answer.expect_status(400);
        assert!(answer.text().contains("twice"), "{}", answer.text());
    }
    let good = one(&tensor("x", 0), &tensor("y", 4));
    let answer = client.post_bytes("/infer", media_type, good).await;
    assert!(!answer.text().contains("twice"), "{}", answer.text());
}

#[tokio::test]
async fn nested_lists_come_back_as_they_went() {
    let body =
        json!({"model":"echo","inputs":{"x":[[1,2],[3,4]],"f":[0.5,-1.25],"s":["a","ü"],"b":true}});
    let answer = SHARED
        .anonymous()
        .post("/infer", &body)
        .await
        .expect_status(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let answer = answer.json();
    assert_eq!(answer["model"], "echo");
    assert_eq!(answer["outputs"], body["inputs"]);
}

#[tokio::test]
async fn as_many_tensors_come_back_as_may_go() {
    let body = |count: usize| {
        let inputs: serde_json::Map<_, _> = (0..count)
            .map(|index| (format!("x{index}"), json!([index])))
            .collect();
        json!({"model":"echo","inputs":inputs})
    };
    let client = SHARED.anonymous();
    for count in [300, 1024] {
        let answer = client.post("/infer", &body(count)).await.expect_status(200);
        assert_eq!(answer.json()["outputs"], body(count)["inputs"]);
    }
    let answer = client.post("/infer", &body(1025)).await.expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "inputs");
}

#[tokio::test]
async fn what_no_answer_may_hold_is_the_callers_mistake() {
    let long = "x".repeat(513);
    let check = async |tensor: Value, tail: &[u8], message: &str| {
        let head = json!({"model":"echo","inputs":[tensor]}).to_string();
        let length = head.len().to_string();
        let headers = [
            ("content-type", "application/octet-stream"),
            ("Inference-Header-Content-Length", length.as_str()),
        ];
        let body = [head.as_bytes(), tail].concat();
        let answer = post(&SHARED.anonymous(), &headers, body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.code(), "invalid_value");
        assert!(answer.text().contains(message), "{}", answer.text());
    };
    let tensor = |name: &str, datatype: &str| json!({"name":name,"datatype":datatype,"shape":[2],"parameters":{"binary_data_size":2}});
    check(tensor("x", "BOOL"), &[1, 2], "neither 0 nor 1").await;
    check(tensor("", "UINT8"), &[1, 2], "1 to 512 bytes").await;
    check(tensor(&long, "UINT8"), &[1, 2], "1 to 512 bytes").await;
    check(tensor("a\nb", "UINT8"), &[1, 2], "control character").await;
}

#[tokio::test]
async fn the_model_can_be_named_beside_the_body() {
    let client = SHARED.anonymous();
    let body = json!({"inputs":{"x":[1]}});
    let _ = client
        .post("/infer?model=echo", &body)
        .await
        .expect_status(200);
    let named = [
        ("x-belljar-model", "echo"),
        ("content-type", "application/json"),
    ];
    let _ = post(&client, &named, body.to_string().into_bytes())
        .await
        .expect_status(200);
    let answer = client.post("/infer", &body).await.expect_status(400);
    assert_eq!(
        (answer.code().as_str(), &answer.json()["error"]["param"]),
        ("missing_required_parameter", &json!("model"))
    );
    let answer = client
        .post("/infer?model=fake", &json!({"model":"echo","inputs":{}}))
        .await
        .expect_status(400);
    assert_eq!(answer.code(), "conflicting_models");
    let version = client.get("/v2/models/echo").await.json()["versions"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({"model":format!("echo@{version}"),"inputs":{"x":[1]}});
    assert_eq!(
        client.post("/infer", &body).await.expect_status(200).json()["version"],
        version
    );
}

#[tokio::test]
async fn unknown_models_are_404() {
    for model in ["nope", "echo@9.9.9", "ECHO", "", "a b"] {
        let answer = SHARED
            .anonymous()
            .post("/infer", &json!({"model":model,"inputs":{"x":1}}))
            .await;
        let expect = if model.is_empty() { 400 } else { 404 };
        assert_eq!(answer.status, expect, "{model}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_model_without_tensors_says_so() {
    let answer = SHARED
        .anonymous()
        .post("/infer", &json!({"model":"fake","inputs":{"x":1}}))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "capability_missing")
    );
}

#[tokio::test]
async fn slips_name_their_place() {
    let body = json!({"model":"echo","inputs":{"x":[[1,2],[3]]}});
    let answer = SHARED
        .anonymous()
        .post("/infer", &body)
        .await
        .expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "inputs.x[1]");
    assert_eq!(answer.code(), "invalid_value");
}

#[tokio::test]
async fn binary_tensors_go_both_ways() {
    let client = SHARED.anonymous();
    let head = json!({"id":"42","parameters":{"binary_data_output":true},"inputs":[
        {"name":"x","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}]})
    .to_string();
    let tensor: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let body = [head.as_bytes(), &tensor].concat();
    let length = head.len().to_string();
    let headers = [
        ("content-type", "application/octet-stream"),
        ("Inference-Header-Content-Length", length.as_str()),
        ("x-belljar-model", "echo"),
    ];
    let answer = post(&client, &headers, body.clone())
        .await
        .expect_status(200);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    let json_bytes: usize = answer
        .header("inference-header-content-length")
        .parse()
        .unwrap();
    let (json, tail) = answer.body.split_at(json_bytes);
    assert_eq!(tail, tensor);
    let json: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(
        (&json["id"], &json["model_name"]),
        (&json!("42"), &json!("echo"))
    );
    assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 8);

    let plain = [&headers[..], &[("accept", "application/json")]].concat();
    let answer = post(&client, &plain, body.clone())
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["outputs"][0]["data"], json!([1.5, -2.0]));

    for (length, expect) in [("x", 400), ("1000000", 400), ("3", 400), ("-1", 400)] {
        let headers = [
            ("content-type", "application/octet-stream"),
            ("inference-header-content-length", length),
        ];
        let answer = post(&client, &headers, body.clone()).await;
        assert_eq!(answer.status, expect, "{length}: {}", answer.text());
    }
}

#[tokio::test]
async fn safetensors_and_json_meet() {
    let client = SHARED.anonymous();
    let request =
        json!({"model":"echo","inputs":{"x":{"datatype":"FP32","shape":[1,2],"data":[1,2]}}});
    let ask = |accept: &'static str| {
        let body = request.to_string().into_bytes();
        let client = client.clone();
        async move {
            post(
                &client,
                &[("content-type", "application/json"), ("accept", accept)],
                body,
            )
            .await
        }
    };
    let tensors = ask("application/vnd.safetensors").await.expect_status(200);
    assert_eq!(
        tensors.header("content-type"),
        "application/vnd.safetensors"
    );
    // What came out goes in again: `__metadata__.model` names the model.
    let headers = [
        ("content-type", "application/x-safetensors"),
        ("accept", "application/json"),
    ];
    let answer = post(&client, &headers, tensors.body.to_vec())
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        answer["outputs"]["x"],
        request["inputs"]["x"]
            .clone()
            .as_object()
            .map(|x| {
                let mut x = x.clone();
                x.insert("data".to_owned(), json!([1.0, 2.0]));
                Value::Object(x)
            })
            .unwrap()
    );
    let cut = tensors.body.slice(..tensors.body.len() - 1).to_vec();
    let _ = post(
        &client,
        &[("content-type", "application/x-safetensors")],
        cut,
    )
    .await
    .expect_status(400);
    let bytes = json!({"model":"echo","inputs":{"x":["text"]}})
        .to_string()
        .into_bytes();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/vnd.safetensors"),
    ];
    assert_eq!(
        post(&client, &headers, bytes)
            .await
            .expect_status(406)
            .code(),
        "not_acceptable"
    );
}

#[tokio::test]
async fn msgpack_and_numpy_go_both_ways() {
    let client = SHARED.anonymous();
    // {"model": "echo", "inputs": {"x": {b"nd": True, b"type": "<i2", b"shape": [2], b"data": …}}}
    let body = b"\x82\xa5model\xa4echo\xa6inputs\x81\xa1x\x84\xc4\x02nd\xc3\xc4\x04type\xa3<i2\xc4\x05shape\x91\x02\
                 \xc4\x04data\xc4\x04\x01\x00\x02\x00"
        .to_vec();
    for media_type in [
        "application/msgpack",
        "application/x-msgpack",
        "application/vnd.msgpack",
    ] {
        let answer = post(&client, &[("content-type", media_type)], body.clone())
            .await
            .expect_status(200);
        assert_eq!(answer.header("content-type"), "application/msgpack");
        let data = b"\xc4\x04data\xc4\x04\x01\x00\x02\x00";
        assert!(answer.body.windows(data.len()).any(|window| window == data));
    }
    let headers = [
        ("content-type", "application/msgpack"),
        ("accept", "application/json"),
    ];
    let answer = post(&client, &headers, body.clone())
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["outputs"]["x"]["data"], json!([1, 2]));
    for cut in 0..body.len() {
        let answer = post(&client, &headers, body[..cut].to_vec()).await;
        assert_eq!(answer.status, 400, "{cut}");
    }
}

#[tokio::test]
async fn accept_decides_and_406_says_what_there_is() {
    let client = SHARED.anonymous();
    let body = || {
        json!({"model":"echo","inputs":{"x":[1]}})
            .to_string()
            .into_bytes()
    };
    let ask = async |accept: &str| {
        post(
            &client,
            &[("content-type", "application/json"), ("accept", accept)],
            body(),
        )
        .await
    };
    assert_eq!(ask("*/*").await.header("content-type"), "application/json");
    assert_eq!(
        ask("application/json;q=0.1, application/msgpack;q=0.9")
            .await
            .header("content-type"),
        "application/msgpack"
    );
    assert_eq!(
        ask("application/octet-stream").await.header("content-type"),
        "application/octet-stream"
    );
    let refused = ask("text/html").await.expect_status(406);
    assert!(refused.text().contains("application/msgpack"));
}

#[tokio::test]
async fn a_pickle_is_refused_with_the_reason() {
    let client = SHARED.anonymous();
    let pickle = b"\x80\x04\x95\x0f\0\0\0\0\0\0\0}\x94\x8c\x01x\x94K\x01s.".to_vec();
    let old = b"(dp0\nVx\np1\nI1\ns.".to_vec();
    for headers in [
        &[("content-type", "application/x-pickle")][..],
        &[("content-type", "application/python-pickle")],
        &[("content-type", "application/octet-stream")],
        &[],
    ] {
        for body in [&pickle, &old] {
            let answer = post(&client, headers, body.clone())
                .await
                .expect_status(415);
            assert_eq!(answer.code(), "pickle_refused", "{headers:?}");
            for format in [
                "application/json",
                "application/msgpack",
                "application/vnd.safetensors",
                "application/octet-stream",
            ] {
                assert!(answer.text().contains(format));
            }
        }
    }
    let raw = post(
        &client,
        &[("content-type", "application/octet-stream")],
        vec![1, 2, 3],
    )
    .await
    .expect_status(415);
    assert_eq!(raw.code(), "unsupported_media_type");
}

#[tokio::test]
async fn many_at_once_get_their_own_answers() {
    let client = SHARED.anonymous();
    let asks = (0..200).map(|n| {
        let client = client.clone();
        async move {
            let answer = client
                .post("/infer", &json!({"model":"echo","inputs":{"x":[n]}}))
                .await;
            assert_eq!(answer.expect_status(200).json()["outputs"]["x"], json!([n]));
        }
    });
    futures_util::future::join_all(asks).await;
}
