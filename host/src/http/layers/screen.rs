//! Screens the head of a request: its path, its query, and the headers that nobody else checks.
//! Bodies are screened by the routes, which know what in them is text.

use super::Record;
use super::check::{Check, Refusal, refuse};
use super::gate::OPEN_ROUTES;
use crate::guard::Screening;
use crate::http::screening::{HeadTexts, pass_with};
use axum::extract::{MatchedPath, Request};
use belljar_screen::{FieldKind, Mode};

/// The layer.
#[derive(Clone)]
pub(crate) struct Screen {
    pub(crate) screening: Screening,
}

impl Check for Screen {
    fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        let route = request.extensions().get::<MatchedPath>();
        let is_open = route.is_some_and(|route| OPEN_ROUTES.contains(&route.as_str()));
        if is_open || self.screening.mode(FieldKind::Header) == Mode::Off {
            return Ok(());
        }
        let texts = HeadTexts {
            uri: request.uri(),
            headers: request.headers(),
        };
        let record = request.extensions().get::<Record>();
        pass_with(&self.screening, record, texts)
            .map(drop)
            .map_err(refuse)
    }
}
