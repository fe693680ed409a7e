//! `POST /admin/backup`: all that the server keeps, as it is at one moment.

use super::Failures;
use crate::api::Binary;
use crate::auth::{Administer, Authorized, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use crate::limits::Counts;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin)
        .counting(Counts::Nothing)
        .own_time_limit();
    Routes::default().add(policy, routes!(backup))
}

/// A tar of all that the server keeps: models, keys, bans, use, what callers have stored, and the
/// audit log, as they are at the moment of the request.
///
/// `docs/backup.md` describes its form; `belljar backup` takes it, checks it and keeps it, and
/// `belljar restore` makes a data directory of it. One at a time, at `backup.rate_max` bytes a second
/// and for `backup.time_max` at most. An answer that is shorter than its `Content-Length` is no
/// backup.
#[utoipa::path(
    post,
    path = "/admin/backup",
    tag = "Administration",
    responses((status = 200, body = Binary, content_type = "application/x-tar"), Failures)
)]
async fn backup(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    context: RequestContext,
) -> Result<Response, ApiError> {
    let running = state.backups().begin(context.actor()).await?;
    // In the time's own form, without what file systems do not like.
    let stamp = running.created.strftime("%Y%m%dT%H%M%SZ");
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_LENGTH, running.bytes.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"belljar-{stamp}.tar\""),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let body = Body::from_stream(ReceiverStream::new(running.pieces));
    Ok((headers, body).into_response())
}
