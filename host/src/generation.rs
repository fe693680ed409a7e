//! Turns what a guest generates into what a caller may see.
//!
//! A guest is never trusted to keep to the request: here the host cuts the text at the stop
//! strings and at the cap on tokens, counts what is billed, and hands each piece over when it
//! is due. Guests run ahead of their own pace: a sandbox that simulates latency is done in
//! microseconds, and ten thousand slow streams then cost buffers and no sandboxes.
//!
//! [`OutputFilter`] decides, without time or threads, inside the run. A [`Collector`] keeps the
//! whole answer there; a [`StreamSink`] passes it to the [`GenerationStream`] that a caller
//! reads.

mod batch;
mod bias;
mod collect;
mod filter;
mod meter;
mod pace;
mod recut;
mod simulated;
mod stop;
mod stream;
mod tokens;

pub use batch::tokens_of;
pub use bias::Bias;
pub use collect::{Collector, OwnTimes, Whole};
pub use filter::{Event, OutputFilter, OutputLimits, TimedEvent};
pub use meter::TokenMeter;
pub use pace::{Pace, Timing};
pub use simulated::{Begun, Observer, Seat, SimulatedServer};
pub use stop::{Filtered, StopFilter};
pub use stream::{GenerationStream, READ_AHEAD_EVENTS, StreamQueue, StreamSink};
pub use tokens::TokenCap;

use belljar_sandbox::{RunCost, wit::text};

/// What one finished text has used.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// In tokens: what the guest says, capped by what the host counted.
    pub usage: text::Usage,
    /// Of the sandbox.
    pub cost: RunCost,
}

#[cfg(test)]
mod tests;
