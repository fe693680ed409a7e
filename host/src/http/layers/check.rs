//! The answer of a check to a request that goes no further.

use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use std::fmt;

/// The answer to a request that goes no further.
pub(crate) enum Refusal {
    /// One that waits for nothing.
    Now(Box<Response>),
    /// One that waits, as for a ban to be on disk before anybody hears of it.
    Later(BoxFuture<'static, Response>),
}

impl Refusal {
    /// A refusal that waits for nothing.
    pub(super) fn now(answer: impl IntoResponse) -> Self {
        Self::Now(Box::new(answer.into_response()))
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Refusal::Now",
            Self::Later(_) => "Refusal::Later",
        })
    }
}
