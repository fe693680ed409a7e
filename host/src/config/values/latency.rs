//! How long texts take, as settings have it.

use super::{FromText, ListOf, Named, RawValue, ValueParser, parsed};
use crate::testing::LatencyText;

impl ValueParser<LatencyText> for FromText {
    const ACCEPTS: &'static str = "a latency such as `ttft=200ms,itl=20ms`, or none";

    fn read(raw: &RawValue) -> Result<LatencyText, String> {
        parsed(raw)
    }

    fn show(value: &LatencyText) -> String {
        value.to_string()
    }

    /// Nothing that the server would open or call.
    fn named(_: &LatencyText) -> Named {
        Named::default()
    }
}

/// A list as JSON or of the file; one rule where it is a text, because commas are part of rules.
impl ValueParser<Vec<LatencyText>> for ListOf {
    const ACCEPTS: &'static str =
        "a rule such as `gpt-4o* ttft=200ms,itl=20ms`, several as JSON, or `none`";

    fn read(raw: &RawValue) -> Result<Vec<LatencyText>, String> {
        let items = match raw {
            RawValue::Text(text) if !text.trim_start().starts_with('[') => vec![text.clone()],
            _ => raw.list()?,
        };
        let items = match items.as_slice() {
            [one] if one.trim() == "none" || one.trim().is_empty() => Vec::new(),
            _ => items,
        };
        let items = items
            .iter()
            .map(|item| match item.split_whitespace().count() {
                0 | 1 => Err(format!("`{item}` is no rule: expected `MODEL LATENCY`")),
                _ => item.parse().map_err(|error| format!("`{item}`: {error}")),
            });
        items.collect()
    }

    fn show(value: &Vec<LatencyText>) -> String {
        match value.as_slice() {
            [] => "none".to_owned(),
            [one] => one.to_string(),
            _ => {
                let items: Vec<_> = value.iter().map(ToString::to_string).collect();
                serde_json::json!(items).to_string()
            }
        }
    }

    fn named(_: &Vec<LatencyText>) -> Named {
        Named::default()
    }
}
