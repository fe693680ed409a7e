//! `/admin/journal`: what was asked in a world and what was answered, and assertions about it.

#![expect(
    unused_qualifications,
    reason = "utoipa writes them for parameters of a type"
)]

use super::Failures;
use super::worlds::found;
use crate::auth::{Administer, Authorized, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::limits::Counts;
use axum::extract::State;
use belljar_testing::journal::{Asked, Entry, Filter, Journal, Times, Verdict};
use belljar_testing::world::{World, WorldName};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default()
        .add(policy, routes!(list, clear))
        .add(policy, routes!(verify))
}

/// The world whose journal is meant, where it has one.
fn world(state: &HttpState, name: Option<&str>) -> Result<Arc<World>, ApiError> {
    let shared = WorldName::shared();
    let world = found(state, name.unwrap_or(shared.as_str()))?;
    match world.journal_limits() {
        Some(_) => Ok(world),
        None => Err(ApiError::conflict(
            "journal_is_off",
            "This server keeps no journal, because it would hold prompts: `test.journal_max` says how \
             many requests one keeps.",
        )),
    }
}

/// Entries that are looked for: what is not said matches all.
#[derive(Clone, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LookedFor {
    /// The world; that of requests which name none, where none is said.
    world: Option<String>,
    /// The method.
    method: Option<String>,
    /// The path, with `*` for anything.
    path: Option<String>,
    /// The model that was asked for, with `*` for anything.
    model: Option<String>,
    /// The id of the key.
    key: Option<String>,
    /// A header of the request, `name` or `name: value`, with `*` for anything.
    header: Option<String>,
    /// A regular expression that is found in the body of the request.
    content: Option<String>,
    /// A regular expression that is found in the body of the answer.
    answer: Option<String>,
    /// The status, or its class, as in `4xx`.
    status: Option<String>,
    /// The fault that it had, with `*` for anything.
    fault: Option<String>,
    /// The rule that answered, with `*` for anything.
    rule: Option<String>,
    /// Only entries behind this number.
    after: Option<u64>,
    /// At most so many, the newest; 1 000 where nothing is said.
    limit: Option<usize>,
}

impl LookedFor {
    fn filter(self) -> Result<Filter, ApiError> {
        let Self {
            world: _,
            method,
            path,
            model,
            key,
            header,
            content,
            answer,
            status,
            fault,
            rule,
            after,
            limit,
        } = self;
        let asked = Asked {
            method,
            path,
            model,
            key,
            header,
            content,
            answer,
            status,
            fault,
            rule,
            after,
            limit,
        };
        let filter = Filter::try_from(asked);
        filter.map_err(|error| ApiError::invalid_argument("like", format!("{error}")))
    }
}

#[derive(Serialize, ToSchema)]
struct JournalList {
    /// `list`.
    object: &'static str,
    /// Requests and their answers, the oldest first: number, request_id, at_ms, method, path, model,
    /// key, headers, body, status, answer, timings, fault, rule, is_complete.
    #[schema(value_type = Vec<Object>)]
    data: Vec<Entry>,
}

/// The last requests in a world and what they were answered. A request is there when its answer has
/// ended.
#[utoipa::path(get, path = "/admin/journal", tag = "Administration", params(LookedFor), responses((status = 200, body = JournalList), Failures))]
async fn list(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Query(asked): Query<LookedFor>,
) -> Result<Json<JournalList>, ApiError> {
    let world = world(&state, asked.world.as_deref())?;
    let filter = asked.filter()?;
    Ok(Json(JournalList {
        object: "list",
        data: world.journal(|journal| journal.find(&filter)),
    }))
}

/// The world whose journal is forgotten.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Forgotten {
    /// The world; that of requests which name none, where none is said.
    world: Option<String>,
}

/// Forgets the journal of a world.
#[utoipa::path(delete, path = "/admin/journal", tag = "Administration", params(Forgotten), responses((status = 204), Failures))]
async fn clear(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Query(forgotten): Query<Forgotten>,
) -> Result<StatusCode, ApiError> {
    world(&state, forgotten.world.as_deref())?.journal(Journal::clear);
    Ok(StatusCode::NO_CONTENT)
}

/// An assertion about a journal. At least one request must be like this, where no number is said.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Assertion {
    /// What the requests are like, and in which world.
    like: LookedFor,
    /// There are just so many.
    #[serde(default)]
    exactly: Option<usize>,
    /// There are so many or more.
    #[serde(default)]
    at_least: Option<usize>,
    /// There are so many or fewer.
    #[serde(default)]
    at_most: Option<usize>,
}

/// What has become of an assertion.
#[derive(Serialize, ToSchema)]
struct VerdictView {
    /// `verdict`.
    object: &'static str,
    /// Whether it holds.
    holds: bool,
    /// Requests that are like it.
    count: usize,
    /// Where it does not hold, the request that is most like it and is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<NearestView>,
}

#[derive(Serialize, ToSchema)]
struct NearestView {
    /// Its number in the journal.
    number: u64,
    /// The members of `like` that do not hold of it.
    differs_in: Vec<&'static str>,
}

/// Whether so many requests in a world are like this.
#[utoipa::path(post, path = "/admin/journal/verify", tag = "Administration", request_body = Assertion, responses((status = 200, body = VerdictView), Failures))]
async fn verify(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Json(assertion): Json<Assertion>,
) -> Result<Json<VerdictView>, ApiError> {
    let Assertion {
        like,
        exactly,
        at_least,
        at_most,
    } = assertion;
    let world = world(&state, like.world.as_deref())?;
    let filter = like.filter()?;
    let times = Times {
        exactly,
        at_least,
        at_most,
    };
    let Verdict {
        holds,
        count,
        nearest,
    } = world.journal(|journal| journal.verify(&filter, times));
    Ok(Json(VerdictView {
        object: "verdict",
        holds,
        count,
        nearest: nearest.map(|nearest| NearestView {
            number: nearest.number,
            differs_in: nearest.differs_in,
        }),
    }))
}
