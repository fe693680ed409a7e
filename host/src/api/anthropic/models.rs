//! `GET /v1/models`, as Anthropic's clients read it: they are told by their version header.

use crate::http::error::ApiError;
use crate::http::surface::ANTHROPIC_VERSION;
use crate::models::TokenRules;
use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Models of one page, at most and where the caller does not say.
const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 20;

/// Whether a client of Anthropic's asks.
pub(in crate::api) fn is_asked_by(headers: &HeaderMap) -> bool {
    headers.contains_key(ANTHROPIC_VERSION)
}

/// Which models of the list are wanted.
#[derive(Debug, Default, Deserialize)]
pub(in crate::api) struct PageOptions {
    limit: Option<usize>,
    after_id: Option<String>,
    before_id: Option<String>,
}

/// A model.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AnthropicModel {
    /// `model`.
    r#type: &'static str,
    id: String,
    display_name: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// `active`.
    lifecycle: &'static str,
    /// Tokens of a prompt, where the name promises them.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u32>,
    /// Tokens of an answer, where the name promises them.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
}

impl AnthropicModel {
    pub(in crate::api) fn new(id: String, created: Timestamp, rules: Option<TokenRules>) -> Self {
        Self {
            lifecycle: "active",
            max_input_tokens: rules.and_then(|rules| rules.context),
            max_tokens: rules.and_then(|rules| rules.output),
            r#type: "model",
            display_name: id.clone(),
            id,
            created_at: created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }
}

/// A page of models.
#[derive(Serialize, ToSchema)]
#[schema(as = AnthropicModelPage)]
pub(in crate::api) struct ModelPage {
    data: Vec<AnthropicModel>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

impl ModelPage {
    /// The page that the options ask for.
    pub(in crate::api) fn new(
        models: Vec<AnthropicModel>,
        options: &PageOptions,
    ) -> Result<Self, ApiError> {
        let limit = options.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            let message = format!("expected a number from 1 to {PAGE_MAX}");
            return Err(ApiError::invalid_argument("limit", message));
        }
        let place = |name: &str, id: &Option<String>| match id {
            None => Ok(None),
            Some(id) => models
                .iter()
                .position(|model| model.id == *id)
                .map(Some)
                .ok_or_else(|| ApiError::invalid_argument(name, "there is no model of this id")),
        };
        let after = place("after_id", &options.after_id)?;
        let before = place("before_id", &options.before_id)?;
        let start = after.map_or(0, |after| after + 1);
        let end = before.unwrap_or(models.len());
        let count = end.saturating_sub(start);
        // Before a model, the page is the one that ends with it.
        let skipped = if before.is_some() && after.is_none() {
            count.saturating_sub(limit)
        } else {
            0
        };
        let data: Vec<AnthropicModel> = models
            .into_iter()
            .skip(start + skipped)
            .take(count.min(limit))
            .collect();
        Ok(Self {
            has_more: count > limit,
            first_id: data.first().map(|model| model.id.clone()),
            last_id: data.last().map(|model| model.id.clone()),
            data,
        })
    }
}
