//! Numbers with units, as texts have them: `200ms`, `1.5s`, `100B/s`.

use std::fmt::Display;
use std::num::NonZeroU64;
use std::time::Duration;

/// The longest time that a text may ask for: longer than any client waits.
pub const TIME_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What a text that should be a number with a unit is instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a time.
    #[error("`{0}` is no time: expected a number and `us`, `ms`, `s`, `m` or `h`, as in `200ms`")]
    Time(String),
    /// A time that is too long.
    #[error("`{0}` is longer than {hours} h", hours = TIME_MAX.as_secs() / 3_600)]
    TooLong(String),
    /// Not a pace.
    #[error("`{0}` is no pace: expected bytes a second, as in `100B/s`, `64KiB/s`")]
    Pace(String),
}

/// A text in a message: what it begins with.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Reads a time such as `200ms` or `1.5s`.
///
/// # Errors
///
/// When it is none, is negative, or is longer than [`TIME_MAX`].
pub fn time(text: &str) -> Result<Duration, QuantityError> {
    let text = text.trim();
    let not_one = || QuantityError::Time(shown(text));
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit_at.ok_or_else(not_one)?);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(not_one()),
    };
    let number: f64 = number.trim().parse().map_err(|_| not_one())?;
    if !number.is_finite() || number < 0.0 {
        return Err(not_one());
    }
    let time = Duration::try_from_secs_f64(number * seconds);
    time.ok()
        .filter(|time| *time <= TIME_MAX)
        .ok_or_else(|| QuantityError::TooLong(shown(text)))
}

/// A time as texts have it: in the largest unit in which it is a whole number.
#[must_use]
pub fn time_text(time: Duration) -> impl Display {
    let us = time.as_micros();
    match us {
        us if us.is_multiple_of(1_000_000) => format!("{}s", us / 1_000_000),
        us if us.is_multiple_of(1_000) => format!("{}ms", us / 1_000),
        us => format!("{us}us"),
    }
}

/// Reads a pace such as `100B/s` or `64KiB/s`, in bytes a second.
///
/// # Errors
///
/// When it is none, or is nothing.
pub fn pace(text: &str) -> Result<NonZeroU64, QuantityError> {
    let text = text.trim();
    let not_one = || QuantityError::Pace(shown(text));
    let number = text.strip_suffix("/s").ok_or_else(not_one)?;
    let (number, factor) = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("B", 1),
    ]
    .into_iter()
    .find_map(|(unit, factor)| Some((number.strip_suffix(unit)?, factor)))
    .ok_or_else(not_one)?;
    let number: u64 = number.trim().parse().map_err(|_| not_one())?;
    let bytes = number.checked_mul(factor).and_then(NonZeroU64::new);
    bytes.ok_or_else(not_one)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("200ms", 200.0),
            ("1.5s", 1_500.0),
            (" 2 s ", 2_000.0),
            ("0ms", 0.0),
            ("250us", 0.25),
            ("3m", 180_000.0),
            ("24h", 86_400_000.0),
        ] {
            let read = time(text).unwrap();
            assert_eq!(read, Duration::from_secs_f64(ms / 1e3), "{text}");
            assert_eq!(time(&time_text(read).to_string()), Ok(read));
        }
        for text in [
            "", "2", "ms", "-1s", "NaNs", "infs", "1e999s", "2 days", "25h", "1s2",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pace_is_bytes_a_second() {
        assert_eq!(pace("100B/s").unwrap().get(), 100);
        assert_eq!(pace("64KiB/s").unwrap().get(), 65_536);
        assert_eq!(pace("1 MB/s").unwrap().get(), 1_000_000);
        for text in [
            "",
            "100",
            "100B",
            "0B/s",
            "B/s",
            "-1B/s",
            "1.5B/s",
            "99999999999999MiB/s",
        ] {
            assert!(pace(text).is_err(), "{text}");
        }
    }
}
