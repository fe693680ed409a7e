//! `/admin/keys`: makes, lists, shows, rotates, revokes and deletes API keys. Beside it,
//! `key_change` changes what one may do.

use super::Failures;
use crate::audit::EventKind;
use crate::auth::{
    Administer, Allowance, Authorized, ChangedSigning, CreatedKey, InvalidTier, KeyRecord,
    KeyStore, NETWORKS_MAX, NewKey, Scope, Scopes, Signing, SigningChange, SigningSecret, Tier,
    UsageCounts,
};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::{Json, OptionalJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::ids::KeyId;
use crate::inference::RequestContext;
use crate::limits::Counts;
use crate::net::{InvalidNetwork, Network, NetworkAcl, NetworkList};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use belljar_bundle::DurationText;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default()
        .add(policy, routes!(create, list))
        .add(policy, routes!(show, delete))
        .add(policy, routes!(rotate))
        .add(policy, routes!(sign))
        .add(policy, routes!(revoke))
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
    /// Units of fuel in one calendar month, UTC.
    #[serde(default)]
    fuel_per_month: Option<u64>,
    /// Tokens in one calendar month, UTC, prompts and answers together.
    #[serde(default)]
    tokens_per_month: Option<u64>,
    /// Requests in one calendar month, UTC.
    #[serde(default)]
    requests_per_month: Option<u64>,
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
    /// Whether its requests are signed: `none` (the default), `optional` or `required`.
    #[serde(default)]
    signing: Option<String>,
}

impl KeyRequest {
    fn read(self) -> Result<NewKey, ApiError> {
        Ok(NewKey {
            name: self.name,
            scopes: scopes(&self.scopes)?,
            models: self.models,
            allowance: Allowance {
                tier: self.tier.map(tier).transpose()?,
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
            networks: NetworkAcl {
                allow: self
                    .allow_networks
                    .map_or(Ok(NetworkList::EMPTY), allowed)?,
                deny: denied(self.deny_networks)?,
            },
            expires: self.expires.map(expiry).transpose()?,
            signing: signing(self.signing.as_deref())?.unwrap_or_default(),
        })
    }
}

pub(super) fn scopes(names: &[String]) -> Result<Scopes, ApiError> {
    let scope = |(index, name): (usize, &String)| {
        name.parse::<Scope>().map_err(|error| {
            ApiError::invalid_argument(format!("scopes[{index}]"), error.to_string())
        })
    };
    names.iter().enumerate().map(scope).collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "mapped over what a body holds"
)]
pub(super) fn tier(name: String) -> Result<Tier, ApiError> {
    name.parse()
        .map_err(|error: InvalidTier| ApiError::invalid_argument("tier", error.to_string()))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "mapped over what a body holds"
)]
pub(super) fn expiry(time: String) -> Result<Timestamp, ApiError> {
    let expected = "expected a time such as 2027-01-31T00:00:00Z";
    time.parse()
        .map_err(|_| ApiError::invalid_argument("expires", expected))
}

/// The networks that a key is to be used from. A list that allows nothing is a slip: it reads like
/// "from nowhere", and nobody makes a key for that.
pub(super) fn allowed(list: Vec<String>) -> Result<NetworkList, ApiError> {
    if list.is_empty() {
        return Err(ApiError::invalid_argument(
            "allow_networks",
            "an empty list would allow nothing: leave it out to allow everything",
        ));
    }
    networks("allow_networks", &list)
}

/// The networks that a key is not to be used from.
#[expect(
    clippy::needless_pass_by_value,
    reason = "mapped over what a body holds"
)]
pub(super) fn denied(list: Vec<String>) -> Result<NetworkList, ApiError> {
    networks("deny_networks", &list)
}

fn networks(field: &str, list: &[String]) -> Result<NetworkList, ApiError> {
    let network = |(index, text): (usize, &String)| {
        text.parse().map_err(|error: InvalidNetwork| {
            ApiError::invalid_argument(format!("{field}[{index}]"), error.to_string())
        })
    };
    let networks: Result<Vec<Network>, ApiError> = list.iter().enumerate().map(network).collect();
    let too_many = || format!("a key has at most {NETWORKS_MAX} networks in each list");
    NetworkList::new(networks?, NETWORKS_MAX)
        .map_err(|_| ApiError::invalid_argument(field, too_many()))
}

