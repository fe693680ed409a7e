//! The named formats of strings: whether a text is of one.

/// Whether a text is of a format. Every text is of one that nobody knows, as the standard says.
pub(super) fn holds(format: &str, text: &str) -> bool {
    match format {
        "date" => is_date(text),
        "time" => is_time(text),
        "date-time" => text
            .split_once(['T', 't'])
            .is_some_and(|(date, time)| is_date(date) && is_time(time)),
        "duration" => is_duration(text),
        "email" | "idn-email" => is_email(text),
        "hostname" | "idn-hostname" => is_hostname(text),
        "ipv4" => is_ipv4(text),
        "ipv6" => is_ipv6(text),
        "uri" | "url" | "iri" => is_uri(text),
        // A colon in its first part would make that a scheme.
        "uri-reference" | "iri-reference" => {
            let first = text.split(['/', '?', '#']).next().unwrap_or_default();
            is_uri(text) || is_path(text) && !first.contains(':')
        }
        "uuid" => is_uuid(text),
        "json-pointer" => text.is_empty() || text.starts_with('/') && is_path(text),
        "relative-json-pointer" => text
            .split_once('/')
            .map_or(is_number(text, 0, 9_999), |(up, path)| {
                is_number(up, 0, 9_999) && is_path(path)
            }),
        "regex" => crate::pattern::Pattern::parse(text).is_some(),
        "uri-template" => is_path(&text.replace(['{', '}'], "")),
        _ => true,
    }
}

/// Whether texts are held to that format.
pub(super) fn is_known(format: &str) -> bool {
    !holds(format, "\u{0}")
}

/// Whether a text is that many digits or more, and in a range.
fn is_number(text: &str, least: u32, most: u32) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text
            .parse()
            .is_ok_and(|number| (least..=most).contains(&number))
}

pub(crate) fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Ok(number), Ok(at)) = (year.parse::<u32>(), month.parse::<usize>()) else {
        return false;
    };
    year.len() == 4
        && month.len() == 2
        && day.len() == 2
        && is_number(month, 1, 12)
        && is_number(day, 1, days_of(number, at))
}

/// How many days a month has, which is counted from 1.
pub(crate) fn days_of(year: u32, month: usize) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_time(text: &str) -> bool {
    let (clock, zone) = text.split_at_checked(8).unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let mut part = |most| {
        parts
            .next()
            .is_some_and(|part| part.len() == 2 && is_number(part, 0, most))
    };
    let fraction_end = zone.strip_prefix('.').map_or(0, |rest| {
        1 + rest.bytes().take_while(u8::is_ascii_digit).count()
    });
    let zone = zone.get(fraction_end..).unwrap_or_default();
    let is_zone = matches!(zone, "Z" | "z")
        || zone
            .strip_prefix(['+', '-'])
            .and_then(|zone| zone.split_once(':'))
            .is_some_and(|(hours, minutes)| {
                hours.len() == 2
                    && minutes.len() == 2
                    && is_number(hours, 0, 23)
                    && is_number(minutes, 0, 59)
            });
    fraction_end != 1 && part(23) && part(59) && part(59) && is_zone
}

/// `P3DT4H`, or weeks by themselves.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else {
        return false;
    };
    let (days, clock) = match rest.split_once('T') {
        Some((_, "")) => return false,
        Some((days, clock)) => (days, clock),
        None => (rest, ""),
    };
    if days.is_empty() && clock.is_empty() {
        return false;
    }
    let in_order = |text: &str, units: &str| {
        let mut units = units;
        text.split_inclusive(|letter: char| letter.is_ascii_alphabetic())
            .all(|part| {
                let (number, unit) = part.split_at(part.len().saturating_sub(1));
                let place = units.find(unit);
                units = place.and_then(|at| units.get(at + 1..)).unwrap_or_default();
                place.is_some() && !number.is_empty() && is_number(number, 0, u32::MAX)
            })
    };
    (in_order(days, "YMD") || in_order(days, "W") && clock.is_empty()) && in_order(clock, "HMS")
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| {
        let is_user = !user.is_empty()
            && user.len() <= 64
            && !user.starts_with('.')
            && !user.ends_with('.')
            && !user.contains("..")
            && user.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
            });
        is_user && is_hostname(host)
    })
}

fn is_hostname(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

fn is_ipv4(text: &str) -> bool {
    text.split('.').count() == 4
        && text
            .split('.')
            .all(|part| is_number(part, 0, 255) && (part.len() == 1 || !part.starts_with('0')))
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<core::net::Ipv6Addr>().is_ok()
}

/// Whether a text is an address with a scheme.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && rest != "//"
            && !rest.is_empty()
            && is_path(rest)
    })
}

/// Whether a text holds only what an address may.
fn is_path(text: &str) -> bool {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let is_code = after
            .get(..2)
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !is_code || !before.bytes().all(is_of_address) {
            return false;
        }
        rest = after;
    }
    rest.bytes().all(is_of_address)
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte)
}

pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart() {
        for (format, good, bad) in [
            (
                "date",
                &["2026-02-28", "2024-02-29"][..],
                &["2026-02-29", "2026-13-01", "26-1-1"][..],
            ),
            (
                "time",
                &["10:30:00Z", "10:30:00.5+02:00"],
                &["10:30", "25:00:00Z", "10:30:00", "10:30:00.Z"],
            ),
            (
                "date-time",
                &["2026-01-02T03:04:05Z"],
                &["2026-01-02", "2026-01-02 03:04:05Z"],
            ),
            (
                "duration",
                &["P3D", "PT4H30M", "P1Y2M3DT4S", "P2W"],
                &["P", "3D", "PT", "P3H", "P2W1D", "PD"],
            ),
            (
                "email",
                &["ada@example.com"],
                &["ada", "a b@example.com", "@example.com", ".a@x.com"],
            ),
            (
                "hostname",
                &["a.example.com", "x"],
                &["-a", "a..b", "a_b", ""],
            ),
            (
                "ipv4",
                &["192.0.2.1"],
                &["192.0.2", "256.0.0.1", "01.2.3.4"],
            ),
            ("ipv6", &["2001:db8::1", "::"], &["2001:db8", "g::1"]),
            (
                "uri",
                &["https://example.com/a?b=c%20d", "mailto:a@b.c"],
                &["example.com", "https://a b", "x:%zz"],
            ),
            ("uri-reference", &["/a/b", "https://x.y"], &["a b"]),
            (
                "uuid",
                &["123e4567-e89b-12d3-a456-426614174000"],
                &["123e4567"],
            ),
            ("unheard-of", &["anything at all"], &[]),
        ] {
            for text in good {
                assert!(holds(format, text), "{text} is of {format}");
            }
            for text in bad {
                assert!(!holds(format, text), "{text} is not of {format}");
            }
        }
    }
}
