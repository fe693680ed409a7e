//! Screens the head of a request: its path, its query, and the headers that nobody else checks.
//! Bodies are screened by the routes, which know what in them is text.

use super::check::Refusal;
use crate::guard::Screening;
use crate::http::error::ApiError;
use crate::http::head_texts::HeadTexts;
use crate::http::policy::{Access, RoutePolicy};
use crate::inference::RequestContext;
use axum::extract::Request;
use belljar_screen::{FieldKind, Mode};

/// The check.
pub(crate) struct Screen {
    pub(crate) screening: Screening,
}

impl Screen {
    /// Looks for injections in the head of a request.
    pub(crate) fn check(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
        request: &Request,
    ) -> Result<(), Refusal> {
        if policy.access == Access::Open || self.screening.mode(FieldKind::Header) == Mode::Off {
            return Ok(());
        }
        let texts = HeadTexts {
            uri: request.uri(),
            headers: request.headers(),
        };
        let screened = context.screen(&self.screening, texts);
        screened
            .map(drop)
            .map_err(|found| Refusal::now(ApiError::from(found)))
    }
}
