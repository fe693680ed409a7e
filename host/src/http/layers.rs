//! What each request passes on its way to a handler.
//!
//! Written as plain services: a chain of boxed middleware functions would cost more than the
//! work that they do.

mod catch_panic;
mod gate;
mod observe;
mod record;

pub(crate) use catch_panic::CatchPanic;
pub(crate) use gate::{Authenticated, Gate};
pub(crate) use observe::Observe;
pub(crate) use record::Record;
