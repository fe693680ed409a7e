//! Whether the caller may do what the route is for, as the route's policy says.

use super::check::Refusal;
use crate::auth::{Caller, Denied, KeyStore};
use crate::http::error::ApiError;
use crate::http::policy::Access;
use crate::http::policy::RoutePolicy;
use crate::inference::RequestContext;

/// The check.
pub(crate) struct Authorize {
    pub(crate) keys: KeyStore,
}

impl Authorize {
    /// Insists on the right that the route's policy names.
    pub(crate) fn check(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
    ) -> Result<(), Refusal> {
        if policy.access == Access::Open {
            return Ok(());
        }
        let Some(caller) = context.caller() else {
            let error = ApiError::internal("a route without the authentication before it");
            return Err(Refusal::now(error));
        };
        self.permits(policy.access, caller)
            .map_err(|denied| Refusal::now(ApiError::from(denied)))
    }

    fn permits(&self, access: Access, caller: &Caller) -> Result<(), Denied> {
        match access {
            Access::Open | Access::Caller => Ok(()),
            Access::Scope(scope) => caller.require(scope),
            Access::EitherScope(scope, or) => caller.require_either(scope, Some(or)),
            Access::ScopeOfKeys(scope) if self.keys.key_required() || caller.key_id().is_some() => {
                caller.require(scope)
            }
            Access::ScopeOfKeys(_) => Ok(()),
        }
    }
}
