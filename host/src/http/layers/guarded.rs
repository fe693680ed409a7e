//! One request behind all checks: what is asked on its way in, and what is done to its answer on
//! the way out.
//!
//! One service with one future for all of it. Written as a service for each check it read the
//! same, and each request paid for the nesting: a copy of every layer's handles at its start, and
//! a move of the whole future at each level.

use super::catch_panic;
use super::check::{Halt, Refusal};
use super::exit::Exit;
use super::observe::{Observation, Route};
use super::profiled::Profiled;
use super::revocation::revocable;
use super::tested::ToldRate;
use crate::auth::Examined;
use crate::http::checks::Checks;
use crate::http::error::ApiError;
use crate::http::stream_gate::StreamGate;
use crate::limits::Counts;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use tower::{Layer, Service};

/// The layer of all checks.
#[derive(Clone)]
pub(crate) struct Guard(pub(crate) Arc<Checks>);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    /// Called once for each route, so each has its own handles on its metrics and its own
    /// policies: looking them up by their names would cost as much on each request as
    /// everything else here.
    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            checks: Arc::clone(&self.0),
            route: Arc::default(),
        }
    }
}

/// A route behind all checks.
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    checks: Arc<Checks>,
    route: Arc<OnceLock<Route>>,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Unpin + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = GuardedFuture<S>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let observation = {
            let Checks {
                audit,
                policies,
                traces,
                ..
            } = &*self.checks;
            Observation::begin(audit, policies, traces, &self.route, &mut request)
        };
        let mut exit = Exit::default();
        if observation.policy().counts == Counts::Each {
            let gate = StreamGate {
                checks: Arc::clone(&self.checks),
                policy: observation.policy(),
                route: observation.template().into(),
            };
            request.extensions_mut().insert(gate);
        }
        let stage = enter(
            &self.checks,
            &observation,
            &mut self.inner,
            request,
            &mut exit,
        );
        GuardedFuture {
            stage,
            exit,
            request: Some((observation, Arc::clone(&self.checks))),
        }
    }
}

/// Asks all checks, and the route if none of them minds.
fn enter<S>(
    checks: &Checks,
    observation: &Observation,
    inner: &mut S,
    mut request: Request,
    exit: &mut Exit,
) -> Stage<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let (policy, context) = (observation.policy(), observation.context());
    // A panic costs its own request and no other, from the first check on.
    let entered = catch_panic::catch(|| match checks.enter(policy, context, &mut request, exit) {
        Ok(()) => match Profiled::asked(&mut request, policy, context) {
            None => match checks.tests.asked(&request, policy, context) {
                Some(Err(refusal)) => Stage::Answered(Box::new(refusal.into_response())),
                asked if checks.recordings.may_be_asked(&request, policy) => {
                    let mut service = checks.recordings.before(inner.clone(), context);
                    Stage::Apart(match asked {
                        Some(Ok(tested)) => tested.of(service, request),
                        _ => service.call(request),
                    })
                }
                None => Stage::Going(inner.call(request)),
                Some(Ok(tested)) => Stage::Apart(tested.of(inner.clone(), request)),
            },
            Some(Ok(profiled)) => Stage::Apart(profiled.of(inner.call(request))),
            Some(Err(refusal)) => Stage::Answered(Box::new(refusal.into_response())),
        },
        Err(Halt::Refused(Refusal::Now(answer))) => Stage::Answered(answer),
        Err(Halt::Refused(Refusal::Later(answer))) => Stage::Refused(answer),
        Err(Halt::UntilExamined(examination)) => Stage::Examined(Box::new(Examination {
            examination,
            inner: inner.clone(),
            request,
        })),
    });
    entered.unwrap_or_else(|panicked| Stage::Answered(Box::new(panicked.into_response())))
}

/// Headers that are put on most answers, those of their caller's pace included.
const ADDED_HEADERS: usize = 15;

