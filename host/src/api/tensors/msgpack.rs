//! msgpack: the same shapes as JSON, with tensors as raw bytes where the caller likes, and
//! the way in which msgpack-numpy packs arrays.

use super::{Answer, Form, FormatError, TensorRequest, check_nesting, read};
use belljar_sandbox::tensor::{ElementBytes, datatype_name, elements};
use belljar_sandbox::wit::tensors::{Datatype, Tensor};
use belljar_sandbox::wit::types::Value;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use std::cell::RefCell;
use std::io::Cursor;

/// How deep a body may nest: sixteen dimensions and the objects around them.
const DEPTH_MAX: usize = 32;

/// Reads one request.
pub(super) fn read(body: &[u8]) -> Result<TensorRequest, FormatError> {
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(body));
    deserializer.set_max_depth(DEPTH_MAX);
    let inference = read::any(&mut deserializer, |error| {
        FormatError::invalid(None, describe(&error))
    })?;
    if u64::try_from(body.len()) != Ok(deserializer.position()) {
        return Err(FormatError::invalid(
            None,
            "bytes follow the end of the msgpack body",
        ));
    }
    Ok(inference)
}

/// Words a failure without the content that the library's own text can hold.
fn describe(error: &rmp_serde::decode::Error) -> &'static str {
    use rmp_serde::decode::Error;
    match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "the msgpack body is cut off",
        Error::DepthLimitExceeded => "the msgpack body nests too deeply",
        Error::TypeMismatch(_) | Error::OutOfRange | Error::LengthMismatch(_) => {
            "the msgpack body is malformed"
        }
        Error::Utf8Error(_) => "a string in the msgpack body is not UTF-8",
        Error::Uncategorized(_) | Error::Syntax(_) => {
            "the msgpack body is not an object with `inputs`"
        }
    }
}

/// Writes one answer.
pub(super) fn write(answer: &Answer<'_>) -> Result<Vec<u8>, FormatError> {
    if answer.form == Form::Nested {
        answer.response.outputs.iter().try_for_each(check_nesting)?;
    }
    // A guest's answer is bounded by its budget, so this cannot fail for want of room; what
    // is left is lengths past 4 GiB.
    rmp_serde::to_vec_named(&Body(answer))
        .map_err(|_| FormatError::not_representable("the answer is too large for msgpack"))
}

struct Body<'a>(&'a Answer<'a>);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(answer) = self;
        let oip = answer.form == Form::Oip;
        let parameters = &answer.response.parameters;
        let length = 3 + usize::from(answer.id.is_some()) + usize::from(!parameters.is_empty());
        let mut map = serializer.serialize_map(Some(length))?;
        map.serialize_entry(if oip { "model_name" } else { "model" }, answer.model)?;
        map.serialize_entry(
            if oip { "model_version" } else { "version" },
            answer.version,
        )?;
        if let Some(id) = answer.id {
            map.serialize_entry("id", id)?;
        }
        if oip {
            map.serialize_entry("outputs", &List(&answer.response.outputs))?;
        } else {
            map.serialize_entry("outputs", &Named(&answer.response.outputs, answer.form))?;
        }
        if !parameters.is_empty() {
            map.serialize_entry("parameters", &Parameters(answer))?;
        }
        map.end()
    }
}

struct Parameters<'a>(&'a Answer<'a>);

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parameters = &self.0.response.parameters;
        let mut map = serializer.serialize_map(Some(parameters.len()))?;
        for parameter in parameters {
            match &parameter.value {
                Value::Boolean(value) => map.serialize_entry(&parameter.name, value)?,
                Value::Integer(value) => map.serialize_entry(&parameter.name, value)?,
                Value::Number(value) => map.serialize_entry(&parameter.name, value)?,
                Value::Text(value) => map.serialize_entry(&parameter.name, value)?,
            }
        }
        map.end()
    }
}

/// The outputs by name.
struct Named<'a>(&'a [Tensor], Form);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for tensor in self.0 {
            match (self.1, numpy_type(tensor.datatype)) {
                (Form::Nested, _) => {
                    let elements = RefCell::new(elements(tensor));
                    let (shape, datatype) = (&tensor.shape, tensor.datatype);
                    let nested = Nested {
                        shape,
                        datatype,
                        elements: &elements,
                    };
                    map.serialize_entry(&tensor.name, &nested)?;
                }
                (Form::Numpy, Some(kind)) => {
                    map.serialize_entry(&tensor.name, &Numpy(tensor, kind))?
                }
                _ => map.serialize_entry(&tensor.name, &Explicit(tensor, false))?,
            }
        }
        map.end()
    }
}

