//! `/admin/jwt`: callers by token, and tokens that are not taken any more.

use super::Failures;
use crate::audit::EventKind;
use crate::auth::{Administer, Authorized, RevokedToken, Scope, TokenCaller};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use crate::limits::Counts;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Callers that one answer has.
const CALLERS_MAX: usize = 1_000;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default()
        .add(policy, routes!(callers))
        .add(policy, routes!(revoke, revoked))
}

/// A caller by token.
#[derive(Serialize, ToSchema)]
struct CallerView {
    /// `jwt_caller`.
    object: &'static str,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    caller: TokenCaller,
}

#[derive(Serialize, ToSchema)]
struct CallerList {
    /// `list`.
    object: &'static str,
    data: Vec<CallerView>,
}

/// A revoked token.
#[derive(Serialize, ToSchema)]
struct RevokedView {
    /// `revoked_token`.
    object: &'static str,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    token: RevokedToken,
}

impl From<RevokedToken> for RevokedView {
    fn from(token: RevokedToken) -> Self {
        Self {
            object: "revoked_token",
            token,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct RevokedList {
    /// `list`.
    object: &'static str,
    data: Vec<RevokedView>,
}

/// A token to be revoked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevokeRequest {
    /// Its id, which is its claim of that name: 1 to 256 visible ASCII characters.
    jti: String,
}

/// The callers by token that have come since the start and are in memory, those that came last
/// first; at most 1 000. What each has used counts from its first request on.
#[utoipa::path(get, path = "/admin/jwt/callers", tag = "Administration", responses((status = 200, body = CallerList), Failures))]
async fn callers(_: Authorized<Administer>, State(state): State<HttpState>) -> Json<CallerList> {
    let mut callers = state.keys().token_callers();
    callers.sort_by(|a, b| {
        let order = |caller: &TokenCaller| Reverse(caller.usage.last_used);
        order(a).cmp(&order(b)).then_with(|| a.id.cmp(&b.id))
    });
    callers.truncate(CALLERS_MAX);
    let view = |caller| CallerView {
        object: "jwt_caller",
        caller,
    };
    Json(CallerList {
        object: "list",
        data: callers.into_iter().map(view).collect(),
    })
}

/// The tokens that were revoked here and have not ended by themselves, none where no tokens are
/// taken; those of the file `jwt.revoked` are not listed.
#[utoipa::path(
    get,
    path = "/admin/jwt/revoked",
    tag = "Administration",
    responses((status = 200, body = RevokedList), Failures)
)]
async fn revoked(_: Authorized<Administer>, State(state): State<HttpState>) -> Json<RevokedList> {
    let revoked = state.keys().revoked_tokens().into_iter();
    Json(RevokedList {
        object: "list",
        data: revoked.map(RevokedView::from).collect(),
    })
}

/// Revokes the tokens with an id: they are refused from the next request on, also after a
/// restart, and their open streams are ended. Kept until no token with that id can hold any
/// more. On disk when the answer comes: 201, or 200 where it was revoked before.
#[utoipa::path(
    post,
    path = "/admin/jwt/revoked",
    tag = "Administration",
    request_body = RevokeRequest,
    responses((status = 201, body = RevokedView), (status = 200, body = RevokedView), Failures)
)]
async fn revoke(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    context: RequestContext,
    Json(request): Json<RevokeRequest>,
) -> Result<(StatusCode, Json<RevokedView>), ApiError> {
    let (token, is_new) = state.keys().revoke_token(&request.jti).await?;
    if !is_new {
        return Ok((StatusCode::OK, Json(token.into())));
    }
    let about = [
        ("jti", token.jti.as_str().into()),
        ("until", token.until.to_string().into()),
    ];
    context.act(EventKind::TokenRevoked, &about).await;
    Ok((StatusCode::CREATED, Json(token.into())))
}
