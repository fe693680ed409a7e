//! Days and months in UTC.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{Span, Timestamp};

/// A UTC day of the years 1 to 9999, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

/// The text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a date such as 2030-01-31")]
pub struct InvalidDay;

const EPOCH: Date = Date::constant(1970, 1, 1);
/// 0001-01-01 and 9999-12-31.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
const MILLISECONDS_PER_DAY: i64 = 86_400_000;

impl Day {
    /// The day of a time. A time before the year 1, which a clock can show, is in its first day.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self::from_number(time.as_millisecond().div_euclid(MILLISECONDS_PER_DAY))
    }

    /// The day that is so many days after 1970-01-01, or the nearest that there is.
    #[must_use]
    pub fn from_number(days: i64) -> Self {
        let (first, last) = (*DAYS.start(), *DAYS.end());
        let days = i32::try_from(days).unwrap_or(if days < 0 { first } else { last });
        Self(days.clamp(first, last))
    }

    /// Days after 1970-01-01.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// The month that the day is in.
    #[must_use]
    pub fn month(self) -> Month {
        let date = self.date();
        Month {
            year: date.year(),
            month: date.month(),
        }
    }

    fn date(self) -> Date {
        let days = Span::new().try_days(self.0).unwrap_or_default();
        EPOCH.saturating_add(days)
    }

    fn of_date(date: Date) -> Self {
        let seconds = date.duration_since(EPOCH).as_secs();
        Self::from_number(seconds.div_euclid(MILLISECONDS_PER_DAY / 1_000))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    /// `YYYY-MM-DD` and nothing else: of the other forms of ISO 8601 some are other days to who
    /// writes them.
    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let is_plain = text.len() == "2030-01-31".len()
            && text
                .bytes()
                .enumerate()
                .all(|(index, byte)| match (index, byte) {
                    (4 | 7, b'-') => true,
                    (4 | 7, _) => false,
                    _ => byte.is_ascii_digit(),
                });
        let date = text.parse::<Date>().map_err(|_| InvalidDay)?;
        if is_plain && date.year() >= 1 {
            Ok(Self::of_date(date))
        } else {
            Err(InvalidDay)
        }
    }
}

impl Month {
    /// The month of a number such as 203001; none for what is no month.
    pub(super) fn from_number(number: i64) -> Option<Self> {
        let year = i16::try_from(number.div_euclid(100)).ok()?;
        let month = i8::try_from(number.rem_euclid(100)).ok()?;
        let date = Date::new(year, month, 1).ok()?;
        Some(Self {
            year: date.year(),
            month: date.month(),
        })
    }

    /// The first day.
    #[must_use]
    pub fn first_day(self) -> Day {
        Date::new(self.year, self.month, 1).map_or(Day(*DAYS.start()), Day::of_date)
    }

    /// The last day.
    #[must_use]
    pub fn last_day(self) -> Day {
        let first = self.first_day().date();
        Day::of_date(first.last_of_month())
    }

    /// The moment at which the next month begins.
    #[must_use]
    pub fn end(self) -> Timestamp {
        let days = self.last_day().number().saturating_add(1);
        let end = Timestamp::from_millisecond(days.saturating_mul(MILLISECONDS_PER_DAY));
        end.unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_month_ends_where_the_next_begins() {
        for (day, month, last, end) in [
            (
                "2030-01-31",
                "2030-01",
                "2030-01-31",
                "2030-02-01T00:00:00Z",
            ),
            (
                "2028-02-01",
                "2028-02",
                "2028-02-29",
                "2028-03-01T00:00:00Z",
            ),
            (
                "2029-12-31",
                "2029-12",
                "2029-12-31",
                "2030-01-01T00:00:00Z",
            ),
            (
                "1969-12-31",
                "1969-12",
                "1969-12-31",
                "1970-01-01T00:00:00Z",
            ),
            (
                "0001-01-01",
                "0001-01",
                "0001-01-31",
                "0001-02-01T00:00:00Z",
            ),
        ] {
            let found = day.parse::<Day>().unwrap().month();
            assert_eq!(found.to_string(), month);
            assert_eq!(found.last_day().to_string(), last);
            assert_eq!(found.end(), end.parse::<Timestamp>().unwrap());
        }
        let last = "9999-12-31".parse::<Day>().unwrap();
        assert_eq!(last.number(), i64::from(*DAYS.end()));
        assert_eq!(last.month().end(), Timestamp::MAX);
        assert_eq!(Day::of(Timestamp::MIN).to_string(), "0001-01-01");
    }

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let of = |time: &str| Day::of(time.parse().unwrap()).to_string();
        assert_eq!(of("2030-01-31T23:59:59.999Z"), "2030-01-31");
        assert_eq!(of("2030-02-01T00:00:00Z"), "2030-02-01");
    }

    #[test]
    fn what_is_no_plain_date_is_refused() {
        for text in [
            "",
            "2030-1-1",
            "2030-02-30",
            "20300101",
            "2030-01-01T00:00:00Z",
            "+02030-01-01",
            "-2030-01-01",
            "0000-01-01",
            "2030/01/01",
            "today",
        ] {
            assert_eq!(text.parse::<Day>(), Err(InvalidDay), "{text}");
        }
        assert_eq!(Month::from_number(203_013), None);
        assert_eq!(Month::from_number(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn days_and_months_survive_a_round_trip(number in DAYS) {
            let day = Day(number);
            prop_assert_eq!(day.to_string().parse::<Day>(), Ok(day));
            let month = day.month();
            prop_assert!((month.first_day()..=month.last_day()).contains(&day));
            let number = i64::from(month.year) * 100 + i64::from(month.month);
            prop_assert_eq!(Month::from_number(number), Some(month));
        }
    }
}
