//! All routes, and the layers that each request passes, in one place.

use super::error::ApiError;
use super::layers::{
    BrowserConfig, CatchPanic, Deadline, Gate, Headers, HostCheck, HostNames, Observe, Origins,
    Preflight,
};
use super::routes;
use super::state::HttpState;
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use tower::ServiceBuilder;

/// The whole service: every route behind every layer.
///
/// Layers are listed in the order in which a request meets them.
pub fn router(state: HttpState) -> Router {
    let config = state.config();
    let origins = Origins::new(&config.browser);
    let layers = ServiceBuilder::new()
        // Outermost, so that whatever happens below has an id, a line in the log and a count,
        // and so that the line is written after the last byte.
        .layer(Observe)
        // Above all that refuses, so that refusals carry these headers, too: a page learns why
        // it was refused only where its origin may read the answer.
        .layer(Headers {
            origins: origins.clone(),
        })
        // Below the log, so that a panic is logged as the 500 that it becomes; above all else,
        // so that no code that handles a request is outside of it.
        .layer(CatchPanic)
        // A ban of addresses belongs here: before a key is looked at, or a ban would not keep
        // guesses of keys away.
        //
        // Which server is meant comes before what it is asked.
        .layer(HostCheck {
            names: HostNames::new(&config.browser),
        })
        // Browsers ask without a key whether they may ask with one.
        .layer(Preflight { origins })
        // Whatever a request waits for below is within its time.
        .layer(Deadline {
            request_timeout: config.request_timeout,
        })
        // Who calls is known before the body is read and before any route decides anything.
        // What a caller may do is each route's first argument.
        .layer(Gate {
            keys: state.keys().clone(),
        });
    // Rate limits belong here: they are kept per key, so they need to know the caller.
    // Bodies are bounded where they are read: by announced length before the first byte,
    // then by counting. Screening of content belongs to the routes, which know what is text.
    let (router, _) = routes::all().split_for_parts();
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers)
        .with_state(state)
}

/// A router beside the main one, with what every answer and every request needs there, too.
pub(crate) fn guarded(router: Router, browser: &BrowserConfig) -> Router {
    let layers = ServiceBuilder::new()
        .layer(Headers {
            origins: Origins::new(browser),
        })
        .layer(HostCheck {
            names: HostNames::new(browser),
        });
    router.layer(layers)
}

/// The description of all routes, as `GET /openapi.json` gives it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::complete(routes::all().into_openapi())
}

async fn unknown_route() -> ApiError {
    ApiError::unknown_route()
}

/// The router adds `Allow` with the methods that the route has.
async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        ApiError::method_not_allowed().into_response()
    }
}
