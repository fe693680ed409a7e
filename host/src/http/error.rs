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
//! The envelope is `{"error":{"message","type","param","code"}}` on every path. An unknown
//! model is 404 `model_not_found` of the type `invalid_request_error`, as with OpenAI. What
//! only the operator may read goes to the log, under the request's id.

use super::json::write_string;
use super::runs::whole_seconds;
use super::tensors::TensorError;
use crate::auth::{Denied, KeyError};
use crate::models::ModelError;
use axum::response::{IntoResponse, Response};
use belljar_sandbox::{Cap, CapHit, GuestError, RunError};
use http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;

/// The `type` of an error in the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    InvalidRequest,
    Authentication,
    Permission,
    Model,
    Server,
}

impl ErrorType {
    fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::Model => "model_error",
            Self::Server => "server_error",
        }
    }
}

/// A refusal or a failure, as the caller reads it.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    status: StatusCode,
    kind: ErrorType,
    code: &'static str,
    message: Cow<'static, str>,
    param: Option<String>,
    retry_after_s: Option<u64>,
    /// For the log, and never for the caller.
    detail: Option<String>,
    /// Whether the connection is of no more use: a body on it stays unread.
    closes: bool,
}

/// What the log gets to know about a failed request; carried by the response to the layer that
/// writes the log.
#[derive(Clone, Debug)]
pub(crate) struct LogDetail(pub(crate) String);

impl ApiError {
    /// An error of the caller's.
    pub(crate) fn new(
        status: StatusCode,
        kind: ErrorType,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Failure {
            status,
            kind,
            code,
            message: message.into(),
            param: None,
            retry_after_s: None,
            detail: None,
            closes: false,
        }))
    }

    /// Names the field that the error is about.
    pub(crate) fn at(mut self, param: impl Into<Option<String>>) -> Self {
        self.0.param = param.into();
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

    /// Ends the connection after the answer: the rest of the body stays unread.
    fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    /// 409: it is not in a state for that.
    pub(crate) fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            ErrorType::InvalidRequest,
            code,
            message,
        )
    }

    /// 422: the content is understood, and it does not work.
    pub(crate) fn unprocessable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorType::InvalidRequest,
            code,
            message,
        )
    }

    /// The code that a program can match.
    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    /// What the log gets to know.
    pub(crate) fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            ErrorType::InvalidRequest,
            code,
            message,
        )
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
    pub(crate) fn unknown_argument(param: String) -> Self {
        let text = format!("Unrecognized request argument supplied: {param}");
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

    /// 413: the body is over its limit.
    pub(crate) fn too_large(limit_bytes: u64) -> Self {
        let message = format!("The request body is over the limit of {limit_bytes} bytes.");
        let kind = ErrorType::InvalidRequest;
        let mut error = Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            kind,
            "payload_too_large",
            message,
        );
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
            StatusCode::REQUEST_TIMEOUT,
            ErrorType::InvalidRequest,
            "body_timeout",
            "The request body did not arrive in time.",
        )
        .closing()
    }

    /// 415: the body has a type that the route does not read.
    pub(crate) fn unsupported_media_type(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorType::InvalidRequest,
            "unsupported_media_type",
            message,
        )
    }

    /// 415: the body is compressed.
    pub(crate) fn content_encoding() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorType::InvalidRequest,
            "unsupported_content_encoding",
            "Send the body as it is, without a Content-Encoding.",
        )
        .closing()
    }

    /// 415: the body is a pickle.
    pub(crate) fn pickle() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
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
            StatusCode::NOT_ACCEPTABLE,
            ErrorType::InvalidRequest,
            "not_acceptable",
            message,
        )
    }

    /// 404: no such route.
    pub(crate) fn unknown_route() -> Self {
        Self::not_found(
            "unknown_url",
            "There is no such route; GET /openapi.json lists them all.",
        )
    }

    /// 405: the route has no such method. The router adds `Allow`.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorType::InvalidRequest,
            "method_not_allowed",
            "The route does not have this method; the header Allow lists those it has.",
        )
    }

    /// 404 for something that is not there.
    pub(crate) fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorType::InvalidRequest,
            code,
            message,
        )
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
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorType::Server,
            "internal_error",
            "The server had an error while processing the request. The request's id is in the header \
             x-request-id; the server's log has the reason.",
        )
        .because(detail)
    }

    /// 503: the server takes no more for now.
    pub(crate) fn overloaded(message: impl Into<Cow<'static, str>>, retry_after_s: u64) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorType::Server,
            "overloaded",
            message,
        )
        .retry_after(retry_after_s)
    }

    fn model_fault(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(status, ErrorType::Model, code, message)
    }

    /// The envelope.
    pub(crate) fn body(&self) -> Vec<u8> {
        let Failure {
            message,
            kind,
            param,
            code,
            ..
        } = &*self.0;
        let mut out = Vec::with_capacity(128 + message.len());
        out.extend_from_slice(b"{\"error\":{\"message\":");
        write_string(&mut out, message);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(kind.name().as_bytes());
        out.extend_from_slice(b"\",\"param\":");
        match param {
            Some(param) => write_string(&mut out, param),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"code\":\"");
        out.extend_from_slice(code.as_bytes());
        out.extend_from_slice(b"\"}}");
        out
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.body().into_response();
        let Failure {
            status,
            kind,
            retry_after_s,
            detail,
            closes,
            ..
        } = *self.0;
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, super::json::APPLICATION_JSON);
        if kind == ErrorType::Authentication {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(detail) = detail {
            response.extensions_mut().insert(LogDetail(detail));
        }
        response
    }
}

