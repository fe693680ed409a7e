//! What holds for a route before its handler is asked. Declared beside the route, and looked up
//! once a request by the template that was matched, never by the path as sent: no spelling of a
//! path walks around it.

use super::HttpState;
use crate::auth::Scope;
use crate::limits::Counts;
use axum::Router;
use axum::routing::MethodRouter;
use http::Method;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// What holds for one method of one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutePolicy {
    /// Who may call it.
    pub access: Access,
    /// What a request counts as in its caller's minute.
    pub counts: Counts,
    /// How long an answer may take to begin.
    pub time_limit: TimeLimit,
    /// Whether a ban keeps callers out.
    pub while_banned: WhileBanned,
    /// What is spoken.
    pub protocol: Protocol,
}

/// What is spoken on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP by itself, as described in the API's description.
    Http,
    /// Calls of gRPC, as described in `host/proto`. Callers say how long they wait.
    Grpc,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a key and without a look at the caller: health checks.
    Open,
    /// Every caller whom the authentication lets in.
    Caller,
    /// Callers with a scope.
    Scope(Scope),
    /// Callers with either of two scopes.
    EitherScope(Scope, Scope),
    /// Callers with a scope where keys are required or one was presented; else everybody.
    ScopeOfKeys(Scope),
}

/// How long an answer may take to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// As long as `http.request_timeout` says.
    Request,
    /// As long as the route itself says: uploads have time-outs for silence and for the whole,
    /// and may wait for a compilation.
    Own,
}

/// Whether a ban keeps callers of a route out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileBanned {
    /// It does.
    Refused,
    /// It does, but for an administrator on the machine itself: here bans are lifted.
    LiftedHere,
    /// It does not: a banned load balancer would take the server down for all.
    Served,
}

impl RoutePolicy {
    /// The policy of what no route matches: nothing is told without a key.
    pub(crate) const UNMATCHED: Self = Self::new(Access::Caller);

    const fn new(access: Access) -> Self {
        Self {
            access,
            counts: Counts::Request,
            time_limit: TimeLimit::Request,
            while_banned: WhileBanned::Refused,
            protocol: Protocol::Http,
        }
    }

    /// A route that needs no key, ever, counts as nothing and is served to the banned.
    pub(crate) const fn open() -> Self {
        Self {
            counts: Counts::Nothing,
            while_banned: WhileBanned::Served,
            ..Self::new(Access::Open)
        }
    }

    /// A route for every caller whom the authentication lets in.
    pub(crate) const fn any_caller() -> Self {
        Self::new(Access::Caller)
    }

    /// A route for callers with a scope.
    pub(crate) const fn scope(scope: Scope) -> Self {
        Self::new(Access::Scope(scope))
    }

    /// Whether it is for those who may run models: there a run can be given a seed, or be profiled.
    pub(crate) fn is_for_runs(self) -> bool {
        self.access == Access::Scope(Scope::Infer)
    }

    /// A route for callers with either of two scopes.
    pub(crate) const fn either_scope(scope: Scope, or: Scope) -> Self {
        Self::new(Access::EitherScope(scope, or))
    }

    /// A route for callers with a scope, and for everybody where no keys are required and none
    /// was presented.
    pub(crate) const fn scope_of_keys(scope: Scope) -> Self {
        Self::new(Access::ScopeOfKeys(scope))
    }

    /// The same route, whose requests count as `counts`.
    pub(crate) const fn counting(self, counts: Counts) -> Self {
        Self { counts, ..self }
    }

    /// The same route, with time-outs of its own.
    pub(crate) const fn own_time_limit(self) -> Self {
        Self {
            time_limit: TimeLimit::Own,
            ..self
        }
    }

    /// The same route, where an administrator on the machine itself may lift a ban of its own.
    pub(crate) const fn lifting_bans(self) -> Self {
        Self {
            while_banned: WhileBanned::LiftedHere,
            ..self
        }
    }
}

impl fmt::Display for RoutePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.access {
            Access::Open => f.write_str("open")?,
            Access::Caller => f.write_str("any caller")?,
            Access::Scope(scope) => write!(f, "scope {scope}")?,
            Access::EitherScope(scope, or) => write!(f, "scope {scope} or {or}")?,
            Access::ScopeOfKeys(scope) => write!(f, "scope {scope} of keys")?,
        }
        f.write_str(match self.counts {
            Counts::Nothing => ", not counted",
            Counts::Pace => ", a request of the minute alone",
            Counts::Request => ", a request",
            Counts::Tokens => ", a request and tokens",
            Counts::Each => ", a request and each in it",
        })?;
        if self.protocol == Protocol::Grpc {
            f.write_str(", gRPC")?;
        }
        if self.time_limit == TimeLimit::Own {
            f.write_str(", own time limit")?;
        }
        f.write_str(match self.while_banned {
            WhileBanned::Refused => "",
            WhileBanned::LiftedHere => ", lifts bans",
            WhileBanned::Served => ", served while banned",
        })
    }
}

