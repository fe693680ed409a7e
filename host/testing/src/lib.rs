//! What testers control: how long answers take, what goes wrong with them, what they say, and what
//! is remembered of them; apart for each test that gives itself a name.
//!
//! Plain data and plain functions: time and chance are arguments, and nothing here waits, listens
//! or runs a model. The server asks, and does what it is told.

#![forbid(unsafe_code)]

mod data_set;
pub mod difference;
pub mod distribution;
pub mod fault;
pub mod journal;
pub mod json_path;
mod json_text;
pub mod latency;
mod marks;
pub mod matching;
pub mod quantity;
pub mod recording;
pub mod rules;
pub mod scheduler;
pub mod scrub;
pub mod secrets;
pub mod template;
pub mod words;
pub mod world;
