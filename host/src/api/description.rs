//! The description of all routes: what `utoipa` reads off the handlers, and what follows from the
//! policy of each route: who may call it, and which refusals it can answer with.

use crate::auth::Scope;
use crate::http::surface::Surface;
use crate::http::{Access, RoutePolicies, RoutePolicy};
use crate::limits::Counts;
use http::Method;
use std::collections::{BTreeSet, HashMap};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Belljar",
        description = "Hosts models that nobody has to trust: every request runs in a fresh sandbox.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&Credentials),
    components(schemas(ErrorEnvelope, OpenInferenceError, AnthropicError)),
)]
struct Description;

/// Both ways of sending a key.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKeyValue::with_description(
            "X-API-Key",
            "Also taken as `api-key`, as Azure's clients spell it.",
        );
        let header = SecurityScheme::ApiKey(ApiKey::Header(header));
        components.add_security_scheme("x_api_key", header);
    }
}

/// The description without any routes.
pub(super) fn frame() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Any refusal or failure, but on `/v2`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its description is used; errors are written by `http::error`"
)]
pub(super) struct ErrorEnvelope {
    error: ErrorBody,
}

/// What went wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "see `ErrorEnvelope`")]
struct ErrorBody {
    /// For a person.
    message: String,
    /// Whose fault it is: `invalid_request_error`, `authentication_error`, `permission_error`,
    /// `rate_limit_error`, `security_error`, `model_error` or `server_error`.
    r#type: String,
    /// The field of the request that it is about, for example `messages[2].content`.
    param: Option<String>,
    /// For a program, for example `model_not_found`.
    code: String,
    /// Where a budget of the month is used up: when it begins anew.
    #[schema(format = DateTime)]
    renews_at: Option<String>,
}

/// Any refusal or failure on `/v2`, as the Open Inference Protocol has it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "see `ErrorEnvelope`")]
struct OpenInferenceError {
    /// For a person.
    error: String,
    /// As in the other envelope.
    r#type: String,
    param: Option<String>,
    code: String,
    /// As in the other envelope.
    #[schema(format = DateTime)]
    renews_at: Option<String>,
}

/// Any refusal or failure on `/v1/messages`, as Anthropic has it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "see `ErrorEnvelope`")]
struct AnthropicError {
    /// `error`.
    r#type: String,
    error: AnthropicErrorBody,
    /// As in the header `request-id`.
    request_id: Option<String>,
}

/// What went wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "see `ErrorEnvelope`")]
struct AnthropicErrorBody {
    /// For example `invalid_request_error`; follows from the status.
    r#type: String,
    /// For a person. It names the member of the request that is wrong.
    message: String,
}

/// A mark in the place of the failures of a route, which follow from its policy.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum Failures {
    #[response(status = "4XX", description = "The request is refused.")]
    Refused(#[to_schema] ErrorEnvelope),
    #[response(status = "5XX", description = "The model or the server failed.")]
    Failed(#[to_schema] ErrorEnvelope),
}

/// Bytes in the format that the media type names.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Binary(Vec<u8>);

/// Adds what follows from the policies of the routes, and what the standard insists on: a name for
/// each operation that no other one has, and a word for each response that says nothing else.
pub(super) fn complete(
    mut openapi: utoipa::openapi::OpenApi,
    policies: &RoutePolicies,
) -> utoipa::openapi::OpenApi {
    let policies: HashMap<(&str, &Method), RoutePolicy> = policies
        .iter()
        .map(|(path, method, policy)| ((path, method), policy))
        .collect();
    for (path, item) in &mut openapi.paths.paths {
        let name = path.replace(|character: char| !character.is_ascii_alphanumeric(), " ");
        let name = name.split_whitespace().collect::<Vec<_>>().join("_");
        let operations = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            let verb = method.as_str().to_ascii_lowercase();
            operation.operation_id = Some(format!("{verb}_{name}"));
            if let Some(policy) = policies.get(&(path.as_str(), &method)) {
                operation.security = Some(security(policy.access));
                add_refusals(operation, (&method, path), *policy);
            }
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    "Success.".clone_into(&mut response.description);
                }
            }
        }
    }
    openapi
}

