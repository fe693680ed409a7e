//! Amounts with their units: [`ByteSize`], [`Fuel`] and [`DurationText`]. Manifests and the
//! host's configuration read them, as text with a unit or as a plain integer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use thiserror::Error;

use crate::text::quotable;

/// A number of bytes: `256 MiB`, `4 MB`, `512` (plain bytes). As an integer: bytes.
///
/// The units are B, KiB, MiB, GiB, TiB (powers of 1 024) and KB, MB, GB, TB (powers of 1 000).
/// `Display` picks the largest binary unit that is exact, so that text and value round-trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const BYTE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl ByteSize {
    /// That many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// That many units of 1 024 × 1 024 bytes; at most `u64::MAX` bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The units that its text form may have.
    pub fn units() -> impl Iterator<Item = &'static str> {
        BYTE_UNITS.iter().map(|(name, _)| *name)
    }
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let expected = "a size such as \"256 MiB\", \"4 MB\" or a number of bytes";
        parse_amount(text, BYTE_UNITS, Some(1), expected).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = BYTE_UNITS.iter().skip(1).take(4).rev();
        for (name, bytes) in exact {
            if self.0 != 0 && self.0.is_multiple_of(*bytes) {
                return write!(f, "{} {name}", self.0 / bytes);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// Units of wasmtime fuel, about one an instruction. In TOML and JSON a plain integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fuel(pub u64);

impl Fuel {
    /// The number of units.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl FromStr for Fuel {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_amount(text, &[], Some(1), "a whole number of fuel units").map(Self)
    }
}

impl fmt::Display for Fuel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl serde::Serialize for Fuel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// A span of time: `10 s`, `500 ms`, `2 min`, `1 h`. As an integer: seconds.
///
/// Kept to the microsecond. `Display` picks the largest unit that is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(Duration);

/// In microseconds.
const TIME_UNITS: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

impl DurationText {
    /// That many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// That many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The span for use with clocks and timers.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// The units that its text form may have.
    pub fn units() -> impl Iterator<Item = &'static str> {
        TIME_UNITS.iter().map(|(name, _)| *name)
    }
}

impl From<DurationText> for Duration {
    fn from(text: DurationText) -> Self {
        text.0
    }
}

impl From<Duration> for DurationText {
    /// Cuts what is finer than a microsecond, because the text form could not say it.
    fn from(duration: Duration) -> Self {
        Self(Duration::new(
            duration.as_secs(),
            duration.subsec_micros() * 1_000,
        ))
    }
}

impl FromStr for DurationText {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        // "10" could be seconds or milliseconds: as text, a unit is demanded (0 needs none).
        let expected = "a time such as \"10 s\", \"500 ms\" or \"2 min\"";
        let bare = (text.trim() == "0").then_some(1);
        parse_amount(text, TIME_UNITS, bare, expected).map(|us| Self(Duration::from_micros(us)))
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros == 0 {
            return f.write_str("0 s");
        }
        for (name, unit) in TIME_UNITS.iter().rev() {
            if micros.is_multiple_of(u128::from(*unit)) {
                return write!(f, "{} {name}", micros / u128::from(*unit));
            }
        }
        write!(f, "{micros} us")
    }
}

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// No number at the front, or a negative or broken one.
    #[error("\"{text}\" is not {expected}")]
    Number {
        /// The text, made safe to print.
        text: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A unit that is not known, or none where one is needed.
    #[error("\"{text}\" needs one of these units: {units}")]
    Unit {
        /// The text, made safe to print.
        text: String,
        /// The units, separated by commas.
        units: String,
    },
    /// More than fits into 64 bits.
    #[error("\"{text}\" is too large")]
    TooLarge {
        /// The text, made safe to print.
        text: String,
    },
}

