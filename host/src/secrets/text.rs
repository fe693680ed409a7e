//! A secret as a value.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// A secret text of the settings. Cannot be printed.
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    /// A text that nobody is to read.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(SecretString::from(text))
    }

    /// The text, for the one who needs it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SecretText {}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}
