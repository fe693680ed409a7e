//! What callers may do, how much of it, and what becomes of those who misbehave: one file a
//! promise, over real HTTP, with the time in the test's hand.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod admin_key;
mod anomaly;
mod anomaly_simulation;
mod audit_chain;
mod audit_events;
mod ban_survives_restart;
mod bans;
mod budgets;
mod bystanders;
mod clocks;
mod full_disk;
mod injection;
mod key_changes;
mod key_end_ends_streams;
mod key_rotation;
mod key_usage;
mod keys;
mod kit;
mod metrics;
mod networks;
mod proxy_protocol;
mod quotas;
mod rate_limits;
mod settings;
mod spoofed_addresses;
mod usage_ledger;
mod webhook;
