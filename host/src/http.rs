//! The server's face to the world: routes, layers, wire formats and errors.
//!
//! The only part that knows of HTTP. A request meets the layers of [`router()`] from the top
//! down, then one handler in `routes`, which turns wire types into the domain's own and back.

mod body;
mod error;
mod extract;
mod host_name;
mod json;
mod layers;
mod openai;
mod proxy_protocol;
mod router;
mod routes;
mod runs;
mod screening;
mod serve;
mod spending;
mod state;
mod tensors;

pub use host_name::{AllowedHost, InvalidHost};
pub use json::{InputConfig, PARSER_DEPTH_MAX};
pub use layers::{AllowedOrigin, BrowserConfig, InvalidOrigin};
pub use proxy_protocol::ProxyProtocol;
pub(crate) use router::metrics_router;
pub use router::{openapi, router};
pub use serve::serve;
pub use state::{Config, HttpState, Parts};
