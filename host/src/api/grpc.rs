//! The Open Inference Protocol over gRPC, and gRPC's own health checks and reflection: what `/v2`
//! does over HTTP, done by the same functions for the same callers.
//!
//! Each call is a route with its policy, and meets every check that a request meets. Calls that
//! `host/proto` does not describe are unknown routes.

mod answers;
mod health;
mod infer;
mod models;
mod reflection;
mod server;
mod stream;
mod text;
pub mod wire;

use crate::auth::Scope;
use crate::http::HttpState;
use crate::http::body::{Limits, Messages};
use crate::http::error::ApiError;
use crate::http::policy::{RoutePolicy, Routes};
use crate::limits::Counts;
use axum::extract::{FromRef as _, FromRequest, Request};
use axum::routing::post;

pub(super) fn routes() -> Routes {
    let read = RoutePolicy::scope(Scope::ModelsRead);
    let look = RoutePolicy::either_scope(Scope::ModelsRead, Scope::Infer);
    let write = RoutePolicy::scope(Scope::ModelsWrite);
    let run = RoutePolicy::scope(Scope::Infer);
    let each = run.counting(Counts::Each);
    // Probes have no key, here as on `/health/*`.
    let open = RoutePolicy::open();
    let any = RoutePolicy::any_caller();
    let call = |method: &str| format!("/inference.GRPCInferenceService/{method}");
    let health = |method: &str| format!("/grpc.health.v1.Health/{method}");
    let reflection =
        |version: &str| format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
    Routes::default()
        .add_call(open, &call("ServerLive"), post(server::live))
        .add_call(open, &call("ServerReady"), post(server::ready))
        .add_call(any, &call("ServerMetadata"), post(server::metadata))
        .add_call(look, &call("ModelReady"), post(models::ready))
        .add_call(look, &call("ModelMetadata"), post(models::metadata))
        .add_call(look, &call("ModelConfig"), post(models::config))
        .add_call(read, &call("ModelStatistics"), post(models::statistics))
        .add_call(run, &call("ModelInfer"), post(infer::infer))
        .add_call(each, &call("ModelStreamInfer"), post(stream::infer))
        .add_call(read, &call("RepositoryIndex"), post(models::index))
        .add_call(write, &call("RepositoryModelLoad"), post(models::load))
        .add_call(write, &call("RepositoryModelUnload"), post(models::unload))
        .add_call(open, &health("Check"), post(health::check))
        .add_call(open, &health("Watch"), post(health::watch))
        .add_call(any, &reflection("v1"), post(reflection::tell))
        .add_call(any, &reflection("v1alpha"), post(reflection::tell))
}

/// The message of a call that asks for no run.
struct Small<M>(M);

impl<M: prost::Message + Default> FromRequest<HttpState> for Small<M> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let messages = Messages::of(&head, body, Limits::from_ref(state))?.small();
        let message = messages.only().await?.unpack()?;
        M::decode(message).map(Self).map_err(|_| {
            let message = "The message is not in the format of the call.";
            ApiError::invalid_request("invalid_message", message)
        })
    }
}

/// The name under which a version of a model is found; without a version the active one is.
fn reference(name: String, version: &str) -> String {
    if version.is_empty() {
        name
    } else {
        format!("{name}@{version}")
    }
}