/// Reads a whole number and a unit. `bare` is the factor of a number without a unit, if such a
/// number is allowed.
fn parse_amount(
    text: &str,
    units: &[(&str, u64)],
    bare: Option<u64>,
    expected: &'static str,
) -> Result<u64, UnitError> {
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    if digits.is_empty() {
        return Err(UnitError::Number {
            text: quotable(text),
            expected,
        });
    }
    let too_large = || UnitError::TooLarge {
        text: quotable(text),
    };
    let number: u64 = digits.parse().map_err(|_| too_large())?;
    let unit = unit.trim_start();
    // "1.5 GiB" or "1_000": the fault is in the number, so say that.
    if unit.starts_with(['.', ',', '_']) {
        return Err(UnitError::Number {
            text: quotable(text),
            expected,
        });
    }
    let factor = if unit.is_empty() {
        bare
    } else {
        units
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)
    };
    let Some(factor) = factor else {
        if units.is_empty() {
            return Err(UnitError::Number {
                text: quotable(text),
                expected,
            });
        }
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        return Err(UnitError::Unit {
            text: quotable(text),
            units: names.join(", "),
        });
    };
    number.checked_mul(factor).ok_or_else(too_large)
}

/// Accepts what `FromStr` accepts, and integers.
struct AmountVisitor<T> {
    expected: &'static str,
    from_integer: fn(u64) -> T,
}

impl<T: FromStr<Err = UnitError>> Visitor<'_> for AmountVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Ok((self.from_integer)(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let number = u64::try_from(number)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))?;
        Ok((self.from_integer)(number))
    }
}

macro_rules! deserialize_amount {
    ($type:ty, $expected:literal, $from_integer:expr) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(AmountVisitor {
                    expected: $expected,
                    from_integer: $from_integer,
                })
            }
        }
    };
}

deserialize_amount!(
    ByteSize,
    "a size such as \"256 MiB\", or a number of bytes",
    ByteSize
);
deserialize_amount!(Fuel, "a whole number of fuel units", Fuel);
deserialize_amount!(
    DurationText,
    "a time such as \"10 s\", or a number of seconds",
    DurationText::from_secs
);

impl serde::Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for DurationText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("256 MiB", 256 << 20),
            ("4MiB", 4 << 20),
            ("1024", 1024),
            ("10 kb", 10_000),
            ("0", 0),
            (" 7 B ", 7),
            ("16777215 TiB", 16_777_215 << 40),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().as_u64(), bytes, "{text}");
        }
        for bad in [
            "",
            "MiB",
            "-1",
            "1.5 GiB",
            "1 Mib/s",
            "1e3",
            "16777216 TiB",
            "1_000",
            "١",
        ] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
        for (bytes, text) in [
            (0, "0 B"),
            (1000, "1000 B"),
            (1536, "1536 B"),
            (3 << 30, "3 GiB"),
            (2 << 40, "2 TiB"),
        ] {
            assert_eq!(ByteSize::bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn times() {
        for (text, ms) in [
            ("10 s", 10_000),
            ("500ms", 500),
            ("2 min", 120_000),
            ("1 h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(
                text.parse::<DurationText>()
                    .unwrap()
                    .as_duration()
                    .as_millis(),
                ms,
                "{text}"
            );
        }
        for bad in [
            "",
            "10",
            "s",
            "-1 s",
            "1.5 s",
            "1 week",
            "999999999999999 h",
        ] {
            assert!(bad.parse::<DurationText>().is_err(), "{bad:?}");
        }
        assert_eq!(DurationText::from_millis(90_000).to_string(), "90 s");
        assert_eq!(DurationText::from_millis(120_000).to_string(), "2 min");
        assert_eq!(DurationText::from_millis(1_500).to_string(), "1500 ms");
        assert_eq!(DurationText::default().to_string(), "0 s");
    }

    #[test]
    fn toml_takes_text_and_integers() {
        #[derive(serde::Deserialize)]
        struct Settings {
            size: ByteSize,
            plain: ByteSize,
            time: DurationText,
            seconds: DurationText,
            fuel: Fuel,
        }
        let settings: Settings =
            toml::from_str("size = \"1 KiB\"\nplain = 5\ntime = \"5 ms\"\nseconds = 5\nfuel = 9")
                .unwrap();
        assert_eq!(settings.size, ByteSize::bytes(1024));
        assert_eq!(settings.plain, ByteSize::bytes(5));
        assert_eq!(settings.time, DurationText::from_millis(5));
        assert_eq!(settings.seconds, DurationText::from_secs(5));
        assert_eq!(settings.fuel, Fuel(9));
        assert!(toml::from_str::<Settings>("size = -1").is_err());
    }
}
