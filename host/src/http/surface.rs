//! The protocol that a path belongs to: its errors have the shape that its clients read.

use super::error::ErrorText;
use super::grpc;
use axum::body::Body;
use axum::response::Response;
use http::uri::PathAndQuery;
use http::{HeaderName, Request, Uri, Version, header};

/// The header by which clients of Anthropic's are known.
pub(crate) const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The path under `/v1` that a path of Azure's spelling means: `/openai/v1/…`, and `/openai/…` where
/// no deployment is named. What names one has routes of its own. Done before a route is looked
/// for, so that one policy and one limit hold for both spellings.
///
/// Its `api-version` says nothing that would matter here, and is no parameter of `/v1`.
pub(super) fn respelled(uri: &Uri) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(respelled_path(uri)?);
    // Over HTTP/2 the host is in it, which stays the same.
    Uri::from_parts(parts).ok()
}

fn respelled_path(uri: &Uri) -> Option<PathAndQuery> {
    // The newer client of Cohere's, whose second version is not that of anything else here.
    if uri.path() == "/v2/rerank" {
        return Some(PathAndQuery::from_static("/v1/rerank"));
    }
    let rest = uri.path().strip_prefix("/openai/")?;
    if rest.starts_with("deployments/") {
        return None;
    }
    let rest = rest.strip_prefix("v1/").unwrap_or(rest);
    let mut path = format!("/v1/{rest}");
    let query = uri.query().unwrap_or_default().split('&');
    let others = query.filter(|pair| !pair.is_empty() && !pair.starts_with("api-version="));
    for (index, pair) in others.enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(pair);
    }
    path.parse().ok()
}

/// What is under a path of OpenAI's API that this server does not offer.
pub(super) fn not_offered(path: &str) -> Option<&'static str> {
    const FAMILIES: [(&str, &str); 27] = [
        ("agents", "agents API"),
        ("assistants", "assistants API"),
        ("audio", "audio API"),
        ("batches", "batch API"),
        ("chatkit", "ChatKit API"),
        ("containers", "containers API"),
        ("content_provenance_checks", "provenance API"),
        ("decisions", "decisions API"),
        ("evals", "evals API"),
        ("files", "files API"),
        ("fine_tuning", "fine-tuning API"),
        ("images", "images API"),
        ("live", "live API"),
        ("organization", "administration API"),
        ("projects", "administration API"),
        ("realtime", "realtime API"),
        ("safety", "safety API"),
        ("skills", "skills API"),
        ("threads", "assistants API"),
        ("uploads", "uploads API"),
        ("vaults", "vaults API"),
        ("vector_stores", "vector stores API"),
        ("videos", "videos API"),
        ("webhook_endpoints", "webhooks API"),
        ("webhook_event_types", "webhooks API"),
        ("complete", "text completions API of Anthropic"),
        ("messages/batches", "message batches API"),
    ];
    let rest = path.strip_prefix("/v1/")?;
    let is_under = |family: &str| {
        let rest = rest.strip_prefix(family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let family = FAMILIES.iter().find(|(family, _)| is_under(family));
    family.map(|(_, name)| *name)
}

/// The protocol of a path. Known from the path alone, so that refusals of requests that no route
/// has seen have the right shape, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// `/v1`: OpenAI's API; and `/openai`, as Azure spells it.
    OpenAi,
    /// `/v1/messages`, and `/v1/models` where a client of Anthropic's asks.
    Anthropic,
    /// `/v2`: the Open Inference Protocol, whose errors are `{"error":"text"}`.
    OpenInference,
    /// A call of gRPC, which is known by its type.
    Grpc,
    /// Everything else.
    Own,
}

