//! Answers as JSON, written straight into the body's buffer.
//!
//! JSON has no word for a number that is NaN or infinite. An answer with one is refused with the
//! names of the formats that keep it: `null` would be read back as another number, and nobody
//! would be told.

use super::{Answer, Form, FormatError, check_nesting};
use crate::http::json::write_string;
use belljar_sandbox::tensor::{ElementBytes, datatype_name, element_count, elements};
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

/// A tensor as one value, where it has one element, or as a list.
pub(super) fn value(tensor: &Tensor) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    let is_one = element_count(&tensor.shape) == Some(1);
    if is_one {
        list(&mut out, tensor, &mut elements(tensor))?;
    } else {
        out.push(b'[');
        list(&mut out, tensor, &mut elements(tensor))?;
        out.push(b']');
    }
    Ok(out)
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
                if value.is_finite() {
                    let mut buffer = zmij::Buffer::new();
                    out.extend_from_slice(buffer.format_finite(*value).as_bytes());
                } else {
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
fn list<'a>(
    out: &mut Vec<u8>,
    tensor: &Tensor,
    elements: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<(), FormatError> {
    macro_rules! integers {
        ($type:ty) => {{
            let mut buffer = itoa::Buffer::new();
            let mut list = NumberList::new(out);
            for bytes in elements {
                let bytes = bytes.first_chunk().copied().unwrap_or_default();
                list.push(buffer.format(<$type>::from_le_bytes(bytes)).as_bytes());
            }
            list.end();
        }};
    }
    macro_rules! floats {
        ($read:expr) => {{
            let mut buffer = zmij::Buffer::new();
            let mut all_finite = true;
            let mut list = NumberList::new(out);
            for bytes in elements {
                let value = $read(bytes.first_chunk().copied().unwrap_or_default());
                if value.is_finite() {
                    list.push(buffer.format_finite(value).as_bytes());
                } else {
                    all_finite = false;
                }
            }
            list.end();
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
    elements: &mut impl Iterator<Item = &'a [u8]>,
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

/// Writes numbers with commas between them. Numbers are short, and to hand each to the vector
/// costs more than to work it out: they are gathered in a block first.
struct NumberList<'o> {
    out: &'o mut Vec<u8>,
    block: [u8; BLOCK_BYTES],
    used: usize,
}

const BLOCK_BYTES: usize = 4 << 10;

impl<'o> NumberList<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            block: [0; BLOCK_BYTES],
            used: 0,
        }
    }

    /// Adds a number and a comma.
    #[inline]
    fn push(&mut self, number: &[u8]) {
        if number.len() >= BLOCK_BYTES - self.used {
            self.flush();
        }
        if let Some(room) = self.block.get_mut(self.used..)
            && let Some((room, after)) = room.split_at_mut_checked(number.len())
            && let Some(comma) = after.first_mut()
        {
            copy_short(room, number);
            *comma = b',';
            self.used += number.len() + 1;
        }
    }

    /// Writes what is left, without the last comma.
    fn end(mut self) {
        self.used = self.used.saturating_sub(1);
        self.flush();
    }

    fn flush(&mut self) {
        self.out
            .extend_from_slice(self.block.get(..self.used).unwrap_or_default());
        self.used = 0;
    }
}

/// Copies one slice to another of the same length, in two moves that may overlap.
#[inline]
fn copy_short(to: &mut [u8], from: &[u8]) {
    macro_rules! ends {
        ($bytes:literal) => {
            if let (Some(first), Some(last)) = (
                from.first_chunk::<$bytes>().copied(),
                from.last_chunk::<$bytes>().copied(),
            ) && from.len() <= 2 * $bytes
            {
                if let Some(to) = to.first_chunk_mut::<$bytes>() {
                    *to = first;
                }
                if let Some(to) = to.last_chunk_mut::<$bytes>() {
                    *to = last;
                }
                return;
            }
        };
    }
    ends!(8);
    ends!(4);
    to.copy_from_slice(from);
}
