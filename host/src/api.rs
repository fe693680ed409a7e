//! The public surfaces, a folder each: routes and their wire types, and nothing else.
//!
//! One file a resource, one function a verb. A route and its description are one thing: what is
//! not described here cannot be reached. Calls of gRPC are described in `host/proto`.

mod admin;
mod anthropic;
mod check;
mod description;
pub mod grpc;
mod models;
mod oip;
pub(crate) mod openai;
mod operations;
mod prompt;
mod runs;
mod schema;
mod simulated;
pub(crate) mod tensors;
mod text_body;
pub(crate) mod texts;
mod usage;

pub(crate) use operations::metrics_route;

use crate::http::policy::Routes;
use description::{Binary, Failures};

/// Every route of the server.
#[must_use]
pub fn routes() -> Routes {
    Routes::described(description::frame())
        .merge(operations::routes())
        .merge(tensors::routes())
        .merge(oip::routes())
        .merge(grpc::routes())
        .merge(openai::routes())
        .merge(anthropic::routes())
        .merge(models::routes())
        .merge(runs::routes())
        .merge(admin::routes())
        .merge(usage::routes())
}

/// The description of all routes, as `GET /openapi.json` gives it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let routes = routes();
    let policies = routes.policies().clone();
    description::complete(routes.into_openapi(), &policies)
}
