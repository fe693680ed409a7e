//! `ModelStreamInfer`: many requests over one call.

use super::client::{Answering, Connection, SERVICE, framed};
use super::{
    DEADLINE_EXCEEDED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAUTHENTICATED, raw, shared, text,
};
use crate::host::{LOCKED, PATIENCE, SHARED};
use belljar::api::grpc::wire::inference::infer_parameter::ParameterChoice;
use belljar::api::grpc::wire::inference::model_infer_request::InferInputTensor;
use belljar::api::grpc::wire::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse,
    ModelStreamInferResponse,
};
use belljar::clock::Clock;
use belljar_test_guests as guests;
use belljar_tests::{TestBundle, TestHost};
use serde_json::json;
use std::time::{Duration, Instant};

const UNAVAILABLE: u8 = 14;

/// A stream whose first request this is.
async fn open(connection: &Connection, first: &ModelInferRequest) -> Answering {
    let mut call = connection.call("ModelStreamInfer").await;
    call.send(framed(first), false).await;
    call.begin().await
}

async fn next(stream: &mut Answering) -> ModelStreamInferResponse {
    stream.next().await.expect("an answer")
}

fn named(id: &str, request: ModelInferRequest) -> ModelInferRequest {
    ModelInferRequest {
        id: id.to_owned(),
        ..request
    }
}

fn is_final(answer: &ModelStreamInferResponse) -> bool {
    let answer = answer.infer_response.as_ref().unwrap();
    answer.parameters["triton_final_response"].parameter_choice
        == Some(ParameterChoice::BoolParam(true))
}

/// A request for a text with options.
fn prompt(text_input: &str, options: &[(&str, ParameterChoice)]) -> ModelInferRequest {
    let contents = InferTensorContents {
        bytes_contents: vec![text_input.as_bytes().to_vec().into()],
        ..Default::default()
    };
    let options = options.iter().map(|(name, choice)| {
        let parameter_choice = Some(choice.clone());
        ((*name).to_owned(), InferParameter { parameter_choice })
    });
    ModelInferRequest {
        model_name: "fake".to_owned(),
        inputs: vec![InferInputTensor {
            name: "text_input".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![1],
            contents: Some(contents),
            ..Default::default()
        }],
        parameters: options.collect(),
        ..Default::default()
    }
}

/// The text of an answer.
fn output(answer: &ModelStreamInferResponse) -> String {
    let answer = answer.infer_response.as_ref().unwrap();
    assert_eq!(answer.outputs[0].name, "text_output");
    String::from_utf8(answer.raw_output_contents[0][4..].to_vec()).unwrap()
}

#[tokio::test]
async fn each_request_has_its_answer_in_its_turn_and_a_failure_is_its_own() {
    let connection = shared().await;
    let mut stream = open(&connection, &named("0", raw("echo", "UINT8", &[1], &[0]))).await;
    assert_eq!(stream.headers["content-type"], "application/grpc");
    stream.send(framed(&named("1", raw("nope", "UINT8", &[1], &[1]))), false);
    let scalar = named("2", raw("echo", "UINT8", &[], &[1, 2]));
    stream.send(framed(&scalar), false);
    stream.send(framed(&named("3", raw("echo", "UINT8", &[2], &[1]))), false);
    stream.send(framed(&named("4", raw("echo", "UINT8", &[1], &[4]))), true);
    for (id, code) in [
        ("0", ""),
        ("1", "model_not_found"),
        ("2", "invalid_value"),
        ("3", "invalid_value"),
        ("4", ""),
    ] {
        let answer = next(&mut stream).await;
        let found = answer.infer_response.as_ref().unwrap();
        assert_eq!(found.id, id);
        assert_eq!(
            answer.error_message.is_empty(),
            code.is_empty(),
            "{answer:?}"
        );
        if code.is_empty() {
            assert!(is_final(&answer));
            assert_eq!(found.raw_output_contents, [vec![id.parse::<u8>().unwrap()]]);
        } else {
            let expect = ParameterChoice::StringParam(code.to_owned());
            assert_eq!(
                found.parameters["belljar_code"].parameter_choice,
                Some(expect)
            );
        }
    }
    let end = stream.end().await;
    assert_eq!((end.codes(), end.messages.len()), ((0, ""), 0));
}

