//! How lists of files are read and printed.

use std::path::PathBuf;

use super::{FilePath, Named, RawValue, ValueParser};

/// Any number of files.
pub(in crate::config) struct Files;
/// A file or folder, or `none`.
pub(in crate::config) struct PathOrNone;

/// Refuses what no file of a server is called, and what would drive a terminal.
pub(super) fn usable(path: &str) -> Result<(), String> {
    if path.trim().is_empty() {
        return Err("a path is empty".to_owned());
    }
    if path.contains(char::is_control) {
        return Err("a path of this server has no control characters".to_owned());
    }
    Ok(())
}

impl ValueParser<PathBuf> for FilePath {
    const ACCEPTS: &'static str = "a path";

    fn read(raw: &RawValue) -> Result<PathBuf, String> {
        match raw.text()? {
            "" => Err("expected a path".to_owned()),
            text => usable(text).map(|()| PathBuf::from(text)),
        }
    }

    fn show(value: &PathBuf) -> String {
        value.display().to_string()
    }

    fn named(value: &PathBuf) -> Named {
        Named::files([value])
    }
}

impl ValueParser<Option<PathBuf>> for PathOrNone {
    const ACCEPTS: &'static str = "a path, or `none`";

    fn read(raw: &RawValue) -> Result<Option<PathBuf>, String> {
        match raw.text()? {
            text if text.eq_ignore_ascii_case("none") => Ok(None),
            text => usable(text).map(|()| Some(PathBuf::from(text))),
        }
    }

    fn show(value: &Option<PathBuf>) -> String {
        value
            .as_ref()
            .map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    }

    fn named(value: &Option<PathBuf>) -> Named {
        Named::files(value)
    }
}

impl ValueParser<Vec<PathBuf>> for Files {
    const ACCEPTS: &'static str = "paths, separated by commas or as JSON, or `none`";

    fn read(raw: &RawValue) -> Result<Vec<PathBuf>, String> {
        let items = raw.list()?;
        // How an empty list is shown.
        if matches!(items.as_slice(), [none] if none == "none") {
            return Ok(Vec::new());
        }
        items.iter().try_for_each(|item| usable(item))?;
        Ok(items.iter().map(PathBuf::from).collect())
    }

    fn show(value: &Vec<PathBuf>) -> String {
        if value.is_empty() {
            return "none".to_owned();
        }
        let items: Vec<_> = value
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        items.join(",")
    }

    fn named(value: &Vec<PathBuf>) -> Named {
        Named::files(value)
    }
}