/// The outputs as the Open Inference Protocol lists them, their data as raw bytes.
struct List<'a>(&'a [Tensor]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|tensor| Explicit(tensor, true)))
    }
}

/// A tensor that says what it is.
struct Explicit<'a>(&'a Tensor, bool);

impl Serialize for Explicit<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tensor, named) = self;
        let mut map = serializer.serialize_map(Some(3 + usize::from(*named)))?;
        if *named {
            map.serialize_entry("name", &tensor.name)?;
        }
        map.serialize_entry("datatype", datatype_name(tensor.datatype))?;
        map.serialize_entry("shape", &tensor.shape)?;
        map.serialize_entry("data", &Bytes(&tensor.data))?;
        map.end()
    }
}

/// An array as msgpack-numpy unpacks it: its keys are bytes.
struct Numpy<'a>(&'a Tensor, &'static str);

impl Serialize for Numpy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tensor, kind) = self;
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry(&Bytes(b"nd"), &true)?;
        map.serialize_entry(&Bytes(b"type"), kind)?;
        map.serialize_entry(&Bytes(b"kind"), &Bytes(b""))?;
        map.serialize_entry(&Bytes(b"shape"), &tensor.shape)?;
        map.serialize_entry(&Bytes(b"data"), &Bytes(&tensor.data))?;
        map.end()
    }
}

/// The NumPy type string of a datatype; none where NumPy has no such type.
fn numpy_type(datatype: Datatype) -> Option<&'static str> {
    Some(match datatype {
        Datatype::Boolean => "|b1",
        Datatype::Uint8 => "|u1",
        Datatype::Uint16 => "<u2",
        Datatype::Uint32 => "<u4",
        Datatype::Uint64 => "<u8",
        Datatype::Int8 => "|i1",
        Datatype::Int16 => "<i2",
        Datatype::Int32 => "<i4",
        Datatype::Int64 => "<i8",
        Datatype::Fp16 => "<f2",
        Datatype::Fp32 => "<f4",
        Datatype::Fp64 => "<f8",
        Datatype::Bf16 | Datatype::Bytes => return None,
    })
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// What is left of a tensor's shape, as nested lists of the elements to come.
struct Nested<'a> {
    shape: &'a [u64],
    datatype: Datatype,
    elements: &'a RefCell<ElementBytes<'a>>,
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            shape,
            datatype,
            elements,
        } = *self;
        let Some((length, shape)) = shape.split_first() else {
            let bytes = elements.borrow_mut().next().unwrap_or_default();
            return element(datatype, bytes, serializer);
        };
        let mut list = serializer.serialize_seq(usize::try_from(*length).ok())?;
        for _ in 0..*length {
            list.serialize_element(&Nested {
                shape,
                datatype,
                elements,
            })?;
        }
        list.end()
    }
}

fn element<S: Serializer>(
    datatype: Datatype,
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    macro_rules! number {
        ($type:ty, $serialize:ident) => {{
            let bytes = bytes.first_chunk().copied().unwrap_or_default();
            serializer.$serialize(<$type>::from_le_bytes(bytes))
        }};
    }
    match datatype {
        Datatype::Boolean => {
            serializer.serialize_bool(bytes.first().is_some_and(|byte| *byte != 0))
        }
        Datatype::Uint8 => number!(u8, serialize_u8),
        Datatype::Uint16 => number!(u16, serialize_u16),
        Datatype::Uint32 => number!(u32, serialize_u32),
        Datatype::Uint64 => number!(u64, serialize_u64),
        Datatype::Int8 => number!(i8, serialize_i8),
        Datatype::Int16 => number!(i16, serialize_i16),
        Datatype::Int32 => number!(i32, serialize_i32),
        Datatype::Int64 => number!(i64, serialize_i64),
        Datatype::Fp16 => {
            let bytes = bytes.first_chunk().copied().unwrap_or_default();
            serializer.serialize_f32(half::f16::from_le_bytes(bytes).to_f32())
        }
        Datatype::Bf16 => {
            let bytes = bytes.first_chunk().copied().unwrap_or_default();
            serializer.serialize_f32(half::bf16::from_le_bytes(bytes).to_f32())
        }
        Datatype::Fp32 => number!(f32, serialize_f32),
        Datatype::Fp64 => number!(f64, serialize_f64),
        Datatype::Bytes => match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_bytes(bytes),
        },
    }
}
