//! How the settings of traces are read and printed, where they are of kinds of their own.

use secrecy::zeroize::Zeroizing;

use super::{FromText, Named, RawValue, ValueParser, parsed};
use crate::traces::{CollectorHeader, CollectorUrl, SampleRatio, ServiceName};

/// Headers whose values nobody is to read. Prints their names.
pub(in crate::config) struct CollectorHeaders;

/// Headers that go with each message.
const HEADERS_MAX: usize = 16;

impl ValueParser<Vec<CollectorHeader>> for CollectorHeaders {
    const ACCEPTS: &'static str = "a list of `NAME=VALUE`, separated by commas or as JSON, or \
                                   where each of them stands; or `none`";

    fn read(raw: &RawValue) -> Result<Vec<CollectorHeader>, String> {
        let list = Zeroizing::new(raw.list()?);
        if matches!(list.as_slice(), [none] if none.eq_ignore_ascii_case("none")) {
            return Ok(Vec::new());
        }
        if list.len() > HEADERS_MAX {
            return Err(format!("expected {HEADERS_MAX} headers at most"));
        }
        let read = |(index, text): (usize, &String)| {
            // Says which and not what: this reaches the terminal and the log.
            let header = text.parse();
            header.map_err(|error| format!("header {}: {error}", index + 1))
        };
        list.iter().enumerate().map(read).collect()
    }

    fn show(value: &Vec<CollectorHeader>) -> String {
        if value.is_empty() {
            return "none".to_owned();
        }
        let names = value.iter().map(|it| format!("{} (redacted)", it.name()));
        names.collect::<Vec<_>>().join(", ")
    }

    fn named(_: &Vec<CollectorHeader>) -> Named {
        Named::default()
    }
}

impl ValueParser<CollectorUrl> for FromText {
    const ACCEPTS: &'static str = "an address such as `http://127.0.0.1:4318`, or `none`";

    fn read(raw: &RawValue) -> Result<CollectorUrl, String> {
        parsed(raw)
    }

    fn show(value: &CollectorUrl) -> String {
        value.to_string()
    }
}

impl ValueParser<SampleRatio> for FromText {
    const ACCEPTS: &'static str = "a number from 0 to 1";

    fn read(raw: &RawValue) -> Result<SampleRatio, String> {
        parsed(raw)
    }

    fn show(value: &SampleRatio) -> String {
        value.to_string()
    }
}

impl ValueParser<ServiceName> for FromText {
    const ACCEPTS: &'static str = "a text of up to 255 characters";

    fn read(raw: &RawValue) -> Result<ServiceName, String> {
        parsed(raw)
    }

    fn show(value: &ServiceName) -> String {
        value.to_string()
    }

    /// Nothing, even where it looks like a path.
    fn named(_: &ServiceName) -> Named {
        Named::default()
    }
}
