//! The routes behind their checks, for callers and for operators.

use super::checks::Checks;
use super::error::ApiError;
use super::layers::{Address, BrowserConfig, Guard, HostNames, Origins, Refusal};
use super::policy::Routes;
use super::state::HttpState;
use super::surface;
use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, Uri};
use std::sync::Arc;

/// The whole service: every route behind every check.
pub(crate) fn router(routes: Routes, state: HttpState) -> Router {
    let (routes, policies) = routes.split();
    let checks = Checks::new(&state, policies);
    // Bodies are bounded where they are read: by announced length before the first byte,
    // then by counting. Screening of content belongs to the routes, which know what is text.
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Guard(Arc::new(checks)))
        .with_state(state)
}

/// Routes for a listener that only operators reach, behind what every answer and every request
/// needs there, too. No key is asked for.
pub(crate) fn operators_router(
    routes: Router<HttpState>,
    state: HttpState,
    browser: &BrowserConfig,
) -> Router {
    let origins = Origins::new(browser);
    let names = HostNames::new(browser);
    let address = Address {
        rule: state.config().origin.clone(),
        acl: Arc::new(ArcSwap::from_pointee(state.config().metrics_acl.clone())),
    };
    let checks = Arc::new((origins, names, address));
    let layer = from_fn(move |request: Request, next: Next| {
        let checks = Arc::clone(&checks);
        async move {
            let (origins, names, address) = &*checks;
            let granted = origins.grant(request.headers());
            let checked = address.check(&request, drop);
            let checked = checked.and_then(|_| names.check(&request));
            let mut response = match checked {
                Ok(()) => next.run(request).await,
                Err(Refusal::Now(answer)) => *answer,
                Err(Refusal::Later(answer)) => answer.await,
            };
            origins.complete(granted, response.headers_mut());
            response
        }
    });
    routes.layer(layer).with_state(state)
}

async fn unknown_route(uri: Uri) -> ApiError {
    match surface::not_offered(uri.path()) {
        Some(family) => ApiError::not_offered(family),
        None => ApiError::unknown_route(),
    }
}

/// The router adds `Allow` with the methods that the route has.
async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        ApiError::method_not_allowed().into_response()
    }
}
