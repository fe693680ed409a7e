//! Whether the caller may do what the route is for, as the route's policy says.

use super::check::{Check, Refusal, refuse};
use super::matched::Matched;
use crate::auth::{Caller, Denied, KeyStore};
use crate::http::error::ApiError;
use crate::http::policy::Access;
use axum::extract::Request;

/// The layer.
#[derive(Clone)]
pub(crate) struct Authorize {
    pub(crate) keys: KeyStore,
}

impl Check for Authorize {
    fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        let Matched { policy, context } = Matched::of(request.extensions());
        if policy.access == Access::Open {
            return Ok(());
        }
        let Some(caller) = context.caller() else {
            let error = ApiError::internal("a route without the authentication before it");
            return Err(refuse(error));
        };
        self.permits(policy.access, caller)
            .map_err(|denied| refuse(ApiError::from(denied)))
    }
}

impl Authorize {
    fn permits(&self, access: Access, caller: &Caller) -> Result<(), Denied> {
        match access {
            Access::Open | Access::Caller => Ok(()),
            Access::Scope(scope) => caller.require(scope),
            Access::ScopeOfKeys(scope) if self.keys.key_required() || caller.key_id().is_some() => {
                caller.require(scope)
            }
            Access::ScopeOfKeys(_) => Ok(()),
        }
    }
}
