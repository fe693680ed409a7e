//! Screens the head of a request: its path, its query, and the headers that nobody else checks.
//! Bodies are screened by the routes, which know what in them is text.

use super::check::{Check, Refusal, refuse};
use super::matched::Matched;
use crate::guard::Screening;
use crate::http::error::ApiError;
use crate::http::head_texts::HeadTexts;
use crate::http::policy::Access;
use axum::extract::Request;
use belljar_screen::{FieldKind, Mode};

/// The layer.
#[derive(Clone)]
pub(crate) struct Screen {
    pub(crate) screening: Screening,
}

impl Check for Screen {
    fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        let Matched { policy, context } = Matched::of(request.extensions());
        if policy.access == Access::Open || self.screening.mode(FieldKind::Header) == Mode::Off {
            return Ok(());
        }
        let texts = HeadTexts {
            uri: request.uri(),
            headers: request.headers(),
        };
        context
            .screen(&self.screening, texts)
            .map(drop)
            .map_err(|found| refuse(ApiError::from(found)))
    }
}
