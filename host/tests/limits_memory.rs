//! What a million distinct addresses cost the limiter. A process of its own, so that nothing
//! else is in the number.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "kit/memory.rs"]
mod memory;

use std::net::{IpAddr, Ipv6Addr};

use belljar::auth::Caller;
use belljar::clock::Clock;
use belljar::limits::{Config, RateLimiter};
use belljar::net::ClientAddress;
use memory::resident_bytes;

/// What the policy promises.
const BYTES_MAX: u64 = 200 << 20;
const ADDRESSES: u32 = 1_000_000;

fn touch(limiter: &RateLimiter, n: u32) {
    // Another /64 each time.
    let ip = Ipv6Addr::new(0x2001, 0xdb8, (n >> 16) as u16, n as u16, 0, 0, 0, 1);
    let address = ClientAddress::new(IpAddr::V6(ip), 64);
    let permit = limiter.permit(&Caller::anonymous(), address, "/infer");
    permit.unwrap().take_request().unwrap();
}

#[test]
fn a_million_addresses_stay_under_200_mb_and_more_cost_nothing_more() {
    let config = Config {
        enabled: true,
        ..Config::default()
    };
    let addresses_max = config.addresses_max;
    let limiter = RateLimiter::new(config, Clock::system());
    let before = resident_bytes();
    for n in 0..ADDRESSES {
        touch(&limiter, n);
    }
    let used = resident_bytes() - before;
    println!("{ADDRESSES} addresses: {} MiB", used >> 20);
    assert!(used < BYTES_MAX, "{used} bytes");
    // The table is as large as it may be: from here on, one goes for each that comes.
    for n in ADDRESSES..ADDRESSES + 200_000 {
        touch(&limiter, n);
    }
    let (addresses, _) = limiter.table_sizes();
    assert!(addresses <= addresses_max);
    assert!(resident_bytes() - before < BYTES_MAX);
}
