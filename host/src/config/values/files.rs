//! How lists of files are read and printed.

use std::path::PathBuf;

use super::{RawValue, ValueParser};

/// Any number of files.
pub(in crate::config) struct Files;

impl ValueParser<Vec<PathBuf>> for Files {
    const ACCEPTS: &'static str = "paths, separated by commas or as JSON, or `none`";

    fn read(raw: &RawValue) -> Result<Vec<PathBuf>, String> {
        let items = raw.list()?;
        // How an empty list is shown.
        if matches!(items.as_slice(), [none] if none == "none") {
            return Ok(Vec::new());
        }
        if items.iter().any(|item| item.trim().is_empty()) {
            return Err("a path is empty".to_owned());
        }
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
}
