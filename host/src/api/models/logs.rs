//! `GET /models/{name}/logs`: what a model has written, for the key that has uploaded it and for
//! administrators.

use super::model_name;
use crate::api::Failures;
use crate::auth::{Authorized, ReadLogs, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::models::{LogLine, LogPage, LogQuery};
use axum::extract::State;
use belljar_bundle::ModelVersion;
use belljar_sandbox::Loudness;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::either_scope(Scope::ModelsWrite, Scope::Admin);
    Routes::default().add(policy, routes!(logs))
}

/// Lines of one answer, where the caller does not say, and at most.
const LINES: usize = 100;
const LINES_MAX: usize = 1_000;

/// The longest time that an answer waits for a line.
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    version: Option<String>,
    limit: Option<usize>,
    after: Option<u64>,
    #[serde(default)]
    wait: u64,
}

/// Lines that a model has written, the oldest first.
#[derive(Serialize, ToSchema)]
struct LogList {
    /// `list`.
    object: &'static str,
    data: Vec<LogLineView>,
    /// What to say as `after` to go on from here.
    last: u64,
    /// Whether lines before these are left out, or gone because there was no room for them.
    truncated: bool,
}

/// A line that a model has written, or that was written about a run of it.
#[derive(Serialize, ToSchema)]
struct LogLineView {
    /// Its number among the lines of the model.
    sequence: u64,
    #[schema(format = DateTime)]
    time: String,
    version: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    level: &'static str,
    /// `log`, `stdio`, or `run` for why a run failed.
    source: String,
    /// The request whose run has written it; `load` and `activation` before there were any.
    request_id: String,
    message: String,
}

impl LogLineView {
    fn of(version: &ModelVersion, line: &LogLine) -> Self {
        Self {
            sequence: line.sequence,
            time: line.time.to_string(),
            version: version.to_string(),
            level: match line.level {
                Loudness::Trace => "trace",
                Loudness::Debug => "debug",
                Loudness::Info => "info",
                Loudness::Warn => "warn",
                Loudness::Error => "error",
            },
            source: line.origin.to_string(),
            request_id: line.request_id.to_string(),
            message: line.text.to_string(),
        }
    }
}

impl From<LogPage> for LogList {
    fn from(page: LogPage) -> Self {
        let lines = page.lines.iter();
        Self {
            object: "list",
            data: lines
                .map(|(version, line)| LogLineView::of(version, line))
                .collect(),
            last: page.last,
            truncated: page.is_truncated,
        }
    }
}

impl Options {
    fn read(self) -> Result<(LogQuery, Duration), ApiError> {
        let version = self.version.map(|version| version.parse()).transpose();
        let version = version.map_err(|_| {
            ApiError::invalid_argument("version", "expected a version such as 1.0.0")
        })?;
        let limit = self.limit.unwrap_or(LINES);
        if !(1..=LINES_MAX).contains(&limit) {
            let text = format!("expected 1 to {LINES_MAX}");
            return Err(ApiError::invalid_argument("limit", text));
        }
        let wait = Duration::from_secs(self.wait);
        if wait > WAIT_MAX {
            let text = format!("expected 0 to {} seconds", WAIT_MAX.as_secs());
            return Err(ApiError::invalid_argument("wait", text));
        }
        let query = LogQuery {
            version,
            after: self.after,
            limit,
        };
        Ok((query, wait))
    }
}

/// What a model has written of late: by the interface `log`, to stdout and stderr, and why its runs
/// failed.
///
/// Kept in memory, of each version so much as `model_logs.*` says. Administrators read it, and where
/// `model_logs.readers` is `uploader` also the key that has uploaded a version, of that version.
/// With `wait` an answer without lines is put off until there is one.
#[utoipa::path(
    get,
    path = "/models/{name}/logs",
    tag = "Models",
    params(
        ("name" = String, Path),
        ("version" = Option<String>, Query, description = "One version; all that the caller may read where it is missing."),
        ("limit" = Option<usize>, Query, description = "Lines at most, 1 to 1000; 100 where it is missing."),
        ("after" = Option<u64>, Query, description = "The first lines above that number; the last ones where it is missing."),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for a line, 0 to 30."),
    ),
    responses((status = 200, body = LogList), Failures)
)]
async fn logs(
    Authorized { caller, .. }: Authorized<ReadLogs>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Query(options): Query<Options>,
) -> Result<Json<LogList>, ApiError> {
    let name = model_name(&name)?;
    let (query, wait) = options.read()?;
    let registry = state.registry();
    let page = tokio::select! {
        page = registry.logs(&name, &query, &caller, wait) => page,
        // A stop is not held up by who waits for lines.
        () = state.drained() => registry.logs(&name, &query, &caller, Duration::ZERO).await,
    };
    Ok(Json(page?.into()))
}
