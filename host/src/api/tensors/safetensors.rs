//! The safetensors format: a JSON header and the raw bytes of each tensor.
//!
//! The model's name, the request's id and plain options travel in `__metadata__`, which holds
//! strings only.

use super::{Answer, Elements, Form, FormatError, Input, TensorRequest};
use belljar_sandbox::tensor::{TENSOR_DIMENSIONS_MAX, TENSORS_MAX, datatype_name};
use belljar_sandbox::wit::tensors::{Datatype, Tensor};
use belljar_sandbox::wit::types::{Parameter, Value};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError, View};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Reads one request.
pub(super) fn read(body: &[u8]) -> Result<TensorRequest, FormatError> {
    let (_, header) = SafeTensors::read_metadata(body).map_err(|error| invalid(&error))?;
    let tensors = SafeTensors::deserialize(body).map_err(|error| invalid(&error))?;
    check_names(body)?;
    if tensors.len() > TENSORS_MAX {
        return Err(FormatError::invalid(
            None,
            format!("more than {TENSORS_MAX} tensors"),
        ));
    }
    let mut inference = TensorRequest {
        form: Form::Explicit,
        ..TensorRequest::default()
    };
    for (name, view) in tensors.iter() {
        let Some(datatype) = from_dtype(view.dtype()) else {
            let message = "has a dtype that no datatype of the server matches";
            return Err(FormatError::invalid(format!("inputs.{name}"), message));
        };
        if view.shape().len() > TENSOR_DIMENSIONS_MAX {
            let message = format!("more than {} dimensions", TENSOR_DIMENSIONS_MAX);
            return Err(FormatError::invalid(format!("inputs.{name}"), message));
        }
        let shape = view
            .shape()
            .iter()
            .map(|length| u64::try_from(*length).unwrap_or(u64::MAX));
        inference.inputs.push(Input {
            name: name.to_owned(),
            shape: shape.collect(),
            elements: Elements::raw(datatype, view.data().to_vec()),
            binary_bytes: None,
        });
    }
    // The format keeps no order of its own; one that does not change between two equal
    // requests is owed to the model.
    inference
        .inputs
        .sort_unstable_by(|one, other| one.name.cmp(&other.name));
    for (name, value) in header.metadata().clone().unwrap_or_default() {
        match name.as_str() {
            "model" => inference.model = Some(value),
            "id" => inference.id = Some(value),
            // Written by the library in Python; says which framework made the tensors.
            "format" => {}
            _ => inference.parameters.push(Parameter {
                name,
                value: Value::Text(value),
            }),
        }
    }
    inference
        .parameters
        .sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(inference)
}

/// Refuses a name that comes twice, of a tensor or of an option: the library keeps the last one,
/// and other readers may keep the first.
fn check_names(body: &[u8]) -> Result<(), FormatError> {
    const LENGTH_BYTES: usize = 8;
    let header = body
        .split_first_chunk::<LENGTH_BYTES>()
        .and_then(|(length, rest)| {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            rest.get(..length)
        });
    match serde_json::from_slice::<Unique>(header.unwrap_or_default()) {
        Ok(Unique) => Ok(()),
        Err(_) => {
            let message = "a name is in the safetensors header twice";
            Err(FormatError::invalid(None, message))
        }
    }
}

/// Any JSON in which no object, at any depth, has one key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without keys that come twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("a key comes twice"));
            }
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}

/// Words a failure without the content that the library's own text can hold.
fn invalid(error: &SafeTensorError) -> FormatError {
    let message = match error {
        SafeTensorError::HeaderTooSmall | SafeTensorError::HeaderTooLarge => {
            "the length at the front is not that of a safetensors header"
        }
        SafeTensorError::InvalidHeader(_) | SafeTensorError::InvalidHeaderDeserialization(_) => {
            "the header is not the JSON of a safetensors header"
        }
        SafeTensorError::InvalidHeaderLength | SafeTensorError::MetadataIncompleteBuffer => {
            "the body is cut off, or longer than its header says"
        }
        SafeTensorError::InvalidOffset(_) => "the offsets of a tensor overlap or leave a gap",
        SafeTensorError::TensorInvalidInfo
        | SafeTensorError::InvalidTensorView(..)
        | SafeTensorError::MisalignedSlice => {
            "a tensor's bytes are not as many as its shape and dtype say"
        }
        SafeTensorError::ValidationOverflow => "a tensor is larger than can be counted",
        _ => "the body is not in the safetensors format",
    };
    FormatError::invalid(None, message)
}