impl Surface {
    /// The protocol of a path.
    pub(crate) fn of(path: &str) -> Self {
        let is_under = |root: &str| {
            let rest = path.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if is_under("/v1/messages") {
            Self::Anthropic
        } else if is_under("/v1") || is_under("/openai") {
            Self::OpenAi
        } else if is_under("/v2") {
            Self::OpenInference
        } else {
            Self::Own
        }
    }

    /// The protocol of a request of which no more is known than how its head begins, as it came.
    pub(crate) fn of_head(start: &[u8]) -> Self {
        let line = start.split(|byte| matches!(byte, b'\r' | b'\n')).next();
        let target = line.and_then(|line| line.split(|byte| *byte == b' ').nth(1));
        let target = String::from_utf8_lossy(target.unwrap_or_default());
        let target = target.split('?').next().unwrap_or_default();
        // A target may name the server before the path.
        let path = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)),
            None => Some(target),
        };
        Self::of(path.unwrap_or_default())
    }

    /// The protocol of a request: Anthropic's clients list models on the path of OpenAI's, and
    /// tell who they are by a header. Callers of gRPC do so, too, whatever they call.
    pub(crate) fn of_request<B>(request: &Request<B>) -> Self {
        match Self::of(request.uri().path()) {
            Self::OpenAi if request.headers().contains_key(ANTHROPIC_VERSION) => Self::Anthropic,
            Self::Own
                if request.version() == Version::HTTP_2 && grpc::is_call(request.headers()) =>
            {
                Self::Grpc
            }
            surface => surface,
        }
    }

    /// An answer in the words of the protocol. Errors are written in OpenAI's, which are our own,
    /// by whoever refuses; only here is it known who asked, and by which id.
    pub(crate) fn retell(self, mut response: Response, request_id: &str) -> Response {
        if matches!(self, Self::OpenAi | Self::Own) {
            return response;
        }
        let Some(error) = response.extensions_mut().remove::<ErrorText>() else {
            return response;
        };
        let body = match self {
            Self::Grpc => return grpc::refused(response, &error),
            Self::Anthropic => error.for_anthropic(Some(request_id)),
            Self::OpenInference | Self::OpenAi | Self::Own => error.for_open_inference(),
        };
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.map(|_| Body::from(body))
    }
}

#[cfg(test)]
mod tests {
    use super::Surface;

    #[test]
    fn a_path_belongs_to_the_protocol_of_its_first_part() {
        for (path, surface) in [
            ("/v1", Surface::OpenAi),
            ("/v1/models", Surface::OpenAi),
            ("/v1/messages", Surface::Anthropic),
            ("/v1/messages/count_tokens", Surface::Anthropic),
            ("/v1/messagesx", Surface::OpenAi),
            ("/v2", Surface::OpenInference),
            ("/v2/", Surface::OpenInference),
            ("/v2/models/x/infer", Surface::OpenInference),
            ("/openai/deployments/x/embeddings", Surface::OpenAi),
            ("/openai.json", Surface::Own),
            ("/v22", Surface::Own),
            ("/", Surface::Own),
            ("/infer", Surface::Own),
            ("*", Surface::Own),
        ] {
            assert_eq!(Surface::of(path), surface, "{path}");
        }
    }

    #[test]
    fn a_head_that_is_none_still_says_what_it_is_about() {
        for (start, surface) in [
            (
                "POST /v2/models/x/infer HTTP/1.1\r\nhost: a",
                Surface::OpenInference,
            ),
            ("GET /v2?x HTTP/9.9\r\n", Surface::OpenInference),
            (
                "GET http://localhost/v2/health/live HTTP/1.1",
                Surface::OpenInference,
            ),
            ("GET http://localhost HTTP/1.1", Surface::Own),
            ("GET /v1/models\r\n", Surface::OpenAi),
            ("GET /infer?a=://x/v2/ HTTP/1.1", Surface::Own),
            ("GET", Surface::Own),
            ("", Surface::Own),
            ("\0\0\0 /v2", Surface::OpenInference),
            ("\r\nGET /v2", Surface::Own),
        ] {
            assert_eq!(Surface::of_head(start.as_bytes()), surface, "{start:?}");
        }
    }
}
