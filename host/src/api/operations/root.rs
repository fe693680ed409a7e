//! `GET /` and `GET /openapi.json`: what this server is and what it can be asked.

use super::Failures;
use crate::http::json::{APPLICATION_JSON, Json};
use crate::http::policy::{RoutePolicy, Routes};
use crate::limits::Counts;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header;
use serde::Serialize;
use std::sync::LazyLock;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::any_caller().counting(Counts::Nothing);
    Routes::default()
        .add(policy, routes!(root))
        .add(policy, routes!(openapi))
}

#[derive(Serialize, ToSchema)]
struct About {
    name: &'static str,
    version: &'static str,
    links: Links,
}

#[derive(Serialize, ToSchema)]
struct Links {
    openapi: &'static str,
    health: &'static str,
    models: &'static str,
    infer: &'static str,
    chat: &'static str,
}

/// What this server is, and where to go on.
#[utoipa::path(get, path = "/", tag = "Server", responses((status = 200, body = About), Failures))]
async fn root() -> Json<About> {
    Json(About {
        name: "belljar",
        version: env!("CARGO_PKG_VERSION"),
        links: Links {
            openapi: "/openapi.json",
            health: "/health",
            models: "/models",
            infer: "/infer",
            chat: "/v1/chat/completions",
        },
    })
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Server",
    responses((status = 200, description = "The OpenAPI description of this server.", body = Object), Failures)
)]
async fn openapi() -> impl IntoResponse {
    // Built once: it is the same as long as the process lives.
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        // It is made of strings and lists, which all have a JSON.
        serde_json::to_vec(&crate::api::openapi())
            .unwrap_or_default()
            .into()
    });
    ([(header::CONTENT_TYPE, APPLICATION_JSON)], TEXT.clone())
}
