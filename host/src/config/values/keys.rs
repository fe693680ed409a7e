//! How keys are read and printed.

use belljar_bundle::{PublicKey, TrustedKey};
use secrecy::zeroize::Zeroizing;

use super::{RawValue, ValueParser};
use crate::auth::ConfiguredKey;

/// API keys. Prints how many there are.
pub(in crate::config) struct Keys;
/// Names and public keys.
pub(in crate::config) struct TrustedKeys;

impl ValueParser<Vec<ConfiguredKey>> for Keys {
    const ACCEPTS: &'static str = "a list, separated by commas or as JSON: plain keys of at least \
                                   16 characters, or `sha256:` and 64 hex digits";

    fn read(raw: &RawValue) -> Result<Vec<ConfiguredKey>, String> {
        let mut keys = Vec::new();
        let list = Zeroizing::new(raw.list()?);
        // A secret that stands elsewhere may be several, each on a line.
        let lines = list.iter().flat_map(|text| text.trim_end().split('\n'));
        for (index, text) in lines.enumerate() {
            // Says which and not what: this reaches the terminal and the log.
            let key = text
                .trim()
                .parse()
                .map_err(|error| format!("key {}: {error}", index + 1))?;
            keys.push(key);
        }
        Ok(keys)
    }

    fn show(value: &Vec<ConfiguredKey>) -> String {
        match value.len() {
            0 => "none".to_owned(),
            1 => "1 key (redacted)".to_owned(),
            count => format!("{count} keys (redacted)"),
        }
    }
}

impl ValueParser<Vec<TrustedKey>> for TrustedKeys {
    const ACCEPTS: &'static str = "a list of `NAME=ed25519:BASE64`, separated by commas or as JSON";

    fn read(raw: &RawValue) -> Result<Vec<TrustedKey>, String> {
        let read = |text: &String| {
            let (name, key) = text
                .split_once('=')
                .filter(|(name, _)| !name.trim().is_empty())
                .ok_or_else(|| format!("`{text}` is not of the form NAME=ed25519:BASE64"))?;
            let key: PublicKey = key
                .trim()
                .parse()
                .map_err(|error| format!("{name}: {error}"))?;
            Ok(TrustedKey {
                name: name.trim().to_owned(),
                key,
            })
        };
        raw.list()?.iter().map(read).collect()
    }

    fn show(value: &Vec<TrustedKey>) -> String {
        let shown: Vec<String> = value
            .iter()
            .map(|trusted| format!("{}={}", trusted.name, trusted.key))
            .collect();
        if shown.is_empty() {
            "none".to_owned()
        } else {
            shown.join(", ")
        }
    }
}