impl From<TensorError> for ApiError {
    fn from(error: TensorError) -> Self {
        match error {
            TensorError::Invalid { param, message } => Self::invalid_argument_at(param, message),
            TensorError::NotRepresentable { message } => Self::not_acceptable(message),
        }
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Cap(hit) => hit.into(),
            RunError::Trap { reason } => {
                let message = format!("The model trapped: {reason}.");
                Self::model_fault(StatusCode::BAD_GATEWAY, "model_trapped", message)
            }
            RunError::InvalidOutput { reason } => {
                let message = format!("The model's answer is invalid: {reason}.");
                Self::model_fault(StatusCode::BAD_GATEWAY, "invalid_model_output", message)
            }
            RunError::Guest(GuestError::InvalidInput(message)) => {
                Self::bad_request("invalid_input", message)
            }
            RunError::Guest(GuestError::Unsupported(message)) => {
                Self::bad_request("unsupported_by_model", message)
            }
            RunError::Guest(GuestError::Failed(detail)) => {
                let message = "The model failed to answer this request.";
                Self::model_fault(StatusCode::BAD_GATEWAY, "model_failed", message).because(detail)
            }
            RunError::NoCapability { interface } => {
                let message = format!(
                    "The model does not serve this kind of request: it does not export `{interface}`."
                );
                Self::bad_request("capability_missing", message).at("model".to_owned())
            }
            RunError::Overloaded {
                scope,
                waiting,
                limit,
                retry_after_s,
            } => {
                let of = if scope == "model" {
                    "for this model"
                } else {
                    "on this server"
                };
                let message = format!("Too many requests are waiting {of} ({waiting} of {limit}).");
                Self::overloaded(message, retry_after_s)
            }
            RunError::Host { detail } => Self::internal(detail),
        }
    }
}

