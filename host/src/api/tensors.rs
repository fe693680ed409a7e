//! Named tensors in each format that crosses the wire, and the way from them to the plain
//! types of the contract with guests.
//!
//! Reading goes straight from the bytes of the body into little-endian buffers: a tree of
//! `serde_json::Value`s would cost about thirty bytes a number. Nothing here trusts a length
//! or a shape that a caller wrote: buffers grow with what was really read.

pub(crate) mod described;
mod elements;
mod fit;
pub(crate) mod grpc;
pub(crate) mod infer;
mod json;
mod msgpack;
mod negotiate;
mod oip;
mod pickle;
mod read;
mod safetensors;

pub(crate) use negotiate::{BodyFormat, Format, UnsupportedBody, accepted, allows, body_format};
pub(crate) use oip::{HEADER_LENGTH, OIP_HEADER_LENGTH_HEADER};

use crate::http::error::ApiError;
use crate::http::policy::Routes;
use belljar_sandbox::tensor::element_count;
use belljar_sandbox::wit::{tensors, types};
use elements::Elements;

pub(super) fn routes() -> Routes {
    infer::routes()
}

/// Why a body of tensors is refused, or cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    /// The caller's tensors are wrong.
    #[error("{message}")]
    Invalid {
        /// The place in the request, for example `inputs.x[1][2]`.
        param: Option<String>,
        /// What is wrong there; holds none of the content.
        message: String,
    },
    /// The answer has no form in the format that the caller asked for.
    #[error("{message}")]
    NotRepresentable {
        /// Which output, and which formats can hold it.
        message: String,
    },
}

impl From<FormatError> for ApiError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Invalid { param, message } => Self::invalid_argument_at(param, message),
            FormatError::NotRepresentable { message } => Self::not_acceptable(message),
        }
    }
}

impl FormatError {
    fn invalid(param: impl Into<Option<String>>, message: impl Into<String>) -> Self {
        Self::Invalid {
            param: param.into(),
            message: message.into(),
        }
    }

    fn not_representable(message: impl Into<String>) -> Self {
        Self::NotRepresentable {
            message: message.into(),
        }
    }
}

/// How the caller wrote the request; the answer is written alike unless `Accept` says other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"x":[[1,2],[3,4]]}`: the nesting is the shape.
    #[default]
    Nested,
    /// `{"x":{"datatype":"FP32","shape":[2],"data":[1,2]}}`.
    Explicit,
    /// `{"x":{"nd":true,"type":"<f4","shape":[2],"data":…}}`, as msgpack-numpy packs arrays.
    Numpy,
    /// The Open Inference Protocol: a list of tensors that have names.
    Oip,
}

/// A request for one inference, as read from any format.
#[derive(Debug, Default)]
pub(crate) struct TensorRequest {
    /// The model, where the body names one.
    pub(crate) model: Option<String>,
    /// The caller's own name for the request, given back in the answer.
    pub(crate) id: Option<String>,
    /// The tensors, in the order of the body.
    pub(crate) inputs: Vec<Input>,
    /// The outputs the caller wants; empty for all.
    pub(crate) outputs: Vec<WantedOutput>,
    /// Options that are the model's to read.
    pub(crate) parameters: Vec<types::Parameter>,
    /// How it was written.
    pub(crate) form: Form,
    /// Whether outputs are wanted as binary where they do not say themselves.
    pub(crate) binary_outputs: Option<bool>,
}

/// One tensor of a request.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) elements: Elements,
    /// For a tensor of the binary extension: how many bytes of the body's tail are its own.
    pub(crate) binary_bytes: Option<u64>,
}

impl Input {
    /// Its name, and its elements as JSON: one value, where there is one element, or a list.
    pub(crate) fn into_json(self) -> Result<(String, Vec<u8>), FormatError> {
        let request = fit::fit(
            TensorRequest {
                inputs: vec![self],
                ..TensorRequest::default()
            },
            None,
        )?;
        let tensors = request.into_request().inputs;
        let Some(tensor) = tensors.into_iter().next() else {
            return Err(FormatError::invalid("inputs".to_owned(), "has no tensors"));
        };
        let json = json::value(&tensor).map_err(|_| {
            let place = format!("inputs.{}", tensor.name);
            FormatError::invalid(place, "holds what is no text, or no number")
        })?;
        Ok((tensor.name, json))
    }
}

