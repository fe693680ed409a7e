//! What authors see of their models: what a run's fuel goes for, where it failed and what would let
//! it pass, and examples of what it answers. By the program's commands and over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod dev;
mod examples;
mod failures;
mod kit;
mod profiles;
mod replays;
mod required;
mod sources;
mod stacks;
