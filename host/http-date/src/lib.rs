//! The date of an HTTP answer, whatever the clock says.
//!
//! It stands in for the package of this name, of which the HTTP library uses the date, and the
//! sender of traces [`parse_http_date`]. That one panics before 1970 and after 9999, and the library asks it at each turn of each
//! connection, also where it is told to leave the header to others: a board without a battery, or
//! a virtual machine that has just woken up, would answer nobody.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::rfc2822::{self, DateTimePrinter};

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

/// The text is no date that a header may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no date in the form of RFC 9110, section 5.6.7")
    }
}

impl std::error::Error for Error {}

/// The time that a header says in the preferred form of RFC 9110, section 5.6.7. The two that are
/// obsolete are not read: nobody has sent them for decades.
///
/// # Errors
///
/// When it is in another form.
pub fn parse_http_date(text: &str) -> Result<SystemTime, Error> {
    let zoned = rfc2822::parse(text).map_err(|_| Error)?;
    Ok(zoned.timestamp().into())
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

    #[test]
    fn a_date_is_read_as_it_is_written() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_922_407);
        assert_eq!(parse_http_date(&HttpDate::from(time).to_string()), Ok(time));
        for odd in [
            "",
            "soon",
            "2026-11-29T03:20:07Z",
            "Sun, 31 Feb 2026 03:20:07 GMT",
        ] {
            assert_eq!(parse_http_date(odd), Err(Error), "{odd}");
        }
    }
}
