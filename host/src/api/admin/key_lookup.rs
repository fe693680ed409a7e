//! `POST /admin/keys/lookup`: which secrets are keys here, asked by their hashes. For
//! `belljar keys scan`, which finds secrets where they should not be.

use super::Failures;
use crate::auth::{Administer, Authorized, KnownSecret, Scope, SecretKind, Standing};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::limits::Counts;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default().add(policy, routes!(lookup))
}

/// Hashes in one request.
const DIGESTS_MAX: usize = 1_000;

/// Secrets to be looked up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LookupRequest {
    /// The SHA-256 of up to 1000 secrets, prefixes included, each as 64 hex digits.
    digests: Vec<String>,
}

/// A secret that is known here.
#[derive(Serialize, ToSchema)]
struct KnownSecretView {
    /// As it was asked for.
    digest: String,
    /// The key that it is of.
    key_id: String,
    /// Its name.
    name: String,
    /// `key` or `signing_secret`.
    #[schema(value_type = String)]
    kind: SecretKind,
    /// `live`, `revoked` or `expired`.
    #[schema(value_type = String)]
    state: Standing,
}

#[derive(Serialize, ToSchema)]
struct KnownSecretList {
    /// `list`.
    object: &'static str,
    data: Vec<KnownSecretView>,
}

/// What has become of secrets that were found somewhere. Nothing is said of those that are unknown.
#[utoipa::path(
    post,
    path = "/admin/keys/lookup",
    tag = "Administration",
    request_body = LookupRequest,
    responses((status = 200, body = KnownSecretList), Failures)
)]
async fn lookup(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Json(request): Json<LookupRequest>,
) -> Result<Json<KnownSecretList>, ApiError> {
    if request.digests.len() > DIGESTS_MAX {
        let message = format!("at most {DIGESTS_MAX} at once");
        return Err(ApiError::invalid_argument("digests", message));
    }
    let secrets = state.keys().known_secrets();
    let mut data = Vec::new();
    for (index, digest) in request.digests.into_iter().enumerate() {
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&digest, &mut sha256).map_err(|_| {
            ApiError::invalid_argument(format!("digests[{index}]"), "expected 64 hex digits")
        })?;
        let known = secrets.of(&sha256);
        data.extend(known.map(|secret| KnownSecretView::of(digest, secret)));
    }
    Ok(Json(KnownSecretList {
        object: "list",
        data,
    }))
}

impl KnownSecretView {
    fn of(digest: String, secret: KnownSecret) -> Self {
        Self {
            digest,
            key_id: secret.key_id.to_string(),
            name: secret.name,
            kind: secret.kind,
            state: secret.standing,
        }
    }
}