/// What a caller gives as headers over HTTP is metadata here: it holds for a call of one request,
/// and for each request of a stream.
#[tokio::test]
async fn a_seed_and_a_time_hold_for_each_request_of_a_call() {
    const TIME_MS: u64 = 86_400_000;
    let (one, other) = ("1".repeat(64), "2".repeat(64));
    let asked = raw(
        &SHARED.guest("time_and_chance", "").await,
        "UINT8",
        &[1],
        &[0],
    );
    let connection = shared().await;
    let alone = async |seed: &str| {
        let time = TIME_MS.to_string();
        let metadata = [("x-belljar-seed", seed), ("x-belljar-time", time.as_str())];
        let answer = connection.ask_with("ModelInfer", &asked, &metadata).await;
        assert_eq!(answer.headers["x-belljar-seed"], seed);
        assert_eq!(answer.headers["x-belljar-time"], time.as_str());
        answer.expect::<ModelInferResponse>()
    };
    let first = alone(&one).await;
    let clock = first.outputs.iter().position(|it| it.name == "wall_ms");
    assert_eq!(
        first.raw_output_contents[clock.unwrap()],
        TIME_MS.to_le_bytes().to_vec()
    );
    assert_eq!(
        alone(&one).await.raw_output_contents,
        first.raw_output_contents
    );
    assert_ne!(
        alone(&other).await.raw_output_contents,
        first.raw_output_contents
    );
    let path = format!("{SERVICE}/ModelStreamInfer");
    let time = TIME_MS.to_string();
    let metadata = [
        ("x-belljar-seed", one.as_str()),
        ("x-belljar-time", time.as_str()),
    ];
    let mut call = connection.call_with(&path, &metadata).await;
    call.send(framed(&asked), false).await;
    let mut stream = call.begin().await;
    stream.send(framed(&asked), true);
    for _ in 0..2 {
        let answer = next(&mut stream).await.infer_response.unwrap();
        assert_eq!(answer.raw_output_contents, first.raw_output_contents);
    }
    let wrong = [("x-belljar-seed", "1")];
    let refused = connection.ask_with("ModelInfer", &asked, &wrong).await;
    refused.expect_refusal(INVALID_ARGUMENT, "invalid_seed");
}

