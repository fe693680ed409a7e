//! What every layer knows of a request: the policy of its route, and its context.

use crate::http::policy::RoutePolicy;
use crate::inference::RequestContext;
use http::Extensions;

/// A request whose route is known. Put into each request by the outermost layer, and the only
/// thing that layers leave for one another and for the handler.
#[derive(Clone)]
pub(crate) struct Matched {
    /// What holds for the route.
    pub(crate) policy: RoutePolicy,
    /// What is known of the request so far.
    pub(crate) context: RequestContext,
}

impl Matched {
    /// The one of a request. A request that has not passed the outermost layer has come over no
    /// wire, as in tests of one layer: nothing is known of it, and it is held to the policy of
    /// what no route matches.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(|| Self {
            policy: RoutePolicy::UNMATCHED,
            context: RequestContext::default(),
        })
    }
}
