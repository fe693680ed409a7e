//! What holds for each route before its handler is asked: declared beside it, and acted on.

use crate::host::{LOCKED, SHARED};
use belljar::auth::Scope;
use belljar::http::{Access, Protocol, RoutePolicy};
use reqwest::Method;

/// Every method of every route with its policy.
fn policies() -> Vec<(String, RoutePolicy)> {
    let routes = belljar::api::routes();
    let policies = routes.policies().iter();
    let policies =
        policies.map(|(template, method, policy)| (format!("{method} {template}"), policy));
    policies.collect()
}

/// The list itself, so that a change of who may call what is a change of this test's file.
#[test]
fn every_route_has_the_policy_that_is_written_down() {
    let found = policies();
    let found: Vec<_> = found
        .iter()
        .map(|(route, policy)| format!("{route}: {policy}"))
        .collect();
    let found = found.join("\n");
    assert_eq!(
        found,
        include_str!("policies.txt").trim_end(),
        "\n{found}\n"
    );
}

#[test]
fn every_described_operation_has_a_policy() {
    let mut policies = policies();
    // Calls of gRPC are described in `host/proto`.
    policies.retain(|(_, policy)| policy.protocol == Protocol::Http);
    let openapi = serde_json::to_value(belljar::api::openapi()).unwrap();
    let mut operations = 0;
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let name = format!("{} {path}", method.to_uppercase());
            assert!(policies.iter().any(|(route, _)| *route == name), "{name}");
            operations += 1;
        }
    }
    assert_eq!(policies.len(), operations);
}

/// The path of a route with its parameters filled in.
fn filled(route: &str) -> (Method, String) {
    let (method, template) = route.split_once(' ').unwrap();
    let path = template
        .replace("{name}", "echo")
        .replace("{version}", "9.9.9")
        .replace("{id}", "nothing")
        .replace("{address}", "192.0.2.1")
        .replace("{network}", "192.0.2.1")
        .replace("{number}", "1");
    (method.parse().unwrap(), path)
}

#[tokio::test]
async fn a_key_reaches_the_routes_of_its_scope_and_no_others() {
    let scopes = [
        Scope::Infer,
        Scope::ModelsRead,
        Scope::ModelsWrite,
        Scope::Metrics,
    ];
    for scope in scopes {
        let caller = LOCKED.key(scope.name(), &[]).await;
        for (route, policy) in policies() {
            let (method, path) = filled(&route);
            let answer = caller.send(caller.request(method, &path)).await.unwrap();
            let may = match policy.access {
                Access::Open | Access::Caller => true,
                Access::Scope(needed) | Access::ScopeOfKeys(needed) => needed == scope,
                Access::EitherScope(needed, or) => needed == scope || or == scope,
            };
            // Anthropic's errors have a type and no code.
            let is_refused = answer.status == 403
                && (path.starts_with("/v1/messages") || answer.code() == "insufficient_scope");
            assert_eq!(
                is_refused,
                !may,
                "{route} with {scope}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
}

/// Without a key, and where none is needed, everything that may be done is running and listing
/// models.
#[tokio::test]
async fn without_a_key_only_models_are_run_and_listed() {
    let caller = SHARED.anonymous();
    for (route, policy) in policies() {
        let (method, path) = filled(&route);
        let answer = caller.send(caller.request(method, &path)).await.unwrap();
        let may = match policy.access {
            Access::Scope(needed) => matches!(needed, Scope::Infer | Scope::ModelsRead),
            Access::EitherScope(needed, or) => {
                let open = |scope| matches!(scope, Scope::Infer | Scope::ModelsRead);
                open(needed) || open(or)
            }
            Access::Open | Access::Caller | Access::ScopeOfKeys(_) => true,
        };
        assert_eq!(answer.status != 401, may, "{route}: {}", answer.status);
    }
}
