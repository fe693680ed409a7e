//! A request that asks what its run's fuel goes for, and is answered with that in place of its
//! answer: `?profile=svg` (or `true`) for a flame graph, `?profile=folded` for the stacks as text.

use crate::auth::{Caller, Denied, Scope};
use crate::flame::Folded;
use crate::http::error::ApiError;
use crate::http::own_headers::X_BELLJAR_STATUS;
use crate::http::policy::RoutePolicy;
use crate::inference::RequestContext;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use belljar_sandbox::Profiler;
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::future::Future;

/// How the question begins in a query.
const QUERY: &str = "profile=";

/// A URI without the question.
fn without_question(uri: &Uri) -> Uri {
    let query = uri.query().unwrap_or_default().split('&');
    let others: Vec<&str> = query.filter(|pair| !pair.starts_with(QUERY)).collect();
    let others = others.join("&");
    let path_and_query = match others.is_empty() {
        true => uri.path().parse(),
        false => format!("{}?{others}", uri.path()).parse(),
    };
    let mut parts = uri.clone().into_parts();
    if let Ok(path_and_query) = path_and_query {
        parts.path_and_query = Some(path_and_query);
    }
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// The form of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Svg,
    Folded,
}

/// A profile that is to be made.
pub(super) struct Profiled {
    form: Form,
    profiler: Profiler,
    context: RequestContext,
}

impl Profiled {
    /// None for a request that asks for none, and on routes that run no model. The handler sees
    /// nothing of the question.
    pub(super) fn asked(
        request: &mut Request,
        policy: RoutePolicy,
        context: &RequestContext,
    ) -> Option<Result<Self, ApiError>> {
        let value = request
            .uri()
            .query()?
            .split('&')
            .find_map(|pair| pair.strip_prefix(QUERY))
            .filter(|_| policy.is_for_runs())?;
        let profiled = Self::permitted(value, context);
        *request.uri_mut() = without_question(request.uri());
        Some(profiled)
    }

    fn permitted(value: &str, context: &RequestContext) -> Result<Self, ApiError> {
        let form = match value {
            "true" | "svg" => Form::Svg,
            "folded" => Form::Folded,
            _ => {
                return Err(ApiError::invalid_argument(
                    "profile",
                    "the form of a profile is `svg` or `folded`",
                ));
            }
        };
        let scope = Scope::ModelsWrite;
        let caller = context.caller();
        let permit = caller.map_or(Err(Denied::Scope(scope)), |caller: &Caller| {
            caller.require(scope)
        });
        permit.map_err(ApiError::from)?;
        Ok(Self {
            form,
            profiler: context.profile(),
            context: context.clone(),
        })
    }

    /// The profile of what makes an answer.
    pub(super) fn of<F>(self, answering: F) -> BoxFuture<'static, Result<Response, Infallible>>
    where
        F: Future<Output = Result<Response, Infallible>> + Send + 'static,
    {
        Box::pin(async move {
            let (head, mut body) = answering.await?.into_parts();
            let mut kept = Body::empty();
            if self.context.cost().is_none() {
                // Nothing has run: the request is wrong, and its answer says how.
                kept = body;
            } else {
                // A stream runs as far as it is read.
                while let Some(Ok(_)) = body.frame().await {}
            }
            let folded = Folded::of(&self.profiler.profile());
            if folded.fuel() == 0 {
                return Ok(Response::from_parts(head, kept));
            }
            let answer = self.written(&folded, head.status);
            Ok(answer.unwrap_or_else(|error| error.into_response()))
        })
    }

    fn written(&self, folded: &Folded, status: StatusCode) -> Result<Response, ApiError> {
        let (kind, bytes) = match self.form {
            Form::Folded => ("text/plain; charset=utf-8", folded.text().into_bytes()),
            Form::Svg => {
                let model = self.context.model().map_or("", |model| model);
                let title = format!("{model}: {} fuel", folded.fuel());
                let svg = folded.svg(&title);
                let svg = svg.map_err(|error| ApiError::internal(error.to_string()))?;
                ("image/svg+xml", svg)
            }
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (X_BELLJAR_STATUS, HeaderValue::from(status.as_u16())),
        ];
        Ok((headers, bytes).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_taken_out_of_the_query_and_nothing_else() {
        for (asked, left) in [
            ("/infer?profile=svg", "/infer"),
            ("/x?a=1&profile=svg&b=2", "/x?a=1&b=2"),
            ("http://h:1/x?profile=true&a", "http://h:1/x?a"),
            ("/x?my_profile=1", "/x?my_profile=1"),
        ] {
            assert_eq!(without_question(&Uri::from_static(asked)), left);
        }
    }
}
