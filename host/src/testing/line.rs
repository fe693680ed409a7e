//! A rule of faults in one line, as settings have it.

use belljar_testing::fault::{FaultRule, FaultRuleError};
use std::fmt;
use std::str::FromStr;

/// A rule of faults, with the text that it was read from.
#[derive(Clone, Debug)]
pub struct FaultLine {
    text: String,
    rule: FaultRule,
}

impl FaultLine {
    /// The rule, of which nothing has been used yet.
    #[must_use]
    pub fn rule(&self) -> FaultRule {
        self.rule.clone()
    }
}

impl FromStr for FaultLine {
    type Err = FaultRuleError;

    fn from_str(text: &str) -> Result<Self, FaultRuleError> {
        Ok(Self {
            rule: text.parse()?,
            text: text.trim().to_owned(),
        })
    }
}

impl fmt::Display for FaultLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for FaultLine {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