enum Stage<S: Service<Request>> {
    Going(S::Future),
    /// More than the handler is at work: the answer is what its run's fuel goes for, or has what a
    /// tester has asked for, or may be a recording's.
    Apart(BoxFuture<'static, Result<Response, Infallible>>),
    /// It is found out who calls.
    Examined(Box<Examination<S>>),
    Refused(BoxFuture<'static, Response>),
    Answered(Box<Response>),
    Over,
}

/// A request that waits until it is known who calls, and then meets all checks again: those
/// before that one wrote nothing down.
struct Examination<S> {
    examination: BoxFuture<'static, Examined>,
    inner: S,
    request: Request,
}

/// A request on its way to its answer.
pub(crate) struct GuardedFuture<S: Service<Request>> {
    stage: Stage<S>,
    exit: Exit,
    /// None once it has its answer.
    request: Option<(Observation, Arc<Checks>)>,
}

impl<S> Future for GuardedFuture<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Unpin + Send + 'static,
{
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            stage,
            exit,
            request,
        } = &mut *self;
        let Some((observation, checks)) = request else {
            return Poll::Pending;
        };
        if let Stage::Examined(waiting) = stage {
            let polled = catch_panic::catch(|| waiting.examination.as_mut().poll(context));
            let next = match polled {
                Ok(examined) => {
                    exit.examined = Some(ready!(examined));
                    match std::mem::replace(stage, Stage::Over) {
                        Stage::Examined(waiting) => {
                            let Examination {
                                mut inner, request, ..
                            } = *waiting;
                            enter(checks, observation, &mut inner, request, exit)
                        }
                        other => other,
                    }
                }
                Err(panicked) => Stage::Answered(Box::new(panicked.into_response())),
            };
            *stage = next;
        }
        let response = match stage {
            Stage::Going(inner) => {
                let has_run = || observation.context().model().is_some();
                ready!(poll_handler(inner, exit, has_run, context))
            }
            Stage::Apart(inner) => {
                let has_run = || observation.context().model().is_some();
                ready!(poll_handler(inner, exit, has_run, context))
            }
            Stage::Refused(refusal) => ready!(refusal.as_mut().poll(context)),
            Stage::Answered(_) | Stage::Examined(_) | Stage::Over => {
                match std::mem::replace(stage, Stage::Over) {
                    Stage::Answered(answer) => *answer,
                    _ => return Poll::Pending,
                }
            }
        };
        // The run of a handler that was cut short ends here.
        *stage = Stage::Over;
        let Some((observation, checks)) = request.take() else {
            return Poll::Pending;
        };
        Poll::Ready(Ok(leave(exit, observation, &checks, response)))
    }
}

/// The handler's answer, or that of whatever ends it: a panic, the end of the key, the deadline.
fn poll_handler<F>(
    inner: &mut F,
    exit: &mut Exit,
    has_run: impl FnOnce() -> bool,
    context: &mut Context<'_>,
) -> Poll<Response>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    let cut_short: ApiError = match catch_panic::catch(|| Pin::new(inner).poll(context)) {
        Ok(Poll::Ready(Ok(response))) => return Poll::Ready(response),
        // What a panic leaves half done is the future itself, and it is not polled again.
        Err(panicked) => panicked,
        Ok(Poll::Pending) => match exit.revocation.poll(context) {
            Poll::Ready(revoked) => revoked,
            Poll::Pending => ready!(exit.deadline.poll(has_run, context)),
        },
    };
    // The limits lie within all of these: a request that they end has no pace to tell of.
    exit.permit = None;
    Poll::Ready(cut_short.into_response())
}

/// Completes an answer, from the innermost check to the outermost.
fn leave(
    exit: &mut Exit,
    observation: Observation,
    checks: &Checks,
    mut response: Response,
) -> Response {
    // Once for all that is added here and above: it would grow three times else.
    response.headers_mut().reserve(ADDED_HEADERS);
    let has_told_rate = response.extensions_mut().remove::<ToldRate>().is_some();
    if let Some(permit) = exit.permit.take()
        && !has_told_rate
    {
        checks.limit.tell(&permit, response.headers_mut());
    }
    if let Some(ends) = exit.revocation.take() {
        response = revocable(response, ends);
    }
    if let Some(address) = exit.watched {
        checks.bans.count(address, observation.context(), &response);
    }
    checks.watch.count(observation.context(), &response);
    if exit.is_for_browsers {
        let granted = exit.granted.take();
        checks.origins.complete(granted, response.headers_mut());
    }
    observation.finish(response)
}
