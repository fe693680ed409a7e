//! `/admin/worlds/{name}/rules`: what answers in a world in place of models.

use super::Failures;
use super::worlds::{entered, found, testing};
use crate::auth::{Administer, Authorized, Scope};
use crate::http::HttpState;
use crate::http::body::RequestBody;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::limits::Counts;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use belljar_testing::rules::Rules;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default().add(policy, routes!(show, put, remove))
}

/// The rules of a world.
#[derive(Serialize, ToSchema)]
struct RulesView {
    /// `rules`.
    object: &'static str,
    /// The world.
    world: String,
    /// Whether a request that no rule matches is an error.
    strict: bool,
    /// Their names, in the order in which they are asked.
    rules: Vec<String>,
}

/// The rules of a world, as they were put there.
#[utoipa::path(
    get,
    path = "/admin/worlds/{name}/rules",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    responses((status = 200, content((String = "application/toml"))), Failures)
)]
async fn show(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let rules = found(&state, &name)?.rules().ok_or_else(|| {
        let message = format!(
            "The world `{name}` has no rules of its own: those of `test.rules` answer in it."
        );
        ApiError::not_found("rules_not_found", message)
    })?;
    let kind = HeaderValue::from_static("application/toml");
    Ok(([(header::CONTENT_TYPE, kind)], rules.text().to_owned()).into_response())
}

/// Gives a world rules of its own, in TOML, in place of those of `test.rules`; it is made where
/// there is none. What was counted for sequences begins anew. What cannot be used is 422 with all
/// that is wrong, by line and column, and changes nothing.
#[utoipa::path(
    put,
    path = "/admin/worlds/{name}/rules",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    request_body(content((String = "application/toml"), (String = "text/plain"))),
    responses((status = 200, body = RulesView), Failures)
)]
async fn put(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    RequestBody(body): RequestBody,
) -> Result<Json<RulesView>, ApiError> {
    let testing = testing(&state)?.clone();
    let read = move || {
        let text = std::str::from_utf8(&body)
            .map_err(|_| ApiError::unprocessable("invalid_rules", "The rules are not in UTF-8."))?;
        testing.read_rules(text).map_err(|error| {
            let problems = error.problems().iter();
            let problems: String = problems.map(|problem| format!("\n  {problem}")).collect();
            let message = format!("The rules cannot be used:{problems}");
            ApiError::unprocessable("invalid_rules", message)
        })
    };
    // Compiling expressions takes a while, whatever their size.
    let rules: Rules = workers::run(usize::MAX, read).await?;
    let world = entered(&state, &name)?;
    let view = RulesView {
        object: "rules",
        world: world.name().to_string(),
        strict: rules.is_strict(),
        rules: rules.names().map(str::to_owned).collect(),
    };
    world.set_rules(Some(Arc::new(rules)));
    Ok(Json(view))
}

/// Takes the rules of its own from a world: those of `test.rules` answer in it again.
#[utoipa::path(
    delete,
    path = "/admin/worlds/{name}/rules",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    responses((status = 204), Failures)
)]
async fn remove(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    found(&state, &name)?.set_rules(None);
    Ok(StatusCode::NO_CONTENT)
}
