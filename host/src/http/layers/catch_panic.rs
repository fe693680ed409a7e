//! The net under everything: a handler that panics costs its own request and no other.

use crate::http::error::ApiError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a part of a request. A panic becomes a 500, with the panic's text in the log only.
pub(super) fn catch<T>(part: impl FnOnce() -> T) -> Result<T, ApiError> {
    catch_unwind(AssertUnwindSafe(part))
        .map_err(|panic| ApiError::internal(format!("panic: {}", text_of(&*panic))))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "without a text"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::http::error::LogDetail;
    use axum::response::IntoResponse as _;
    use http::StatusCode;

    #[tokio::test]
    async fn a_panic_becomes_a_500_and_its_text_stays_inside() {
        let secret = "the secret reason";
        let caught: Result<(), _> = catch(|| panic!("{secret}"));
        let response = caught.unwrap_err().into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let LogDetail(detail) = response.extensions().get().cloned().unwrap();
        assert!(detail.contains("the secret reason"));
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(
            body.contains("internal_error") && !body.contains("secret"),
            "{body}"
        );
    }
}
