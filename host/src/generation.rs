//! Turns what a guest generates into what a caller may see.
//!
//! A guest is never trusted to keep to the request: here the host cuts the text at the stop
//! strings and at the cap on tokens, counts what is billed, and hands each piece over when it
//! is due. Guests run ahead of their own pace: a sandbox that simulates latency is done in
//! microseconds, and ten thousand slow streams then cost buffers and no sandboxes.
//!
//! [`Shaper`] decides, without time or threads; [`Answer`] pulls, buffers and waits.

mod answer;
mod shaper;
mod stop;
mod tokens;

pub use answer::{Answer, ChunkSource, READ_AHEAD_EVENTS, TokenMeter};
pub use shaper::{Event, Plan, Shaper, TimedEvent};
pub use stop::{Filtered, StopFilter};
pub use tokens::TokenCap;

use belljar_sandbox::{Spent, wit::text};

/// What one finished text has used.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// In tokens: what the guest says, capped by what the host counted.
    pub usage: text::Usage,
    /// Of the sandbox.
    pub spent: Spent,
}
