//! The settings of the watch for anomalies.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::profile::Rule;

/// The settings of the watch.
#[derive(Clone, Debug)]
pub struct AnomalyConfig {
    /// What an anomaly leads to.
    pub action: AnomalyAction,
    /// The score from which conduct is an anomaly.
    pub threshold: AnomalyThreshold,
    /// The time for which a caller is only watched, in whole windows of five minutes.
    pub warm_up: Duration,
    /// The time after which what was seen weighs half.
    pub half_life: Duration,
    /// Keys that are remembered, and as many addresses; about 3 KB each.
    pub callers_max: usize,
    /// Requests a minute of a caller that was slowed down.
    pub slow_rpm: u32,
    /// The time for which it is.
    pub slow_time: Duration,
    /// The time for which a caller is banned.
    pub ban_time: Duration,
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        Self {
            action: AnomalyAction::Off,
            threshold: AnomalyThreshold(3.0),
            warm_up: Duration::from_hours(7 * 24),
            half_life: Duration::from_hours(7 * 24),
            callers_max: 10_000,
            slow_rpm: 30,
            slow_time: Duration::from_mins(30),
            ban_time: Duration::from_hours(1),
        }
    }
}

impl AnomalyConfig {
    /// The rule by which windows are judged.
    #[must_use]
    pub fn rule(&self) -> Rule {
        Rule {
            threshold: self.threshold.0,
            warm_up: self.warm_up,
            half_life: self.half_life,
        }
    }
}

/// What an anomaly leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnomalyAction {
    /// Nobody is watched.
    Off,
    /// It is recorded, counted and told to the webhook.
    Report,
    /// The same, and the caller is held to a low rate for a while.
    Slow,
    /// The same as a report, and the caller is banned for a while.
    Ban,
}

impl AnomalyAction {
    /// The name in settings, metrics and the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Slow => "slow",
            Self::Ban => "ban",
        }
    }
}

/// The score from which conduct is an anomaly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnomalyThreshold(f32);

/// The text is no threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 1 to 40")]
pub struct InvalidAnomalyThreshold;

impl FromStr for AnomalyThreshold {
    type Err = InvalidAnomalyThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidAnomalyThreshold> {
        let number = text.trim().parse().ok();
        // Not a number is in no range.
        number
            .filter(|number| (1.0..=40.0).contains(number))
            .map(Self)
            .ok_or(InvalidAnomalyThreshold)
    }
}

impl fmt::Display for AnomalyThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_number_in_its_range() {
        assert_eq!("3.5".parse(), Ok(AnomalyThreshold(3.5)));
        for text in ["", "0", "0.99", "41", "NaN", "inf", "-3", "three"] {
            assert_eq!(
                text.parse::<AnomalyThreshold>(),
                Err(InvalidAnomalyThreshold),
                "{text}"
            );
        }
    }
}