/// How a key is sent, where one is needed or may be.
fn security(access: Access) -> Vec<SecurityRequirement> {
    let none = SecurityRequirement::default();
    let ways = ["bearer", "x_api_key"].map(|way| SecurityRequirement::new(way, [""; 0]));
    match access {
        Access::Open => Vec::new(),
        // These need a key whatever the settings say.
        Access::Scope(Scope::ModelsWrite | Scope::Admin) => ways.to_vec(),
        // Whether these need one, the settings say.
        Access::Caller | Access::Scope(_) | Access::EitherScope(..) | Access::ScopeOfKeys(_) => {
            std::iter::once(none).chain(ways).collect()
        }
    }
}

/// Adds each refusal that a route can answer with and does not describe itself.
fn add_refusals(operation: &mut Operation, route: (&Method, &str), policy: RoutePolicy) {
    let path = route.1;
    let responses = &mut operation.responses.responses;
    responses.remove("4XX");
    responses.remove("5XX");
    let schema = match Surface::of(path) {
        Surface::OpenInference => "OpenInferenceError",
        Surface::Anthropic => "AnthropicError",
        Surface::OpenAi | Surface::Grpc | Surface::Own => "ErrorEnvelope",
    };
    let has_body = operation.request_body.is_some();
    for (status, description) in refusals(route, policy, has_body) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", content.build());
        responses
            .entry(status.to_owned())
            .or_insert_with(|| response.build().into());
    }
}

/// The refusals of a route: those of what stands before every route, and those of what it does.
fn refusals(
    (method, path): (&Method, &str),
    policy: RoutePolicy,
    has_body: bool,
) -> BTreeSet<(&'static str, &'static str)> {
    let mut all = BTreeSet::from([
        ("400", "The request is not as it must be."),
        ("403", "The caller may not do this, or is banned."),
        ("500", "The server failed."),
        ("503", "The server takes no more for now."),
    ]);
    if policy.access == Access::Open {
        return all;
    }
    all.extend([
        ("401", "There is no key, or none that holds."),
        ("408", "The request did not arrive in time."),
        ("504", "The answer took longer than it may."),
    ]);
    if policy.counts != Counts::Nothing {
        all.insert(("429", "The caller is over its limits."));
    }
    let needs = |scope| policy.access == Access::Scope(scope);
    let runs = needs(Scope::Infer);
    if path.contains('{') || runs {
        all.insert(("404", "There is nothing of that name."));
    }
    if has_body {
        all.extend([
            ("413", "The body is larger than it may be."),
            ("415", "The body is of a type that the route does not read."),
        ]);
    }
    if runs {
        all.insert(("502", "The model failed, or hit a limit."));
    }
    let answers_in_formats = path == "/infer" || path.ends_with("/infer");
    if runs && answers_in_formats {
        all.insert(("406", "No format that the caller takes holds the answer."));
    }
    let changes = method != Method::GET;
    if changes && (needs(Scope::ModelsWrite) || needs(Scope::Admin)) {
        all.extend([
            ("409", "It is not in a state for that."),
            ("507", "There is no room to keep it."),
        ]);
    }
    // They are there on every server, and say where testers may do nothing.
    let is_for_testers = ["/admin/worlds", "/admin/journal"]
        .iter()
        .any(|begin| path.starts_with(begin));
    if is_for_testers {
        all.insert(("409", "It is not in a state for that."));
    }
    // What is sent to be kept can turn out not to work.
    if has_body && (needs(Scope::ModelsWrite) || is_for_testers) {
        all.insert(("422", "The content is understood, and does not work."));
    }
    all
}
