//! Turns the head of a request into values that prove a check was made.

use super::context::context_of;
use super::error::ApiError;
use crate::auth::{Authorized, Right};
use crate::inference::RequestContext;
use crate::limits::{Admission, Admitted, TokenAdmission};
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::convert::Infallible;

impl<S: Sync, R: Right> FromRequestParts<S> for Authorized<R> {
    type Rejection = ApiError;

    /// Taken from the head, so a caller without the right costs no body. A handler that no
    /// authentication stands before serves nobody.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let context = context_of(&parts.extensions);
        let caller = context.caller().cloned();
        let caller = caller
            .ok_or_else(|| ApiError::internal("a route without the authentication before it"))?;
        Ok(Self::check(caller)?)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(context_of(&parts.extensions))
    }
}

impl<S: Sync> FromRequestParts<S> for Admission {
    type Rejection = ApiError;

    /// The admission of a request that has been counted, for routes whose policy counts one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match context_of(&parts.extensions).take_admitted() {
            Some(Admitted::Request(admission)) => Ok(admission),
            Some(Admitted::Tokens(_) | Admitted::Opening) | None => Err(ApiError::internal(
                "a route that takes no tokens and whose policy does not say so",
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for TokenAdmission {
    type Rejection = ApiError;

    /// The admission of a request that is counted with its tokens, for routes whose policy says
    /// so.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match context_of(&parts.extensions).take_admitted() {
            Some(Admitted::Tokens(admission)) => Ok(admission),
            Some(Admitted::Request(_) | Admitted::Opening) | None => Err(ApiError::internal(
                "a route that takes tokens and whose policy does not say so",
            )),
        }
    }
}

/// The parameters of the query; unknown ones are refused by the types themselves.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|_| {
                ApiError::invalid_request(
                    "invalid_query",
                    "A query parameter is unknown or has a value that it cannot have; \
                     GET /openapi.json lists them.",
                )
            })
    }
}

/// The parameters of the path. What does not fit a name is simply not there.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|_| ApiError::unknown_route())
    }
}
