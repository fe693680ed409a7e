//! Transport: accepting connections, the layers that each request passes, bodies and errors.
//!
//! A request meets the layers of `router` from the top down, then one handler of `crate::api`,
//! which turns wire types into the domain's own and back.

mod asked_model;
pub(crate) mod body;
mod checks;
mod context;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod grpc;
mod head_texts;
mod host_name;
pub(crate) mod json;
pub(crate) mod layers;
pub(crate) mod own_headers;
pub(crate) mod policy;
mod proxy_protocol;
pub(crate) mod recorded;
mod redirect;
mod reloads;
mod router;
mod serve;
pub(crate) mod severance;
pub(crate) mod signature;
mod state;
pub(crate) mod stream_gate;
pub(crate) mod surface;
pub(crate) mod workers;

pub use host_name::{AllowedHost, InvalidHost};
pub use json::{InputConfig, InvalidUnknownMembers, PARSER_DEPTH_MAX, UnknownMembers};
pub use layers::{AllowedOrigin, BrowserConfig, InvalidOrigin};
pub use policy::{Access, Protocol, RoutePolicies, RoutePolicy, Routes, TimeLimit, WhileBanned};
pub use proxy_protocol::ProxyProtocol;
pub(crate) use redirect::redirect_router;
pub use reloads::{NoReloads, ReloadOutcome, ReloadRequest, Reloads, SettingChange};
pub(crate) use router::{operators_router, router};
pub use serve::{Listener, serve};
pub use state::{Config, HttpState, Listening, Parts};
