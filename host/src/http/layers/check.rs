//! The answer of a check to a request that goes no further.

use crate::auth::Examined;
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

/// Why a request does not go on to its route now.
pub(crate) enum Halt {
    /// It goes no further.
    Refused(Refusal),
    /// Once it is known who calls, all is asked again.
    UntilExamined(BoxFuture<'static, Examined>),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
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
