//! `/admin/anomalies`: whose conduct is unlike what it has been, and why; and what is usual for a
//! caller is forgotten.

use super::Failures;
use crate::audit::EventKind;
use crate::auth::{Administer, Authorized, Scope};
use crate::guard::{Judgement, WatchedCaller, WatchedState, counts, points};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use crate::limits::Counts;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Callers that one answer lists.
const LISTED_MAX: usize = 100;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default()
        .add(policy, routes!(list))
        .add(policy, routes!(forget))
}

/// A window that was judged.
#[derive(Serialize, ToSchema)]
struct JudgementView {
    /// The sum of what the inputs have added.
    score: f64,
    /// `5 min`, `1 h` or `1 d`.
    window: &'static str,
    /// What each input has added, by its name.
    #[schema(value_type = Object)]
    inputs: serde_json::Value,
    /// The counts of the window.
    #[schema(value_type = Object)]
    counts: serde_json::Value,
}

impl From<&Judgement> for JudgementView {
    fn from(judged: &Judgement) -> Self {
        Self {
            score: (f64::from(judged.score) * 100.0).round() / 100.0,
            window: judged.span.name(),
            inputs: points(judged),
            counts: counts(&judged.counts),
        }
    }
}

/// What is known of a caller.
#[derive(Serialize, ToSchema)]
struct AnomalyView {
    /// `watched_caller`.
    object: &'static str,
    /// The id of the key, or the address.
    caller: String,
    /// `warming_up`, or `settled` where it is judged.
    state: &'static str,
    /// The last window.
    last: JudgementView,
    /// The last anomaly that was reported since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<JudgementView>,
    /// When that window ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    reported_at: Option<Timestamp>,
    /// The seconds for which it is still slowed down.
    #[serde(skip_serializing_if = "Option::is_none")]
    slowed_seconds_left: Option<u64>,
}

impl From<WatchedState> for AnomalyView {
    fn from(state: WatchedState) -> Self {
        let (reported, reported_at) = state.reported.unzip();
        Self {
            object: "watched_caller",
            caller: state.caller.to_string(),
            state: if state.is_settled {
                "settled"
            } else {
                "warming_up"
            },
            last: JudgementView::from(&state.last),
            reported: reported.as_ref().map(JudgementView::from),
            reported_at,
            slowed_seconds_left: state.slowed_s,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct AnomalyList {
    /// `list`.
    object: &'static str,
    /// At most 100.
    data: Vec<AnomalyView>,
}

/// The callers that are watched, those with the highest scores first. Empty where `anomaly.action`
/// is `off`.
#[utoipa::path(get, path = "/admin/anomalies", tag = "Administration", responses((status = 200, body = AnomalyList), Failures))]
async fn list(_: Authorized<Administer>, State(state): State<HttpState>) -> Json<AnomalyList> {
    let states = state.anomalies().list(LISTED_MAX).await;
    Json(AnomalyList {
        object: "list",
        data: states.into_iter().map(AnomalyView::from).collect(),
    })
}

/// Forgets what is usual for a caller, who is watched from the beginning and is slowed down no
/// more: for conduct that has changed for good. On disk when the answer comes.
#[utoipa::path(
    delete,
    path = "/admin/anomalies/{caller}",
    tag = "Administration",
    params(("caller" = String, Path, description = "the id of a key, or an address, as the list shows it")),
    responses((status = 204), Failures)
)]
async fn forget(
    _: Authorized<Administer>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(caller): Path<String>,
) -> Result<StatusCode, ApiError> {
    let caller: WatchedCaller = caller
        .parse()
        .map_err(|error| ApiError::invalid_argument("caller", format!("{error}")))?;
    let forgotten = state.anomalies().forget(&caller).await;
    if forgotten.map_err(|error| ApiError::internal(error.to_string()))? {
        let about = [("caller", json!(caller.to_string()))];
        context.act(EventKind::BaselineForgotten, &about).await;
        Ok(StatusCode::NO_CONTENT)
    } else {
        let message = format!("{caller} is not watched.");
        Err(ApiError::not_found("caller_not_found", message))
    }
}
