//! The file of rules of answers that a setting names, with the data sets beside it.

use belljar_testing::rules::{DATA_SET_BYTES_MAX, FILE_BYTES_MAX, Rules, RulesError};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A file of rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleFileError {
    /// It cannot be read.
    #[error("test.rules: {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something in it is wrong.
    #[error("test.rules: {}: {error}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What, and where.
        error: RulesError,
    },
}

/// Reads a file of rules; `latency` says whether a text is a latency.
///
/// # Errors
///
/// When it cannot be read, and everything that is wrong in it and in its data sets.
pub(super) fn read(
    path: &Path,
    latency: &dyn Fn(&str) -> Result<(), String>,
) -> Result<Rules, RuleFileError> {
    let unreadable = |error| RuleFileError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let text = text_of(path, FILE_BYTES_MAX).map_err(unreadable)?;
    let data_set = |name: &str| beside(path, name);
    let around = belljar_testing::rules::Surroundings {
        data_set: &data_set,
        latency,
    };
    Rules::parse(&text, &around).map_err(|error| RuleFileError::Invalid {
        path: path.to_owned(),
        error,
    })
}

/// A data set in the folder of a file: a name and no path, so that a rule file says nothing of
/// files elsewhere.
fn beside(path: &Path, name: &str) -> Result<String, String> {
    let is_name =
        !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != ".." && name != ".";
    if !is_name {
        return Err("a data set is a file beside the rule file, by its name alone".to_owned());
    }
    text_of(&path.with_file_name(name), DATA_SET_BYTES_MAX).map_err(|error| error.to_string())
}

/// A file as text. Of one that is too large a little more is read than there may be, which is told
/// like any other that is.
fn text_of(path: &Path, bytes_max: usize) -> io::Result<String> {
    let most = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut text = String::new();
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_data_set_is_beside_its_file_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("in")).unwrap();
        std::fs::write(at("secret"), r#"{"request":"a","answer":"b"}"#).unwrap();
        std::fs::write(at("in/pairs"), r#"{"request":"a","answer":"b"}"#).unwrap();
        let read_with = |name: &str| {
            let rules = format!("[[rule]]\nname = 'r'\nanswer.data_set = '{name}'");
            std::fs::write(at("in/rules.toml"), rules).unwrap();
            let read = read(&at("in/rules.toml"), &|_| Ok(()));
            read.map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(read_with("pairs"), Ok(()));
        for name in ["../secret", "..", ".", "", "/etc/passwd", "in/../secret"] {
            let error = read_with(name).unwrap_err();
            assert!(error.contains("by its name alone"), "{name}: {error}");
        }
        let error = read_with("none").unwrap_err();
        assert!(
            error.contains("rules.toml: line 3, column 19: No such file"),
            "{error}"
        );
        let error = read(&at("in/nothing"), &|_| Ok(())).unwrap_err();
        assert!(matches!(error, RuleFileError::Unreadable { .. }), "{error}");
    }
}
