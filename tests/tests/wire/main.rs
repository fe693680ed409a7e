//! What arrives over the wire and is not yet a request, or not one to be served: raw sockets,
//! browsers, and JSON.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod browsers;
mod heads;
mod hosts;
mod http2;
mod json;
mod memory;
mod room;
mod slow_readers;
mod timeouts;
