//! How failures are told: for each way to fail the status of HTTP, and beside it the code of gRPC.

use http::StatusCode;
use tonic::Code;

/// A way to fail, as the protocols tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    /// There is no such route, or call.
    UnknownRoute,
    MethodNotAllowed,
    NotAcceptable,
    RequestTimeout,
    Conflict,
    PayloadTooLarge,
    UriTooLong,
    UnsupportedMediaType,
    UnprocessableEntity,
    TooManyRequests,
    HeadersTooLarge,
    InternalServerError,
    BadGateway,
    ServiceUnavailable,
    GatewayTimeout,
    HttpVersionNotSupported,
    InsufficientStorage,
}

impl Status {
    /// The status of HTTP, and the code of gRPC
    /// (<https://grpc.io/docs/guides/status-codes/>).
    const fn codes(self) -> (StatusCode, Code) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::Forbidden => (StatusCode::FORBIDDEN, Code::PermissionDenied),
            Self::NotFound => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::UnknownRoute => (StatusCode::NOT_FOUND, Code::Unimplemented),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented),
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, Code::InvalidArgument),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded),
            Self::Conflict => (StatusCode::CONFLICT, Code::FailedPrecondition),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted),
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, Code::InvalidArgument),
            // Over gRPC this is said of the packing of messages.
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unimplemented),
            Self::UnprocessableEntity => (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidArgument),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Code::ResourceExhausted,
            ),
            Self::InternalServerError => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
            // The model's fault. A client that tries again meets the same model.
            Self::BadGateway => (StatusCode::BAD_GATEWAY, Code::Internal),
            Self::ServiceUnavailable => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
            Self::GatewayTimeout => (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded),
            Self::HttpVersionNotSupported => {
                (StatusCode::HTTP_VERSION_NOT_SUPPORTED, Code::Unimplemented)
            }
            Self::InsufficientStorage => {
                (StatusCode::INSUFFICIENT_STORAGE, Code::ResourceExhausted)
            }
        }
    }

    /// The status of HTTP.
    pub(crate) const fn http(self) -> StatusCode {
        self.codes().0
    }

    /// The code of gRPC.
    pub(crate) const fn grpc(self) -> Code {
        self.codes().1
    }
}
