//! Why a command ends with another code than 0, and the one place that writes what it tells.

use std::fmt;

use crate::config::ConfigError;

/// The end of a command that did not do what it was asked for.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    error: anyhow::Error,
}

const FAILED: u8 = 1;
const UNUSABLE: u8 = 2;

impl Failure {
    /// A failure of the arguments or the configuration, and not of the work.
    pub(super) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: UNUSABLE,
            error: error.into(),
        }
    }
}

impl Failure {
    /// What is wrong, a text for each thing.
    pub(super) fn problems(&self) -> Vec<String> {
        match self.error.downcast_ref::<ConfigError>() {
            Some(error) => error.0.iter().map(ToString::to_string).collect(),
            None => vec![self.to_string()],
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let code = if error.is::<ConfigError>() {
            UNUSABLE
        } else {
            FAILED
        };
        Self { code, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&told(self.error.chain().map(ToString::to_string)))
    }
}

/// An error and its causes as one text. Many errors tell their cause in their own words, and some
/// causes repeat what they are the cause of: each thing is told once.
fn told(chain: impl Iterator<Item = String>) -> String {
    let mut told = String::new();
    for cause in chain {
        let (before, last) = told.rsplit_once(": ").unwrap_or_default();
        let says_more = cause
            .strip_prefix(last)
            .is_some_and(|more| !last.is_empty() && !more.starts_with(char::is_alphanumeric));
        if told.is_empty() {
            told = cause;
        } else if says_more {
            told = format!("{before}: {cause}");
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(chain: &[&str], expect: &str) {
        assert_eq!(told(chain.iter().map(|cause| (*cause).to_owned())), expect);
    }

    #[test]
    fn a_cause_is_told_once() {
        check(&["no"], "no");
        check(
            &["a.toml cannot be read", "gone"],
            "a.toml cannot be read: gone",
        );
        // In its own words, at the end or in the midst of them.
        check(&["cannot write: full", "full"], "cannot write: full");
        check(
            &[
                "cannot listen: in use (os error 98); choose another",
                "in use (os error 98)",
            ],
            "cannot listen: in use (os error 98); choose another",
        );
        check(&["x: y: z", "y: z", "z"], "x: y: z");
        // The cause says more than the words about it.
        check(
            &["cannot write: full", "full (os error 28)"],
            "cannot write: full (os error 28)",
        );
        check(&["x: a", "another"], "x: a: another");
        check(&["x", "x", "x"], "x");
        check(&["", "why"], "why");
    }

    #[test]
    fn a_configuration_that_cannot_be_used_has_a_code_of_its_own() {
        assert_eq!(Failure::from(anyhow::anyhow!("x")).code, FAILED);
        assert_eq!(Failure::usage(anyhow::anyhow!("x")).code, UNUSABLE);
        assert_eq!(Failure::from(ConfigError(Vec::new())).code, UNUSABLE);
    }
}