/// What is known about a key. The secret is not.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    /// `key`.
    object: &'static str,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    record: KeyRecord,
    /// What it has used so far.
    #[schema(value_type = Object)]
    usage: UsageCounts,
}

impl KeyView {
    pub(super) fn of(record: KeyRecord, keys: &KeyStore) -> Self {
        Self {
            object: "key",
            usage: keys.usage(&record.id),
            record,
        }
    }
}

/// A key with a secret that was just made.
#[derive(Serialize, ToSchema)]
struct NewKeyView<'a> {
    /// The secret. It is shown this once and not stored.
    key: &'a str,
    /// The secret that signs, of a key that does. It is shown this once and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<&'a str>,
    #[serde(flatten)]
    view: KeyView,
}

#[derive(Serialize, ToSchema)]
struct KeyList {
    /// `list`.
    object: &'static str,
    data: Vec<KeyView>,
}

/// How a key is to be rotated.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateRequest {
    /// How long the secret that is replaced works on, such as `10m`; at most `7d`. Not at all
    /// where it is missing.
    #[serde(default)]
    overlap: Option<String>,
}

/// How a key is to sign.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SigningRequest {
    /// `none`, `optional` or `required`; as it is where it is missing.
    #[serde(default)]
    signing: Option<String>,
    /// Whether the key is to have another secret that signs.
    #[serde(default)]
    rotate: bool,
    /// How long the secret before works on, such as `10m`; at most `7d`. Not at all where it is
    /// missing.
    #[serde(default)]
    overlap: Option<String>,
}

/// A key that signs, or does not any more.
#[derive(Serialize, ToSchema)]
struct SigningView<'a> {
    /// The secret that signs, where it is another one now. It is shown this once and not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<&'a str>,
    #[serde(flatten)]
    view: KeyView,
}

fn signing(text: Option<&str>) -> Result<Option<Signing>, ApiError> {
    let signing = text.map(str::parse::<Signing>).transpose();
    signing.map_err(|error| ApiError::invalid_argument("signing", error.to_string()))
}

fn span(text: Option<&str>) -> Result<Option<Duration>, ApiError> {
    let span = text.map(str::parse::<DurationText>).transpose();
    let span = span.map_err(|error| ApiError::invalid_argument("overlap", error.to_string()))?;
    Ok(span.map(DurationText::as_duration))
}

/// What is left of a key.
#[derive(Serialize, ToSchema)]
struct DeletedKey {
    id: String,
    /// `key`.
    object: &'static str,
    /// `true`.
    deleted: bool,
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
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    context: RequestContext,
    Json(request): Json<KeyRequest>,
) -> Result<Response, ApiError> {
    let created = state.keys().create(request.read()?).await?;
    note(&context, EventKind::KeyCreated, &created.record).await;
    let location = HeaderValue::from_str(&format!("/admin/keys/{}", created.record.id));
    let mut response = secret_once(StatusCode::CREATED, created, &state);
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The one answer that shows a secret. Like every answer, it tells proxies to keep no copy.
fn secret_once(status: StatusCode, created: CreatedKey, state: &HttpState) -> Response {
    let CreatedKey {
        record,
        secret,
        signing_secret,
    } = created;
    let view = NewKeyView {
        key: secret.expose(),
        signing_secret: signing_secret.as_ref().map(SigningSecret::expose),
        view: KeyView::of(record, state.keys()),
    };
    (status, Json(view)).into_response()
}

/// All keys, those of the configuration first.
#[utoipa::path(get, path = "/admin/keys", tag = "Administration", responses((status = 200, body = KeyList), Failures))]
async fn list(_: Authorized<Administer>, State(state): State<HttpState>) -> Json<KeyList> {
    let records = state.keys().list().into_iter();
    Json(KeyList {
        object: "list",
        data: records
            .map(|record| KeyView::of(record, state.keys()))
            .collect(),
    })
}

/// One key, with what it has used.
#[utoipa::path(
    get,
    path = "/admin/keys/{id}",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    responses((status = 200, body = KeyView), Failures)
)]
async fn show(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<KeyView>, ApiError> {
    let record = state.keys().show(&key_id(&id)?)?;
    Ok(Json(KeyView::of(record, state.keys())))
}

/// Gives a key another secret, which works at once; its id and all that it may do stay.
///
/// The secret before it works on for as long as `overlap` says, those before that for no longer,
/// and at most two of them: with no overlap, only the new one works.
#[utoipa::path(
    post,
    path = "/admin/keys/{id}/rotate",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    request_body = Option<RotateRequest>,
    responses((status = 200, body = NewKeyView), Failures)
)]
async fn rotate(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    context: RequestContext,
    OptionalJson(request): OptionalJson<RotateRequest>,
) -> Result<Response, ApiError> {
    let id = key_id(&id)?;
    let overlap = span(request.overlap.as_deref())?.unwrap_or_default();
    let created = state.keys().rotate(&id, overlap).await?;
    note(&context, EventKind::KeyRotated, &created.record).await;
    Ok(secret_once(StatusCode::OK, created, &state))
}

