//! The public surfaces, a folder each: routes and their wire types, and nothing else.
//!
//! One file a resource, one function a verb. A route and its description are one thing: what is
//! not described here cannot be reached.

mod admin;
mod models;
mod oip;
pub(crate) mod openai;
mod operations;
pub(crate) mod tensors;

pub(crate) use operations::metrics_route;

use crate::http::policy::Routes;
use utoipa::openapi::RefOr;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Belljar",
        description = "Hosts models that nobody has to trust: every request runs in a fresh sandbox.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    security((), ("bearer" = []), ("x_api_key" = [])),
    modifiers(&Credentials),
    components(schemas(ErrorEnvelope)),
)]
struct Description;

/// Both ways of sending a key.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("x_api_key", header);
    }
}

/// Every route of the server.
#[must_use]
pub fn routes() -> Routes {
    Routes::described(Description::openapi())
        .merge(operations::routes())
        .merge(tensors::routes())
        .merge(oip::routes())
        .merge(openai::routes())
        .merge(models::routes())
        .merge(admin::routes())
}

/// The description of all routes, as `GET /openapi.json` gives it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    complete(routes().into_openapi())
}

/// Any refusal or failure, on any route.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its description is used; errors are written by `http::error`"
)]
struct ErrorEnvelope {
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
}

/// The failures that every route can answer with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
enum Failures {
    #[response(status = "4XX", description = "The request is refused.")]
    Refused(#[to_schema] ErrorEnvelope),
    #[response(status = "5XX", description = "The model or the server failed.")]
    Failed(#[to_schema] ErrorEnvelope),
}

/// Bytes in the format that the media type names.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its description is used")]
struct Binary(Vec<u8>);

/// Adds what the standard insists on: a name for each operation that no other one has, and a
/// word for each response that says nothing else.
fn complete(mut openapi: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for (path, item) in &mut openapi.paths.paths {
        let name = path.replace(|character: char| !character.is_ascii_alphanumeric(), " ");
        let name = name.split_whitespace().collect::<Vec<_>>().join("_");
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            operation.operation_id = Some(format!("{method}_{name}"));
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
