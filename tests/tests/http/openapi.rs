//! `GET /openapi.json`: the description and the router are one thing.

use crate::auth::routes;
use crate::host::SHARED;
use belljar::auth::Scope;
use belljar::http::{Access, Protocol};
use belljar_sandbox::{Capability, Reach};
use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn every_described_route_is_there_and_has_no_other_method() {
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method, path) in routes() {
        methods.entry(path).or_default().insert(method);
    }
    let client = SHARED.anonymous();
    for (path, mut expect) in methods {
        let answer = client
            .send(client.request(Method::OPTIONS, &path))
            .await
            .unwrap();
        assert_eq!(answer.status, 204, "{path}");
        if expect.contains("GET") {
            expect.insert("HEAD".to_owned());
        }
        let found: BTreeSet<String> = answer
            .header("allow")
            .split(',')
            .map(str::to_owned)
            .collect();
        assert_eq!(found, expect, "{path}");
    }
}

#[test]
fn the_routes_of_capabilities_are_there() {
    let openapi = serde_json::to_value(belljar::api::openapi()).unwrap();
    for capability in Capability::ALL {
        if let Reach::Routes(routes) = capability.reach() {
            for route in routes {
                let (method, path) = route.split_once(' ').unwrap();
                let described = &openapi["paths"][path][method.to_lowercase()];
                assert!(described.is_object(), "{capability:?}: {route}");
            }
        }
    }
}

/// What a description says of keys is what the policies of the routes say.
#[test]
fn security_and_refusals_follow_from_the_policies() {
    let openapi = serde_json::to_value(belljar::api::openapi()).unwrap();
    let routes = belljar::api::routes();
    for (path, method, policy) in routes.policies().iter() {
        if policy.protocol == Protocol::Grpc {
            continue;
        }
        let operation = &openapi["paths"][path][method.as_str().to_lowercase()];
        let security = operation["security"].as_array().unwrap();
        let without = security.iter().any(|way| *way == serde_json::json!({}));
        let (is_open, needs_key) = match policy.access {
            Access::Open => (true, false),
            Access::Scope(Scope::ModelsWrite | Scope::Admin) => (false, true),
            _ => (false, false),
        };
        assert_eq!(security.is_empty(), is_open, "{method} {path}");
        assert_eq!(without, !is_open && !needs_key, "{method} {path}");
        let responses = &operation["responses"];
        assert_eq!(responses["401"].is_object(), !is_open, "{method} {path}");
        let has_body = operation["requestBody"].is_object();
        assert_eq!(responses["413"].is_object(), has_body, "{method} {path}");
        // What only looks can neither conflict nor lack room, unless testers may do nothing.
        let changes = method != Method::GET && needs_key;
        let is_for_testers =
            path.starts_with("/admin/worlds") || path.starts_with("/admin/journal");
        for (status, expected) in [("409", changes || is_for_testers), ("507", changes)] {
            let described = responses[status].is_object();
            assert_eq!(described, expected, "{method} {path}: {status}");
        }
        let is_for_authors = policy.access == Access::Scope(Scope::ModelsWrite);
        let keeps = (is_for_authors || is_for_testers) && has_body;
        assert_eq!(responses["422"].is_object(), keeps, "{method} {path}");
        let counts = policy.counts != belljar::limits::Counts::Nothing;
        assert_eq!(responses["429"].is_object(), counts, "{method} {path}");
        let schema = &responses["400"]["content"]["application/json"]["schema"]["$ref"];
        let expect = if path.starts_with("/v2") {
            "#/components/schemas/OpenInferenceError"
        } else if path.starts_with("/v1/messages") {
            "#/components/schemas/AnthropicError"
        } else {
            "#/components/schemas/ErrorEnvelope"
        };
        assert_eq!(schema, expect, "{method} {path}");
    }
}

/// Two types of one name would be described as one of the two.
#[test]
fn requests_and_answers_are_described_member_by_member() {
    let openapi = serde_json::to_value(belljar::api::openapi()).unwrap();
    let schema = |name: &str| openapi["components"]["schemas"][name].clone();
    let required = |name: &str| schema(name)["required"].clone();
    assert_eq!(
        required("ChatRequest"),
        serde_json::json!(["model", "messages"])
    );
    assert_eq!(required("ChatMessage"), serde_json::json!(["role"]));
    assert_eq!(
        required("EmbeddingsRequest"),
        serde_json::json!(["model", "input"])
    );
    assert!(schema("ChatMessage")["properties"]["content"].is_object());
    assert!(schema("CompletionMessage")["properties"]["annotations"].is_object());
    let text = schema("ChatRequest").to_string();
    assert!(
        text.contains("StringOrStrings") && text.contains("ToolChoiceOption"),
        "{text}"
    );
    // Each kind of block has a name: makers of clients drop what they cannot name.
    let blocks = schema("AnswerBlock")["oneOf"].as_array().unwrap().clone();
    assert!(blocks.iter().all(|block| block["$ref"].is_string()));
    let form =
        &openapi["paths"]["/models"]["post"]["requestBody"]["content"]["multipart/form-data"];
    assert_eq!(form["schema"]["$ref"], "#/components/schemas/UploadForm");
    assert_eq!(
        schema("UploadForm")["properties"]["file"]["format"],
        "binary"
    );
    for name in [
        "ActiveModelList",
        "ModelList",
        "InferRequest",
        "EmbeddingList",
    ] {
        assert!(schema(name).is_object(), "{name}");
    }
}

#[tokio::test]
async fn the_description_is_complete() {
    let answer = SHARED
        .anonymous()
        .get("/openapi.json")
        .await
        .expect_status(200);
    let openapi = answer.json();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3."));
    let mut ids = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].is_string(),
                "{method} {path} has no summary"
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses.keys().all(|status| status.parse::<u16>().is_ok()),
                "{method} {path}"
            );
            for status in ["400", "403", "500", "503"] {
                assert!(responses.contains_key(status), "{method} {path}: {status}");
            }
            assert!(operation["tags"].is_array(), "{method} {path}");
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name), "{method} {path}");
            for response in operation["responses"].as_object().unwrap().values() {
                assert!(
                    response["description"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{method} {path}"
                );
            }
            ids.insert(format!("{method} {path}"));
        }
    }
    // Every reference leads somewhere.
    let text = answer.text();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(openapi.pointer(pointer).is_some(), "{pointer}");
    }
    // The list itself, so that a change of the surface is a change of this test.
    let expect = include_str!("routes.txt")
        .lines()
        .map(str::to_owned)
        .collect::<BTreeSet<_>>();
    assert_eq!(
        ids,
        expect,
        "\n{}",
        ids.iter().cloned().collect::<Vec<_>>().join("\n")
    );
}
