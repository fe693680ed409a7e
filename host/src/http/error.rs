//! The only place where a failure becomes a status and a public message.
//!
//! | type | status | whose fault |
//! | --- | --- | --- |
//! | `invalid_request_error` | 400, 404, 405, 406, 408, 409, 413, 415, 422 | the caller's request |
//! | `authentication_error` | 401 | the caller's key |
//! | `permission_error` | 403 | what the key may do |
//! | `rate_limit_error` | 429 | the caller's pace |
//! | `security_error` | 400, 403 | the caller's conduct |
//! | `model_error` | 502, 504 | the model's: it hit a cap, trapped or broke the contract |
//! | `server_error` | 500, 503, 507 | ours |
//!
//! The envelope is `{"error":{"message","type","param","code"}}`, but on the paths of the Open
//! Inference Protocol `{"error":"message","type","param","code"}`: see `surface.rs`. An unknown
//! model is 404 `model_not_found` of the type `invalid_request_error`, as with OpenAI. What
//! only the operator may read goes to the log, under the request's id.

mod backups;
mod conversions;
mod runs;
mod status;
mod worlds;

use super::json::write_string;
use crate::guard::Violation;
use crate::telemetry::metrics;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
pub(crate) use status::Status;
use std::borrow::Cow;
use tonic::Code;
pub(crate) use worlds::too_many_worlds;

/// The `type` of an error in the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    InvalidRequest,
    Authentication,
    Permission,
    RateLimit,
    Security,
    Model,
    Server,
}

impl ErrorType {
    fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::RateLimit => "rate_limit_error",
            Self::Security => "security_error",
            Self::Model => "model_error",
            Self::Server => "server_error",
        }
    }
}

/// The code of a body that is over its limit.
pub(crate) const TOO_LARGE: &str = "payload_too_large";

/// A refusal or a failure, as the caller reads it.
#[derive(Debug)]
pub struct ApiError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    text: ErrorText,
    retry_after_s: Option<u64>,
    /// Whether the words are a model's.
    is_guests: bool,
    /// For the log, and never for the caller.
    detail: Option<String>,
    /// Whether the connection is of no more use: a body on it stays unread.
    closes: bool,
    /// What it counts as against the caller's address.
    violation: Option<Violation>,
}

/// Names in a model's words that are looked at.
const NAMES_LOOKED_AT_MAX: usize = 16;

/// What an error says to its caller; carried by the response to the place that knows which
/// protocol the caller speaks.
#[derive(Clone, Debug)]
pub(crate) struct ErrorText {
    status: Status,
    kind: ErrorType,
    code: &'static str,
    message: Cow<'static, str>,
    param: Option<String>,
    /// When the caller's budget begins anew.
    renews_at: Option<Timestamp>,
}

/// By which the clients of OpenAI and Anthropic are told not to ask again by themselves.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What the log gets to know about a failed request; carried by the response to the layer that
/// writes the log.
#[derive(Clone, Debug)]
pub(crate) struct LogDetail(pub(crate) String);

