//! Whose request is it? Puts the address that it is held to into the request, and turns away
//! networks that are not let in.

use super::check::Refusal;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::net::{ClientAddress, ConflictingOrigins, NetworkAcl, Origin, OriginRule};
use arc_swap::ArcSwap;
use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a connection comes from: its other end, or what the PROXY protocol says of it. Put
/// into each request by whoever serves the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The check.
pub(crate) struct Address {
    pub(crate) rule: OriginRule,
    pub(crate) acl: Arc<ArcSwap<NetworkAcl>>,
}

impl Address {
    /// The address that a request is held to, if its network is let in. `found` is told of it
    /// either way. Gives whether it is the caller's own.
    pub(crate) fn check(
        &self,
        request: &Request,
        found: impl FnOnce(ClientAddress),
    ) -> Result<bool, Refusal> {
        // A request without a socket comes from this process, as in tests.
        let peer = request.extensions().get::<Peer>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Peer(ip)| *ip);
        let origin = self.resolve(peer, request.headers());
        let Origin { address, is_caller } = origin.map_err(Refusal::now)?;
        found(address);
        if self.acl.load().admits(address.ip()) {
            return Ok(is_caller);
        }
        Err(Refusal::now(not_allowed(
            "This server does not serve your network.",
        )))
    }

    fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> Result<Origin, ApiError> {
        // Without a proxy of ours there is nothing to read.
        if !self.rule.trusts(peer) {
            return Ok(Origin {
                address: self.rule.peer(peer),
                is_caller: true,
            });
        }
        let lines = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let (plain, standard) = (lines(&X_FORWARDED_FOR), lines(&header::FORWARDED));
        let resolved = self.rule.resolve(peer, plain, standard);
        resolved.map_err(|ConflictingOrigins| {
            ApiError::invalid_request(
                "conflicting_addresses",
                "The headers X-Forwarded-For and Forwarded name different callers.",
            )
        })
    }
}

/// 403: the address is not one that is let in.
pub(super) fn not_allowed(message: &'static str) -> ApiError {
    let kind = ErrorType::Permission;
    ApiError::new(Status::Forbidden, kind, "address_not_allowed", message)
}
