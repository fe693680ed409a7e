//! The edge of the server: what callers meet before HTTP, with real clients over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it could not try"
)]

mod clients;
mod jwt;
mod kit;
mod reload;
mod reload_settings;
mod reload_under_load;
mod secrets;
mod secrets_elsewhere;
mod settings;
mod signed;
mod signed_bodies;
mod signed_restarts;
mod signer;
mod signing_root;
mod sockets;
mod strangers;
mod tls;
mod tls_settings;
mod traces;
mod vault;
mod wall;
