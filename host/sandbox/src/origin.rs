//! Where a run has its time and its chance from: the moment when its request came, and a seed.
//! Nothing else that a guest can ask for differs from one run of a request to the next.

use std::{fmt, str::FromStr, sync::OnceLock, time::SystemTime};

/// Bytes of a seed.
const SEED_BYTES: usize = 32;
/// The moment at which `load` runs, and what is asked of a model before it serves: the first of
/// January 2000, in milliseconds since 1970. The same on every machine, so that all make the same
/// snapshot of a bundle.
const LOAD_UNIX_MS: u64 = 946_684_800_000;
/// The last moment that a run can be given: the end of the year 9999, in milliseconds since 1970.
const UNIX_MS_MAX: u64 = 253_402_300_799_999;

/// The seed of all that is random in a run: 256 bits, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RunSeed([u8; SEED_BYTES]);

/// The text is no seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seed is 64 hexadecimal digits")]
pub struct InvalidSeed;

impl RunSeed {
    /// A seed that nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }
}

impl From<[u8; SEED_BYTES]> for RunSeed {
    fn from(bytes: [u8; SEED_BYTES]) -> Self {
        Self(bytes)
    }
}

impl FromStr for RunSeed {
    type Err = InvalidSeed;

    fn from_str(text: &str) -> Result<Self, InvalidSeed> {
        let mut bytes = [0; SEED_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidSeed)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for RunSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RunSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunSeed({self})")
    }
}

/// A moment that a run can be given, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTime(u64);

/// The text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a moment is a number of milliseconds since 1970, up to the year 9999")]
pub struct InvalidTime;

impl RunTime {
    /// The moment that it is on this machine; 1970 where its clock stands before that.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(u64::try_from(since.as_millis()).map_or(UNIX_MS_MAX, |ms| ms.min(UNIX_MS_MAX)))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for RunTime {
    type Error = InvalidTime;

    fn try_from(unix_ms: u64) -> Result<Self, InvalidTime> {
        (unix_ms <= UNIX_MS_MAX)
            .then_some(Self(unix_ms))
            .ok_or(InvalidTime)
    }
}

impl FromStr for RunTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| text.parse::<u64>().ok()).flatten();
        number.ok_or(InvalidTime)?.try_into()
    }
}

impl fmt::Display for RunTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The time and the seed of the runs of one request.
#[derive(Debug)]
pub struct RunOrigin {
    time: RunTime,
    /// Drawn when it is first asked for: most guests ask for nothing random.
    seed: OnceLock<RunSeed>,
    /// Whether a run of it may be made again by others, who know nothing else of this one.
    is_given: bool,
}

impl RunOrigin {
    /// Runs at a moment, with a seed that is drawn for them.
    #[must_use]
    pub const fn at(time: RunTime) -> Self {
        Self {
            time,
            seed: OnceLock::new(),
            is_given: false,
        }
    }

    /// Runs at a moment, with this seed: the same for everybody who makes them of both and of the
    /// same request.
    #[must_use]
    pub fn seeded(time: RunTime, seed: RunSeed) -> Self {
        Self {
            time,
            seed: OnceLock::from(seed),
            is_given: true,
        }
    }

    /// What a model is asked before it serves, `load` above all: time and seed follow from what
    /// identifies its bundle.
    #[must_use]
    pub(crate) fn of_content(content: &[u8; 32]) -> Self {
        let seed = blake3::derive_key("belljar 2026-11 seed of load", content);
        Self::seeded(RunTime(LOAD_UNIX_MS), RunSeed(seed))
    }

    /// The same, to be made again: nothing that is known of the model matters to its runs.
    #[must_use]
    pub fn repeatable(self) -> Self {
        Self {
            is_given: true,
            ..self
        }
    }

    /// Whether runs of it are to be the same for everybody who makes them.
    pub(crate) const fn is_given(&self) -> bool {
        self.is_given
    }

    /// The moment.
    #[must_use]
    pub const fn time(&self) -> RunTime {
        self.time
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> RunSeed {
        *self.seed.get_or_init(RunSeed::random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_as_it_is_written_and_nothing_else_is_one() {
        let seed = RunSeed::random();
        assert_eq!(seed.to_string().parse(), Ok(seed));
        assert_eq!(seed.to_string().to_uppercase().parse(), Ok(seed));
        let digits = "0".repeat(64);
        for text in [
            "",
            "0",
            &digits[1..],
            &format!("{digits}0"),
            &"g".repeat(64),
        ] {
            assert_eq!(text.parse::<RunSeed>(), Err(InvalidSeed), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_number_up_to_the_year_9999() {
        for (text, is) in [
            ("0", Ok(0)),
            ("253402300799999", Ok(253_402_300_799_999)),
            ("253402300800000", Err(InvalidTime)),
            ("99999999999999999999", Err(InvalidTime)),
            ("", Err(InvalidTime)),
            ("-1", Err(InvalidTime)),
            ("+1", Err(InvalidTime)),
            ("1.5", Err(InvalidTime)),
        ] {
            assert_eq!(text.parse().map(RunTime::unix_ms), is, "{text}");
        }
    }

    #[test]
    fn a_seed_is_drawn_once() {
        let origin = RunOrigin::at(RunTime::now());
        assert_eq!(origin.seed(), origin.seed());
        assert_ne!(origin.seed(), RunOrigin::at(RunTime::now()).seed());
    }

    #[test]
    fn load_has_a_seed_of_its_bundle() {
        let (one, other) = (
            RunOrigin::of_content(&[1; 32]),
            RunOrigin::of_content(&[2; 32]),
        );
        assert_eq!(one.seed(), RunOrigin::of_content(&[1; 32]).seed());
        assert_ne!(one.seed(), other.seed());
        assert_eq!(one.time(), other.time());
    }
}
