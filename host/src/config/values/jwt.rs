//! How the settings of tokens are read and printed, where they are of kinds of their own.

use super::{FromText, Named, RawValue, ValueParser, parsed};
use crate::auth::{JwtText, KeySource};

impl ValueParser<JwtText> for FromText {
    const ACCEPTS: &'static str = "a text of up to 512 characters";

    fn read(raw: &RawValue) -> Result<JwtText, String> {
        parsed(raw)
    }

    fn show(value: &JwtText) -> String {
        value.to_string()
    }

    /// Nothing: an issuer is compared with what a token says, and never called.
    fn named(_: &JwtText) -> Named {
        Named::default()
    }
}

impl ValueParser<KeySource> for FromText {
    const ACCEPTS: &'static str = "a path, or an `https://` URL";

    fn read(raw: &RawValue) -> Result<KeySource, String> {
        parsed(raw)
    }

    fn show(value: &KeySource) -> String {
        value.to_string()
    }

    fn named(value: &KeySource) -> Named {
        match value {
            KeySource::File(path) => Named::files([path]),
            KeySource::Url(url) => Named::by_text(url.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_within_reach_and_an_issuer_is_not_called() {
        let named =
            |text: &str| <FromText as ValueParser<KeySource>>::named(&text.parse().unwrap());
        let file = named("keys.json");
        assert_eq!((file.files.len(), file.calls.len()), (1, 0));
        let url = named("https://id.example:8443/keys");
        assert_eq!((url.files.len(), url.calls), (0, vec![8443]));
        let issuer: JwtText = "https://id.example".parse().unwrap();
        let issuer = <FromText as ValueParser<JwtText>>::named(&issuer);
        assert!(issuer.calls.is_empty() && issuer.files.is_empty());
    }
}
