//! The span of a request: what was seen of it and of its answer, in the names of OpenTelemetry's
//! conventions for HTTP, gRPC and models.

use super::address::Peer;
use crate::http::error::ErrorText;
use crate::http::grpc;
use crate::http::signature::Encrypted;
use crate::http::surface::Surface;
use crate::inference::RequestContext;
use crate::traces::{Trace, Traces, attributes};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use std::net::{IpAddr, Ipv4Addr};

/// The span that answers a request, as the draft of W3C for answers has it.
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The code where the caller left before the answer began.
const CLIENT_CLOSED_REQUEST: &str = "client_closed_request";

/// Codes of gRPC for which the server is to blame: the others are its caller's.
const FAULTS: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// What goes on the span of a request, noted as it becomes known.
pub(super) struct RequestSpan {
    trace: Trace,
    is_encrypted: bool,
    is_call: bool,
    version: &'static str,
    /// Whether the id of the request is the server's own.
    has_own_id: bool,
    has_answer: bool,
    /// The code of the error that it was answered with.
    code: Option<&'static str>,
    grpc_status: Option<&'static str>,
}

/// What is known of a request at its end.
pub(super) struct Ended<'a> {
    /// None of those that callers invent.
    pub(super) method: Option<&'static str>,
    /// The template, where one matched.
    pub(super) route: Option<&'a str>,
    pub(super) status: u16,
    pub(super) bytes_out: u64,
    pub(super) context: &'a RequestContext,
}

impl RequestSpan {
    /// The span of a request that has just come. None where traces are off.
    pub(super) fn begin(traces: &Traces, request: &Request, has_own_id: bool) -> Option<Self> {
        // A request without a socket comes from this process, as in tests.
        let peer = || {
            let peer = request.extensions().get::<Peer>();
            peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Peer(ip)| *ip)
        };
        let headers = request.headers();
        let lines =
            |name: &'static str| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let trace = traces.begin(peer, lines)?;
        Some(Self {
            trace,
            is_encrypted: request.extensions().get::<Encrypted>().is_some(),
            is_call: Surface::of_request(request) == Surface::Grpc,
            version: match request.version() {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
            has_own_id,
            has_answer: false,
            code: None,
            grpc_status: None,
        })
    }

    /// The trace that it is the span of.
    pub(super) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Notes an answer that has begun, and tells the caller of the span.
    pub(super) fn note_answer(&mut self, response: &mut Response) {
        self.has_answer = true;
        self.code = response.extensions().get().map(ErrorText::code);
        // Digits and dashes, which headers can carry.
        if let Ok(header) = HeaderValue::try_from(self.trace.context().header()) {
            response.headers_mut().insert(TRACERESPONSE, header);
        }
    }

    /// Notes how a call of gRPC has ended: in the head of its answer, or behind it.
    pub(super) fn note_end_of_call(&mut self, headers: &HeaderMap) {
        if self.is_call {
            self.grpc_status = grpc::status_name(headers).or(self.grpc_status);
        }
    }

    /// Ends it.
    pub(super) fn end(&self, ended: &Ended<'_>) {
        let method = ended.method.unwrap_or("HTTP");
        let name = match ended.route {
            Some(route) if self.is_call => route.trim_start_matches('/').to_owned(),
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let call = self.is_call.then(|| name.clone());
        let Some(mut span) = self.trace.request(name) else {
            return;
        };
        span.set(&attributes::HTTP_METHOD, ended.method.unwrap_or("_OTHER"));
        if let Some(route) = ended.route {
            span.set(&attributes::HTTP_ROUTE, route);
        }
        span.set(
            &attributes::URL_SCHEME,
            if self.is_encrypted { "https" } else { "http" },
        );
        span.set(&attributes::PROTOCOL_NAME, "http");
        span.set(&attributes::PROTOCOL_VERSION, self.version);
        let context = ended.context;
        span.set(&attributes::HTTP_REQUEST_SIZE, context.bytes_in());
        span.set(&attributes::HTTP_RESPONSE_SIZE, ended.bytes_out);
        if let Some(key) = context.key_id() {
            span.set(&attributes::KEY_ID, key.as_str());
        }
        if self.has_own_id {
            span.set(&attributes::REQUEST_ID, context.id().as_str());
        }
        if let Some((name, version)) = context.model_names() {
            span.set(&attributes::MODEL, version);
            if self.trace.is_of_texts() {
                span.set(&attributes::GEN_AI_REQUEST_MODEL, name);
                span.set(&attributes::GEN_AI_RESPONSE_MODEL, version);
            }
        }
        if let Some(fuel) = context.fuel() {
            span.set(&attributes::FUEL, fuel);
        }
        if !self.has_answer {
            span.fail(CLIENT_CLOSED_REQUEST);
        } else if let Some(call) = call {
            span.set(&attributes::RPC_SYSTEM, "grpc");
            span.set(&attributes::RPC_METHOD, &*call);
            // Without one the caller left before it was told.
            let status = self.grpc_status.unwrap_or("CANCELLED");
            span.set(&attributes::RPC_STATUS, status);
            if FAULTS.contains(&status) {
                span.fail(status);
            }
        } else {
            span.set(&attributes::HTTP_STATUS, u64::from(ended.status));
            match (ended.status, self.code) {
                (500.., code) => span.fail(code.unwrap_or("internal_error")),
                (400.., Some(code)) => span.set(&attributes::REFUSAL, code),
                _ => {}
            }
        }
    }
}
