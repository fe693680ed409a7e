//! Counts what callers do for the watch over anomalies, and holds those to a low rate whom it has
//! slowed down. Costs one comparison where the watch is off.

use super::check::Refusal;
use crate::auth::Scope;
use crate::guard::Anomalies;
use crate::http::error::ApiError;
use crate::http::policy::RoutePolicy;
use crate::inference::RequestContext;
use crate::limits::Counts;
use axum::response::Response;
use http::StatusCode;

/// The check.
pub(crate) struct Watch {
    pub(crate) anomalies: Anomalies,
}

impl Watch {
    /// Counts a request that counts. Operations do not: an administrator must be able to end what
    /// this has done.
    pub(crate) fn check(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
    ) -> Result<(), Refusal> {
        if !self.anomalies.is_on() || policy.counts == Counts::Nothing {
            return Ok(());
        }
        let (Some(caller), Some(address)) = (context.caller(), context.address()) else {
            return Ok(());
        };
        let is_administrator = caller.has(Scope::Admin);
        let tally = self
            .anomalies
            .enter(caller.key_id(), address, is_administrator)
            .map_err(|slowed| Refusal::now(ApiError::from(slowed)))?;
        if let Some(tally) = tally {
            context.watch(tally);
        }
        Ok(())
    }

    /// Counts an answer that refuses for something that is the caller's own fault.
    pub(crate) fn count(&self, context: &RequestContext, response: &Response) {
        let status = response.status();
        // A body that took too long is as often the fault of the network.
        if status.is_client_error()
            && status != StatusCode::REQUEST_TIMEOUT
            && let Some(tally) = context.tally()
        {
            tally.note_error();
        }
    }
}
