//! Whose request is it? Puts the address that it is held to into the request, and turns away
//! networks that are not let in.

use super::Record;
use crate::guard::{Admittance, ClientAddress, ConflictingOrigins, OriginRule};
use crate::http::error::{ApiError, ErrorType};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a connection comes from: its other end, or what the PROXY protocol says of it. Put
/// into each request by whoever serves the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The layer.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) rule: Arc<OriginRule>,
    pub(crate) admittance: Arc<Admittance>,
}

impl<S> Layer<S> for Address {
    type Service = Addressed<S>;

    fn layer(&self, inner: S) -> Addressed<S> {
        Addressed {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Addressed<S> {
    inner: S,
    layer: Address,
}

impl<S> Service<Request> for Addressed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // Who asks without a socket is in this process, as tests are.
        let peer = request.extensions().get::<Peer>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Peer(ip)| *ip);
        let address = match self.layer.resolve(peer, request.headers()) {
            Ok(address) => address,
            Err(refusal) => return Either::Right(ready(Ok(refusal.into_response()))),
        };
        if let Some(record) = request.extensions().get::<Record>() {
            record.set_address(address);
        }
        if !self.layer.admittance.admits(address.ip()) {
            let refusal = not_allowed("This server does not serve your network.");
            return Either::Right(ready(Ok(refusal.into_response())));
        }
        request.extensions_mut().insert(address);
        Either::Left(self.inner.call(request))
    }
}

impl Address {
    fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> Result<ClientAddress, ApiError> {
        // Without a proxy of ours there is nothing to read.
        if !self.rule.trusts(peer) {
            return Ok(self.rule.peer(peer));
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
    ApiError::new(StatusCode::FORBIDDEN, kind, "address_not_allowed", message)
}
