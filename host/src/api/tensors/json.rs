//! Answers as JSON, written straight into the body's buffer.
//!
//! JSON has no word for a number that is NaN or infinite. An answer with one is refused with the
//! names of the formats that keep it: `null` would be read back as another number, and nobody
//! would be told.

use super::{Answer, Form, FormatError, check_nesting};
use crate::http::json::write_string;
use belljar_sandbox::tensor::{ElementBytes, datatype_name, elements};
use belljar_sandbox::wit::tensors::{Datatype, Tensor};
use belljar_sandbox::wit::types::{Parameter, Value};

/// Writes an answer in our own form.
pub(super) fn write(answer: &Answer<'_>) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::with_capacity(capacity(answer));
    out.extend_from_slice(b"{\"model\":");
    write_string(&mut out, answer.model);
    out.extend_from_slice(b",\"version\":");
    write_string(&mut out, answer.version);
    if let Some(id) = answer.id {
        out.extend_from_slice(b",\"id\":");
        write_string(&mut out, id);
    }
    out.extend_from_slice(b",\"outputs\":{");
    for (index, tensor) in answer.response.outputs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(&mut out, &tensor.name);
        out.push(b':');
        if answer.form == Form::Nested {
            check_nesting(tensor)?;
            nest(&mut out, &tensor.shape, tensor, &mut elements(tensor))?;
        } else {
            out.push(b'{');
            description(&mut out, tensor);
            data(&mut out, tensor)?;
            out.push(b'}');
        }
    }
    out.push(b'}');
    parameters(&mut out, &answer.response.parameters)?;
    out.push(b'}');
    Ok(out)
}

/// Room for the body: numbers are longer as text than as bytes.
pub(super) fn capacity(answer: &Answer<'_>) -> usize {
    let data = answer
        .response
        .outputs
        .iter()
        .map(|output| output.data.len())
        .sum::<usize>();
    256 + data.saturating_mul(3)
}

/// Writes `"datatype":…,"shape":[…]`.
pub(super) fn description(out: &mut Vec<u8>, tensor: &Tensor) {
    out.extend_from_slice(b"\"datatype\":\"");
    out.extend_from_slice(datatype_name(tensor.datatype).as_bytes());
    out.extend_from_slice(b"\",\"shape\":[");
    let mut buffer = itoa::Buffer::new();
    for (index, dimension) in tensor.shape.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(buffer.format(*dimension).as_bytes());
    }
    out.push(b']');
}

/// Writes `,"data":[…]`, flat and row-major.
pub(super) fn data(out: &mut Vec<u8>, tensor: &Tensor) -> Result<(), FormatError> {
    out.extend_from_slice(b",\"data\":[");
    list(out, tensor, &mut elements(tensor))?;
    out.push(b']');
    Ok(())
}

/// Writes `,"parameters":{…}`, or nothing where there are none.
pub(super) fn parameters(out: &mut Vec<u8>, parameters: &[Parameter]) -> Result<(), FormatError> {
    if parameters.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(b",\"parameters\":{");
    for (index, parameter) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, &parameter.name);
        out.push(b':');
        match &parameter.value {
            Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Integer(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes());
            }
            Value::Number(value) => {
                if !float(out, &mut zmij::Buffer::new(), *value) {
                    return Err(FormatError::not_representable(format!(
                        "parameter `{}` of the answer is NaN or infinite, which JSON cannot carry; \
                         ask for application/msgpack",
                        parameter.name
                    )));
                }
            }
            Value::Text(value) => write_string(out, value),
        }
    }
    out.push(b'}');
    Ok(())
}

fn nest(
    out: &mut Vec<u8>,
    shape: &[u64],
    tensor: &Tensor,
    elements: &mut ElementBytes<'_>,
) -> Result<(), FormatError> {
    match shape {
        [] => list(out, tensor, &mut elements.take(1)),
        [length] => {
            out.push(b'[');
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            list(out, tensor, &mut elements.by_ref().take(length))?;
            out.push(b']');
            Ok(())
        }
        [length, inner @ ..] => {
            out.push(b'[');
            for index in 0..*length {
                if index > 0 {
                    out.push(b',');
                }
                nest(out, inner, tensor, elements)?;
            }
            out.push(b']');
            Ok(())
        }
    }
}

