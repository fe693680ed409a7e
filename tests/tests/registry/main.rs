//! The registry of models from its public side, without HTTP: lifecycle, durability, what is
//! acknowledged and what is seen by whom.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bases;
mod callers;
mod kit;
mod lifecycle;
mod restarts;
mod uploads;
mod weights;
