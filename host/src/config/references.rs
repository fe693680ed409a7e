//! Puts in the place of a reference what stands there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

use super::environment::Environment;
use super::setting::References;
use super::values::RawValue;
use crate::secrets::{SECRET_BYTES_MAX, SecretRef, VaultRef};

/// What has become of a value that may have been a reference.
pub(super) enum Expanded {
    /// The value itself.
    Value(RawValue),
    /// It stands in Vault, which has not been read.
    InVault(Vec<VaultRef>),
}

/// Puts in the place of each reference what stands there.
pub(super) fn expand(
    mut raw: RawValue,
    references: References,
    environment: &dyn Environment,
) -> Result<Expanded, String> {
    let mut unread = Vec::new();
    let mut expand = |text: &mut String| -> Result<(), String> {
        match read(text, references, environment)? {
            Read::Itself => {}
            Read::There(value) => *text = value,
            Read::Unread(place) => unread.push(place),
        }
        Ok(())
    };
    match &mut raw {
        RawValue::Text(text) if text.contains(',') && SecretRef::of(text) != Ok(None) => {
            // A comma is in no reference: these are several.
            let items = text.split(',').map(str::trim).map(str::to_owned);
            let mut items: Vec<String> = items.filter(|item| !item.is_empty()).collect();
            items.iter_mut().try_for_each(&mut expand)?;
            raw = RawValue::List(items);
        }
        RawValue::Text(text) => expand(text)?,
        RawValue::List(items) => items.iter_mut().try_for_each(&mut expand)?,
    }
    Ok(if unread.is_empty() {
        Expanded::Value(raw)
    } else {
        raw.wipe();
        Expanded::InVault(unread)
    })
}

/// The files in which a value stands.
pub(super) fn files(raw: &RawValue, references: References) -> Vec<PathBuf> {
    let items: Vec<&str> = match raw {
        RawValue::Text(text) => text.split(',').collect(),
        RawValue::List(items) => items.iter().map(String::as_str).collect(),
    };
    let file = |item: &str| match SecretRef::of(item) {
        Ok(Some(SecretRef::File(path))) if references == References::Anywhere => Some(path),
        _ => None,
    };
    items.into_iter().filter_map(file).collect()
}

enum Read {
    Itself,
    There(String),
    Unread(VaultRef),
}

fn read(text: &str, references: References, environment: &dyn Environment) -> Result<Read, String> {
    let place = SecretRef::of(text).map_err(|error| error.to_string())?;
    Ok(match place {
        None => Read::Itself,
        Some(SecretRef::File(_)) if references == References::Elsewhere => Read::Itself,
        Some(SecretRef::File(path)) => Read::There(read_file(&path)?),
        Some(SecretRef::Variable(name)) => {
            let value = environment.variable(&name);
            Read::There(value.ok_or_else(|| format!("the variable {name} is not set"))?)
        }
        Some(SecretRef::Vault(place)) => match environment.in_vault(&place) {
            Some(value) => Read::There(value.expose_secret().to_owned()),
            None => Read::Unread(place),
        },
    })
}

/// A file without the end of its last line, which editors put there.
fn read_file(path: &Path) -> Result<String, String> {
    let failed = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.display());
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file
        .take(SECRET_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| failed(&error))?;
    if bytes.len() > SECRET_BYTES_MAX {
        let bound = format!("a secret has {SECRET_BYTES_MAX} bytes at most");
        return Err(failed(&bound));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| failed(&"the file is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
