//! `POST /admin/reload`: has the server read its settings again, as SIGHUP does.

use super::Failures;
use crate::auth::{Administer, Authorized, Scope};
use crate::http::HttpState;
use crate::http::SettingChange;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use crate::limits::Counts;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default().add(policy, routes!(reload))
}

/// What has become of the settings that were read again.
#[derive(Serialize, ToSchema)]
struct ReloadView {
    /// `reload`.
    object: &'static str,
    /// The settings that hold another value from now on.
    changed: Vec<ChangeView>,
    /// The settings that were given another value and take it at the next start.
    waiting: Vec<ChangeView>,
}

/// Two values of one setting. Secrets are redacted.
#[derive(Serialize, ToSchema)]
struct ChangeView {
    key: &'static str,
    /// The value that held until now.
    before: String,
    /// The other one.
    after: String,
}

impl From<&SettingChange> for ChangeView {
    fn from(change: &SettingChange) -> Self {
        Self {
            key: change.key,
            before: change.before.clone(),
            after: change.after.clone(),
        }
    }
}

/// Reads the settings again and takes up what can change while the server runs, as SIGHUP does.
///
/// The answer comes when that is done. Several that are asked for at once are done one after
/// another. What cannot be used is 422 with all that is wrong, and changes nothing.
#[utoipa::path(
    post,
    path = "/admin/reload",
    tag = "Administration",
    responses((status = 200, body = ReloadView), Failures)
)]
async fn reload(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    context: RequestContext,
) -> Result<Json<ReloadView>, ApiError> {
    let outcome = state.reloads().ask(context.actor()).await;
    let outcome = outcome.map_err(|error| {
        let status = Status::ServiceUnavailable;
        let text = format!("{error}.");
        ApiError::new(status, ErrorType::Server, "no_reloads", text)
    })?;
    context.recorded().await;
    if !outcome.problems.is_empty() {
        let problems: String = outcome
            .problems
            .iter()
            .map(|problem| format!("\n  {problem}"))
            .collect();
        return Err(ApiError::unprocessable(
            "configuration_refused",
            format!(
                "the settings stay as they are, because those that were read cannot be used:{problems}"
            ),
        ));
    }
    Ok(Json(ReloadView {
        object: "reload",
        changed: outcome.changed.iter().map(ChangeView::from).collect(),
        waiting: outcome.waiting.iter().map(ChangeView::from).collect(),
    }))
}