/// One output that the caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedOutput {
    pub(crate) name: String,
    pub(crate) binary: Option<bool>,
}

impl TensorRequest {
    /// Reads a JSON body, with the tail of binary tensors where `tail` is given.
    pub(crate) fn from_json(body: &[u8], tail: Option<&[u8]>) -> Result<Self, FormatError> {
        let mut inference = read::json(body)?;
        oip::attach(&mut inference, tail)?;
        Ok(inference)
    }

    /// Reads a msgpack body.
    pub(crate) fn from_msgpack(body: &[u8]) -> Result<Self, FormatError> {
        let mut inference = msgpack::read(body)?;
        oip::attach(&mut inference, None)?;
        Ok(inference)
    }

    /// Reads the message of a call of gRPC, which names its model.
    pub(crate) fn from_call(message: &[u8]) -> Result<Self, FormatError> {
        grpc::read(message)
    }

    /// Reads a body in the safetensors format.
    pub(crate) fn from_safetensors(body: &[u8]) -> Result<Self, FormatError> {
        safetensors::read(body)
    }
}

/// An answer, with what it takes to write it.
pub(crate) struct Answer<'a> {
    pub(crate) model: &'a str,
    pub(crate) version: &'a str,
    pub(crate) id: Option<&'a str>,
    pub(crate) response: &'a tensors::Response,
    pub(crate) form: Form,
    /// The outputs wanted, for their `binary` marks.
    pub(crate) wanted: &'a [WantedOutput],
    /// Whether outputs are wanted as binary where they do not say themselves.
    pub(crate) binary_outputs: Option<bool>,
    /// Whether the caller takes binary tensors behind JSON.
    pub(crate) binary_allowed: bool,
}

/// A written answer.
pub(crate) struct Written {
    pub(crate) body: Vec<u8>,
    /// Of the binary extension: how many bytes at the front are JSON.
    pub(crate) json_bytes: Option<usize>,
}

impl Answer<'_> {
    /// Whether an output is to come as binary: by its own mark, else by the request's, else by
    /// what `unless_said` says.
    fn is_binary(&self, output: &str, unless_said: bool) -> bool {
        let marked = self.wanted.iter().find(|wanted| wanted.name == output);
        let said = marked.and_then(|wanted| wanted.binary);
        self.binary_allowed && said.or(self.binary_outputs).unwrap_or(unless_said)
    }

    /// Whether any output is asked for as binary: our own form has no room for one.
    fn has_binary(&self) -> bool {
        let outputs = self.response.outputs.iter();
        outputs
            .map(|output| output.name.as_str())
            .any(|name| self.is_binary(name, false))
    }

    /// Writes the answer in `format`.
    pub(crate) fn write(&self, format: Format) -> Result<Written, FormatError> {
        let plain = |body| Written {
            body,
            json_bytes: None,
        };
        match format {
            Format::Json if self.form == Form::Oip || self.has_binary() => oip::write_json(self),
            Format::Json => json::write(self).map(plain),
            Format::OipBinary => oip::write_binary(self),
            Format::Msgpack => msgpack::write(self).map(plain),
            Format::Safetensors => safetensors::write(self).map(plain),
        }
    }
}

/// Empty lists that one answer may be written as.
const EMPTY_LISTS_MAX: u64 = 10_000;

/// Refuses a shape such as `[4000000000, 0]`: without one element in it, it would be written
/// as four billion empty lists.
fn check_nesting(tensor: &tensors::Tensor) -> Result<(), FormatError> {
    if element_count(&tensor.shape) != Some(0) {
        return Ok(());
    }
    let lists = tensor.shape.iter().take_while(|length| **length != 0);
    match lists.copied().try_fold(1_u64, u64::checked_mul) {
        Some(lists) if lists <= EMPTY_LISTS_MAX => Ok(()),
        _ => Err(FormatError::not_representable(format!(
            "output `{}` has no elements and a shape of too many empty lists",
            tensor.name
        ))),
    }
}

#[cfg(test)]
mod tests;
