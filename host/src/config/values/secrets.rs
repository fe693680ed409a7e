//! How secrets and the settings of Vault are read and printed.

use std::path::{Path, PathBuf};

use super::{FromText, Named, OrNone, RawValue, ValueParser, parsed};
use crate::auth::{ShortSigningRoot, SigningRootText};
use crate::outgoing::ServiceUrl;
use crate::secrets::{SecretText, VaultName};
use crate::tls::PrivateKeySource;

/// A text that nobody is to read, or `none`. Prints whether there is one.
pub(in crate::config) struct Secret;
/// A text of its own form, or `none`.
pub(in crate::config) type TextOrNone = OrNone<FromText>;
/// Any number of private keys: files, or keys themselves.
pub(in crate::config) struct PrivateKeys;

impl ValueParser<Option<SecretText>> for Secret {
    const ACCEPTS: &'static str = "a text, or where it stands: `file:PATH`, `env:NAME` or \
                                   `vault:MOUNT/data/PATH#FIELD`; or `none`";

    fn read(raw: &RawValue) -> Result<Option<SecretText>, String> {
        match raw.text()? {
            "" => Err("a secret is not empty".to_owned()),
            "none" => Ok(None),
            // What a file has that is no text, or what a terminal was made to send.
            text if text.contains(|c: char| c.is_control() && c != '\n') => {
                Err("a secret has no control characters".to_owned())
            }
            text => Ok(Some(SecretText::new(text))),
        }
    }

    fn show(value: &Option<SecretText>) -> String {
        value.as_ref().map_or("none", |_| "(redacted)").to_owned()
    }
}

impl ValueParser<Option<SigningRootText>> for Secret {
    const ACCEPTS: &'static str = <Self as ValueParser<Option<SecretText>>>::ACCEPTS;

    fn read(raw: &RawValue) -> Result<Option<SigningRootText>, String> {
        let text = <Self as ValueParser<Option<SecretText>>>::read(raw)?;
        let root = |text: SecretText| text.expose().parse::<SigningRootText>();
        let root = text.map(root).transpose();
        root.map_err(|error: ShortSigningRoot| error.to_string())
    }

    fn show(value: &Option<SigningRootText>) -> String {
        value.as_ref().map_or("none", |_| "(redacted)").to_owned()
    }
}

/// What begins a key in PEM.
const PEM: &str = "-----BEGIN ";

impl ValueParser<Vec<PrivateKeySource>> for PrivateKeys {
    const ACCEPTS: &'static str = "paths, or where keys stand: `env:NAME` or `vault:MOUNT/data/PATH#FIELD`, separated \
                                   by commas or as JSON, or `none`";

    fn read(raw: &RawValue) -> Result<Vec<PrivateKeySource>, String> {
        let items = raw.list()?;
        if matches!(items.as_slice(), [none] if none == "none") {
            return Ok(Vec::new());
        }
        let read = |item: &String| {
            if item.trim_start().starts_with(PEM) {
                return Ok(PrivateKeySource::Pem(SecretText::new(item)));
            }
            let path = item.strip_prefix("file:").unwrap_or(item);
            super::files::usable(path)?;
            Ok(PrivateKeySource::File(PathBuf::from(path)))
        };
        items.iter().map(read).collect()
    }

    fn show(value: &Vec<PrivateKeySource>) -> String {
        if value.is_empty() {
            return "none".to_owned();
        }
        let show = |key: &PrivateKeySource| match key {
            PrivateKeySource::File(path) => Path::display(path).to_string(),
            PrivateKeySource::Pem(_) => "(redacted)".to_owned(),
        };
        value.iter().map(show).collect::<Vec<_>>().join(",")
    }

    fn named(value: &Vec<PrivateKeySource>) -> Named {
        Named::files(value.iter().filter_map(|key| match key {
            PrivateKeySource::File(path) => Some(path),
            PrivateKeySource::Pem(_) => None,
        }))
    }
}

impl ValueParser<ServiceUrl> for FromText {
    const ACCEPTS: &'static str = "an `https://` URL, or an `http://` one of this machine";

    fn read(raw: &RawValue) -> Result<ServiceUrl, String> {
        parsed(raw)
    }

    fn show(value: &ServiceUrl) -> String {
        value.to_string()
    }
}

impl ValueParser<VaultName> for FromText {
    const ACCEPTS: &'static str = "a name in Vault";

    fn read(raw: &RawValue) -> Result<VaultName, String> {
        parsed(raw)
    }

    fn show(value: &VaultName) -> String {
        value.to_string()
    }
}
