//! Named tensors in each format that crosses the wire, and the way from them to the plain
//! types of the contract with guests.
//!
//! Reading goes straight from the bytes of the body into little-endian buffers: a tree of
//! `serde_json::Value`s would cost about thirty bytes a number. Nothing here trusts a length
//! or a shape that a caller wrote: buffers grow with what was really read.

mod elements;
mod fit;
pub(crate) mod infer;
mod json;
mod msgpack;
mod negotiate;
mod oip;
mod pickle;
mod read;
mod safetensors;

pub(crate) use negotiate::{BodyFormat, Format, UnsupportedBody, accepted, body_format};
pub(crate) use oip::{HEADER_LENGTH, OIP_HEADER_LENGTH_HEADER};

use crate::http::error::ApiError;
use crate::http::policy::Routes;
use belljar_sandbox::wit::{tensors, types};
use elements::Elements;
use tensors::Datatype;

pub(super) fn routes() -> Routes {
    infer::routes()
}

/// Dimensions of one tensor. The contract with guests allows no more.
const DIMENSIONS_MAX: usize = 16;

/// Tensors of one request. More names than this are no model's inputs.
const TENSORS_MAX: usize = 1_024;

/// Why a body of tensors is refused, or cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TensorError {
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

impl From<TensorError> for ApiError {
    fn from(error: TensorError) -> Self {
        match error {
            TensorError::Invalid { param, message } => Self::invalid_argument_at(param, message),
            TensorError::NotRepresentable { message } => Self::not_acceptable(message),
        }
    }
}

impl TensorError {
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
    pub(crate) binary_outputs: bool,
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

/// One output that the caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedOutput {
    pub(crate) name: String,
    pub(crate) binary: Option<bool>,
}

impl TensorRequest {
    /// Reads a JSON body, with the tail of binary tensors where `tail` is given.
    pub(crate) fn from_json(body: &[u8], tail: Option<&[u8]>) -> Result<Self, TensorError> {
        let mut inference = read::json(body)?;
        oip::attach(&mut inference, tail)?;
        Ok(inference)
    }

    /// Reads a msgpack body.
    pub(crate) fn from_msgpack(body: &[u8]) -> Result<Self, TensorError> {
        let mut inference = msgpack::read(body)?;
        oip::attach(&mut inference, None)?;
        Ok(inference)
    }

    /// Reads a body in the safetensors format.
    pub(crate) fn from_safetensors(body: &[u8]) -> Result<Self, TensorError> {
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
    pub(crate) binary_outputs: bool,
}

/// A written answer.
pub(crate) struct Written {
    pub(crate) body: Vec<u8>,
    /// Of the binary extension: how many bytes at the front are JSON.
    pub(crate) json_bytes: Option<usize>,
}

impl Answer<'_> {
    /// Writes the answer in `format`.
    pub(crate) fn write(&self, format: Format) -> Result<Written, TensorError> {
        let plain = |body| Written {
            body,
            json_bytes: None,
        };
        match format {
            Format::Json if self.form == Form::Oip => oip::write_json(self),
            Format::Json => json::write(self).map(plain),
            Format::OipBinary => oip::write_binary(self),
            Format::Msgpack => msgpack::write(self).map(plain),
            Format::Safetensors => safetensors::write(self).map(plain),
        }
    }
}

/// The name that the Open Inference Protocol gives a datatype.
pub(crate) fn datatype_name(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Boolean => "BOOL",
        Datatype::Uint8 => "UINT8",
        Datatype::Uint16 => "UINT16",
        Datatype::Uint32 => "UINT32",
        Datatype::Uint64 => "UINT64",
        Datatype::Int8 => "INT8",
        Datatype::Int16 => "INT16",
        Datatype::Int32 => "INT32",
        Datatype::Int64 => "INT64",
        Datatype::Fp16 => "FP16",
        Datatype::Bf16 => "BF16",
        Datatype::Fp32 => "FP32",
        Datatype::Fp64 => "FP64",
        Datatype::Bytes => "BYTES",
    }
}

const DATATYPES: [Datatype; 14] = [
    Datatype::Boolean,
    Datatype::Uint8,
    Datatype::Uint16,
    Datatype::Uint32,
    Datatype::Uint64,
    Datatype::Int8,
    Datatype::Int16,
    Datatype::Int32,
    Datatype::Int64,
    Datatype::Fp16,
    Datatype::Bf16,
    Datatype::Fp32,
    Datatype::Fp64,
    Datatype::Bytes,
];

fn datatype_from_name(name: &str) -> Option<Datatype> {
    DATATYPES
        .into_iter()
        .find(|datatype| datatype_name(*datatype) == name)
}

/// Bytes of one element; none where elements differ in length.
fn element_bytes(datatype: Datatype) -> Option<usize> {
    match datatype {
        Datatype::Boolean | Datatype::Uint8 | Datatype::Int8 => Some(1),
        Datatype::Uint16 | Datatype::Int16 | Datatype::Fp16 | Datatype::Bf16 => Some(2),
        Datatype::Uint32 | Datatype::Int32 | Datatype::Fp32 => Some(4),
        Datatype::Uint64 | Datatype::Int64 | Datatype::Fp64 => Some(8),
        Datatype::Bytes => None,
    }
}

/// The number of elements of a shape; none where it does not fit.
fn elements_of(shape: &[u64]) -> Option<u64> {
    shape
        .iter()
        .try_fold(1_u64, |product, dimension| product.checked_mul(*dimension))
}

/// The bytes of each element of a tensor, in order.
fn elements(tensor: &tensors::Tensor) -> ElementBytes<'_> {
    let size = element_bytes(tensor.datatype);
    ElementBytes {
        rest: &tensor.data,
        size,
    }
}

/// See [`elements`].
struct ElementBytes<'a> {
    rest: &'a [u8],
    size: Option<usize>,
}

impl<'a> Iterator for ElementBytes<'a> {
    type Item = &'a [u8];

    /// The next element. Ends early where the framing of strings is broken, which the check of
    /// each tensor has ruled out.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let size = match self.size {
            Some(size) => size,
            None => {
                let (length, tail) = self.rest.split_first_chunk::<4>()?;
                self.rest = tail;
                usize::try_from(u32::from_le_bytes(*length)).ok()?
            }
        };
        let (element, tail) = self.rest.split_at_checked(size)?;
        self.rest = tail;
        Some(element)
    }
}

/// How many strings the bytes of a `BYTES` tensor hold; none where the framing is broken.
fn count_strings(data: &[u8]) -> Option<u64> {
    let mut elements = ElementBytes {
        rest: data,
        size: None,
    };
    let count = elements.by_ref().count();
    elements
        .rest
        .is_empty()
        .then(|| u64::try_from(count).ok())
        .flatten()
}

/// Empty lists that one answer may be written as.
const EMPTY_LISTS_MAX: u64 = 10_000;

/// Refuses a shape such as `[4000000000, 0]`: without one element in it, it would be written
/// as four billion empty lists.
fn check_nesting(tensor: &tensors::Tensor) -> Result<(), TensorError> {
    if elements_of(&tensor.shape) != Some(0) {
        return Ok(());
    }
    let lists = tensor.shape.iter().take_while(|length| **length != 0);
    match lists.copied().try_fold(1_u64, u64::checked_mul) {
        Some(lists) if lists <= EMPTY_LISTS_MAX => Ok(()),
        _ => Err(TensorError::not_representable(format!(
            "output `{}` has no elements and a shape of too many empty lists",
            tensor.name
        ))),
    }
}

#[cfg(test)]
mod tests;
