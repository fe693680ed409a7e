//! `GET /openapi.json`: the description and the router are one thing.

use crate::auth::routes;
use crate::host::SHARED;
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
            assert!(
                operation["responses"]["4XX"].is_object() || path.starts_with("/health"),
                "{method} {path}"
            );
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
