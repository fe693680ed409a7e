//! What callers are held to, over real HTTP: one file for each promise.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod ban_survives_restart;
mod bans;
mod bystanders;
mod kit;
mod networks;
mod proxy_protocol;
mod spoofed_addresses;
