//! What each request passes on its way to a handler.
//!
//! Written as plain services: a chain of boxed middleware functions would cost more than the
//! work that they do.

mod address;
mod authorize;
mod browser;
mod catch_panic;
mod check;
mod conduct;
mod cut;
mod deadline;
mod gate;
mod host;
mod limit;
mod matched;
mod observe;
mod screen;

pub(crate) use address::{Address, Peer};
pub(crate) use authorize::Authorize;
pub use browser::{AllowedOrigin, BrowserConfig, InvalidOrigin};
pub(crate) use browser::{Headers, Origins, Preflight, guard_headers};
pub(crate) use catch_panic::CatchPanic;
pub(crate) use check::Checking;
pub(crate) use conduct::{Conduct, KeyConduct};
pub(crate) use deadline::Deadline;
pub(crate) use gate::Gate;
pub(crate) use host::{HostCheck, HostNames};
pub(crate) use limit::Limit;
pub(crate) use matched::Matched;
pub(crate) use observe::Observe;
pub(crate) use screen::Screen;
