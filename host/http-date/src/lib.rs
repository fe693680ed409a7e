//! The date of an HTTP answer, whatever the clock says.
//!
//! It stands in for the package of this name, of which the HTTP library uses the date alone. That
//! one panics before 1970 and after 9999, and the library asks it at each turn of each connection,
//! also where it is told to leave the header to others: a board without a battery, or a virtual
//! machine that has just woken up, would answer nobody.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// A time as RFC 9110 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate(Timestamp);

impl From<SystemTime> for HttpDate {
    fn from(time: SystemTime) -> Self {
        Self(Timestamp::try_from(time).unwrap_or_default())
    }
}

impl fmt::Display for HttpDate {
    /// Always 29 characters: the library has room for no more. A time that has no such form, of a
    /// year with a sign, is written as the epoch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printer = DateTimePrinter::new();
        let text = printer
            .timestamp_to_rfc9110_string(&self.0)
            .or_else(|_| printer.timestamp_to_rfc9110_string(&Timestamp::UNIX_EPOCH))
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn any_time_is_written() {
        let after = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let before = |seconds| UNIX_EPOCH.checked_sub(Duration::from_secs(seconds));
        const EPOCH: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
        for (time, expect) in [
            (after(0), EPOCH),
            (after(1_795_922_407), "Sun, 29 Nov 2026 03:20:07 GMT"),
            (before(157_766_400), "Fri, 01 Jan 1965 00:00:00 GMT"),
            (before(100_000_000_000), EPOCH),
            (after(253_402_300_799), EPOCH),
            (after(u64::MAX / 4), EPOCH),
        ] {
            let text = time.map(|time| HttpDate::from(time).to_string());
            assert!(
                text.as_ref().is_none_or(|text| text.len() == 29),
                "{text:?}"
            );
            assert!(
                text.as_deref().is_none_or(|text| text == expect),
                "{text:?}"
            );
        }
    }
}
