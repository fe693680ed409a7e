//! Members of requests that are about OpenAI's own service: checked as it checks them.

use crate::api::check::{StringOrList, at_most};
use crate::http::error::ApiError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Entries of `metadata`, and characters of their keys and values.
const METADATA_MAX: usize = 16;
const METADATA_KEY_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;

/// What an answer is predicted to be. A hint that nothing here can use.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Prediction {
    /// `content`.
    r#type: String,
    #[schema(value_type = Object)]
    #[expect(dead_code, reason = "only its type is checked")]
    content: StringOrList<IgnoredAny>,
}

/// How the web is to be searched. Models here have no network.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WebSearchOptions {
    /// `low`, `medium` or `high`.
    search_context_size: Option<String>,
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "only its name is checked")]
    user_location: Option<IgnoredAny>,
}

/// Checks the caller's labels.
pub(crate) fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<(), ApiError> {
    let Some(metadata) = metadata else {
        return Ok(());
    };
    at_most("metadata", metadata.len(), METADATA_MAX, "entries")?;
    for (key, value) in metadata {
        if key.chars().count() > METADATA_KEY_MAX {
            let message = format!("expected keys of at most {METADATA_KEY_MAX} characters");
            return Err(ApiError::invalid_argument("metadata", message));
        }
        if value.chars().count() > METADATA_VALUE_MAX {
            let message = format!("expected at most {METADATA_VALUE_MAX} characters");
            return Err(ApiError::invalid_argument(
                format!("metadata.{key}"),
                message,
            ));
        }
    }
    Ok(())
}

/// The tier that an answer says it was served in.
pub(super) fn tier(asked: Option<&str>) -> Result<&'static str, ApiError> {
    match asked {
        None | Some("auto" | "default") => Ok("default"),
        Some("flex") => Ok("flex"),
        Some("scale") => Ok("scale"),
        Some("priority" | "fast") => Ok("priority"),
        Some(_) => {
            let message = "expected `auto`, `default`, `flex`, `scale`, `priority` or `fast`";
            Err(ApiError::invalid_argument("service_tier", message))
        }
    }
}

/// Checks what an answer is predicted to be.
pub(super) fn check_prediction(prediction: Option<&Prediction>) -> Result<(), ApiError> {
    match prediction {
        Some(prediction) if prediction.r#type != "content" => Err(ApiError::invalid_argument(
            "prediction.type",
            "expected `content`",
        )),
        _ => Ok(()),
    }
}

/// Checks how the web is to be searched.
pub(super) fn check_web_search(options: Option<&WebSearchOptions>) -> Result<(), ApiError> {
    let size = options.and_then(|options| options.search_context_size.as_deref());
    match size {
        None | Some("low" | "medium" | "high") => Ok(()),
        Some(_) => Err(ApiError::invalid_argument(
            "web_search_options.search_context_size",
            "expected `low`, `medium` or `high`",
        )),
    }
}

/// Checks how long a prompt may be remembered.
pub(super) fn check_retention(retention: Option<&str>) -> Result<(), ApiError> {
    match retention {
        None | Some("in_memory" | "in-memory" | "24h") => Ok(()),
        Some(_) => Err(ApiError::invalid_argument(
            "prompt_cache_retention",
            "expected `in_memory` or `24h`",
        )),
    }
}