/// Changes whether the requests of a key are signed (RFC 9421, HMAC-SHA256), and gives it another
/// secret that signs. The first such secret is made when it begins to sign.
#[utoipa::path(
    post,
    path = "/admin/keys/{id}/signing",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    request_body = SigningRequest,
    responses((status = 200, body = SigningView), Failures)
)]
async fn sign(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    context: RequestContext,
    Json(request): Json<SigningRequest>,
) -> Result<Response, ApiError> {
    let id = key_id(&id)?;
    let overlap = span(request.overlap.as_deref())?;
    if overlap.is_some() && !request.rotate {
        return Err(ApiError::invalid_argument(
            "overlap",
            "is about `rotate`, which is not asked for",
        ));
    }
    let change = SigningChange {
        requirement: signing(request.signing.as_deref())?,
        rotate: request.rotate.then(|| overlap.unwrap_or_default()),
    };
    if change.requirement.is_none() && change.rotate.is_none() {
        return Err(ApiError::missing_argument("signing".to_owned()));
    }
    let ChangedSigning { record, secret } = state.keys().set_signing(&id, change).await?;
    let about = [
        ("key_id", record.id.as_str().into()),
        ("signing", record.signing.name().into()),
        ("has_another_secret", secret.is_some().into()),
    ];
    context.act(EventKind::KeySigningChanged, &about).await;
    let view = SigningView {
        signing_secret: secret.as_ref().map(SigningSecret::expose),
        view: KeyView::of(record, state.keys()),
    };
    Ok(Json(view).into_response())
}

/// Ends a key: it is refused from the next request on, also after a restart, and its open
/// streams are ended.
#[utoipa::path(
    post,
    path = "/admin/keys/{id}/revoke",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    responses((status = 200, body = KeyView), Failures)
)]
async fn revoke(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    context: RequestContext,
) -> Result<Json<KeyView>, ApiError> {
    let id = key_id(&id)?;
    let was_revoked = state.keys().show(&id)?.revoked.is_some();
    let key = state.keys().revoke(&id).await?;
    // Revoking twice changes nothing, and is no event.
    if !was_revoked {
        note(&context, EventKind::KeyRevoked, &key).await;
    }
    Ok(Json(KeyView::of(key, state.keys())))
}

/// Forgets a key and its counts; its open streams are ended. Revoke it instead to keep its record,
/// which logs and the ledger name. What it has uploaded stays, and so do its rows of the ledger.
#[utoipa::path(
    delete,
    path = "/admin/keys/{id}",
    tag = "Administration",
    params(("id" = String, Path, description = "`key_` and 16 hex digits")),
    responses((status = 200, body = DeletedKey), Failures)
)]
async fn delete(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    context: RequestContext,
) -> Result<Json<DeletedKey>, ApiError> {
    let id = key_id(&id)?;
    let key = state.keys().show(&id)?;
    state.keys().delete(&id).await?;
    note(&context, EventKind::KeyDeleted, &key).await;
    Ok(Json(DeletedKey {
        id: id.to_string(),
        object: "key",
        deleted: true,
    }))
}

/// Records a change of a key.
async fn note(context: &RequestContext, kind: EventKind, key: &KeyRecord) {
    let about = [
        ("key_id", key.id.as_str().into()),
        ("scopes", key.scopes.to_string().into()),
    ];
    context.act(kind, &about).await;
}

pub(super) fn key_id(text: &str) -> Result<KeyId, ApiError> {
    text.parse()
        .map_err(|error| ApiError::not_found("key_not_found", format!("{error}")))
}
