//! Keeps the banned out, and counts what leads to bans.
//!
//! It stands before a key is looked at: a ban that let keys be tried would not keep guesses
//! away. What counts is read from the response on its way out, where whoever refused the
//! request has noted it.

use super::address::not_allowed;
use super::authentication::administers;
use super::check::Refusal;
use crate::audit::AuditLog;
use crate::auth::KeyStore;
use crate::guard::{Ban, BanReason, Bans, Violation};
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::policy::{RoutePolicy, WhileBanned};
use crate::inference::RequestContext;
use crate::net::ClientAddress;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use std::sync::Arc;

/// The check that stands before the authentication.
pub(crate) struct BanCheck {
    pub(crate) bans: Bans,
    pub(crate) keys: KeyStore,
    pub(crate) audit: AuditLog,
}

impl BanCheck {
    /// Keeps the banned out of a route whose policy says so. The address of whoever passes is
    /// that whose violations are counted.
    pub(crate) fn check(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
        headers: &HeaderMap,
    ) -> Result<Option<ClientAddress>, Refusal> {
        if policy.while_banned == WhileBanned::Served {
            return Ok(None);
        }
        let Some(address) = context.address() else {
            let error = ApiError::internal("a route without the address before it");
            return Err(Refusal::now(error));
        };
        if self.audit.refuses() {
            return Err(Refusal::now(unrecorded()));
        }
        if let Some(ban) = self.bans.in_force(address, None)
            && !self.may_lift(policy, address, headers)
        {
            return Err(turn_away(self.bans.clone(), ban));
        }
        Ok(Some(address))
    }

    /// Counts the violation that an answer is for, if it is one.
    pub(crate) fn count(
        &self,
        address: ClientAddress,
        context: &RequestContext,
        response: &Response,
    ) {
        if let Some(violation) = response.extensions().get::<Violation>() {
            let actor = || context.actor();
            self.bans.note(address, context.key_id(), *violation, actor);
        }
    }

    /// Whether this is the administrator on the machine itself, who must be able to end a ban
    /// that, say, a broken script on that machine has earned.
    ///
    /// This opens no way for guesses: every key but a valid one with the scope `admin` gets the
    /// same 403 as everybody, and such a key is 256 random bits, so that only its owner ever
    /// sees another answer.
    fn may_lift(&self, policy: RoutePolicy, address: ClientAddress, headers: &HeaderMap) -> bool {
        address.ip().is_loopback()
            && policy.while_banned == WhileBanned::LiftedHere
            && administers(headers, &self.keys)
    }
}

/// Waits for the ban to be on disk before it tells of it.
fn turn_away(bans: Bans, ban: Arc<Ban>) -> Refusal {
    Refusal::Later(Box::pin(async move {
        bans.written(&ban).await;
        banned(&bans, &ban).into_response()
    }))
}

/// 503: security events cannot be written, and the settings want nothing to happen unrecorded.
fn unrecorded() -> ApiError {
    let message = "The server cannot write its audit log and is set to serve nobody meanwhile.";
    let status = Status::ServiceUnavailable;
    ApiError::new(status, ErrorType::Server, "audit_unavailable", message).retry_after(1)
}

/// 403: the address is banned, or the key at this address.
fn banned(bans: &Bans, ban: &Ban) -> ApiError {
    let seconds = bans.seconds_left(ban);
    let kind = ErrorType::Security;
    if let Some(key_id) = ban.subject.key_id.as_ref()
        && ban.reason == BanReason::Anomaly
    {
        let message = format!(
            "This API key is banned for now: its use is unlike what it has been. Retry after {seconds} \
             seconds. Whoever runs the server ends it sooner with `belljar bans lift {key_id}`."
        );
        return ApiError::new(Status::Forbidden, kind, "key_banned", message).retry_after(seconds);
    }
    let message = format!(
        "IP address temporarily banned due to abuse. Retry after {seconds} seconds. Whoever runs the \
         server ends it sooner with `belljar bans lift {}`.",
        ban.subject.address
    );
    ApiError::new(Status::Forbidden, kind, "ip_banned", message).retry_after(seconds)
}

/// The check that stands behind the authentication: where a key may be used from, and bans of one
/// key at an address.
pub(crate) struct KeyBanCheck {
    pub(crate) bans: Bans,
}

impl KeyBanCheck {
    /// Holds a caller with a key to what holds for that key.
    pub(crate) fn check(&self, context: &RequestContext) -> Result<(), Refusal> {
        let Some(caller) = context.caller() else {
            return Ok(());
        };
        let (Some(key_id), Some(address)) = (caller.key_id(), context.address()) else {
            return Ok(());
        };
        if !caller.networks().admits(address.ip()) {
            return Err(Refusal::now(not_allowed(
                "This API key may not be used from your network.",
            )));
        }
        match self.bans.in_force(address, Some(key_id)) {
            Some(ban) => Err(turn_away(self.bans.clone(), ban)),
            None => Ok(()),
        }
    }
}
