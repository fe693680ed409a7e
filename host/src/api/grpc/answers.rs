//! The answers of a stream, each a message with its length before it.

use super::wire::inference::{ModelInferResponse, ModelStreamInferResponse};
use crate::api::tensors::grpc::option;
use crate::http::error::ErrorText;
use crate::http::grpc::frame;
use belljar_sandbox::wit::types::Value;
use bytes::Bytes;
use tonic::Code;

/// The option of an answer that says whether it is the last one to its request.
const FINAL_RESPONSE: &str = "triton_final_response";

/// The option with our own code of what went wrong.
const CODE: &str = "belljar_code";

/// One answer of a stream.
pub(super) fn one(mut answer: ModelInferResponse, is_final: bool) -> Bytes {
    let value = option(Value::Boolean(is_final));
    answer.parameters.insert(FINAL_RESPONSE.to_owned(), value);
    let mut out = Vec::new();
    let infer_response = Some(answer);
    frame(
        &ModelStreamInferResponse {
            error_message: String::new(),
            infer_response,
        },
        &mut out,
    );
    out.into()
}

/// What went wrong with one request.
pub(super) fn refused(error: Option<&ErrorText>, id: Option<&str>) -> Bytes {
    let (_, code, message) = error.map_or((Code::Unknown, "", ""), ErrorText::for_grpc);
    let mut answer = ModelInferResponse {
        id: id.unwrap_or_default().to_owned(),
        ..ModelInferResponse::default()
    };
    let code = option(Value::Text(code.to_owned()));
    answer.parameters.insert(CODE.to_owned(), code);
    let mut out = Vec::new();
    frame(
        &ModelStreamInferResponse {
            error_message: message.to_owned(),
            infer_response: Some(answer),
        },
        &mut out,
    );
    out.into()
}
