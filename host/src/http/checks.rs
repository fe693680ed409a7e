//! What each request meets on its way to a route, in one place.

use super::body::Limits;
use super::layers::{
    Address, Authentication, Authorize, BanCheck, Deadline, Exit, Halt, HostNames, KeyBanCheck,
    Limit, Origins, Recordings, Screen, SignatureCheck, Tests, Watch, note_origin,
};
use super::policy::{RoutePolicies, RoutePolicy};
use super::state::HttpState;
use crate::audit::AuditLog;
use crate::inference::RequestContext;
use crate::tls::Client;
use crate::traces::{Span, Traces, attributes, spans};
use axum::extract::{FromRef as _, Request};
use std::time::Duration;

/// What every request meets on its way to a route.
pub(crate) struct Checks {
    pub(crate) audit: AuditLog,
    pub(crate) policies: RoutePolicies,
    pub(crate) traces: Traces,
    pub(super) origins: Origins,
    address: Address,
    pub(super) bans: BanCheck,
    names: HostNames,
    request_timeout: Duration,
    signatures: SignatureCheck,
    pub(super) authentication: Authentication,
    pub(super) key_bans: KeyBanCheck,
    pub(super) watch: Watch,
    pub(super) limit: Limit,
    screen: Screen,
    authorize: Authorize,
    pub(super) tests: Tests,
    pub(super) recordings: Recordings,
}

impl Checks {
    pub(super) fn new(state: &HttpState, policies: RoutePolicies) -> Self {
        let config = state.config();
        let (keys, bans, clock) = (state.keys(), state.bans(), state.clock());
        Self {
            audit: state.audit().clone(),
            policies,
            traces: state.traces().clone(),
            origins: Origins::new(&config.browser),
            address: Address {
                rule: config.origin.clone(),
                acl: state.acl(),
            },
            bans: BanCheck {
                bans: bans.clone(),
                keys: keys.clone(),
                audit: state.audit().clone(),
            },
            names: HostNames::new(&config.browser),
            request_timeout: config.request_timeout,
            signatures: SignatureCheck {
                keys: keys.clone(),
                rule: config.origin.clone(),
            },
            authentication: Authentication { keys: keys.clone() },
            key_bans: KeyBanCheck { bans: bans.clone() },
            watch: Watch {
                anomalies: state.anomalies().clone(),
            },
            limit: Limit {
                limiter: state.limiter().clone(),
                clock: clock.clone(),
            },
            screen: Screen {
                screening: state.screening().clone(),
            },
            authorize: Authorize { keys: keys.clone() },
            tests: Tests {
                testing: state.testing().cloned(),
                limits: Limits::from_ref(state),
            },
            recordings: Recordings::new(state),
        }
    }

    /// Every check, in the order in which a request meets it, and what each leaves to be done to
    /// the answer. Outside of all of this a request has got its id, its line in the log and its
    /// counts, and a net under it that turns a panic into a 500.
    pub(super) fn enter(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
        request: &mut Request,
        exit: &mut Exit,
    ) -> Result<(), Halt> {
        // Above all that refuses, so that refusals carry these headers, too: a page learns why
        // it was refused only where its origin may read the answer.
        exit.is_for_browsers = true;
        let address = match exit.authentication {
            None => context.span(&spans::ADDRESS),
            // It is not the first time that they are asked.
            Some(_) => None,
        };
        exit.granted = self.origins.grant(request.headers());
        // Whose request it is has to be known before anybody can be held to anything.
        let is_caller = self
            .address
            .check(request, |address| context.set_address(address))?;
        // Before a key is looked at, or a ban would not keep guesses of keys away. A proxy of ours
        // that cannot say for whom it speaks does not answer for them.
        let watched = self.bans.check(policy, context, request.headers())?;
        exit.watched = watched.filter(|_| is_caller);
        // Which server is meant comes before what it is asked.
        self.names.check(request)?;
        // Browsers ask without a key whether they may ask with one.
        self.origins.check(request)?;
        Span::pass_any(address);
        // Whatever a request waits for below is within its time.
        exit.deadline = Deadline::of(policy, self.request_timeout, request.headers());
        // Who calls is known before the body is read and before any route decides anything.
        let client = request.extensions().get::<Client>().cloned();
        let authentication = exit.authentication.take();
        let authentication = authentication.or_else(|| context.span(&spans::AUTHENTICATION));
        // Whoever has signed comes before whoever has shown a key, and its body is held from here
        // on to what was signed.
        let signer = self.signatures.check(policy, context, request)?;
        let examined = exit.examined.as_ref();
        let headers = request.headers_mut();
        let client = client.as_ref();
        let checked = self
            .authentication
            .check(policy, context, client, signer, headers, examined);
        exit.revocation = match checked {
            Err(halt @ Halt::UntilExamined(_)) => {
                exit.authentication = authentication;
                return Err(halt);
            }
            checked => checked?,
        };
        // What holds for one key alone can only be asked once the key is known to be real.
        self.key_bans.check(context)?;
        Span::pass_any(authentication);
        let limits = context.span(&spans::LIMITS);
        // Above the limits, so that what they refuse is seen, and before they have taken anything
        // from who is slowed down.
        self.watch.check(policy, context)?;
        // Below the authentication, because limits are kept by verified key; above the body,
        // because who is over a limit should cost no reading.
        self.limit
            .check(policy, context, request, &mut exit.permit)?;
        Span::pass_any(limits);
        let mut screening = context.span(&spans::SCREENING);
        if let Some(span) = &mut screening {
            span.set(&attributes::SCREENED, "head");
        }
        // Below the limits, because it costs most: what is refused above is not screened.
        self.screen.check(policy, context, request)?;
        Span::pass_any(screening);
        let authorization = context.span(&spans::AUTHORIZATION);
        // So late that a caller who may not do this has been counted for asking.
        self.authorize.check(policy, context)?;
        Span::pass_any(authorization);
        note_origin(policy, context, request.headers())?;
        Ok(())
    }
}