/// Routes with their descriptions and their policies: there is no way to add one without.
pub struct Routes {
    router: OpenApiRouter<HttpState>,
    policies: RoutePolicies,
}

impl Default for Routes {
    fn default() -> Self {
        Self::described(OpenApi::default())
    }
}

impl Routes {
    /// No routes yet, under a description of the whole.
    pub(crate) fn described(openapi: OpenApi) -> Self {
        Self {
            router: OpenApiRouter::with_openapi(openapi),
            policies: RoutePolicies::default(),
        }
    }

    /// The routes of one `routes!` with the policy that holds for each method in it.
    pub(crate) fn add(
        mut self,
        policy: RoutePolicy,
        routes: UtoipaMethodRouter<HttpState>,
    ) -> Self {
        for (template, item) in &routes.1.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                if operation.is_some() {
                    self.policies.insert(template, method, policy);
                }
            }
        }
        self.router = self.router.routes(routes);
        self
    }

    /// A call of gRPC with the policy that holds for it. It is described in `host/proto`.
    pub(crate) fn add_call(
        mut self,
        policy: RoutePolicy,
        path: &str,
        method: MethodRouter<HttpState>,
    ) -> Self {
        let policy = RoutePolicy {
            protocol: Protocol::Grpc,
            ..policy
        };
        self.policies.insert(path, Method::POST, policy);
        self.router = self.router.route(path, method);
        self
    }

    /// These routes and others.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        // The methods of one route may stand in several files.
        for (template, methods) in other.policies.0 {
            for (method, policy) in methods.0.iter() {
                self.policies.insert(&template, method.clone(), *policy);
            }
        }
        self.router = self.router.merge(other.router);
        self
    }

    /// The description of all routes.
    pub(crate) fn into_openapi(self) -> OpenApi {
        self.router.into_openapi()
    }

    /// The policy of each method of each route.
    #[must_use]
    pub fn policies(&self) -> &RoutePolicies {
        &self.policies
    }

    pub(super) fn split(self) -> (Router<HttpState>, RoutePolicies) {
        let (router, _) = self.router.split_for_parts();
        (router, self.policies)
    }
}

/// The policies of all routes, by template and method.
#[derive(Clone, Debug, Default)]
pub struct RoutePolicies(BTreeMap<String, MethodPolicies>);

impl RoutePolicies {
    fn insert(&mut self, template: &str, method: Method, policy: RoutePolicy) {
        let methods = self.0.entry(template.to_owned()).or_default();
        let mut all = methods.0.to_vec();
        all.push((method, policy));
        methods.0 = all.into();
    }

    /// The policies of one route; those of what nothing matches where there is none.
    pub(super) fn of_route(&self, template: Option<&str>) -> MethodPolicies {
        let found = template.and_then(|template| self.0.get(template));
        found.cloned().unwrap_or_default()
    }

    /// Every method of every route with its policy, in the order of the templates.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Method, RoutePolicy)> {
        self.0.iter().flat_map(|(template, methods)| {
            let methods = methods.0.iter();
            methods.map(move |(method, policy)| (template.as_str(), method, *policy))
        })
    }
}

/// The policies of the methods of one route.
#[derive(Clone, Debug, Default)]
pub(super) struct MethodPolicies(Arc<[(Method, RoutePolicy)]>);

impl MethodPolicies {
    /// The policy for a method. HEAD is GET without a body. A method that the route does not have
    /// is answered with those that it has, which needs no right; until then it is held to
    /// the route's first policy.
    pub(super) fn of(&self, method: &Method) -> RoutePolicy {
        let asked = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let found = self.0.iter().find(|(method, _)| method == asked);
        match (found, self.0.first()) {
            (Some((_, policy)), _) => *policy,
            (None, Some((_, first))) if first.access == Access::Open => *first,
            (None, Some((_, first))) => RoutePolicy {
                access: Access::Caller,
                ..*first
            },
            (None, None) => RoutePolicy::UNMATCHED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_held_to_its_own_policy_and_an_unknown_one_to_the_routes_first() {
        let (read, write) = (
            RoutePolicy::scope(Scope::ModelsRead),
            RoutePolicy::scope(Scope::ModelsWrite).own_time_limit(),
        );
        let mut policies = RoutePolicies::default();
        policies.insert("/models", Method::GET, read);
        policies.insert("/models", Method::POST, write);
        let methods = policies.of_route(Some("/models"));
        assert_eq!(methods.of(&Method::GET), read);
        assert_eq!(methods.of(&Method::HEAD), read);
        assert_eq!(methods.of(&Method::POST), write);
        let other = methods.of(&Method::TRACE);
        assert_eq!((other.access, other.counts), (Access::Caller, read.counts));
        for unmatched in [None, Some("/other")] {
            let methods = policies.of_route(unmatched);
            assert_eq!(methods.of(&Method::GET), RoutePolicy::UNMATCHED);
        }
    }
}
