//! `/admin/worlds`: what each test of a tester has to itself, and the faults in it.

use super::Failures;
use crate::auth::{Administer, Authorized, Scope};
use crate::http::HttpState;
use crate::http::error::{ApiError, too_many_worlds};
use crate::http::extract::Path;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::limits::Counts;
use crate::testing::Testing;
use axum::extract::State;
use belljar_testing::fault::{Asked, FaultRule, When};
use belljar_testing::world::{NumberedFault, World, WorldClock, WorldName};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default()
        .add(policy, routes!(list))
        .add(policy, routes!(show, change, free))
        .add(policy, routes!(faults, add_fault, clear_faults))
        .add(policy, routes!(remove_fault))
}

/// What testers control, where they control anything.
pub(super) fn testing(state: &HttpState) -> Result<&Testing, ApiError> {
    state.testing().ok_or_else(|| {
        ApiError::conflict(
            "testing_is_off",
            "This server has no worlds: it was started with `testing = false`, or on an address that \
             others can reach without `testing = true`.",
        )
    })
}

/// The name of a world, out of a path or a query.
pub(super) fn name(text: &str) -> Result<WorldName, ApiError> {
    text.parse()
        .map_err(|error| ApiError::invalid_argument("name", format!("{error}")))
}

/// A world that there is.
pub(super) fn found(state: &HttpState, text: &str) -> Result<Arc<World>, ApiError> {
    let found = testing(state)?.worlds().find(&name(text)?);
    found.ok_or_else(|| {
        let message = format!("There is no world `{text}`: it is made by its first request.");
        ApiError::not_found("world_not_found", message)
    })
}

/// A world, made where there is none.
pub(super) fn entered(state: &HttpState, text: &str) -> Result<Arc<World>, ApiError> {
    let entered = testing(state)?.enter(&name(text)?);
    entered.map_err(too_many_worlds)
}

/// What one test has to itself.
#[derive(Serialize, ToSchema)]
struct WorldView {
    /// `world`.
    object: &'static str,
    /// `default` for requests that name none.
    name: String,
    /// What chance in its runs follows from.
    seed: u64,
    /// `real` or `virtual`.
    clock: &'static str,
    /// How long texts take; `null` for as long as the server's settings say.
    latency: Option<String>,
    /// Requests that have come.
    requests: u64,
    /// Rules of faults.
    faults: usize,
    /// Requests in its journal.
    journal: usize,
}

impl From<&World> for WorldView {
    fn from(world: &World) -> Self {
        Self {
            object: "world",
            name: world.name().to_string(),
            seed: world.seed(),
            clock: world.clock().name(),
            latency: world.latency().map(|latency| match latency {
                Some(latency) => latency.to_string(),
                None => "none".to_owned(),
            }),
            requests: world.requests(),
            faults: world.faults().len(),
            journal: world.journal(|journal| journal.len()),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct WorldList {
    /// `list`.
    object: &'static str,
    data: Vec<WorldView>,
}

/// All worlds by name, that of requests which name none first.
#[utoipa::path(get, path = "/admin/worlds", tag = "Administration", responses((status = 200, body = WorldList), Failures))]
async fn list(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
) -> Result<Json<WorldList>, ApiError> {
    let worlds = testing(&state)?.worlds().list();
    Ok(Json(WorldList {
        object: "list",
        data: worlds
            .iter()
            .map(|world| WorldView::from(&**world))
            .collect(),
    }))
}

/// One world.
#[utoipa::path(
    get,
    path = "/admin/worlds/{name}",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    responses((status = 200, body = WorldView), Failures)
)]
async fn show(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<WorldView>, ApiError> {
    Ok(Json(WorldView::from(&*found(&state, &name)?)))
}

/// What is to be different in a world.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct WorldChange {
    /// What chance in its runs follows from; its requests are counted from 0 again.
    seed: Option<u64>,
    /// `real` or `virtual`.
    clock: Option<String>,
    /// How long texts take, as in `x-belljar-latency`.
    latency: Option<String>,
}

/// Changes a world, which is made where there is none.
#[utoipa::path(
    put,
    path = "/admin/worlds/{name}",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    request_body = WorldChange,
    responses((status = 200, body = WorldView), Failures)
)]
async fn change(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Json(change): Json<WorldChange>,
) -> Result<Json<WorldView>, ApiError> {
    let clock = change.clock.map(|clock| clock.parse::<WorldClock>());
    let clock = clock.transpose();
    let clock = clock.map_err(|error| ApiError::invalid_argument("clock", format!("{error}")))?;
    let latencies = testing(&state)?.latencies();
    let latency = change.latency.map(|text| latencies.read(&text)).transpose();
    let latency =
        latency.map_err(|error| ApiError::invalid_argument("latency", format!("{error}")))?;
    let world = entered(&state, &name)?;
    if latency.is_some() {
        world.set_latency(latency);
    }
    if let Some(seed) = change.seed {
        world.set_seed(seed);
    }
    if let Some(clock) = clock {
        world.set_clock(clock);
    }
    Ok(Json(WorldView::from(&*world)))
}