#[tokio::test]
async fn a_broken_message_ends_the_stream_after_what_came_before_it() {
    let connection = shared().await;
    for (broken, grpc, code) in [
        (vec![9, 0, 0, 0, 0], INVALID_ARGUMENT, "invalid_message"),
        (
            vec![0, 255, 255, 255, 255],
            RESOURCE_EXHAUSTED,
            "payload_too_large",
        ),
        (vec![0, 0, 0, 0, 9, 1], INVALID_ARGUMENT, "incomplete_body"),
    ] {
        let mut stream = open(&connection, &raw("echo", "UINT8", &[1], &[7])).await;
        stream.send(broken, true);
        let end = stream.end().await;
        assert_eq!(
            (end.codes(), end.messages.len()),
            ((grpc, code), 1),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn a_model_of_texts_answers_whole_or_in_pieces() {
    let connection = shared().await;
    let tokens = ("max_tokens", ParameterChoice::Int64Param(12));
    let seed = ("seed", ParameterChoice::Int64Param(7));
    let asked = prompt("Tell me of the sea.", &[tokens.clone(), seed.clone()]);
    let mut stream = open(&connection, &named("whole", asked)).await;
    let answer = next(&mut stream).await;
    assert!(
        is_final(&answer) && answer.error_message.is_empty(),
        "{answer:?}"
    );
    let whole = output(&answer);
    let in_pieces = ("stream", ParameterChoice::BoolParam(true));
    let empty = (
        "triton_enable_empty_final_response",
        ParameterChoice::BoolParam(true),
    );
    let options = [tokens, seed, in_pieces, empty];
    let asked = named("pieces", prompt("Tell me of the sea.", &options));
    stream.send(framed(&asked), false);
    let mut pieces = Vec::new();
    loop {
        let answer = next(&mut stream).await;
        assert_eq!(answer.infer_response.as_ref().unwrap().id, "pieces");
        if is_final(&answer) {
            assert!(answer.infer_response.unwrap().outputs.is_empty());
            break;
        }
        pieces.push(output(&answer));
    }
    assert!(pieces.len() > 3, "{pieces:?}");
    assert_eq!(pieces.concat(), whole);
    // The same options as an object of JSON in a tensor, as some models of Triton's take them.
    let mut asked = prompt("Tell me of the sea.", &[]);
    let sampling = br#"{"max_tokens":12,"seed":7}"#;
    asked.inputs.push(InferInputTensor {
        name: "sampling_parameters".to_owned(),
        contents: Some(InferTensorContents {
            bytes_contents: vec![sampling.to_vec().into()],
            ..Default::default()
        }),
        ..asked.inputs[0].clone()
    });
    stream.send(framed(&asked), false);
    assert_eq!(output(&next(&mut stream).await), whole);
    // And what is none of them is refused, and the stream goes on.
    let unknown = prompt(
        "x",
        &[(
            "max_tokens",
            ParameterChoice::StringParam("many".to_owned()),
        )],
    );
    stream.send(framed(&unknown), false);
    assert!(next(&mut stream).await.error_message.contains("max_tokens"));
    stream.send(framed(&prompt("'; DROP TABLE users; --", &[])), true);
    let refused = next(&mut stream).await;
    assert!(refused.error_message.contains("injection"), "{refused:?}");
    assert_eq!(stream.end().await.codes(), (0, ""));
}

#[tokio::test]
async fn requests_of_a_stream_are_counted_one_by_one() {
    let (clock, _) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let settings = [("rate_limit.enabled", "true"), ("rate_limit.rpm", "4")];
    let host = TestHost::start_at(clock, &settings).await;
    let connection = Connection::open(host.address()).await;
    // The stream is one, and each request in it, a refused one too.
    let sent = raw("echo", "UINT8", &[1], &[1]);
    let mut stream = open(&connection, &sent).await;
    assert!(next(&mut stream).await.error_message.is_empty());
    stream.send(framed(&raw("nope", "UINT8", &[1], &[1])), false);
    assert!(
        next(&mut stream)
            .await
            .error_message
            .contains("does not exist")
    );
    stream.send(framed(&sent), false);
    assert!(next(&mut stream).await.error_message.is_empty());
    stream.send(framed(&sent), false);
    let over = next(&mut stream).await;
    assert!(over.error_message.contains("Retry after"), "{over:?}");
    let refused = connection.call("ModelStreamInfer").await.end().await;
    refused.expect_refusal(RESOURCE_EXHAUSTED, "rate_limit_exceeded");
}

#[tokio::test]
async fn whoever_is_banned_in_a_stream_is_out() {
    let (clock, _) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let host = TestHost::start_at(clock, &[("screening.tensor", "block")]).await;
    let connection = Connection::open(host.address()).await;
    let attack = text("echo", "'; DROP TABLE users; --");
    let mut stream = open(&connection, &attack).await;
    for _ in 0..2 {
        assert!(next(&mut stream).await.error_message.contains("injection"));
        stream.send(framed(&attack), false);
    }
    assert!(next(&mut stream).await.error_message.contains("injection"));
    stream.send(framed(&raw("echo", "UINT8", &[1], &[1])), false);
    let banned = next(&mut stream).await;
    assert!(
        banned.error_message.contains("temporarily banned"),
        "{banned:?}"
    );
    let _ = host.anonymous().get("/v1/models").await.expect_status(403);
}

/// One request at once is one in the stream; the stream itself takes no place.
#[tokio::test]
async fn a_stream_holds_no_place_and_its_requests_do() {
    let settings = [("quota.concurrent_max", "1"), ("require_api_key", "true")];
    let host = TestHost::start_with(&settings).await;
    let caller = host.key("infer").await;
    let connection = Connection::open(host.address())
        .await
        .with_key(caller.key());
    let mut stream = open(&connection, &raw("echo", "UINT8", &[1], &[1])).await;
    assert!(next(&mut stream).await.error_message.is_empty());
    let sent = raw("echo", "UINT8", &[1], &[2]);
    let beside = connection.ask("ModelInfer", &sent).await;
    assert_eq!(beside.codes(), (0, ""), "the stream is idle");
}

/// Waits until so many runs hold a slot.
async fn wait_for_runs(host: &TestHost, runs: &str) {
    let admin = host.admin();
    let begun = Instant::now();
    loop {
        let metrics = admin.get("/metrics").await.text();
        let mut lines = metrics.lines();
        let running = lines.find_map(|line| line.strip_prefix("belljar_sandbox_running "));
        if running == Some(runs) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{running:?} runs");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_runs() {
    let host = TestHost::start().await;
    let endless = TestBundle::new("endless", "1.0.0", &guests::bytes("burns_fuel"));
    let endless = endless.with_limits("deadline = \"50 s\"\nfuel = 900_000_000_000");
    let _ = host.admin().upload(endless.tar()).await.expect_status(201);
    let connection = Connection::open(host.address()).await;
    let stream = open(&connection, &raw("endless", "UINT8", &[1], &[1])).await;
    wait_for_runs(&host, "1").await;
    drop(stream);
    wait_for_runs(&host, "0").await;
}

#[tokio::test]
async fn the_callers_time_is_that_of_the_whole_stream() {
    let connection = shared().await;
    let path = format!("{}/ModelStreamInfer", SERVICE);
    let mut call = connection
        .call_with(&path, &[("grpc-timeout", "300m")])
        .await;
    call.send(framed(&raw("echo", "UINT8", &[1], &[1])), false)
        .await;
    let mut stream = call.begin().await;
    assert!(next(&mut stream).await.error_message.is_empty());
    let end = stream.end().await;
    assert_eq!(end.codes(), (DEADLINE_EXCEEDED, "request_timeout"));
}

#[tokio::test]
async fn a_stream_that_is_open_for_nothing_is_ended() {
    let host = TestHost::start_with(&[("http.idle_timeout", "300 ms")]).await;
    let connection = Connection::open(host.address()).await;
    let stream = open(&connection, &raw("echo", "UINT8", &[1], &[1])).await;
    let end = stream.end().await;
    assert_eq!(
        (end.codes(), end.messages.len()),
        ((UNAVAILABLE, "stream_idle"), 1)
    );
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let host = TestHost::start().await;
    let connection = Connection::open(host.address()).await;
    let mut stream = open(&connection, &raw("echo", "UINT8", &[1], &[1])).await;
    assert!(next(&mut stream).await.error_message.is_empty());
    let begun = Instant::now();
    let stopping = tokio::spawn(host.stop());
    let end = stream.end().await;
    assert_eq!(end.codes(), (UNAVAILABLE, "stopping"));
    let _ = stopping.await.unwrap();
    // Far less than the grace period for open requests.
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let admin = LOCKED.admin();
    let body = json!({"name":"grpc","scopes":["infer"]});
    let made = admin
        .post("/admin/keys", &body)
        .await
        .expect_success()
        .json();
    let connection = Connection::open(LOCKED.address()).await;
    let connection = connection.with_key(made["key"].as_str());
    let mut stream = open(&connection, &raw("echo", "UINT8", &[1], &[1])).await;
    assert!(next(&mut stream).await.error_message.is_empty());
    let path = format!("/admin/keys/{}", made["id"].as_str().unwrap());
    let _ = admin.delete(&path).await.expect_success();
    let end = stream.end().await;
    assert_eq!(end.codes(), (UNAUTHENTICATED, "invalid_api_key"));
}

/// Nothing of a stream is kept whose client takes no answers: what is sent meanwhile waits.
#[tokio::test]
async fn requests_wait_while_nobody_takes_their_answers() {
    let connection = shared().await;
    let sent = raw("echo", "UINT8", &[60_000], &[1; 60_000]);
    let mut call = connection.call("ModelStreamInfer").await;
    let one = framed(&sent);
    call.send(one.clone(), false).await;
    let mut stream = call.begin().await;
    // What is sent is bounded by the room that the server gives.
    let mut sent = 1;
    while sent < 400 {
        stream.request.reserve_capacity(one.len());
        let room = std::future::poll_fn(|context| stream.request.poll_capacity(context));
        let Ok(Some(Ok(room))) = tokio::time::timeout(Duration::from_secs(1), room).await else {
            break;
        };
        if room < one.len() {
            break;
        }
        stream.send(one.clone(), false);
        sent += 1;
    }
    assert!(
        sent < 200,
        "{sent} requests of 60 KB were taken, and no answer was read"
    );
    let answer: ModelStreamInferResponse = stream.next().await.unwrap();
    assert!(answer.error_message.is_empty());
}
