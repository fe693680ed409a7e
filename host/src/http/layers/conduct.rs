//! Keeps the banned out, and counts what leads to bans.
//!
//! It stands before a key is looked at: a ban that let keys be tried would not keep guesses
//! away. What counts is read from the response on its way out, where whoever refused the
//! request has noted it.

use super::address::not_allowed;
use super::check::{Check, Refusal, refuse};
use super::gate::administers;
use super::matched::Matched;
use crate::audit::AuditLog;
use crate::auth::KeyStore;
use crate::clock::Clock;
use crate::guard::{Ban, Bans, Violation};
use crate::http::error::{ApiError, ErrorType};
use crate::http::policy::{RoutePolicy, WhileBanned};
use crate::inference::RequestContext;
use crate::net::ClientAddress;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tower::{Layer, Service};

/// The layer that stands before the gate.
#[derive(Clone)]
pub(crate) struct Conduct {
    pub(crate) bans: Bans,
    pub(crate) keys: KeyStore,
    pub(crate) clock: Clock,
    pub(crate) audit: AuditLog,
}

impl<S> Layer<S> for Conduct {
    type Service = Conducted<S>;

    fn layer(&self, inner: S) -> Conducted<S> {
        Conducted {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Conducted<S> {
    inner: S,
    layer: Conduct,
}

impl<S> Service<Request> for Conducted<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ConductedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Matched { policy, context } = Matched::of(request.extensions());
        let address = context.address();
        let address = address.filter(|_| policy.while_banned != WhileBanned::Served);
        let Some(address) = address else {
            return ConductedFuture::Passing(self.inner.call(request), None);
        };
        if self.layer.audit.refuses() {
            return ConductedFuture::Refused(refuse(unrecorded()));
        }
        if let Some(ban) = self.layer.bans.in_force(address, None)
            && !self.layer.may_lift(policy, address, &request)
        {
            let (bans, clock) = (self.layer.bans.clone(), self.layer.clock.clone());
            return ConductedFuture::Refused(turn_away(bans, ban, clock));
        }
        let watch = Watch {
            bans: self.layer.bans.clone(),
            address,
            context,
        };
        ConductedFuture::Passing(self.inner.call(request), Some(watch))
    }
}

impl Conduct {
    /// Whether this is the administrator on the machine itself, who must be able to end a ban
    /// that, say, a broken script on that machine has earned.
    ///
    /// This opens no way for guesses: every key but a valid one with the scope `admin` gets the
    /// same 403 as everybody, and such a key is 256 random bits, so that only its owner ever
    /// sees another answer.
    fn may_lift(&self, policy: RoutePolicy, address: ClientAddress, request: &Request) -> bool {
        address.ip().is_loopback()
            && policy.while_banned == WhileBanned::LiftedHere
            && administers(request.headers(), &self.keys)
    }
}

/// What is needed to count a violation.
pub(crate) struct Watch {
    bans: Bans,
    address: ClientAddress,
    context: RequestContext,
}

impl Watch {
    fn note(&self, violation: Violation) {
        let actor = || self.context.actor();
        self.bans
            .note(self.address, self.context.key_id(), violation, actor);
    }
}

pub(crate) enum ConductedFuture<F> {
    Passing(F, Option<Watch>),
    Refused(Refusal),
}

impl<F> Future for ConductedFuture<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Passing(inner, watch) => {
                let Ok(response) = ready!(Pin::new(inner).poll(context));
                if let Some(violation) = response.extensions().get::<Violation>()
                    && let Some(watch) = watch.take()
                {
                    watch.note(*violation);
                }
                Poll::Ready(Ok(response))
            }
            Self::Refused(refusal) => refusal.as_mut().poll(context),
        }
    }
}

/// Waits for the ban to be on disk before it tells of it.
fn turn_away(bans: Bans, ban: Arc<Ban>, clock: Clock) -> Refusal {
    Box::pin(async move {
        bans.written(&ban).await;
        Ok(banned(&ban, &clock).into_response())
    })
}

/// 503: security events cannot be written, and the settings want nothing to happen unrecorded.
fn unrecorded() -> ApiError {
    let message = "The server cannot write its audit log and is set to serve nobody meanwhile.";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    ApiError::new(status, ErrorType::Server, "audit_unavailable", message).retry_after(1)
}

/// 403: the address is banned, or the key at this address.
fn banned(ban: &Ban, clock: &Clock) -> ApiError {
    let seconds = ban.seconds_left(clock.now());
    let message =
        format!("IP address temporarily banned due to abuse. Retry after {seconds} seconds.");
    let kind = ErrorType::Security;
    ApiError::new(StatusCode::FORBIDDEN, kind, "ip_banned", message).retry_after(seconds)
}

/// The layer that stands behind the gate: where a key may be used from, and bans of one key at
/// an address.
#[derive(Clone)]
pub(crate) struct KeyConduct {
    pub(crate) bans: Bans,
    pub(crate) clock: Clock,
}

impl Check for KeyConduct {
    fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        let Matched { context, .. } = Matched::of(request.extensions());
        if let Some(caller) = context.caller()
            && let Some(key_id) = caller.key_id()
            && let Some(address) = context.address()
        {
            if !caller.networks().admits(address.ip()) {
                return Err(refuse(not_allowed(
                    "This API key may not be used from your network.",
                )));
            }
            if let Some(ban) = self.bans.in_force(address, Some(key_id)) {
                let Self { bans, clock } = self.clone();
                return Err(turn_away(bans, ban, clock));
            }
        }
        Ok(())
    }
}
