//! How the secrets of the webhook are read, and that they are not printed.

use secrecy::zeroize::Zeroizing;

use super::{RawValue, ValueParser};
use crate::webhook::{SECRETS_MAX, WebhookSecret, WebhookUrl};

/// An address that may hold a token, or `none`.
pub(in crate::config) struct UrlOrNone;
/// Secrets that sign messages. Prints how many there are.
pub(in crate::config) struct WebhookSecrets;

impl ValueParser<Option<WebhookUrl>> for UrlOrNone {
    const ACCEPTS: &'static str = "an address such as `https://alerts.example/hook`, or `none`";

    fn read(raw: &RawValue) -> Result<Option<WebhookUrl>, String> {
        match raw.text()? {
            text if text.eq_ignore_ascii_case("none") => Ok(None),
            text => text.parse().map(Some).map_err(|error| format!("{error}")),
        }
    }

    fn show(value: &Option<WebhookUrl>) -> String {
        value
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string)
    }
}

impl ValueParser<Vec<WebhookSecret>> for WebhookSecrets {
    const ACCEPTS: &'static str = "a list, separated by commas or as JSON: `whsec_` and 24 to 64 \
                                   bytes in Base64; or `none`";

    fn read(raw: &RawValue) -> Result<Vec<WebhookSecret>, String> {
        let list = Zeroizing::new(raw.list()?);
        if matches!(list.as_slice(), [none] if none.eq_ignore_ascii_case("none")) {
            return Ok(Vec::new());
        }
        if list.len() > SECRETS_MAX {
            return Err(format!("expected {SECRETS_MAX} secrets at most"));
        }
        let read = |(index, text): (usize, &String)| {
            // Says which and not what: this reaches the terminal and the log.
            let secret = text.parse();
            secret.map_err(|error| format!("secret {}: {error}", index + 1))
        };
        list.iter().enumerate().map(read).collect()
    }

    fn show(value: &Vec<WebhookSecret>) -> String {
        match value.len() {
            0 => "none".to_owned(),
            1 => "1 secret (redacted)".to_owned(),
            count => format!("{count} secrets (redacted)"),
        }
    }
}
