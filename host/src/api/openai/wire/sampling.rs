//! How tokens are chosen: the numbers that both kinds of requests for a text have in common.

use crate::api::check::{at_most, within};
use crate::http::error::ApiError;
use std::collections::BTreeMap;

/// Tokens with a bias.
const BIASES_MAX: usize = 1_024;
/// Alternatives to each token.
const TOP_LOGPROBS_MAX: u8 = 20;

/// How many of the likeliest tokens there are to choose from; none for all of them.
pub(super) fn top_k(asked: Option<i64>) -> Result<Option<u32>, ApiError> {
    match asked {
        None | Some(-1 | 0) => Ok(None),
        Some(asked) => u32::try_from(asked).map(Some).map_err(|_| {
            let message = format!("expected a number from -1 to {}", u32::MAX);
            ApiError::invalid_argument("top_k", message)
        }),
    }
}

/// The tokens with a bias.
pub(super) fn biases(biases: Option<BTreeMap<String, f64>>) -> Result<Vec<(u32, f32)>, ApiError> {
    let biases = biases.unwrap_or_default();
    at_most("logit_bias", biases.len(), BIASES_MAX, "tokens")?;
    let mut read = Vec::with_capacity(biases.len());
    for (token, bias) in biases {
        let Ok(token) = token.parse::<u32>() else {
            return Err(ApiError::invalid_argument(
                "logit_bias",
                "expected token ids as keys",
            ));
        };
        let bias = within(&format!("logit_bias.{token}"), Some(bias), -100.0, 100.0)?;
        read.push((token, bias.unwrap_or_default()));
    }
    Ok(read)
}

/// How many alternatives there are to be to each token; none where no log-probabilities are wanted.
pub(super) fn alternatives(
    logprobs: bool,
    top_logprobs: Option<u8>,
) -> Result<Option<u8>, ApiError> {
    match (logprobs, top_logprobs) {
        (_, Some(top)) if top > TOP_LOGPROBS_MAX => {
            let message = format!("expected a number from 0 to {TOP_LOGPROBS_MAX}");
            Err(ApiError::invalid_argument("top_logprobs", message))
        }
        (false, Some(_)) => Err(ApiError::invalid_argument(
            "top_logprobs",
            "is only allowed when `logprobs` is true",
        )),
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None) => Ok(None),
    }
}
