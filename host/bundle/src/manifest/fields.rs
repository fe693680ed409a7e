//! Values of a TOML table, read under the full name of their key, so that whoever wrote a wrong one
//! is told where. It knows no key.

use std::str::FromStr;

use toml::{Table, Value};

use crate::error::BundleError;
use crate::text::{nearest, quotable};

pub(super) fn require<'a>(table: &'a Table, key: &str) -> Result<&'a Value, BundleError> {
    table
        .get(key)
        .ok_or_else(|| BundleError::ManifestMissingKey {
            key: key.to_owned(),
            instead: "",
        })
}

pub(super) fn subtable<'a>(table: &'a Table, key: &str) -> Result<Option<&'a Table>, BundleError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::Table(inner)) => Ok(Some(inner)),
        Some(other) => Err(wrong_type(key, "a table", other)),
    }
}

pub(super) fn text_of<'a>(key: &str, value: &'a Value) -> Result<&'a str, BundleError> {
    value
        .as_str()
        .ok_or_else(|| wrong_type(key, "a text in quotes", value))
}

pub(super) fn parse_text<T: FromStr<Err: ToString>>(
    key: &str,
    value: &Value,
) -> Result<T, BundleError> {
    in_value(key, text_of(key, value)?.parse())
}

pub(super) fn refuse_unknown(
    table: &Table,
    parent: &str,
    known: &[&'static str],
) -> Result<(), BundleError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(BundleError::ManifestUnknownKey {
            nearest: nearest(key, known),
            key: under(parent, key),
        }),
    }
}

/// `table.key`, made safe to print.
pub(super) fn under(table: &str, key: &str) -> String {
    if table.is_empty() {
        quotable(key)
    } else {
        format!("{table}.{}", quotable(key))
    }
}

pub(super) fn wrong_type(key: &str, expected: &'static str, value: &Value) -> BundleError {
    let got = match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "a truth value",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    };
    BundleError::ManifestType {
        key: key.to_owned(),
        expected,
        got,
    }
}

/// Puts the key before what a parser of values says.
pub(super) fn in_value<T, E: ToString>(key: &str, result: Result<T, E>) -> Result<T, BundleError> {
    result.map_err(|error| BundleError::ManifestValue {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}
