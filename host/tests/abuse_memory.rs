//! What a million distinct addresses cost the table of violations. A process of its own, so
//! that nothing else is in the number.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "kit/memory.rs"]
mod memory;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use belljar::guard::{Abuse, AbuseConfig, Subject, Violation};
use memory::resident_bytes;

/// What the policy promises.
const BYTES_MAX: u64 = 200 << 20;
const ADDRESSES: u32 = 1_000_000;

#[test]
fn a_million_addresses_stay_under_200_mb() {
    let config = AbuseConfig::default();
    let remembered_max = config.addresses_max;
    let mut abuse = Abuse::new(config);
    let before = resident_bytes();
    for round in 0..2 {
        for n in 0..ADDRESSES {
            let high = u16::try_from(n >> 16).unwrap();
            let low = u16::try_from(n & 0xffff).unwrap();
            let ip = Ipv6Addr::new(0x2001, 0xdb8, high, low, 0, 0, 0, 0);
            let subject = Subject {
                address: IpAddr::V6(ip),
                key_id: None,
            };
            let now = Duration::from_secs(round);
            assert_eq!(abuse.note(subject, Violation::RateLimit, now), None);
        }
    }
    let used = resident_bytes().saturating_sub(before);
    println!(
        "{ADDRESSES} addresses, {} remembered: {} MiB",
        abuse.len(),
        used >> 20
    );
    assert_eq!(abuse.len(), remembered_max);
    assert!(used < BYTES_MAX, "{used} bytes");
}