/// Frees a world with all that is in it. That of requests which name none begins anew.
#[utoipa::path(
    delete,
    path = "/admin/worlds/{name}",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    responses((status = 204), Failures)
)]
async fn free(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let world = found(&state, &name)?;
    testing(&state)?.worlds().remove(world.name());
    Ok(StatusCode::NO_CONTENT)
}

/// A fault, and the requests that have it.
#[derive(Serialize, ToSchema)]
struct FaultView {
    /// `fault`.
    object: &'static str,
    /// Its number in its world.
    number: u64,
    /// As in `x-belljar-fault`.
    fault: String,
    /// `always`, `next` or `rate`.
    when: &'static str,
    /// The share of requests that have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    /// What the share is chosen by.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// How many requests will still have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    /// Requests that have had it.
    given: u64,
    /// What they are like: `model`, `path`, `key`, `header` and `content`, as they were asked for.
    #[schema(value_type = Object)]
    matches: Map<String, Value>,
}

impl From<&NumberedFault> for FaultView {
    fn from(numbered: &NumberedFault) -> Self {
        let NumberedFault { number, rule } = numbered;
        let (when, rate, seed) = match rule.when {
            When::Always => ("always", None, None),
            When::Next(_) => ("next", None, None),
            When::Rate { share, seed } => ("rate", Some(share), Some(seed)),
        };
        let members = rule.pattern.members();
        Self {
            object: "fault",
            number: *number,
            fault: rule.fault.to_string(),
            when,
            rate,
            seed,
            left: rule.left(),
            given: rule.given(),
            matches: members
                .map(|(name, text)| (name.to_owned(), json!(text)))
                .collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct FaultList {
    /// `list`.
    object: &'static str,
    data: Vec<FaultView>,
}

/// The rules of a world's faults, in the order in which they are asked.
#[utoipa::path(
    get,
    path = "/admin/worlds/{name}/faults",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    responses((status = 200, body = FaultList), Failures)
)]
async fn faults(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<FaultList>, ApiError> {
    let faults = found(&state, &name)?.faults();
    Ok(Json(FaultList {
        object: "list",
        data: faults.iter().map(FaultView::from).collect(),
    }))
}

/// A rule of faults.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Asked` reads")]
struct FaultRequest {
    /// As in `x-belljar-fault`, such as `status=500`.
    fault: String,
    /// How many requests have it; without `next` and `rate` all have.
    next: Option<u32>,
    /// The share of requests that have it, from 0 to 1.
    rate: Option<f64>,
    /// What the share is chosen by.
    seed: Option<u64>,
    /// The model that they ask for, with `*` for anything.
    model: Option<String>,
    /// Their path, with `*` for anything.
    path: Option<String>,
    /// The id of their key.
    key: Option<String>,
    /// A header of theirs, `name` or `name: value`, with `*` for anything.
    header: Option<String>,
    /// A regular expression that is found in their body.
    content: Option<String>,
}

/// Adds a fault to a world, which is made where there is none.
#[utoipa::path(
    post,
    path = "/admin/worlds/{name}/faults",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    request_body = FaultRequest,
    responses((status = 201, body = FaultView), Failures)
)]
async fn add_fault(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Json(asked): Json<Asked>,
) -> Result<(StatusCode, Json<FaultView>), ApiError> {
    let rule = FaultRule::try_from(asked);
    let rule = rule.map_err(|error| ApiError::invalid_argument("fault", format!("{error}")))?;
    let world = entered(&state, &name)?;
    let number = world.add_fault(rule.clone());
    let number =
        number.map_err(|error| ApiError::conflict("too_many_faults", format!("{error}.")))?;
    let view = FaultView::from(&NumberedFault { number, rule });
    Ok((StatusCode::CREATED, Json(view)))
}

/// Takes all faults out of a world.
#[utoipa::path(
    delete,
    path = "/admin/worlds/{name}/faults",
    tag = "Administration",
    params(("name" = String, Path, description = "the name, as in `x-belljar-run`")),
    responses((status = 204), Failures)
)]
async fn clear_faults(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    found(&state, &name)?.clear_faults();
    Ok(StatusCode::NO_CONTENT)
}

/// Takes one fault out of a world.
#[utoipa::path(
    delete,
    path = "/admin/worlds/{name}/faults/{number}",
    tag = "Administration",
    params(
        ("name" = String, Path, description = "the name, as in `x-belljar-run`"),
        ("number" = u64, Path, description = "the number of the fault in its world"),
    ),
    responses((status = 204), Failures)
)]
async fn remove_fault(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Path((name, number)): Path<(String, u64)>,
) -> Result<StatusCode, ApiError> {
    if found(&state, &name)?.remove_fault(number) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let message = format!("There is no fault {number} in the world `{name}`.");
    Err(ApiError::not_found("fault_not_found", message))
}