/// Writes elements with commas between them. The datatype is looked at once, not per element.
fn list(
    out: &mut Vec<u8>,
    tensor: &Tensor,
    elements: &mut dyn Iterator<Item = &[u8]>,
) -> Result<(), FormatError> {
    macro_rules! integers {
        ($type:ty) => {{
            let mut buffer = itoa::Buffer::new();
            separated(out, elements, |out, bytes| {
                let bytes = bytes.first_chunk().copied().unwrap_or_default();
                let number = <$type>::from_le_bytes(bytes);
                out.extend_from_slice(buffer.format(number).as_bytes());
            });
        }};
    }
    macro_rules! floats {
        ($read:expr) => {{
            let mut buffer = zmij::Buffer::new();
            let mut all_finite = true;
            separated(out, elements, |out, bytes| {
                let bytes = bytes.first_chunk().copied().unwrap_or_default();
                all_finite &= float(out, &mut buffer, $read(bytes));
            });
            if !all_finite {
                return Err(FormatError::not_representable(format!(
                    "output `{}` holds numbers that are NaN or infinite, which JSON cannot carry; ask \
                     for it as binary (`binary_data` of the Open Inference Protocol), or for \
                     application/msgpack or application/vnd.safetensors",
                    tensor.name
                )));
            }
        }};
    }
    match tensor.datatype {
        Datatype::Boolean => separated(out, elements, |out, bytes| {
            let truth = bytes.first().is_some_and(|byte| *byte != 0);
            out.extend_from_slice(if truth { b"true" } else { b"false" });
        }),
        Datatype::Uint8 => integers!(u8),
        Datatype::Uint16 => integers!(u16),
        Datatype::Uint32 => integers!(u32),
        Datatype::Uint64 => integers!(u64),
        Datatype::Int8 => integers!(i8),
        Datatype::Int16 => integers!(i16),
        Datatype::Int32 => integers!(i32),
        Datatype::Int64 => integers!(i64),
        Datatype::Fp16 => floats!(|bytes| half::f16::from_le_bytes(bytes).to_f32()),
        Datatype::Bf16 => floats!(|bytes| half::bf16::from_le_bytes(bytes).to_f32()),
        Datatype::Fp32 => floats!(f32::from_le_bytes),
        Datatype::Fp64 => floats!(f64::from_le_bytes),
        Datatype::Bytes => {
            let mut all_text = true;
            separated(out, elements, |out, bytes| {
                match std::str::from_utf8(bytes) {
                    Ok(text) => write_string(out, text),
                    Err(_) => all_text = false,
                }
            });
            if !all_text {
                return Err(FormatError::not_representable(format!(
                    "output `{}` holds strings that are not UTF-8, which JSON cannot carry; ask for \
                     application/octet-stream or application/msgpack",
                    tensor.name
                )));
            }
        }
    }
    Ok(())
}

#[inline]
fn separated<'a>(
    out: &mut Vec<u8>,
    elements: &mut dyn Iterator<Item = &'a [u8]>,
    mut write: impl FnMut(&mut Vec<u8>, &'a [u8]),
) {
    let mut first = true;
    for bytes in elements {
        if !first {
            out.push(b',');
        }
        first = false;
        write(out, bytes);
    }
}

/// Writes a number; false where JSON has none for it.
#[inline]
fn float<F: zmij::Float + Into<f64> + Copy>(
    out: &mut Vec<u8>,
    buffer: &mut zmij::Buffer,
    value: F,
) -> bool {
    let is_finite = value.into().is_finite();
    if is_finite {
        out.extend_from_slice(buffer.format_finite(value).as_bytes());
    }
    is_finite
}
