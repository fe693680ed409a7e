//! `/admin/bans` and `/admin/exemptions`: lists and lifts bans, and says who is never banned.

use super::Failures;
use crate::auth::{Administer, Authorized, Scope};
use crate::guard::{Ban, Bans, Exemption};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::ids::KeyId;
use crate::inference::RequestContext;
use crate::limits::Counts;
use crate::net::Network;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin)
        .counting(Counts::Nothing)
        .lifting_bans();
    Routes::default()
        .add(policy, routes!(list))
        .add(policy, routes!(lift))
        .add(policy, routes!(exemptions, exempt))
        .add(policy, routes!(unexempt))
}

/// A ban that is in force.
#[derive(Serialize, ToSchema)]
struct BanView {
    /// `ban`.
    object: &'static str,
    /// The address, or the IPv6 network that counts as one; `everywhere` for a key wherever it is
    /// used.
    address: String,
    /// The key that alone is banned there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    key_id: Option<KeyId>,
    /// `failed_authentication`, `injection`, `oversized_body`, `rate_limit` or `anomaly`.
    reason: &'static str,
    /// Of all kinds, within the window, when the ban was made.
    violations: u32,
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Until it ends.
    seconds_left: u64,
}

impl BanView {
    fn of(ban: &Ban, bans: &Bans) -> Self {
        Self {
            object: "ban",
            address: bans.place(&ban.subject),
            key_id: ban.subject.key_id.clone(),
            reason: ban.reason.name(),
            violations: ban.violations,
            started: ban.started,
            until: ban.until,
            seconds_left: bans.seconds_left(ban),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct BanList {
    /// `list`.
    object: &'static str,
    data: Vec<BanView>,
}

/// All bans in force, those that end first first.
#[utoipa::path(get, path = "/admin/bans", tag = "Administration", responses((status = 200, body = BanList), Failures))]
async fn list(_: Authorized<Administer>, State(state): State<HttpState>) -> Json<BanList> {
    Json(view(&state, &state.bans().list()))
}

fn view(state: &HttpState, bans: &[std::sync::Arc<Ban>]) -> BanList {
    let view = |ban: &std::sync::Arc<Ban>| BanView::of(ban, state.bans());
    BanList {
        object: "list",
        data: bans.iter().map(view).collect(),
    }
}

/// Lifts the bans of an address, of the IPv6 network that it lies in, or of a key, and forgets what
/// led to them. The answer lists what was lifted, and is on disk.
#[utoipa::path(
    delete,
    path = "/admin/bans/{address}",
    tag = "Administration",
    params(("address" = String, Path, description = "an address, a network as the list shows it, or the id of a key")),
    responses((status = 200, body = BanList), Failures)
)]
async fn lift(
    _: Authorized<Administer>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(address): Path<String>,
) -> Result<Json<BanList>, ApiError> {
    let (bans, actor) = (state.bans(), context.actor());
    let lifted = match address.parse::<KeyId>() {
        Ok(key_id) => bans.lift_key(&key_id, actor).await?,
        Err(_) => {
            let address = network("address", &address)?.address();
            bans.lift(address, actor).await?
        }
    };
    context.recorded().await;
    Ok(Json(view(&state, &lifted)))
}

fn network(param: &str, text: &str) -> Result<Network, ApiError> {
    text.parse()
        .map_err(|error| ApiError::invalid_argument(param, format!("{error}")))
}

/// A network that is never banned.
#[derive(Serialize, ToSchema)]
struct ExemptionView {
    /// `exemption`.
    object: &'static str,
    /// An address or a network.
    network: String,
    /// Why, in the words of who made it.
    note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created: Option<Timestamp>,
    /// The key that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    created_by: Option<KeyId>,
    /// `api`, or `configuration`: those can only be taken out there.
    source: &'static str,
}

impl From<Exemption> for ExemptionView {
    fn from(exemption: Exemption) -> Self {
        Self {
            object: "exemption",
            network: exemption.network.to_string(),
            note: exemption.note,
            created: Some(exemption.created),
            created_by: exemption.created_by,
            source: "api",
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ExemptionList {
    /// `list`.
    object: &'static str,
    data: Vec<ExemptionView>,
}

/// All networks that are never banned, those of the configuration first.
#[utoipa::path(get, path = "/admin/exemptions", tag = "Administration", responses((status = 200, body = ExemptionList), Failures))]
async fn exemptions(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
) -> Json<ExemptionList> {
    let config = state.bans().config();
    let configured = config.exempt.iter();
    let configured = configured.map(|network| ExemptionView {
        object: "exemption",
        network: network.to_string(),
        note: String::new(),
        created: None,
        created_by: None,
        source: "configuration",
    });
    let made = state.bans().exemptions().into_iter();
    Json(ExemptionList {
        object: "list",
        data: configured.chain(made.map(ExemptionView::from)).collect(),
    })
}

/// A network to exempt.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExemptionRequest {
    /// An address or a network, such as `10.0.0.0/8`.
    network: String,
    /// Why; at most 200 characters.
    #[serde(default)]
    note: String,
}

/// Exempts a network: its bans end, and what it does no longer counts. On disk when the answer
/// comes.
#[utoipa::path(
    post,
    path = "/admin/exemptions",
    tag = "Administration",
    request_body = ExemptionRequest,
    responses((status = 201, body = ExemptionView), Failures)
)]
async fn exempt(
    _: Authorized<Administer>,
    context: RequestContext,
    State(state): State<HttpState>,
    Json(request): Json<ExemptionRequest>,
) -> Result<(StatusCode, Json<ExemptionView>), ApiError> {
    let network = network("network", &request.network)?;
    let exemption = state
        .bans()
        .exempt(network, request.note, context.actor())
        .await?;
    context.recorded().await;
    Ok((StatusCode::CREATED, Json(exemption.into())))
}

/// Ends an exemption. On disk when the answer comes.
#[utoipa::path(
    delete,
    path = "/admin/exemptions/{network}",
    tag = "Administration",
    params(("network" = String, Path, description = "with `%2F` for the slash, as in `10.0.0.0%2F8`")),
    responses((status = 204), Failures)
)]
async fn unexempt(
    _: Authorized<Administer>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(text): Path<String>,
) -> Result<StatusCode, ApiError> {
    let network = network("network", &text)?;
    state.bans().unexempt(network, context.actor()).await?;
    context.recorded().await;
    Ok(StatusCode::NO_CONTENT)
}
