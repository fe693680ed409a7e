//! Who serves, and whether it does.

use super::Small;
use super::wire::inference::{
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use crate::api::oip;
use crate::http::HttpState;
use crate::http::grpc::Reply;
use axum::extract::State;

/// Extensions of the protocol that are known over gRPC.
const EXTENSIONS: [&str; 3] = ["model_repository", "model_configuration", "statistics"];

pub(super) async fn live(_: Small<ServerLiveRequest>) -> Reply<ServerLiveResponse> {
    Reply(ServerLiveResponse { live: true })
}

pub(super) async fn ready(
    State(state): State<HttpState>,
    _: Small<ServerReadyRequest>,
) -> Reply<ServerReadyResponse> {
    let ready = oip::is_ready(&state);
    Reply(ServerReadyResponse { ready })
}

pub(super) async fn metadata(_: Small<ServerMetadataRequest>) -> Reply<ServerMetadataResponse> {
    Reply(ServerMetadataResponse {
        name: oip::NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).into(),
    })
}
