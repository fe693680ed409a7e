//! What the checks of a request leave to be done to its answer.

use super::deadline::Deadline;
use super::revocation::Revocation;
use crate::auth::Examined;
use crate::limits::RatePermit;
use crate::net::ClientAddress;
use crate::traces::Span;
use http::HeaderValue;

/// What is to be done to the answer of a request, filled on its way in: where a check ends it,
/// only what lies outside of that check is done.
#[derive(Default)]
pub(crate) struct Exit {
    /// Whether the checks have been reached whose word is on every answer.
    pub(crate) is_for_browsers: bool,
    /// The page that may read the answer.
    pub(crate) granted: Option<HeaderValue>,
    /// Whose violations are counted.
    pub(crate) watched: Option<ClientAddress>,
    /// How long the answer may take to begin.
    pub(crate) deadline: Deadline,
    /// What was found out about a token that was not seen before. The checks begin anew with it.
    pub(crate) examined: Option<Examined>,
    /// The span of the authentication, while it is found out who calls.
    pub(crate) authentication: Option<Span>,
    /// The end of what the caller was let in with.
    pub(crate) revocation: Revocation,
    /// Where the request is counted.
    pub(crate) permit: Option<RatePermit>,
}
