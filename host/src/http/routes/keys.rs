//! `/admin/keys`: makes, lists, shows and revokes API keys.

use super::Failures;
use crate::auth::{
    Allowance, CreatedKey, InvalidNetwork, KeyRecord, Network, Networks, NewKey, Scopes,
};
use crate::http::error::ApiError;
use crate::http::extract::{Administer, May, Path};
use crate::http::json::Json;
use crate::http::state::HttpState;
use crate::ids::KeyId;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(show, revoke_by_delete))
        .routes(routes!(revoke))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    /// 1 to 100 characters.
    name: String,
    /// Of `infer`, `models:read`, `models:write`, `admin`, `metrics`.
    scopes: Vec<String>,
    /// The models that it may use; all where it is missing.
    #[serde(default)]
    models: Option<BTreeSet<String>>,
    /// `free`, or `tier-1` to `tier-5`.
    #[serde(default)]
    tier: Option<String>,
    /// Requests a minute.
    #[serde(default)]
    rpm: Option<u32>,
    /// Tokens a minute.
    #[serde(default)]
    tpm: Option<u32>,
    /// Requests at once.
    #[serde(default)]
    max_concurrent: Option<u32>,
    /// Uploads at once.
    #[serde(default)]
    max_uploads: Option<u32>,
    /// Uploaded versions that are still there.
    #[serde(default)]
    max_stored_bundles: Option<u32>,
    /// Bytes of those versions, unpacked.
    #[serde(default)]
    max_stored_bytes: Option<u64>,
    /// Units of fuel in one UTC day.
    #[serde(default)]
    fuel_per_day: Option<u64>,
    /// Networks that it may be used from, such as `10.0.0.0/8`, or addresses; from everywhere
    /// where it is missing.
    #[serde(default)]
    allow_networks: Option<Vec<String>>,
    /// Networks that it may not be used from, whatever else is allowed.
    #[serde(default)]
    deny_networks: Vec<String>,
    /// When it stops working, for example `2027-01-31T00:00:00Z`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<String>,
}

impl KeyRequest {
    fn read(self) -> Result<NewKey, ApiError> {
        let mut scopes = Vec::with_capacity(self.scopes.len().min(8));
        for (index, scope) in self.scopes.iter().enumerate() {
            let scope = scope.parse();
            scopes.push(scope.map_err(|error| {
                ApiError::invalid_argument(format!("scopes[{index}]"), format!("{error}"))
            })?);
        }
        let tier = self.tier.map(|tier| tier.parse()).transpose();
        let networks = networks(self.allow_networks, &self.deny_networks)?;
        let expires = self
            .expires
            .map(|expires| expires.parse::<Timestamp>())
            .transpose();
        Ok(NewKey {
            name: self.name,
            scopes: scopes.into_iter().collect::<Scopes>(),
            models: self.models,
            allowance: Allowance {
                tier: tier
                    .map_err(|error| ApiError::invalid_argument("tier", format!("{error}")))?,
                rpm: self.rpm,
                tpm: self.tpm,
                max_concurrent: self.max_concurrent,
                max_uploads: self.max_uploads,
                max_stored_bundles: self.max_stored_bundles,
                max_stored_bytes: self.max_stored_bytes,
                fuel_per_day: self.fuel_per_day,
            },
            networks,
            expires: expires.map_err(|_| {
                ApiError::invalid_argument(
                    "expires",
                    "expected a time such as 2027-01-31T00:00:00Z",
                )
            })?,
        })
    }
}

/// Both lists of networks. A list to allow that allows nothing is a slip: it reads like "from
/// nowhere", and nobody makes a key for that.
fn networks(allow: Option<Vec<String>>, deny: &[String]) -> Result<Networks, ApiError> {
    let read = |field: &str, list: &[String]| -> Result<Vec<Network>, ApiError> {
        let network = |(index, text): (usize, &String)| {
            text.parse().map_err(|error: InvalidNetwork| {
                ApiError::invalid_argument(format!("{field}[{index}]"), error.to_string())
            })
        };
        list.iter().enumerate().map(network).collect()
    };
    let allow = match allow {
        Some(list) if list.is_empty() => {
            return Err(ApiError::invalid_argument(
                "allow_networks",
                "an empty list would allow nothing: leave it out to allow everything",
            ));
        }
        Some(list) => read("allow_networks", &list)?,
        None => Vec::new(),
    };
    Networks::new(allow, read("deny_networks", deny)?)
        .map_err(|error| ApiError::invalid_argument_at(None, error.to_string()))
}

/// What is known about a key. The secret is not.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    /// `key`.
    object: &'static str,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    record: KeyRecord,
}

impl From<KeyRecord> for KeyView {
    fn from(record: KeyRecord) -> Self {
        Self {
            object: "key",
            record,
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
struct NewKeyView {
    /// The secret. It is shown this once and not stored.
    key: String,
    #[serde(flatten)]
    view: KeyView,
}

#[derive(Serialize, ToSchema)]
struct KeyList {
    /// `list`.
    object: &'static str,
    data: Vec<KeyView>,
}

/// Makes a key. It is on disk when the answer comes, which is the only one to show the secret.
#[utoipa::path(
    post,
    path = "/admin/keys",
    tag = "Administration",
    request_body = KeyRequest,
    responses((status = 201, body = NewKeyView), Failures)
)]
async fn create(
    _: May<Administer>,
    State(state): State<HttpState>,
    Json(request): Json<KeyRequest>,
) -> Result<Response, ApiError> {
    let CreatedKey { record, secret } = state.keys().create(request.read()?).await?;
    let location = HeaderValue::from_str(&format!("/admin/keys/{}", record.id));
    let view = NewKeyView {
        key: secret.expose().to_owned(),
        view: record.into(),
    };
    let mut response = (StatusCode::CREATED, Json(view)).into_response();
    let headers = response.headers_mut();
    // A proxy must not keep the one copy of a secret.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(location) = location {
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}

/// All keys, those of the configuration first.
#[utoipa::path(get, path = "/admin/keys", tag = "Administration", responses((status = 200, body = KeyList), Failures))]
async fn list(_: May<Administer>, State(state): State<HttpState>) -> Json<KeyList> {
    let data = state.keys().list().into_iter().map(KeyView::from).collect();
    Json(KeyList {
        object: "list",
        data,
    })
}

/// One key.
#[utoipa::path(
    get,
    path = "/admin/keys/{id}",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    responses((status = 200, body = KeyView), Failures)
)]
async fn show(
    _: May<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<KeyView>, ApiError> {
    Ok(Json(state.keys().show(&key_id(&id)?)?.into()))
}

/// The same as revoking it: a key's record stays, because logs name it.
#[utoipa::path(
    delete,
    path = "/admin/keys/{id}",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    responses((status = 200, body = KeyView), Failures)
)]
async fn revoke_by_delete(
    _: May<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<KeyView>, ApiError> {
    Ok(Json(state.keys().revoke(&key_id(&id)?).await?.into()))
}

/// Ends a key: it is refused from the next request on, also after a restart.
#[utoipa::path(
    post,
    path = "/admin/keys/{id}/revoke",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    responses((status = 200, body = KeyView), Failures)
)]
async fn revoke(
    _: May<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<KeyView>, ApiError> {
    Ok(Json(state.keys().revoke(&key_id(&id)?).await?.into()))
}

fn key_id(text: &str) -> Result<KeyId, ApiError> {
    text.parse()
        .map_err(|error| ApiError::not_found("key_not_found", format!("{error}")))
}
