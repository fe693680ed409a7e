//! What the prompts of all APIs have in common: their size, and the bytes of their media.

use crate::http::error::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar_sandbox::wit::types::{Media, Source};

/// What a part that is not text may at most have cost in tokens.
const MEDIA_TOKENS_MAX: usize = 65_536;
/// What a message may cost besides its text.
const MESSAGE_TOKENS_MAX: usize = 64;

/// How large a prompt is, as far as the host can tell: tokens are the model's own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PromptSize {
    text_bytes: usize,
    /// Tokens that came as such.
    tokens: usize,
    messages: usize,
    media: usize,
}

impl PromptSize {
    /// Counts a text.
    pub(super) fn add_text(&mut self, text: &str) {
        self.text_bytes = self.text_bytes.saturating_add(text.len());
    }

    /// Counts a message besides its content.
    pub(super) fn add_message(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// Counts a picture, a sound or a file.
    pub(super) fn add_media(&mut self) {
        self.media = self.media.saturating_add(1);
    }

    /// Counts tokens that came as such.
    pub(super) fn add_tokens(&mut self, tokens: usize) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// The most tokens that it can be: one a byte.
    pub(super) fn tokens_max(self) -> u32 {
        let around = self.messages.saturating_mul(MESSAGE_TOKENS_MAX);
        let media = self.media.saturating_mul(MEDIA_TOKENS_MAX);
        let tokens = [self.text_bytes, self.tokens, around, media]
            .into_iter()
            .fold(0_usize, usize::saturating_add);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// About how many tokens it is: for a model that was ended before it could say.
    pub(super) fn tokens_estimate(self) -> u32 {
        let tokens = self
            .text_bytes
            .div_ceil(4)
            .saturating_add(self.tokens)
            .saturating_add(self.messages.saturating_mul(4));
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}

/// A `data:` URL is decoded; other addresses are passed on as they are and fetched by nobody.
pub(super) fn source(url: String, place: &str) -> Result<Source, ApiError> {
    let Some(rest) = url.strip_prefix("data:") else {
        return if url.starts_with("https://") || url.starts_with("http://") {
            Ok(Source::Url(url))
        } else {
            Err(ApiError::invalid_argument(
                place,
                "expected an http, https or data URL",
            ))
        };
    };
    let Some((mime, data)) = rest.split_once(";base64,") else {
        return Err(ApiError::invalid_argument(
            place,
            "expected a data URL in base64",
        ));
    };
    Ok(Source::Inline(Media {
        mime: mime.to_owned(),
        data: decode(data, place)?,
    }))
}

/// The bytes of a text in base64.
pub(super) fn decode(base64: &str, place: &str) -> Result<Vec<u8>, ApiError> {
    STANDARD
        .decode(base64)
        .map_err(|_| ApiError::invalid_argument(place, "is not valid base64"))
}