/// Writes one answer.
pub(super) fn write(answer: &Answer<'_>) -> Result<Vec<u8>, FormatError> {
    let mut tensors = Vec::with_capacity(answer.response.outputs.len());
    for output in &answer.response.outputs {
        let Some(dtype) = to_dtype(output.datatype) else {
            return Err(FormatError::not_representable(format!(
                "output `{}` is {}, which safetensors cannot carry; ask for application/json, \
                 application/octet-stream or application/msgpack",
                output.name,
                datatype_name(output.datatype),
            )));
        };
        tensors.push((
            output.name.as_str(),
            Output {
                dtype,
                tensor: output,
                shape: shape(output)?,
            },
        ));
    }
    let mut metadata = HashMap::new();
    metadata.insert(
        "model".to_owned(),
        format!("{}@{}", answer.model, answer.version),
    );
    if let Some(id) = answer.id {
        metadata.insert("id".to_owned(), id.to_owned());
    }
    for Parameter { name, value } in &answer.response.parameters {
        let value = match value {
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Text(value) => value.clone(),
        };
        metadata.insert(name.clone(), value);
    }
    safetensors::serialize(tensors, Some(metadata))
        .map_err(|_| FormatError::not_representable("the answer does not fit safetensors"))
}

fn shape(tensor: &Tensor) -> Result<Vec<usize>, FormatError> {
    tensor
        .shape
        .iter()
        .map(|length| usize::try_from(*length))
        .collect::<Result<_, _>>()
        .map_err(|_| FormatError::not_representable("a dimension is too large"))
}

/// An output as the library wants to see it: without a copy.
struct Output<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    tensor: &'a Tensor,
}

impl View for Output<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.tensor.data)
    }

    fn data_len(&self) -> usize {
        self.tensor.data.len()
    }
}

fn from_dtype(dtype: Dtype) -> Option<Datatype> {
    Some(match dtype {
        Dtype::BOOL => Datatype::Boolean,
        Dtype::U8 => Datatype::Uint8,
        Dtype::U16 => Datatype::Uint16,
        Dtype::U32 => Datatype::Uint32,
        Dtype::U64 => Datatype::Uint64,
        Dtype::I8 => Datatype::Int8,
        Dtype::I16 => Datatype::Int16,
        Dtype::I32 => Datatype::Int32,
        Dtype::I64 => Datatype::Int64,
        Dtype::F16 => Datatype::Fp16,
        Dtype::BF16 => Datatype::Bf16,
        Dtype::F32 => Datatype::Fp32,
        Dtype::F64 => Datatype::Fp64,
        // Packed floats of eight bits and fewer, complex numbers, and what is added later.
        _ => return None,
    })
}

fn to_dtype(datatype: Datatype) -> Option<Dtype> {
    Some(match datatype {
        Datatype::Boolean => Dtype::BOOL,
        Datatype::Uint8 => Dtype::U8,
        Datatype::Uint16 => Dtype::U16,
        Datatype::Uint32 => Dtype::U32,
        Datatype::Uint64 => Dtype::U64,
        Datatype::Int8 => Dtype::I8,
        Datatype::Int16 => Dtype::I16,
        Datatype::Int32 => Dtype::I32,
        Datatype::Int64 => Dtype::I64,
        Datatype::Fp16 => Dtype::F16,
        Datatype::Bf16 => Dtype::BF16,
        Datatype::Fp32 => Dtype::F32,
        Datatype::Fp64 => Dtype::F64,
        Datatype::Bytes => return None,
    })
}
