//! Errors as the providers themselves write them, for faults.
//!
//! Statuses, types and words: OpenAI's guide "Error codes" and what its API answers, Anthropic's
//! page "Errors", and Azure's reference of OpenAI in Foundry Models. A status that a provider does
//! not document has the type of its class.

use super::ToldRate;
use crate::http::signature::AskedUri;
use crate::http::surface::Surface;
use crate::ids::RequestId;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use belljar_testing::fault::Fault;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Whose API a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    OpenAi,
    Azure,
    Anthropic,
    /// The Open Inference Protocol.
    OpenInference,
}

/// What a provider says of one status.
struct Words {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: &'static str,
}

const fn words(
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: &'static str,
) -> Words {
    Words {
        status,
        kind,
        code,
        message,
    }
}

const OPENAI: [Words; 9] = [
    words(
        400,
        "invalid_request_error",
        None,
        "We could not parse the JSON body of your request.",
    ),
    words(
        401,
        "invalid_request_error",
        Some("invalid_api_key"),
        "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    words(
        403,
        "request_forbidden",
        Some("unsupported_country_region_territory"),
        "Country, region, or territory not supported",
    ),
    words(
        404,
        "invalid_request_error",
        Some("model_not_found"),
        "The model does not exist or you do not have access to it.",
    ),
    words(
        409,
        "invalid_request_error",
        None,
        "The resource was updated by another request.",
    ),
    words(
        422,
        "invalid_request_error",
        None,
        "The request was well formed and could not be processed.",
    ),
    words(
        429,
        "requests",
        Some("rate_limit_exceeded"),
        "Rate limit reached for requests. Please try again later.",
    ),
    words(
        500,
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
    words(
        503,
        "server_error",
        None,
        "The engine is currently overloaded, please try again later",
    ),
];

const AZURE: [Words; 6] = [
    words(400, "", Some("BadRequest"), "The request is invalid."),
    words(
        401,
        "",
        Some("401"),
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
    ),
    words(
        404,
        "",
        Some("DeploymentNotFound"),
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
    ),
    words(
        429,
        "",
        Some("429"),
        "Requests have exceeded the call rate limit of your current pricing tier. Please retry later.",
    ),
    words(
        500,
        "",
        Some("InternalServerError"),
        "Internal server error",
    ),
    words(
        503,
        "",
        Some("ServiceUnavailable"),
        "The service is temporarily unable to process your request. Please try again later.",
    ),
];

const ANTHROPIC: [Words; 11] = [
    words(400, "invalid_request_error", None, "Invalid request"),
    words(401, "authentication_error", None, "invalid x-api-key"),
    words(
        402,
        "billing_error",
        None,
        "There is an issue with your billing or payment information.",
    ),
    words(
        403,
        "permission_error",
        None,
        "Your API key does not have permission to use the specified resource.",
    ),
    words(
        404,
        "not_found_error",
        None,
        "The requested resource could not be found.",
    ),
    words(
        409,
        "conflict_error",
        None,
        "The request conflicts with the current state of the resource.",
    ),
    words(
        413,
        "request_too_large",
        None,
        "Request exceeds the maximum allowed number of bytes.",
    ),
    words(
        429,
        "rate_limit_error",
        None,
        "This request would exceed your account's rate limit. Please try again later.",
    ),
    words(500, "api_error", None, "Internal server error"),
    words(
        504,
        "timeout_error",
        None,
        "The request timed out while processing.",
    ),
    words(529, "overloaded_error", None, "Overloaded"),
];

impl Provider {
    /// Whose API a request speaks.
    pub(super) fn of(request: &Request) -> Self {
        let asked = request.extensions().get::<AskedUri>();
        let asked = asked.map_or(request.uri(), |AskedUri(uri)| uri);
        match Surface::of_request(request) {
            Surface::Anthropic => Self::Anthropic,
            Surface::OpenInference => Self::OpenInference,
            Surface::OpenAi if asked.path().starts_with("/openai/") => Self::Azure,
            Surface::OpenAi | Surface::Own | Surface::Grpc => Self::OpenAi,
        }
    }

    /// An error as this provider writes it.
    pub(super) fn error(self, status: u16, fault: &Fault, id: &RequestId) -> Response {
        let table: &[Words] = match self {
            Self::OpenAi => &OPENAI,
            Self::Azure => &AZURE,
            Self::Anthropic => &ANTHROPIC,
            Self::OpenInference => &[],
        };
        let found = table.iter().find(|words| words.status == status);
        let class = match (self, status < 500) {
            (Self::Anthropic, false) => "api_error",
            (Self::Anthropic, true) => "invalid_request_error",
            (_, false) => "server_error",
            (_, true) => "invalid_request_error",
        };
        let kind = found.map_or(class, |words| words.kind);
        let code = fault.code.as_deref();
        let code = code.or_else(|| found.and_then(|words| words.code));
        let known = StatusCode::from_u16(status).ok();
        let known = known.and_then(|status| status.canonical_reason());
        let message = fault.message.as_deref();
        let message = message.or_else(|| found.map(|words| words.message));
        let message = message.or(known).unwrap_or("An error");
        let body = match self {
            // Where a code is asked for, it is the type as well: what is out of its quota is so.
            Self::OpenAi => json!({"error": {
                "message": message,
                "type": match code {
                    Some("insufficient_quota") => "insufficient_quota",
                    _ => kind,
                },
                "param": Value::Null,
                "code": code,
            }}),
            Self::Azure => {
                let status = status.to_string();
                json!({"error": {"code": code.unwrap_or(&status), "message": message}})
            }
            Self::Anthropic => json!({
                "type": "error",
                "error": {"type": code.unwrap_or(kind), "message": message},
                "request_id": id.to_string(),
            }),
            Self::OpenInference => json!({"error": message}),
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(seconds) = fault.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            if status == 429 {
                self.tell_rate(seconds, headers);
                response.extensions_mut().insert(ToldRate);
            }
        }
        response
    }

    /// The headers of a rate limit that is used up for so many seconds.
    fn tell_rate(self, seconds: u32, headers: &mut HeaderMap) {
        /// Requests a minute of the limit that is told of.
        const LIMIT: u32 = 60;
        let mut tell = |name: &'static str, value: HeaderValue| {
            headers.insert(HeaderName::from_static(name), value);
        };
        match self {
            Self::Anthropic => {
                tell("anthropic-ratelimit-requests-limit", LIMIT.into());
                tell("anthropic-ratelimit-requests-remaining", 0.into());
                let reset = Timestamp::now().checked_add(Duration::from_secs(seconds.into()));
                let reset = reset.map(|reset| format!("{reset:.0}"));
                if let Some(reset) = reset.ok().and_then(|reset| reset.parse().ok()) {
                    tell("anthropic-ratelimit-requests-reset", reset);
                }
            }
            Self::OpenAi | Self::Azure | Self::OpenInference => {
                tell("retry-after-ms", (u64::from(seconds) * 1_000).into());
                tell("x-ratelimit-limit-requests", LIMIT.into());
                tell("x-ratelimit-remaining-requests", 0.into());
                if let Ok(reset) = format!("{seconds}s").parse() {
                    tell("x-ratelimit-reset-requests", reset);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt as _;

    async fn error(provider: Provider, fault: &str) -> (http::response::Parts, Value) {
        let fault: Fault = fault.parse().unwrap();
        let Some(belljar_testing::fault::Before::Status(status)) = fault.before else {
            panic!("no status");
        };
        let (parts, body) = provider
            .error(status, &fault, &RequestId::random())
            .into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn each_provider_has_its_own_words() {
        let (head, body) = error(Provider::OpenAi, "status=429;retry-after=2").await;
        assert_eq!(head.status, 429);
        assert_eq!(body["error"]["code"], "rate_limit_exceeded");
        assert_eq!(body["error"]["type"], "requests");
        assert_eq!(head.headers["retry-after"], "2");
        assert_eq!(head.headers["x-ratelimit-remaining-requests"], "0");
        assert_eq!(head.headers["x-ratelimit-reset-requests"], "2s");
        let (head, body) = error(Provider::OpenAi, "status=429;code=insufficient_quota").await;
        assert_eq!(body["error"]["type"], "insufficient_quota");
        assert!(!head.headers.contains_key("retry-after"));
        let (_, body) = error(Provider::Azure, "status=404").await;
        assert_eq!(body["error"]["code"], "DeploymentNotFound");
        let (_, body) = error(Provider::Azure, "status=418").await;
        assert_eq!(
            body["error"],
            json!({"code": "418", "message": "I'm a teapot"})
        );
        let (head, body) = error(Provider::Anthropic, "status=529;retry-after=1").await;
        assert_eq!(
            (head.status.as_u16(), &body["type"]),
            (529, &json!("error"))
        );
        assert_eq!(body["error"]["type"], "overloaded_error");
        assert_eq!(head.headers["retry-after"], "1");
        let (head, _) = error(Provider::Anthropic, "status=429;retry-after=1").await;
        assert_eq!(head.headers["anthropic-ratelimit-requests-remaining"], "0");
        let (_, body) = error(Provider::OpenInference, "status=500;message=no").await;
        assert_eq!(body, json!({"error": "no"}));
    }

    /// A status, and what says it: the type and the code of OpenAI, the code of Azure, the type of
    /// Anthropic.
    type Row = (
        u16,
        (&'static str, Option<&'static str>),
        &'static str,
        &'static str,
    );

    const INVALID: &str = "invalid_request_error";

    /// What the providers document, or what its class has where they do not.
    const ROWS: [Row; 13] = [
        (400, (INVALID, None), "BadRequest", INVALID),
        (
            401,
            (INVALID, Some("invalid_api_key")),
            "401",
            "authentication_error",
        ),
        (402, (INVALID, None), "402", "billing_error"),
        (
            403,
            (
                "request_forbidden",
                Some("unsupported_country_region_territory"),
            ),
            "403",
            "permission_error",
        ),
        (
            404,
            (INVALID, Some("model_not_found")),
            "DeploymentNotFound",
            "not_found_error",
        ),
        (409, (INVALID, None), "409", "conflict_error"),
        (413, (INVALID, None), "413", "request_too_large"),
        (422, (INVALID, None), "422", INVALID),
        (
            429,
            ("requests", Some("rate_limit_exceeded")),
            "429",
            "rate_limit_error",
        ),
        (
            500,
            ("server_error", None),
            "InternalServerError",
            "api_error",
        ),
        (
            503,
            ("server_error", None),
            "ServiceUnavailable",
            "api_error",
        ),
        (504, ("server_error", None), "504", "timeout_error"),
        (529, ("server_error", None), "529", "overloaded_error"),
    ];

    /// The members of an object, by their names.
    fn members(object: &Value) -> Vec<&str> {
        let mut names: Vec<_> = object.as_object().unwrap().keys().collect();
        names.sort_unstable();
        names.into_iter().map(String::as_str).collect()
    }

    #[tokio::test]
    async fn each_status_has_the_types_and_codes_of_its_provider() {
        for (status, (kind, code), azure_code, anthropic_kind) in ROWS {
            let asked = format!("status={status}");
            for provider in [Provider::OpenAi, Provider::Azure, Provider::Anthropic] {
                let told = format!("{provider:?} {status}");
                let (head, body) = error(provider, &asked).await;
                assert_eq!(head.status.as_u16(), status, "{told}");
                assert_eq!(head.headers["content-type"], "application/json", "{told}");
                let said = &body["error"];
                let message = said["message"].as_str().unwrap();
                assert!(!message.is_empty(), "{told}");
                match provider {
                    Provider::OpenAi => {
                        assert_eq!(members(&body), ["error"], "{told}");
                        let names = ["code", "message", "param", "type"];
                        assert_eq!(members(said), names, "{told}");
                        let found = (&said["type"], &said["code"], &said["param"]);
                        let expected = (&json!(kind), &json!(code), &Value::Null);
                        assert_eq!(found, expected, "{told}");
                    }
                    Provider::Azure => {
                        assert_eq!(members(&body), ["error"], "{told}");
                        assert_eq!(members(said), ["code", "message"], "{told}");
                        assert_eq!(said["code"], azure_code, "{told}");
                    }
                    Provider::Anthropic | Provider::OpenInference => {
                        let names = ["error", "request_id", "type"];
                        assert_eq!(members(&body), names, "{told}");
                        assert_eq!(members(said), ["message", "type"], "{told}");
                        assert_eq!(body["type"], "error", "{told}");
                        assert_eq!(said["type"], anthropic_kind, "{told}");
                        assert!(body["request_id"].is_string(), "{told}");
                    }
                }
                let (_, body) = error(provider, &format!("{asked};message=Mine.")).await;
                assert_eq!(body["error"]["message"], "Mine.", "{told}");
            }
        }
    }

    /// What says how long to wait, by its beginning.
    const OF_RATES: [&str; 3] = ["retry-after", "x-ratelimit-", "anthropic-ratelimit-"];

    /// Only 429 tells of a rate, and in the words of its provider alone.
    #[tokio::test]
    async fn each_status_has_the_headers_of_its_provider() {
        const OPENAI_RATE: [&str; 5] = [
            "retry-after",
            "retry-after-ms",
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ];
        const ANTHROPIC_RATE: [&str; 4] = [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
            "retry-after",
        ];
        let told = |head: &http::response::Parts| {
            let names = head.headers.keys().map(HeaderName::as_str);
            let is_of_rates = |name: &&str| OF_RATES.iter().any(|start| name.starts_with(*start));
            let mut names: Vec<_> = names.filter(is_of_rates).map(str::to_owned).collect();
            names.sort_unstable();
            names
        };
        for (status, ..) in ROWS {
            for provider in [Provider::OpenAi, Provider::Azure, Provider::Anthropic] {
                let (head, _) = error(provider, &format!("status={status}")).await;
                assert!(told(&head).is_empty(), "{provider:?} {status}");
                let (head, _) = error(provider, &format!("status={status};retry-after=3")).await;
                let expected = match (status, provider) {
                    (429, Provider::Anthropic) => &ANTHROPIC_RATE[..],
                    (429, _) => &OPENAI_RATE,
                    _ => &["retry-after"],
                };
                assert_eq!(told(&head), expected, "{provider:?} {status}");
                assert_eq!(head.headers["retry-after"], "3", "{provider:?} {status}");
            }
        }
        let (head, _) = error(Provider::Azure, "status=429;retry-after=3").await;
        assert_eq!(head.headers["retry-after-ms"], "3000");
        assert_eq!(head.headers["x-ratelimit-reset-requests"], "3s");
        let before = Timestamp::now();
        let (head, _) = error(Provider::Anthropic, "status=429;retry-after=3").await;
        let reset = head.headers["anthropic-ratelimit-requests-reset"].to_str();
        let reset: Timestamp = reset.unwrap().parse().unwrap();
        // It is told in whole seconds.
        let behind = |time: Timestamp, s: u64| time.checked_add(Duration::from_secs(s)).unwrap();
        assert!(behind(before, 2) <= reset, "{before} {reset}");
        assert!(reset <= behind(Timestamp::now(), 4), "{reset}");
    }
}