impl From<CapHit> for ApiError {
    fn from(hit: CapHit) -> Self {
        let CapHit { cap, limit, used } = hit;
        let (status, code) = match cap {
            Cap::Fuel => (StatusCode::BAD_GATEWAY, "fuel_exhausted"),
            Cap::Memory => (StatusCode::BAD_GATEWAY, "memory_exceeded"),
            Cap::WallTimeMs => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),
            Cap::OutputBytes => (StatusCode::BAD_GATEWAY, "output_too_large"),
            Cap::Stack => (StatusCode::BAD_GATEWAY, "stack_exhausted"),
            Cap::TableElements => (StatusCode::BAD_GATEWAY, "table_elements_exceeded"),
            Cap::Instances => (StatusCode::BAD_GATEWAY, "instances_exceeded"),
            Cap::Memories => (StatusCode::BAD_GATEWAY, "memories_exceeded"),
            Cap::Tables => (StatusCode::BAD_GATEWAY, "tables_exceeded"),
            Cap::HostcallBytes => (StatusCode::BAD_GATEWAY, "hostcall_bytes_exceeded"),
            Cap::Resources => (StatusCode::BAD_GATEWAY, "resources_exceeded"),
            Cap::StdioBytes => (StatusCode::BAD_GATEWAY, "stdio_exceeded"),
            Cap::LogLines => (StatusCode::BAD_GATEWAY, "log_lines_exceeded"),
            Cap::ComponentBytes => (StatusCode::BAD_GATEWAY, "component_too_large"),
            Cap::CompileTimeMs => (StatusCode::GATEWAY_TIMEOUT, "compile_time_exceeded"),
            Cap::CompileAddressSpaceBytes => (StatusCode::BAD_GATEWAY, "compile_memory_exceeded"),
            // The enum lives in another package, which may name a cap before this table does.
            _ => (StatusCode::BAD_GATEWAY, "cap_exceeded"),
        };
        let message = format!(
            "The model hit its {} cap of {limit} {} ({used} used).",
            cap.name(),
            cap.unit()
        );
        Self::model_fault(status, code, message)
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Scope(scope) => Self::new(
                StatusCode::FORBIDDEN,
                ErrorType::Permission,
                "insufficient_scope",
                format!("The API key does not have the scope `{scope}`, which this needs."),
            ),
            Denied::KeyNeeded(scope) => Self::new(
                StatusCode::UNAUTHORIZED,
                ErrorType::Authentication,
                "missing_api_key",
                format!(
                    "This needs an API key with the scope `{scope}`. Send it as `Authorization: Bearer \
                     KEY` or `X-API-Key: KEY`."
                ),
            ),
        }
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let text = error.to_string();
        match error {
            KeyError::Name => Self::invalid_argument("name", text),
            KeyError::NoScopes => Self::invalid_argument("scopes", text),
            KeyError::Models => Self::invalid_argument("models", text),
            KeyError::ZeroLimit => Self::invalid_argument_at(None, text),
            KeyError::ExpiresInThePast { .. } => Self::invalid_argument("expires", text),
            KeyError::TooMany => Self::conflict("too_many_keys", text),
            KeyError::NotFound { .. } => Self::not_found("key_not_found", text),
            KeyError::Configured { .. } => Self::conflict("key_is_configured", text),
            KeyError::Random(_)
            | KeyError::Db(_)
            | KeyError::Damaged { .. }
            | KeyError::AdminFile { .. }
            | KeyError::Interrupted => Self::internal(text),
        }
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        if error.is_host_fault() {
            return Self::internal(match error {
                ModelError::Host { detail } => detail,
                other => other.to_string(),
            });
        }
        let code = error.code();
        let text = sentence(&error.to_string());
        let refusal = |status| Self::new(status, ErrorType::InvalidRequest, code, text.clone());
        match error {
            ModelError::NotFound { reference } => Self::model_not_found(&reference),
            // What is being worked on will be ready soon; what failed will not, by itself.
            ModelError::NotReady { state, .. } => {
                let error = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorType::Server,
                    code,
                    text,
                )
                .at("model".to_owned());
                if state.is_settled() {
                    error
                } else {
                    error.retry_after(1)
                }
            }
            ModelError::NoActiveVersion { .. } => {
                refusal(StatusCode::NOT_FOUND).at("model".to_owned())
            }
            ModelError::Denied(denied) => denied.into(),
            ModelError::NameNotAllowed { .. } => {
                Self::new(StatusCode::FORBIDDEN, ErrorType::Permission, code, text)
            }
            ModelError::Conflict { .. } | ModelError::Embedded { .. } => {
                refusal(StatusCode::CONFLICT)
            }
            ModelError::Bundle(error) if error.is_too_large() => {
                refusal(StatusCode::PAYLOAD_TOO_LARGE).closing()
            }
            ModelError::Bundle(_) | ModelError::LimitTooHigh { .. } => {
                refusal(StatusCode::BAD_REQUEST).closing()
            }
            ModelError::TooManyUploads { retry_after, .. } => {
                let seconds = whole_seconds(retry_after);
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorType::Server,
                    code,
                    text,
                )
                .retry_after(seconds)
                .closing()
            }
            ModelError::UploadStalled { .. } | ModelError::UploadTooSlow { .. } => {
                refusal(StatusCode::REQUEST_TIMEOUT).closing()
            }
            ModelError::UploadCancelled => refusal(StatusCode::BAD_REQUEST).closing(),
            ModelError::TooManyVersions { .. } | ModelError::StoreFull { .. } => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                ErrorType::Server,
                code,
                text,
            )
            .closing(),
            ModelError::Closing => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorType::Server,
                code,
                text,
            )
            .retry_after(1),
            // Its detail went to the log above.
            ModelError::Host { detail } => Self::internal(detail),
        }
    }
}

/// A domain's error text begins small and ends without a stop; the API speaks in sentences.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let mut sentence: String = first.to_uppercase().chain(characters).collect();
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}
