//! The layers that each request passes on its way to a route, in one place.

use super::error::ApiError;
use super::layers::{
    Address, Authorize, BrowserConfig, CatchPanic, Checking, Conduct, Deadline, Gate, Headers,
    HostCheck, HostNames, KeyConduct, Limit, Observe, Origins, Preflight, Screen,
};
use super::policy::Routes;
use super::state::HttpState;
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use std::sync::Arc;
use tower::ServiceBuilder;

/// The whole service: every route behind every layer.
///
/// Layers are listed in the order in which a request meets them.
pub(crate) fn router(routes: Routes, state: HttpState) -> Router {
    let (routes, policies) = routes.split();
    let config = state.config();
    let origins = Origins::new(&config.browser);
    let layers = ServiceBuilder::new()
        // Outermost, so that whatever happens below has an id, a line in the log and a count,
        // and so that the line is written after the last byte.
        .layer(Observe {
            audit: state.audit().clone(),
            policies: Arc::new(policies),
        })
        // Above all that refuses, so that refusals carry these headers, too: a page learns why
        // it was refused only where its origin may read the answer.
        .layer(Headers {
            origins: origins.clone(),
        })
        // Below the log, so that a panic is logged as the 500 that it becomes; above all else,
        // so that no code that handles a request is outside of it.
        .layer(CatchPanic)
        // Whose request it is has to be known before anybody can be held to anything.
        .layer(Checking(Address {
            rule: Arc::new(config.origin.clone()),
            acl: Arc::new(config.acl.clone()),
        }))
        // Before a key is looked at, or a ban would not keep guesses of keys away.
        .layer(Conduct {
            bans: state.bans().clone(),
            keys: state.keys().clone(),
            clock: state.clock().clone(),
            audit: state.audit().clone(),
        })
        // Which server is meant comes before what it is asked.
        .layer(Checking(HostCheck {
            names: HostNames::new(&config.browser),
        }))
        // Browsers ask without a key whether they may ask with one.
        .layer(Checking(Preflight { origins }))
        // Whatever a request waits for below is within its time.
        .layer(Deadline {
            request_timeout: config.request_timeout,
        })
        // Who calls is known before the body is read and before any route decides anything.
        .layer(Gate {
            keys: state.keys().clone(),
        })
        // What holds for one key alone can only be asked once the key is known to be real.
        .layer(Checking(KeyConduct {
            bans: state.bans().clone(),
            clock: state.clock().clone(),
        }))
        // Below the gate, because limits are kept by verified key; above the body, because who
        // is over a limit should cost no reading.
        .layer(Limit {
            limiter: state.limiter().clone(),
            clock: state.clock().clone(),
        })
        // Below the limits, because it costs most: what is refused above is not screened.
        .layer(Checking(Screen {
            screening: state.screening().clone(),
        }))
        // Last, so that a caller who may not do this has been counted for asking.
        .layer(Checking(Authorize {
            keys: state.keys().clone(),
        }));
    // Bodies are bounded where they are read: by announced length before the first byte,
    // then by counting. Screening of content belongs to the routes, which know what is text.
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers)
        .with_state(state)
}

/// Routes for a listener that only operators reach, behind what every answer and every request
/// needs there, too. No key is asked for.
pub(crate) fn operators_router(
    routes: Router<HttpState>,
    state: HttpState,
    browser: &BrowserConfig,
) -> Router {
    let layers = ServiceBuilder::new()
        .layer(Headers {
            origins: Origins::new(browser),
        })
        .layer(Checking(Address {
            rule: Arc::new(state.config().origin.clone()),
            acl: Arc::new(state.config().metrics_acl.clone()),
        }))
        .layer(Checking(HostCheck {
            names: HostNames::new(browser),
        }));
    routes.layer(layers).with_state(state)
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
