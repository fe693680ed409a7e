//! Keeps strangers from filling the disk: of many events alike only the first are written, and
//! the others are counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;

use super::{Actor, Event, EventKind};
use crate::net::ClientAddress;
use crate::telemetry::metrics;

/// The time for which events are counted before those left out are summed up in a line.
const WINDOW: Duration = Duration::from_mins(1);
/// Events of one name from one address in a window.
const FROM_ONE_MAX: u32 = 10;
/// Events in a window that strangers can cause, from all addresses.
const FROM_ALL_MAX: u32 = 1_000;
/// Addresses that are told apart in a window.
const ADDRESSES_MAX: usize = 10_000;
/// Addresses that a summary names.
const NAMED_MAX: usize = 10;

/// Counts the events of a window.
#[derive(Debug, Default)]
pub(super) struct EventThrottle {
    began: Duration,
    written: u32,
    seen: HashMap<(EventKind, Option<IpAddr>), u32>,
    left_out: HashMap<EventKind, u64>,
}

impl EventThrottle {
    /// Whether an event is written; otherwise it is counted.
    pub(super) fn admit(&mut self, event: &Event, now: Duration) -> bool {
        if self.seen.is_empty() {
            self.began = now;
        }
        let address = event.actor.address;
        // One who has a network of IPv6 has as many addresses as there are lines.
        let address = address.map(|ip| ClientAddress::new(ip, 64).network());
        let mut key = (event.kind, address);
        if self.seen.len() >= ADDRESSES_MAX && !self.seen.contains_key(&key) {
            key.1 = None;
        }
        let seen = self.seen.entry(key).or_default();
        *seen = seen.saturating_add(1);
        if *seen <= FROM_ONE_MAX && self.written < FROM_ALL_MAX {
            self.written += 1;
            return true;
        }
        *self.left_out.entry(event.kind).or_default() += 1;
        metrics::AUDIT_REPEATED.handle().increment(1);
        false
    }

    /// The counts of the events that were left out, once the window is over: an event for each
    /// kind.
    pub(super) fn summaries(&mut self, now: Duration) -> Vec<Event> {
        if self.seen.is_empty() || now.saturating_sub(self.began) < WINDOW {
            return Vec::new();
        }
        let Self { seen, left_out, .. } = std::mem::take(self);
        let summary = |(kind, count): (EventKind, u64)| {
            let mut most: Vec<(u32, IpAddr)> = seen
                .iter()
                .filter(|((seen, _), count)| *seen == kind && **count > FROM_ONE_MAX)
                .filter_map(|((_, address), count)| Some((*count, (*address)?)))
                .collect();
            most.sort_unstable_by(|one, other| other.cmp(one));
            let named: serde_json::Map<_, _> = most
                .into_iter()
                .take(NAMED_MAX)
                .map(|(count, address)| (address.to_string(), json!(count)))
                .collect();
            let about = [
                ("of", json!(kind)),
                ("not_written", json!(count)),
                ("seconds", json!(WINDOW.as_secs())),
                ("most_from", json!(named)),
            ];
            Event::new(EventKind::EventsRepeated, Actor::default(), &about)
        };
        left_out.into_iter().map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(last: u32) -> Event {
        let actor = Actor {
            address: Some(IpAddr::V4(last.into())),
            ..Actor::default()
        };
        let about = [("reason", json!("invalid_api_key"))];
        Event::new(EventKind::AuthenticationFailed, actor, &about)
    }

    #[test]
    fn one_address_gets_few_lines_and_a_count() {
        let mut throttle = EventThrottle::default();
        let now = Duration::from_secs(5);
        let written = (0..1_000)
            .filter(|_| throttle.admit(&failure(7), now))
            .count();
        assert_eq!(written, 10);
        assert!(throttle.admit(&failure(8), now), "others are still heard");
        assert!(throttle.summaries(now + Duration::from_secs(59)).is_empty());
        let summaries = throttle.summaries(now + WINDOW);
        let about: Vec<_> = summaries.iter().map(|event| json!(event.about)).collect();
        assert_eq!(
            about,
            [json!({
                "of": "authentication_failed",
                "not_written": 990,
                "seconds": 60,
                "most_from": {"0.0.0.7": 1000},
            })]
        );
        assert!(throttle.admit(&failure(7), now + WINDOW), "a new window");
    }

    #[test]
    fn many_addresses_together_are_bounded_in_lines_and_memory() {
        let mut throttle = EventThrottle::default();
        let mut written = 0;
        for address in 0..100_000 {
            written += u32::from(throttle.admit(&failure(address), Duration::ZERO));
        }
        assert_eq!(written, FROM_ALL_MAX);
        assert!(throttle.seen.len() <= ADDRESSES_MAX + 1);
    }
}
