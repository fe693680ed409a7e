//! Turns the head of a request into values that prove a check was made.

use super::error::ApiError;
use super::layers::{Authenticated, Record};
use crate::auth::{Caller, Scope};
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A caller who has the right `R`. Taken from the head, so a caller without it costs no body.
pub(crate) struct May<R> {
    pub(crate) caller: Caller,
    right: PhantomData<R>,
}

/// A right that a handler asks for.
pub(crate) trait Right {
    const SCOPE: Scope;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident => $scope:ident),* $(,)?) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Right for $name {
            const SCOPE: Scope = Scope::$scope;
        }
    )*};
}

rights! {
    /// To run models.
    Infer => Infer,
    /// To list models and read their state.
    ReadModels => ModelsRead,
    /// To upload, activate and remove models.
    WriteModels => ModelsWrite,
    /// To manage keys and read the configuration.
    Administer => Admin,
}

impl<S: Sync, R: Right> FromRequestParts<S> for May<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        caller.require(R::SCOPE)?;
        Ok(Self {
            caller,
            right: PhantomData,
        })
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

/// The notes on a request whose head has been taken apart.
pub(crate) fn record_of(parts: &Parts) -> Record {
    parts.extensions.get().cloned().unwrap_or_default()
}
