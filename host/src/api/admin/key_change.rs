//! `PATCH /admin/keys/{id}`: changes what a key may do and use.

use super::Failures;
use super::keys::{KeyView, allowed, denied, expiry, key_id, scopes, tier};
use crate::audit::EventKind;
use crate::auth::{
    Administer, AllowanceChange, AmendedKey, Authorized, Change, KeyChange, KeyRecord, Scope,
};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use crate::limits::Counts;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default().add(policy, routes!(amend))
}

/// What is to be changed of a key. What is missing stays; where null is taken, there is none from
/// now on, and the server's setting holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyChangeRequest {
    /// 1 to 100 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = false)]
    name: Change<String>,
    /// All that it may do: of `infer`, `models:read`, `models:write`, `admin`, `metrics`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    scopes: Change<Vec<String>>,
    /// All models that it may use; null for every model.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    models: Change<BTreeSet<String>>,
    /// `free`, or `tier-1` to `tier-5`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tier: Change<String>,
    /// Requests a minute.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    rpm: Change<u32>,
    /// Tokens a minute.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    tpm: Change<u32>,
    /// Requests at once.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    max_concurrent: Change<u32>,
    /// Uploads at once.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    max_uploads: Change<u32>,
    /// Uploaded versions that are still there.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    max_stored_bundles: Change<u32>,
    /// Bytes of those versions, unpacked.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    max_stored_bytes: Change<u64>,
    /// Units of fuel in one UTC day.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    fuel_per_day: Change<u64>,
    /// Units of fuel in one calendar month, UTC.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    fuel_per_month: Change<u64>,
    /// Tokens in one calendar month, UTC, prompts and answers together.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    tokens_per_month: Change<u64>,
    /// Requests in one calendar month, UTC.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    requests_per_month: Change<u64>,
    /// All networks that it may be used from; null for everywhere.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    allow_networks: Change<Vec<String>>,
    /// All networks that it may not be used from; null for none.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    deny_networks: Change<Vec<String>>,
    /// When it stops working, for example `2027-01-31T00:00:00Z`; null for never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Change<String>,
}

impl KeyChangeRequest {
    fn read(self) -> Result<KeyChange, ApiError> {
        let scopes = |names: Vec<String>| scopes(&names);
        Ok(KeyChange {
            name: never_none("name", self.name)?,
            scopes: never_none("scopes", self.scopes.try_map(scopes)?)?,
            models: self.models,
            allowance: AllowanceChange {
                tier: self.tier.try_map(tier)?,
                rpm: self.rpm,
                tpm: self.tpm,
                max_concurrent: self.max_concurrent,
                max_uploads: self.max_uploads,
                max_stored_bundles: self.max_stored_bundles,
                max_stored_bytes: self.max_stored_bytes,
                fuel_per_day: self.fuel_per_day,
                fuel_per_month: self.fuel_per_month,
                tokens_per_month: self.tokens_per_month,
                requests_per_month: self.requests_per_month,
            },
            allow_networks: self.allow_networks.try_map(allowed)?,
            deny_networks: self.deny_networks.try_map(denied)?,
            expires: self.expires.try_map(expiry)?,
        })
    }
}

/// A change of what every key has.
fn never_none<T>(field: &'static str, change: Change<T>) -> Result<Option<T>, ApiError> {
    match change {
        Change::Keep => Ok(None),
        Change::Clear => Err(ApiError::invalid_argument(field, "every key has this")),
        Change::Set(value) => Ok(Some(value)),
    }
}

/// Changes what a key may do and use, or its name. It is on disk when the answer comes, and holds
/// from the next request on; what is under way goes on as it was admitted. A key that has ended
/// stays ended.
#[utoipa::path(
    patch,
    path = "/admin/keys/{id}",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    request_body = KeyChangeRequest,
    responses((status = 200, body = KeyView), Failures)
)]
async fn amend(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    context: RequestContext,
    Json(request): Json<KeyChangeRequest>,
) -> Result<Json<KeyView>, ApiError> {
    let id = key_id(&id)?;
    let AmendedKey { before, record } = state.keys().amend(&id, request.read()?).await?;
    // What is as it was is no event.
    if before != record {
        let (was, is) = difference(&before, &record);
        let about = [
            ("key_id", id.as_str().into()),
            ("before", was.into()),
            ("after", is.into()),
        ];
        context.act(EventKind::KeyChanged, &about).await;
    }
    Ok(Json(KeyView::of(record, state.keys())))
}

/// What is not the same in both, by its name in the API.
fn difference(before: &KeyRecord, after: &KeyRecord) -> (Map<String, Value>, Map<String, Value>) {
    let members = |record: &KeyRecord| match serde_json::to_value(record) {
        Ok(Value::Object(members)) => members,
        // A record is a struct of texts, numbers and lists.
        Ok(_) | Err(_) => Map::new(),
    };
    let (mut was, mut is) = (members(before), members(after));
    was.retain(|name, value| is.get(name) != Some(value));
    is.retain(|name, _| was.contains_key(name));
    (was, is)
}
