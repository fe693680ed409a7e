//! How a request says whether its model thinks.

use crate::http::error::ApiError;
use belljar_sandbox::wit::text::ReasoningEffort;
use serde::Deserialize;
use utoipa::ToSchema;

/// Tokens of thoughts that a caller may ask for, at least.
const BUDGET_MIN: u64 = 1_024;
/// Tokens of thoughts up to which they are few, and up to which they are some.
const BUDGET_LOW: u64 = 4_096;
const BUDGET_MEDIUM: u64 = 16_384;

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Thinking {
    /// `enabled`, `adaptive`, `between_tools` or `disabled`.
    r#type: String,
    #[schema(minimum = 1024)]
    budget_tokens: Option<u64>,
    /// `summarized`, or `omitted` for thoughts that are signed and not shown.
    display: Option<String>,
}

impl Thinking {
    /// Whether thoughts are signed and not shown.
    pub(super) fn is_omitted(&self) -> bool {
        self.display.as_deref() == Some("omitted")
    }
}

/// How hard the model is to think: as hard as the caller's effort says, or as long as its budget.
pub(super) fn reasoning_effort(
    thinking: Option<Thinking>,
    effort: Option<String>,
    max_tokens: u64,
) -> Result<Option<ReasoningEffort>, ApiError> {
    let effort = match effort.as_deref() {
        None => None,
        Some("low") => Some(ReasoningEffort::Low),
        Some("medium") => Some(ReasoningEffort::Medium),
        // The contract knows nothing higher.
        Some("high" | "xhigh" | "max") => Some(ReasoningEffort::High),
        Some(_) => {
            let message = "expected `low`, `medium`, `high`, `xhigh` or `max`";
            return Err(ApiError::invalid_argument("output_config.effort", message));
        }
    };
    let Some(Thinking {
        r#type,
        budget_tokens,
        display,
    }) = thinking
    else {
        return Ok(None);
    };
    if !matches!(display.as_deref(), None | Some("summarized" | "omitted")) {
        let message = "expected `summarized` or `omitted`";
        return Err(ApiError::invalid_argument("thinking.display", message));
    }
    match r#type.as_str() {
        "disabled" => Ok(None),
        "adaptive" | "between_tools" => Ok(Some(effort.unwrap_or(ReasoningEffort::Medium))),
        "enabled" => {
            let place = "thinking.budget_tokens";
            let budget =
                budget_tokens.ok_or_else(|| ApiError::missing_argument(place.to_owned()))?;
            if budget < BUDGET_MIN {
                let message = format!("expected a number of at least {BUDGET_MIN}");
                return Err(ApiError::invalid_argument(place, message));
            }
            if budget >= max_tokens {
                let message = "`max_tokens` must be greater than `thinking.budget_tokens`";
                return Err(ApiError::invalid_argument("max_tokens", message));
            }
            let by_budget = if budget <= BUDGET_LOW {
                ReasoningEffort::Low
            } else if budget <= BUDGET_MEDIUM {
                ReasoningEffort::Medium
            } else {
                ReasoningEffort::High
            };
            Ok(Some(effort.unwrap_or(by_budget)))
        }
        _ => Err(ApiError::invalid_argument(
            "thinking.type",
            "expected `enabled`, `adaptive`, `between_tools` or `disabled`",
        )),
    }
}
