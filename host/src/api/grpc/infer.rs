//! `ModelInfer`: one request to a tensor model, and its answer.

use super::wire::inference::ModelInferResponse;
use crate::api::tensors::infer::{self, Asked, NamedRequest};
use crate::api::tensors::{TensorRequest, grpc};
use crate::auth::{Authorized, Infer};
use crate::http::HttpState;
use crate::http::body::{Limits, Message, Messages};
use crate::http::error::ApiError;
use crate::http::grpc::Reply;
use crate::http::workers;
use crate::inference::{Answered, RequestContext};
use crate::limits::Admission;
use axum::extract::{FromRef as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_sandbox::wit::tensors;

pub(super) async fn infer(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: Admission,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let message = Messages::of(&head, body, Limits::from_ref(&state))?;
    let message = message.only().await?;
    let bytes = message.len();
    let read = move || {
        let (model, request, bytes) = read(message)?;
        let asked = Asked::of(&request);
        Ok::<_, ApiError>((NamedRequest::new(model, request, bytes), asked))
    };
    let ran = infer::run(&state, &caller, admission, &context, bytes, read).await?;
    let bytes = ran.0.bytes();
    let written = workers::run(bytes, move || Reply(write(ran)).into_response());
    Ok(written.await)
}

/// The model, the request to it, and how many bytes that had.
pub(super) fn read(message: Message) -> Result<(String, TensorRequest, usize), ApiError> {
    let message = message.unpack()?;
    let mut request = TensorRequest::from_call(&message)?;
    let model = request.model.take().unwrap_or_default();
    Ok((model, request, message.len()))
}

/// The answer of a run.
pub(super) fn write((answered, asked): (Answered<tensors::Response>, Asked)) -> ModelInferResponse {
    let Answered { model, answer } = answered;
    grpc::write(infer::names(&model), asked.id.as_deref(), answer)
}
