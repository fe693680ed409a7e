//! What each request of a stream of requests meets by itself. The stream has met every check when it
//! was opened; here are those whose outcome changes while it is open: bans, and the limits of the
//! caller's pace.

use super::checks::Checks;
use super::context::context_of;
use super::error::ApiError;
use super::layers::Refusal;
use super::policy::RoutePolicy;
use crate::inference::RequestContext;
use crate::limits::{Admitted, Counts, RatePermit, TokenAdmission};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::request::Parts;
use std::sync::Arc;

/// The checks of the requests of one stream. Found by the handlers of routes that count
/// [`Counts::Each`].
#[derive(Clone)]
pub(crate) struct StreamGate {
    pub(super) checks: Arc<Checks>,
    pub(super) policy: RoutePolicy,
    /// The template of the route that the stream came by.
    pub(super) route: Arc<str>,
}

/// A request that goes on. Counted when this is dropped, if nothing has counted it by then.
pub(crate) struct Entered {
    /// The right to go on, to be taken once.
    pub(crate) admission: Option<TokenAdmission>,
    permit: Option<RatePermit>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(permit) = &self.permit {
            // A request that was refused before it took anything has been one.
            let _ = permit.take_request();
        }
    }
}

impl StreamGate {
    /// Lets a request of the stream in, or answers it. The context is its own.
    pub(crate) async fn enter(&self, context: &RequestContext) -> Result<Entered, Box<Response>> {
        match self.check(context) {
            Ok(entered) => Ok(entered),
            Err(Refusal::Now(answer)) => Err(answer),
            Err(Refusal::Later(answer)) => Err(Box::new(answer.await)),
        }
    }

    fn check(&self, context: &RequestContext) -> Result<Entered, Refusal> {
        let Self {
            checks,
            policy,
            route,
        } = self;
        checks.bans.check(*policy, context, &HeaderMap::new())?;
        checks.key_bans.check(context)?;
        checks.watch.check(*policy, context)?;
        let mut entered = Entered {
            admission: None,
            permit: None,
        };
        // What a request counts as is known when it has been read.
        checks
            .limit
            .admit(context, route, Counts::Tokens, &mut entered.permit)?;
        checks.authentication.note_request(context);
        match context.take_admitted() {
            Some(Admitted::Tokens(admission)) => entered.admission = Some(admission),
            Some(Admitted::Request(_) | Admitted::Opening) | None => {
                let error = ApiError::internal("a request of a stream without its admission");
                return Err(Refusal::Now(Box::new(error.into_response())));
            }
        }
        Ok(entered)
    }

    /// Counts what the answer to a request that is refused is for against its caller.
    pub(crate) fn leave(&self, context: &RequestContext, answer: &Response) {
        if let Some(address) = context.address() {
            self.checks.bans.count(address, context, answer);
        }
        self.checks.watch.count(context, answer);
        context.note_failure();
    }
}

impl<S: Sync> FromRequestParts<S> for StreamGate {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Its own admission is the right to open the stream, which it has done.
        drop(context_of(&parts.extensions).take_admitted());
        let gate = parts.extensions.get().cloned();
        gate.ok_or_else(|| {
            ApiError::internal("a route of streams whose policy does not count each request")
        })
    }
}
