//! What clients learn of the calls that are served.

use super::client::{Answering, Connection, framed};
use super::{INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAUTHENTICATED, shared};
use crate::host::LOCKED;
use belljar::api::grpc::wire::reflection::server_reflection_request::MessageRequest;
use belljar::api::grpc::wire::reflection::server_reflection_response::MessageResponse;
use belljar::api::grpc::wire::reflection::{
    ExtensionRequest, ServerReflectionRequest, ServerReflectionResponse,
};
use belljar_tests::TestHost;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use std::collections::BTreeSet;

const VERSIONS: [&str; 2] = ["v1", "v1alpha"];

fn path(version: &str) -> String {
    format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
}

fn question(asked: MessageRequest) -> ServerReflectionRequest {
    ServerReflectionRequest {
        host: "belljar".to_owned(),
        message_request: Some(asked),
    }
}

fn list() -> ServerReflectionRequest {
    question(MessageRequest::ListServices(String::new()))
}

fn symbol(name: &str) -> ServerReflectionRequest {
    question(MessageRequest::FileContainingSymbol(name.to_owned()))
}

/// Asks one thing, and the call goes on.
async fn ask(call: &mut Answering, asked: &ServerReflectionRequest) -> MessageResponse {
    call.send(framed(asked), false);
    let answer: ServerReflectionResponse = call.next().await.unwrap();
    assert_eq!(answer.original_request.as_ref(), Some(asked));
    assert_eq!(answer.valid_host, "belljar");
    answer.message_response.unwrap()
}

#[tokio::test]
async fn a_client_that_knows_nothing_finds_every_call_and_what_it_needs() {
    for version in VERSIONS {
        let call = shared().await.call_with(&path(version), &[]).await;
        let mut call = call.begin().await;
        let MessageResponse::ListServicesResponse(list) = ask(&mut call, &list()).await else {
            panic!("no list")
        };
        let services: BTreeSet<_> = list.service.into_iter().map(|found| found.name).collect();
        let known = [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "inference.GRPCInferenceService",
        ];
        assert_eq!(services, BTreeSet::from(known.map(str::to_owned)));
        // Each call that is described is a route, and each route of gRPC is described.
        let mut described = BTreeSet::new();
        for service in &services {
            let answer = ask(&mut call, &symbol(service)).await;
            let MessageResponse::FileDescriptorResponse(files) = answer else {
                panic!("{service}: {answer:?}")
            };
            for file in &files.file_descriptor_proto {
                let file = FileDescriptorProto::decode(&file[..]).unwrap();
                assert!(file.dependency.is_empty(), "all that is needed is there");
                for service in &file.service {
                    let name = format!("/{}.{}", file.package(), service.name());
                    let calls = service.method.iter();
                    described.extend(calls.map(|call| format!("{name}/{}", call.name())));
                }
                let name = file.name().to_owned();
                let by_name = question(MessageRequest::FileByFilename(name));
                assert_eq!(
                    ask(&mut call, &by_name).await,
                    MessageResponse::FileDescriptorResponse(files.clone())
                );
            }
        }
        let routes = include_str!("../policies.txt").lines();
        let calls: BTreeSet<_> = routes
            .filter(|line| line.contains(", gRPC"))
            .map(|line| line["POST ".len()..].split(':').next().unwrap().to_owned())
            .collect();
        assert_eq!(described, calls);
        call.send(Vec::new(), true);
        assert_eq!(call.end().await.codes(), (0, ""));
    }
}

#[tokio::test]
async fn what_is_not_described_is_told_and_the_call_goes_on() {
    let call = shared().await.call_with(&path("v1"), &[]).await;
    let mut call = call.begin().await;
    let extension = ExtensionRequest {
        containing_type: "inference.ModelInferRequest".to_owned(),
        extension_number: 1,
    };
    for (asked, code) in [
        (symbol("inference.Nobody"), 5),
        (symbol(""), 5),
        (
            question(MessageRequest::FileByFilename("../x".to_owned())),
            5,
        ),
        (
            question(MessageRequest::FileContainingExtension(extension)),
            5,
        ),
        (
            question(MessageRequest::AllExtensionNumbersOfType("x".to_owned())),
            5,
        ),
        (
            ServerReflectionRequest {
                host: "belljar".to_owned(),
                message_request: None,
            },
            3,
        ),
    ] {
        let answer = ask(&mut call, &asked).await;
        let MessageResponse::ErrorResponse(error) = &answer else {
            panic!("{asked:?}: {answer:?}")
        };
        assert_eq!(error.error_code, code, "{error:?}");
        assert!(!error.error_message.is_empty());
    }
    let known = "inference.ModelInferRequest".to_owned();
    let numbers = ask(
        &mut call,
        &question(MessageRequest::AllExtensionNumbersOfType(known)),
    )
    .await;
    let MessageResponse::AllExtensionNumbersResponse(numbers) = numbers else {
        panic!("{numbers:?}")
    };
    assert!(numbers.extension_number.is_empty());
    // What is no question ends the call.
    call.send(vec![0, 0, 0, 0, 1, 0xff], true);
    let ended = call.end().await;
    assert_eq!(ended.codes(), (INVALID_ARGUMENT, "invalid_message"));
}

#[tokio::test]
async fn reflection_stands_behind_the_same_gate_as_what_it_describes() {
    for version in VERSIONS {
        let stranger = Connection::open(LOCKED.address()).await;
        let mut call = stranger.call_with(&path(version), &[]).await;
        call.send(framed(&list()), true).await;
        let refused = call.end().await;
        refused.expect_refusal(UNAUTHENTICATED, "invalid_api_key");
        let key = LOCKED.key("metrics", &[]).await;
        let caller = stranger.with_key(key.key());
        let mut call = caller.call_with(&path(version), &[]).await;
        call.send(framed(&list()), true).await;
        assert_eq!(call.end().await.messages.len(), 1);
    }
}

#[tokio::test]
async fn a_call_answers_so_many_questions_and_counts_as_one_request() {
    let settings = [("rate_limit.enabled", "true"), ("rate_limit.rpm", "2")];
    let host = TestHost::start_with(&settings).await;
    let connection = Connection::open(host.address()).await;
    let mut call = connection.call_with(&path("v1"), &[]).await;
    let question = framed(&list());
    call.send(question.repeat(1_000), true).await;
    let answer = call.end().await;
    assert_eq!((answer.messages.len(), answer.codes()), (1_000, (0, "")));
    let mut call = connection.call_with(&path("v1"), &[]).await;
    call.send(question.repeat(1_001), true).await;
    let answer = call.end().await;
    assert_eq!(answer.messages.len(), 1_000);
    assert_eq!(answer.codes(), (RESOURCE_EXHAUSTED, "too_many_questions"));
    let mut call = connection.call_with(&path("v1"), &[]).await;
    call.send(question, true).await;
    let refused = call.end().await;
    refused.expect_refusal(RESOURCE_EXHAUSTED, "rate_limit_exceeded");
}