impl ApiError {
    /// An error of the caller's.
    pub(crate) fn new(
        status: Status,
        kind: ErrorType,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Failure {
            text: ErrorText {
                status,
                kind,
                code,
                message: message.into(),
                param: None,
                renews_at: None,
            },
            retry_after_s: None,
            is_guests: false,
            detail: None,
            closes: false,
            violation: None,
        }))
    }

    /// Names the field that the error is about.
    pub(crate) fn at(mut self, param: impl Into<Option<String>>) -> Self {
        self.0.text.param = param.into();
        self
    }

    /// Names the field that a model's own words are about: `place` knows the names that a request
    /// has, and the first one in backticks that it knows is meant.
    pub(crate) fn naming(mut self, place: impl Fn(&str) -> Option<String>) -> Self {
        if self.0.is_guests && self.0.text.param.is_none() {
            let names = self.0.text.message.split('`').skip(1).step_by(2);
            self.0.text.param = names.take(NAMES_LOOKED_AT_MAX).find_map(place);
        }
        self
    }

    /// The words are a model's.
    fn of_guest(mut self) -> Self {
        self.0.is_guests = true;
        self
    }

    /// Adds what only the log may say.
    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says when to try again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Says when the budget that is used up begins anew.
    fn renewing(mut self, at: Timestamp) -> Self {
        self.0.text.renews_at = Some(at);
        self
    }

    /// Counts against the caller's address: the layer that keeps the bans finds the violation
    /// in the extensions of the response.
    pub(crate) fn counting_as(mut self, violation: Violation) -> Self {
        self.0.violation = Some(violation);
        self
    }

    /// Ends the connection after the answer: the rest of the body stays unread.
    pub(crate) fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    /// 409: it is not in a state for that.
    pub(crate) fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::Conflict, ErrorType::InvalidRequest, code, message)
    }

    /// 422: the content is understood, and it does not work.
    pub(crate) fn unprocessable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            Status::UnprocessableEntity,
            ErrorType::InvalidRequest,
            code,
            message,
        )
    }

    /// What it says to its caller.
    pub(crate) fn text(&self) -> &ErrorText {
        &self.0.text
    }

    /// The code that a program can match.
    pub(crate) fn code(&self) -> &'static str {
        self.0.text.code
    }

    /// What people read.
    pub(crate) fn message(&self) -> &str {
        &self.0.text.message
    }

    /// What the log gets to know.
    pub(crate) fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::BadRequest, ErrorType::InvalidRequest, code, message)
    }

    /// 400: the body is not JSON.
    pub(crate) fn invalid_json(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request("invalid_json", message)
    }

    /// 400: a field is wrong.
    pub(crate) fn invalid_argument(param: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self::invalid_argument_at(Some(param.into()), message)
    }

    /// 400: a field is wrong, or the body as a whole.
    pub(crate) fn invalid_argument_at(param: Option<String>, message: impl AsRef<str>) -> Self {
        let message = message.as_ref();
        let text = match &param {
            Some(param) => format!("Invalid '{param}': {message}."),
            None => format!("Invalid body: {message}."),
        };
        Self::bad_request("invalid_value", text).at(param)
    }

    /// 400: a field is not known.
    pub(crate) fn unknown_argument(param: String, nearest: Option<&str>) -> Self {
        let mut text = format!("Unrecognized request argument supplied: {param}");
        if let Some(nearest) = nearest {
            text = format!("{text}. Did you mean {nearest}?");
        }
        Self::bad_request("unknown_parameter", text).at(param)
    }

    /// 400: a field is missing.
    pub(crate) fn missing_argument(param: String) -> Self {
        let text = format!("Missing required parameter: '{param}'.");
        Self::bad_request("missing_required_parameter", text).at(param)
    }

    /// 400: something other than a field of the body.
    pub(crate) fn invalid_request(
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::bad_request(code, message)
    }

    /// 413: the body is over its limit, which is that of a setting.
    pub(crate) fn too_large(limit_bytes: u64, setting: &'static str) -> Self {
        let message = format!(
            "The request body is over the limit of {limit_bytes} bytes (the setting `{setting}`)."
        );
        let kind = ErrorType::InvalidRequest;
        let mut error = Self::new(Status::PayloadTooLarge, kind, TOO_LARGE, message);
        error.0.closes = true;
        error
    }

    /// 400: the body ended before its end.
    pub(crate) fn incomplete_body() -> Self {
        Self::bad_request("incomplete_body", "The request body is cut off.")
    }

    /// 408: the body came too slowly.
    pub(crate) fn body_timeout() -> Self {
        Self::new(
            Status::RequestTimeout,
            ErrorType::InvalidRequest,
            "body_timeout",
            "The request body did not arrive in time.",
        )
        .closing()
    }

    /// 415: the body has a type that the route does not read.
    pub(crate) fn unsupported_media_type(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            Status::UnsupportedMediaType,
            ErrorType::InvalidRequest,
            "unsupported_media_type",
            message,
        )
    }

    /// 400: the body is not packed as it says, or breaks off.
    pub(crate) fn broken_packing() -> Self {
        Self::invalid_request(
            "invalid_content_encoding",
            "The body is not what its Content-Encoding says, or it breaks off.",
        )
        .closing()
    }

    /// 415: the body is packed in a way that is not undone here.
    pub(crate) fn content_encoding() -> Self {
        Self::new(
            Status::UnsupportedMediaType,
            ErrorType::InvalidRequest,
            "unsupported_content_encoding",
            "Send the body as it is, or with the Content-Encoding `gzip` or `deflate`.",
        )
        .closing()
    }

    /// 415: the body is a pickle.
    pub(crate) fn pickle() -> Self {
        Self::new(
            Status::UnsupportedMediaType,
            ErrorType::InvalidRequest,
            "pickle_refused",
            "The body is a Python pickle. Unpickling runs whatever program the sender put into it, so \
             this server never does. Send the tensors as application/json, application/msgpack (the \
             msgpack-numpy convention works), application/vnd.safetensors, or \
             application/octet-stream with an Inference-Header-Content-Length header (Open Inference \
             Protocol).",
        )
    }

    /// 406: no format that the caller accepts can hold the answer.
    pub(crate) fn not_acceptable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            Status::NotAcceptable,
            ErrorType::InvalidRequest,
            "not_acceptable",
            message,
        )
    }

    /// 404: no such route.
    pub(crate) fn unknown_route() -> Self {
        Self::unknown_url("There is no such route; GET /openapi.json lists them all.")
    }

    fn unknown_url(message: impl Into<Cow<'static, str>>) -> Self {
        let kind = ErrorType::InvalidRequest;
        Self::new(Status::UnknownRoute, kind, "unknown_url", message)
    }

    /// 404: a part of OpenAI's API that is not offered.
    pub(crate) fn not_offered(family: &str) -> Self {
        let message = format!(
            "This server does not offer the {family}; GET /openapi.json lists what it does."
        );
        Self::unknown_url(message)
    }

    /// 405: the route has no such method. The router adds `Allow`.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            Status::MethodNotAllowed,
            ErrorType::InvalidRequest,
            "method_not_allowed",
            "The route does not have this method; the header Allow lists those it has.",
        )
    }

    /// 404 for something that is not there.
    pub(crate) fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::NotFound, ErrorType::InvalidRequest, code, message)
    }

    /// 404 in OpenAI's words. The same whether the model does not exist or is not for this key.
    pub(crate) fn model_not_found(model: &str) -> Self {
        let name = model
            .get(..model.floor_char_boundary(128))
            .unwrap_or_default();
        let message = format!("The model `{name}` does not exist or you do not have access to it.");
        Self::not_found("model_not_found", message).at("model".to_owned())
    }

    /// 500: a bug or a shortage of ours. The caller learns only that.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(
            Status::InternalServerError,
            ErrorType::Server,
            "internal_error",
            "The server had an error while processing the request. The request's id is in the header \
             x-request-id; the server's log has the reason.",
        )
        .because(detail)
    }

    /// 507: there is no room on the server's disk.
    pub(crate) fn disk_full(detail: impl Into<String>) -> Self {
        Self::new(
            Status::InsufficientStorage,
            ErrorType::Server,
            "disk_full",
            "The server's disk is full, or its quota is used up, and nothing was changed. Make room on \
             it and try again.",
        )
        .because(detail)
        .closing()
    }

    /// 503: the server takes no more for now.
    pub(crate) fn overloaded(message: impl Into<Cow<'static, str>>, retry_after_s: u64) -> Self {
        Self::new(
            Status::ServiceUnavailable,
            ErrorType::Server,
            "overloaded",
            message,
        )
        .retry_after(retry_after_s)
    }

    fn model_fault(
        status: Status,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(status, ErrorType::Model, code, message)
    }

    /// The body of an error of the Open Inference Protocol.
    pub(crate) fn for_open_inference(&self) -> Vec<u8> {
        self.0.text.for_open_inference()
    }

    /// The envelope of Anthropic's API, with the id of the request where that is known.
    pub(crate) fn for_anthropic(&self, request_id: Option<&str>) -> Vec<u8> {
        self.0.text.for_anthropic(request_id)
    }

    /// The envelope.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut out = b"{\"error\":{\"message\":".to_vec();
        self.0.text.write(&mut out);
        out.extend_from_slice(b"}}");
        out
    }
}

