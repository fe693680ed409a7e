//! The Open Inference Protocol over gRPC.

mod client;
mod reflection;
mod stream;

use crate::host::{LOCKED, SHARED, serial};
use belljar::api::grpc::wire::health::{HealthCheckRequest, HealthCheckResponse};
use belljar::api::grpc::wire::inference::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use belljar::api::grpc::wire::inference::{
    InferTensorContents, ModelConfigRequest, ModelConfigResponse, ModelInferRequest,
    ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ModelStatisticsRequest, ModelStatisticsResponse, RepositoryIndexRequest,
    RepositoryIndexResponse, RepositoryModelLoadRequest, RepositoryModelUnloadRequest,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use belljar::clock::Clock;
use belljar_tests::{TestBundle, TestHost};
use client::{Connection, framed};
use futures_util::stream::{self as futures, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::Duration;

const INVALID_ARGUMENT: u8 = 3;
const DEADLINE_EXCEEDED: u8 = 4;
const NOT_FOUND: u8 = 5;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAUTHENTICATED: u8 = 16;

/// A request with one raw tensor `x`.
fn raw(model: &str, datatype: &str, shape: &[i64], data: &[u8]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![InferInputTensor {
            name: "x".to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            ..Default::default()
        }],
        raw_input_contents: vec![data.to_vec().into()],
        ..Default::default()
    }
}

/// A request with one text.
fn text(model: &str, text: &str) -> ModelInferRequest {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    raw(model, "BYTES", &[1], &[&length, text.as_bytes()].concat())
}

async fn shared() -> Connection {
    Connection::open(SHARED.address()).await
}

#[tokio::test]
async fn the_server_and_its_models_describe_themselves() {
    let connection = shared().await;
    let live = connection.ask("ServerLive", &ServerLiveRequest {}).await;
    assert!(live.expect::<ServerLiveResponse>().live);
    let ready = connection.ask("ServerReady", &ServerReadyRequest {}).await;
    assert!(ready.expect::<ServerReadyResponse>().ready);
    let server = connection
        .ask("ServerMetadata", &ServerMetadataRequest {})
        .await;
    assert_eq!(server.expect::<ServerMetadataResponse>().name, "belljar");
    let asked = ModelMetadataRequest {
        name: "echo".to_owned(),
        ..Default::default()
    };
    let model: ModelMetadataResponse = connection.ask("ModelMetadata", &asked).await.expect();
    assert_eq!((&*model.name, &*model.platform), ("echo", "belljar_wasm"));
    let ready = async |name: &str, version: &str| {
        let asked = ModelReadyRequest {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        let answer = connection.ask("ModelReady", &asked).await;
        answer.expect::<ModelReadyResponse>().ready
    };
    assert!(ready("echo", "").await && ready("echo", &model.versions[0]).await);
    assert!(!ready("echo", "9.9.9").await && !ready("nope", "").await);
    let asked = ModelMetadataRequest {
        name: "nope".to_owned(),
        ..Default::default()
    };
    let refused = connection.ask("ModelMetadata", &asked).await;
    refused.expect_refusal(NOT_FOUND, "model_not_found");
    for (name, decoupled) in [("echo", false), ("fake", true)] {
        let asked = ModelConfigRequest {
            name: name.to_owned(),
            ..Default::default()
        };
        let found: ModelConfigResponse = connection.ask("ModelConfig", &asked).await.expect();
        let config = found.config.unwrap();
        let policy = config.model_transaction_policy.unwrap();
        assert_eq!((&*config.name, policy.decoupled), (name, decoupled));
    }
}

#[tokio::test]
async fn health_is_what_probes_ask_for() {
    let connection = shared().await;
    let ask = async |service: &str| {
        let asked = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut call = connection
            .call_with("/grpc.health.v1.Health/Check", &[])
            .await;
        call.send(framed(&asked), true).await;
        call.end().await
    };
    for service in ["", "inference.GRPCInferenceService"] {
        assert_eq!(ask(service).await.expect::<HealthCheckResponse>().status, 1);
    }
    ask("nobody")
        .await
        .expect_refusal(NOT_FOUND, "service_not_found");
    let mut call = connection
        .call_with("/grpc.health.v1.Health/Watch", &[])
        .await;
    call.send(framed(&HealthCheckRequest::default()), true)
        .await;
    let mut watch = call.begin().await;
    let first: HealthCheckResponse = watch.next().await.unwrap();
    assert_eq!(first.status, 1);
}

#[tokio::test]
async fn a_tensor_comes_back_as_raw_bytes() {
    let connection = shared().await;
    let mut sent = raw("echo", "FP16", &[1, 2], &[1, 2, 3, 4]);
    sent.id = "mine".to_owned();
    let answer: ModelInferResponse = connection.ask("ModelInfer", &sent).await.expect();
    assert_eq!((&*answer.model_name, &*answer.id), ("echo", "mine"));
    assert_eq!(answer.outputs[0].shape, [1, 2]);
    assert_eq!(answer.raw_output_contents, [vec![1, 2, 3, 4]]);
    // In contents, to a version, with one of two outputs wanted.
    let contents = |contents: &[i32]| InferTensorContents {
        int_contents: contents.to_vec(),
        ..Default::default()
    };
    let input = |name: &str, value: i32| InferInputTensor {
        name: name.to_owned(),
        datatype: "INT16".to_owned(),
        shape: vec![1],
        contents: Some(contents(&[value])),
        ..Default::default()
    };
    let wanted = |name: &str| InferRequestedOutputTensor {
        name: name.to_owned(),
        ..Default::default()
    };
    let mut sent = ModelInferRequest {
        model_name: "echo".to_owned(),
        model_version: answer.model_version,
        inputs: vec![input("a", 1), input("b", -2)],
        outputs: vec![wanted("b")],
        ..Default::default()
    };
    let answer: ModelInferResponse = connection.ask("ModelInfer", &sent).await.expect();
    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(
        answer.raw_output_contents,
        [(-2_i16).to_le_bytes().to_vec()]
    );
    sent.outputs.push(wanted("z"));
    let refused = connection.ask("ModelInfer", &sent).await;
    let refused = refused.expect_refusal(INVALID_ARGUMENT, "invalid_value");
    assert!(refused.message().contains("it%20gave"), "{refused:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_grpcs_words() {
    let connection = shared().await;
    let float = 1.0_f32.to_le_bytes();
    for (sent, grpc, code) in [
        (
            raw("nope", "FP32", &[1], &float),
            NOT_FOUND,
            "model_not_found",
        ),
        (
            raw("", "FP32", &[1], &float),
            INVALID_ARGUMENT,
            "invalid_value",
        ),
        (
            raw("echo", "FP32", &[2], &float),
            INVALID_ARGUMENT,
            "invalid_value",
        ),
        (
            raw("echo", "FP99", &[1], &float),
            INVALID_ARGUMENT,
            "invalid_value",
        ),
        (
            raw("echo", "FP32", &[-1], &float),
            INVALID_ARGUMENT,
            "invalid_value",
        ),
        (
            raw("fake", "FP32", &[1], &float),
            INVALID_ARGUMENT,
            "capability_missing",
        ),
    ] {
        let refused = connection.ask("ModelInfer", &sent).await;
        refused.expect_refusal(grpc, code);
    }
    let name = SHARED.guest("traps", "").await;
    let refused = connection
        .ask("ModelInfer", &raw(&name, "FP32", &[1], &float))
        .await;
    refused.expect_refusal(INTERNAL, "model_trapped");
    // A message with what a header cannot hold is percent-encoded.
    let refused = connection
        .ask("ModelInfer", &raw("ä", "FP32", &[1], &float))
        .await;
    assert!(refused.message().contains("%C3%A4"), "{refused:?}");
}

/// What models are given is reported, and refused where the operator wants it so.
#[tokio::test]
async fn strings_of_tensors_are_screened() {
    let attack = text("echo", "'; DROP TABLE users; --");
    let answer = shared().await.ask("ModelInfer", &attack).await;
    let _: ModelInferResponse = answer.expect();
    assert!(
        answer.headers.contains_key("x-belljar-report"),
        "{answer:?}"
    );
    let host = TestHost::start_with(&[("screening.tensor", "block")]).await;
    let connection = Connection::open(host.address()).await;
    for _ in 0..3 {
        let refused = connection.ask("ModelInfer", &attack).await;
        refused.expect_refusal(INVALID_ARGUMENT, "injection_detected");
    }
    let refused = connection.ask("ModelInfer", &attack).await;
    refused.expect_refusal(PERMISSION_DENIED, "ip_banned");
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let connection = shared().await;
    let whole = framed(&raw("echo", "FP32", &[1], &1.0_f32.to_le_bytes()));
    let cut = whole[..whole.len() - 3].to_vec();
    let trailing = [&whole[..], b"x"].concat();
    let twice = [&whole[..], &whole].concat();
    let packed = [&[1][..], &whole[1..]].concat();
    let shorter = [&[0, 0, 0, 0, 3][..], &whole[5..8]].concat();
    for (sent, grpc, code) in [
        (vec![], INVALID_ARGUMENT, "invalid_message"),
        (vec![0, 0], INVALID_ARGUMENT, "incomplete_body"),
        (cut, INVALID_ARGUMENT, "incomplete_body"),
        (trailing, INVALID_ARGUMENT, "invalid_message"),
        (twice, INVALID_ARGUMENT, "invalid_message"),
        (packed, INVALID_ARGUMENT, "invalid_message"),
        (shorter, INVALID_ARGUMENT, "invalid_value"),
        (vec![7, 0, 0, 0, 0], INVALID_ARGUMENT, "invalid_message"),
        (
            vec![0, 255, 255, 255, 255],
            RESOURCE_EXHAUSTED,
            "payload_too_large",
        ),
    ] {
        let mut call = connection.call("ModelInfer").await;
        call.send(sent.clone(), true).await;
        let answer = call.end().await;
        assert_eq!(answer.codes(), (grpc, code), "{sent:?}");
    }
    // Messages of calls that ask for no run are small.
    let name = "x".repeat(65 << 10);
    let large = ModelReadyRequest {
        name,
        ..Default::default()
    };
    let refused = connection.ask("ModelReady", &large).await;
    refused.expect_refusal(RESOURCE_EXHAUSTED, "payload_too_large");
    let mut call = connection.call("ModelReady").await;
    call.send(vec![0, 0, 0, 0, 2, 0x0a, 9], true).await;
    call.end()
        .await
        .expect_refusal(INVALID_ARGUMENT, "invalid_message");
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    let packed = encoder.finish().unwrap();
    let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
    [&[1][..], &length, &packed].concat()
}

#[tokio::test]
async fn packed_messages_are_unpacked_within_the_limit_of_bodies() {
    let path = format!("{}/ModelInfer", client::SERVICE);
    let connection = shared().await;
    let whole = framed(&raw("echo", "UINT8", &[3], &[1, 2, 3]));
    let ask = async |sent: Vec<u8>, encoding: &str| {
        let mut call = connection
            .call_with(&path, &[("grpc-encoding", encoding)])
            .await;
        call.send(sent, true).await;
        call.end().await
    };
    let answer: ModelInferResponse = ask(gzip(&whole[5..]), "gzip").await.expect();
    assert_eq!(answer.raw_output_contents, [vec![1, 2, 3]]);
    // A message may come as it is all the same.
    let _: ModelInferResponse = ask(whole.clone(), "gzip").await.expect();
    let bomb = ask(gzip(&vec![0; 11 << 20]), "gzip").await;
    bomb.expect_refusal(RESOURCE_EXHAUSTED, "payload_too_large");
    let unknown = ask(whole, "snappy").await;
    let unknown = unknown.expect_refusal(UNIMPLEMENTED, "unsupported_content_encoding");
    assert_eq!(
        unknown.headers["grpc-accept-encoding"],
        "identity,gzip,deflate"
    );
}

#[tokio::test]
async fn calls_that_are_not_there_are_unimplemented() {
    let connection = shared().await;
    for path in [
        "/inference.GRPCInferenceService/SystemSharedMemoryStatus",
        "/inference.GRPCInferenceService/modelinfer",
        "/other.Service/Method",
    ] {
        let mut call = connection.call_with(path, &[]).await;
        call.send(framed(&ServerLiveRequest {}), true).await;
        call.end()
            .await
            .expect_refusal(UNIMPLEMENTED, "unknown_url");
    }
    // Who does not speak gRPC is answered as everywhere else.
    let web = [("content-type", "application/grpc-web")];
    let path = format!("{}/ServerLive", client::SERVICE);
    let mut call = connection.call_with(&path, &web).await;
    call.send(framed(&ServerLiveRequest {}), true).await;
    let answer = call.begin().await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (415, &"application/json".parse().unwrap())
    );
    let sent = SHARED.anonymous().request(Method::POST, &path);
    let sent = sent
        .header("content-type", "application/grpc")
        .body(framed(&ServerLiveRequest {}));
    let answer = SHARED
        .anonymous()
        .send(sent)
        .await
        .unwrap()
        .expect_status(505);
    assert_eq!(answer.code(), "http_version_not_supported");
}

#[tokio::test]
async fn keys_and_scopes_hold_as_over_http() {
    let connection = Connection::open(LOCKED.address()).await;
    let sent = raw("echo", "UINT8", &[1], &[1]);
    let refused = connection.ask("ModelInfer", &sent).await;
    refused.expect_refusal(UNAUTHENTICATED, "invalid_api_key");
    // A probe has no key.
    let live = connection.ask("ServerLive", &ServerLiveRequest {}).await;
    assert!(live.expect::<ServerLiveResponse>().live);
    let reader = LOCKED.key("models:read", &[]).await;
    let reading = connection.with_key(reader.key());
    let refused = reading.ask("ModelInfer", &sent).await;
    refused.expect_refusal(PERMISSION_DENIED, "insufficient_scope");
    let index = reading
        .ask("RepositoryIndex", &RepositoryIndexRequest::default())
        .await;
    assert!(!index.expect::<RepositoryIndexResponse>().models.is_empty());
    let load = RepositoryModelLoadRequest {
        model_name: "echo".to_owned(),
        ..Default::default()
    };
    let refused = reading.ask("RepositoryModelLoad", &load).await;
    refused.expect_refusal(PERMISSION_DENIED, "insufficient_scope");
    // The key may as well come in the header of this server's own.
    let runner = LOCKED.key("infer", &[]).await;
    let own = [("x-api-key", runner.key().unwrap())];
    let ran = connection.ask_with("ModelInfer", &sent, &own).await;
    let _: ModelInferResponse = ran.expect();
    let elsewhere = LOCKED.key("infer", &["fake"]).await;
    let refused = connection
        .with_key(elsewhere.key())
        .ask("ModelInfer", &sent)
        .await;
    refused.expect_refusal(NOT_FOUND, "model_not_found");
}

#[tokio::test]
async fn what_is_refused_and_what_is_run_is_on_record_as_over_http() {
    let settings = [("require_api_key", "true"), ("audit.runs", "true")];
    let host = TestHost::start_with(&settings).await;
    let (runner, wrong) = (host.key("infer").await, "sk-belljar-wrong-wrong-wrong");
    let path = "/v2/models/echo/infer";
    let body = json!({"inputs": [{"name": "x", "datatype": "UINT8", "shape": [1], "data": [1]}]});
    let refused = host.anonymous().with_key(wrong).post(path, &body).await;
    assert_eq!(refused.expect_status(401).code(), "invalid_api_key");
    let _ = runner.post(path, &body).await.expect_status(200);
    let connection = Connection::open(host.address()).await;
    let sent = raw("echo", "UINT8", &[1], &[1]);
    let guessing = connection.with_key(Some(wrong));
    let refused = guessing.ask("ModelInfer", &sent).await;
    refused.expect_refusal(UNAUTHENTICATED, "invalid_api_key");
    let running = connection.with_key(runner.key());
    let _: ModelInferResponse = running.ask("ModelInfer", &sent).await.expect();
    host.audit().flush().await;
    let log = std::fs::read_to_string(host.data_dir().join("audit.log")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<Value> = events.collect();
    for (name, members) in [
        ("authentication_failed", &["reason"][..]),
        ("run", &["model", "digest", "outcome"]),
    ] {
        let found = events.iter().filter(|event| event["event"] == name);
        let [over_http, over_grpc] = found.collect::<Vec<_>>()[..] else {
            panic!("{name}: {log}");
        };
        for member in members {
            assert!(over_grpc["about"][member].is_string(), "{log}");
            assert_eq!(over_grpc["about"][member], over_http["about"][member]);
        }
        for member in ["key_id", "address"] {
            assert_eq!(over_grpc[member], over_http[member], "{log}");
        }
        assert!(over_grpc["request_id"].is_string(), "{log}");
    }
}

#[tokio::test]
async fn rates_bans_and_sizes_hold_as_over_http() {
    let (clock, _) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let settings = [
        ("rate_limit.enabled", "true"),
        ("rate_limit.rpm", "3"),
        ("max_request_size", "1 KiB"),
    ];
    let host = TestHost::start_at(clock, &settings).await;
    let connection = Connection::open(host.address()).await;
    let sent = raw("echo", "UINT8", &[1], &[1]);
    let answer = connection.ask("ModelInfer", &sent).await;
    assert_eq!(answer.headers["x-ratelimit-remaining-requests"], "2");
    let large = raw("echo", "UINT8", &[2_000], &[1; 2_000]);
    let refused = connection.ask("ModelInfer", &large).await;
    refused.expect_refusal(RESOURCE_EXHAUSTED, "payload_too_large");
    let _ = connection.ask("ModelInfer", &sent).await;
    let refused = connection.ask("ModelInfer", &sent).await;
    let refused = refused.expect_refusal(RESOURCE_EXHAUSTED, "rate_limit_exceeded");
    assert!(refused.headers.contains_key("retry-after"));
    // Five guesses are one too many, whatever they are made with.
    let guessing = connection.with_key(Some("sk-belljar-wrong-wrong-wrong"));
    for _ in 0..5 {
        let refused = guessing
            .ask("ServerMetadata", &ServerMetadataRequest {})
            .await;
        refused.expect_refusal(UNAUTHENTICATED, "invalid_api_key");
    }
    let refused = connection.ask("ModelInfer", &sent).await;
    let refused = refused.expect_refusal(PERMISSION_DENIED, "ip_banned");
    assert_eq!(refused.headers["retry-after"], "300");
    let live = connection.ask("ServerLive", &ServerLiveRequest {}).await;
    assert!(live.expect::<ServerLiveResponse>().live);
    let _ = host.anonymous().get("/v1/models").await.expect_status(403);
}

/// A caller's own deadline is short; the server's own is far away.
#[tokio::test]
async fn a_call_ends_when_its_callers_time_is_over() {
    let name = SHARED
        .guest("burns_fuel", "fuel = 900_000_000_000\ndeadline = \"50 s\"")
        .await;
    let connection = shared().await;
    let sent = raw(&name, "UINT8", &[1], &[1]);
    let begun = std::time::Instant::now();
    let refused = connection
        .ask_with("ModelInfer", &sent, &[("grpc-timeout", "200m")])
        .await;
    refused.expect_refusal(DEADLINE_EXCEEDED, "request_timeout");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_repository_loads_and_unloads() {
    let name = format!("grpc-{}", serial());
    let admin = SHARED.admin();
    let _ = admin
        .upload(TestBundle::echo(&name, "1.0.0").tar())
        .await
        .expect_status(201);
    let connection = shared().await.with_key(admin.key());
    let unload = RepositoryModelUnloadRequest {
        model_name: name.clone(),
        ..Default::default()
    };
    let answer = connection.ask("RepositoryModelUnload", &unload).await;
    assert_eq!(answer.codes(), (0, ""));
    let sent = raw(&name, "UINT8", &[1], &[1]);
    let refused = connection.ask("ModelInfer", &sent).await;
    refused.expect_refusal(NOT_FOUND, "model_not_active");
    let load = RepositoryModelLoadRequest {
        model_name: name.clone(),
        ..Default::default()
    };
    assert_eq!(
        connection.ask("RepositoryModelLoad", &load).await.codes(),
        (0, "")
    );
    let _: ModelInferResponse = connection.ask("ModelInfer", &sent).await.expect();
    let asked = ModelStatisticsRequest {
        name: name.clone(),
        ..Default::default()
    };
    let found: ModelStatisticsResponse = connection.ask("ModelStatistics", &asked).await.expect();
    let [stats] = &found.model_stats[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        (&*stats.name, &*stats.version, stats.inference_count),
        (&*name, "1.0.0", 1)
    );
    assert!(
        stats
            .inference_stats
            .as_ref()
            .unwrap()
            .success
            .as_ref()
            .unwrap()
            .ns
            > 0
    );
    let anonymous = connection.with_key(None);
    let refused = anonymous.ask("RepositoryModelLoad", &load).await;
    refused.expect_refusal(UNAUTHENTICATED, "invalid_api_key");
    let nobody = RepositoryModelLoadRequest {
        model_name: "nope".to_owned(),
        ..Default::default()
    };
    let refused = connection.ask("RepositoryModelLoad", &nobody).await;
    refused.expect_refusal(NOT_FOUND, "model_not_found");
}

/// The same tensors by both protocols, with the same answer.
#[tokio::test]
async fn many_calls_at_once_have_each_their_own_answer() {
    let connection = shared().await;
    let calls = (0_u32..200).map(|number| {
        let connection = connection.clone();
        async move {
            let data = number.to_le_bytes();
            let answer = connection
                .ask("ModelInfer", &raw("echo", "UINT32", &[1], &data))
                .await;
            let answer: ModelInferResponse = answer.expect();
            assert_eq!(answer.raw_output_contents, [data.to_vec()]);
        }
    });
    // More small answers than these, unread, are what the client's library takes for an attack.
    let calls = futures::iter(calls).buffer_unordered(32);
    assert_eq!(calls.count().await, 200);
    let body = json!({"model":"echo","inputs":{"x":[1]}});
    let _ = SHARED
        .anonymous()
        .post("/infer", &body)
        .await
        .expect_status(200);
}
