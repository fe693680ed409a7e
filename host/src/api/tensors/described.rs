//! Requests and answers for tensors in JSON, as they are described: they are read and written by
//! hand, so that numbers go straight from the body into buffers and back.

#![expect(dead_code, reason = "only their descriptions are used")]

use serde_json::Value;
use std::collections::HashMap;
use utoipa::ToSchema;

/// A request in either of its two forms: tensors by name, or the list of the Open Inference
/// Protocol.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum InferRequest {
    Named(NamedInferRequest),
    Listed(OpenInferenceRequest),
}

/// Tensors by name.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedInferRequest {
    /// `name`, or `name@version`, where nothing else names the model.
    model: Option<String>,
    id: Option<String>,
    /// Each as nested lists, whose lengths are its shape, or as an object that says what it is.
    inputs: HashMap<String, NamedTensor>,
    outputs: Option<Vec<WantedTensor>>,
    parameters: Option<HashMap<String, InferOption>>,
}

/// Nested lists of numbers, booleans or strings, one of these, or an explicit tensor.
#[derive(ToSchema)]
#[serde(untagged)]
enum NamedTensor {
    Explicit(ExplicitTensor),
    Nested(Vec<Value>),
    Number(f64),
    Boolean(bool),
    Text(String),
}

/// A tensor that says what it is.
#[derive(ToSchema)]
struct ExplicitTensor {
    /// `BOOL`, `UINT8` to `UINT64`, `INT8` to `INT64`, `FP16`, `BF16`, `FP32`, `FP64` or `BYTES`.
    datatype: String,
    shape: Option<Vec<u64>>,
    /// Flat, or nested in its shape.
    data: Value,
}

/// A request of the Open Inference Protocol.
#[derive(ToSchema)]
pub(crate) struct OpenInferenceRequest {
    id: Option<String>,
    inputs: Vec<OpenInferenceInput>,
    outputs: Option<Vec<WantedTensor>>,
    parameters: Option<HashMap<String, InferOption>>,
}

/// One input of the Open Inference Protocol.
#[derive(ToSchema)]
struct OpenInferenceInput {
    name: String,
    /// As in `ExplicitTensor`.
    datatype: String,
    shape: Vec<u64>,
    /// `binary_data_size` where the data follows the JSON.
    parameters: Option<HashMap<String, InferOption>>,
    /// Flat, or nested in its shape.
    data: Option<Value>,
}

/// An output that is wanted: its name, or an object with it.
#[derive(ToSchema)]
#[serde(untagged)]
enum WantedTensor {
    Name(String),
    Object(WantedTensorObject),
}

#[derive(ToSchema)]
struct WantedTensorObject {
    name: String,
    /// `binary_data` says whether it is to follow the JSON.
    parameters: Option<HashMap<String, InferOption>>,
}

/// A plain value, or null, which is as if it were not there.
#[derive(ToSchema)]
#[serde(untagged)]
enum InferOption {
    Boolean(Option<bool>),
    Number(f64),
    Text(String),
}

/// An answer, in the form of its request.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum InferResponse {
    Named(NamedInferResponse),
    Listed(OpenInferenceResponse),
}

#[derive(ToSchema)]
pub(crate) struct NamedInferResponse {
    model: String,
    version: String,
    id: Option<String>,
    /// As nested lists, or as explicit tensors where the request had one.
    outputs: HashMap<String, Value>,
    parameters: Option<HashMap<String, Value>>,
}

#[derive(ToSchema)]
pub(crate) struct OpenInferenceResponse {
    model_name: String,
    model_version: String,
    id: Option<String>,
    outputs: Vec<OpenInferenceOutput>,
    parameters: Option<HashMap<String, Value>>,
}

/// One output: with its data, or with `binary_data_size` in its parameters.
#[derive(ToSchema)]
struct OpenInferenceOutput {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    parameters: Option<HashMap<String, Value>>,
    data: Option<Vec<Value>>,
}
