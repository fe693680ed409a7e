//! The `Date` of an answer. The HTTP library has one of its own, which stands still where the clock
//! has been set back.

use std::cell::RefCell;

use http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

thread_local! {
    /// The last second that was written, and its text: most answers are of the same one.
    static LAST: RefCell<Option<(i64, HeaderValue)>> = const { RefCell::new(None) };
}

/// The time of day as RFC 9110 writes it; none for a time that it cannot.
pub(super) fn of(now: Timestamp) -> Option<HeaderValue> {
    LAST.with_borrow_mut(|last| match last {
        Some((second, text)) if *second == now.as_second() => Some(text.clone()),
        _ => {
            let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
            let text = HeaderValue::from_maybe_shared(text.ok()?).ok()?;
            *last = Some((now.as_second(), text.clone()));
            Some(text)
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn any_time_has_a_date_or_none_and_the_clock_may_jump() {
        for (time, expect) in [
            (
                "2026-11-29T03:20:07.9Z",
                Some("Sun, 29 Nov 2026 03:20:07 GMT"),
            ),
            (
                "2026-11-29T02:20:07Z",
                Some("Sun, 29 Nov 2026 02:20:07 GMT"),
            ),
            (
                "2026-11-29T03:20:07Z",
                Some("Sun, 29 Nov 2026 03:20:07 GMT"),
            ),
            (
                "1965-01-01T00:00:00Z",
                Some("Fri, 01 Jan 1965 00:00:00 GMT"),
            ),
            (
                "9999-12-30T00:00:00Z",
                Some("Thu, 30 Dec 9999 00:00:00 GMT"),
            ),
            ("-000044-03-15T00:00:00Z", None),
        ] {
            let date = of(time.parse().unwrap());
            assert_eq!(
                date.as_ref().map(|date| date.to_str().unwrap()),
                expect,
                "{time}"
            );
        }
        assert!(of(Timestamp::MIN).is_none());
        let _ = of(Timestamp::MAX);
    }
}
