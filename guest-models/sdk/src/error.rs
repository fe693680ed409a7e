//! Shorter ways to say why a call gave no result.

use alloc::string::String;

use crate::Error;

impl Error {
    /// The request is wrong and will stay wrong; the caller reads the text (HTTP 400).
    pub fn invalid_input(text: impl Into<String>) -> Self {
        Self::InvalidInput(text.into())
    }

    /// The request is sound, and this model does not do such a thing; the caller reads the text
    /// (HTTP 400).
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into())
    }

    /// The model's own fault; the text goes to the host's log and the caller does not see it
    /// (HTTP 502).
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}