impl ErrorText {
    /// The code that a program can match.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The body of an error of the Open Inference Protocol, with more beside the text.
    pub(crate) fn for_open_inference(&self) -> Vec<u8> {
        let mut out = b"{\"error\":".to_vec();
        self.write(&mut out);
        out.push(b'}');
        out
    }

    /// The body of an error of Anthropic's API, whose clients tell errors by status and type. It
    /// has no member for what is wrong, so the message begins with it.
    pub(crate) fn for_anthropic(&self, request_id: Option<&str>) -> Vec<u8> {
        let kind = match self.status {
            Status::Unauthorized => "authentication_error",
            Status::Forbidden => "permission_error",
            Status::NotFound | Status::UnknownRoute => "not_found_error",
            Status::PayloadTooLarge => "request_too_large",
            Status::TooManyRequests => "rate_limit_error",
            Status::ServiceUnavailable => "overloaded_error",
            Status::GatewayTimeout | Status::RequestTimeout => "timeout_error",
            Status::InternalServerError
            | Status::BadGateway
            | Status::HttpVersionNotSupported
            | Status::InsufficientStorage => "api_error",
            Status::BadRequest
            | Status::MethodNotAllowed
            | Status::NotAcceptable
            | Status::Conflict
            | Status::UriTooLong
            | Status::UnsupportedMediaType
            | Status::UnprocessableEntity
            | Status::HeadersTooLarge => "invalid_request_error",
        };
        let mut out = b"{\"type\":\"error\",\"error\":{\"type\":\"".to_vec();
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"message\":");
        match &self.param {
            // What is too long is told in Anthropic's own words.
            Some(param)
                if self.code != "context_length_exceeded"
                    && !self.message.contains(param.as_str()) =>
            {
                write_string(&mut out, &format!("{param}: {}", self.message));
            }
            _ => write_string(&mut out, &self.message),
        }
        out.push(b'}');
        if let Some(id) = request_id {
            out.extend_from_slice(b",\"request_id\":");
            write_string(&mut out, id);
        }
        out.push(b'}');
        out
    }

    /// What went wrong, as gRPC tells it: one of its codes, our own, and what people read.
    pub(crate) fn for_grpc(&self) -> (Code, &'static str, &str) {
        (self.status.grpc(), self.code, &self.message)
    }

    /// Writes the message, and the other members after it.
    fn write(&self, out: &mut Vec<u8>) {
        let Self {
            status: _,
            kind,
            code,
            message,
            param,
            renews_at,
        } = self;
        write_string(out, message);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(kind.name().as_bytes());
        out.extend_from_slice(b"\",\"param\":");
        match param {
            Some(param) => write_string(out, param),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"code\":\"");
        out.extend_from_slice(code.as_bytes());
        out.push(b'"');
        if let Some(time) = renews_at {
            out.extend_from_slice(b",\"renews_at\":");
            write_string(out, &time.to_string());
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        metrics::REFUSALS
            .with([("reason", self.code().into())])
            .increment(1);
        let mut response = self.body().into_response();
        let Failure {
            text,
            retry_after_s,
            detail,
            closes,
            violation,
            ..
        } = *self.0;
        *response.status_mut() = text.status.http();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, super::json::APPLICATION_JSON);
        if text.kind == ErrorType::Authentication {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if text.renews_at.is_some() {
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(text);
        if let Some(detail) = detail {
            response.extensions_mut().insert(LogDetail(detail));
        }
        if let Some(violation) = violation {
            response.extensions_mut().insert(violation);
        }
        response
    }
}
