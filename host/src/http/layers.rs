//! What each request passes on its way to a handler: a check a file, and the one service that
//! makes them all.

mod address;
mod asked_header;
mod authentication;
mod authorize;
mod bans;
mod browser;
mod catch_panic;
mod check;
mod deadline;
mod exit;
mod guarded;
mod host;
mod limit;
mod observe;
mod profiled;
mod recorded;
mod revocation;
mod screen;
mod seed;
mod signature;
mod tested;
mod traced;
mod watch;

pub(crate) use address::{Address, Peer};
pub(crate) use authentication::Authentication;
pub(crate) use authorize::Authorize;
pub(crate) use bans::{BanCheck, KeyBanCheck};
pub use browser::{AllowedOrigin, BrowserConfig, InvalidOrigin};
pub(crate) use browser::{Origins, guard_headers};
pub(crate) use check::{Halt, Refusal};
pub(crate) use deadline::Deadline;
pub(crate) use exit::Exit;
pub(crate) use guarded::Guard;
pub(crate) use host::HostNames;
pub(crate) use limit::Limit;
pub(crate) use recorded::Recordings;
pub(crate) use revocation::is_of_events;
pub(crate) use screen::Screen;
pub(crate) use seed::note_origin;
pub(crate) use signature::SignatureCheck;
pub(crate) use tested::Tests;
pub(crate) use watch::Watch;
