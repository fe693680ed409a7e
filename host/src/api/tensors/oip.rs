//! The Open Inference Protocol: its binary tensor extension on the way in, and both of its
//! ways out.

use super::{Answer, Elements, FormatError, TensorRequest, Written, json};
use crate::http::json::write_string;

/// The header of the binary extension, in the spelling that HTTP/2 demands.
pub(crate) const OIP_HEADER_LENGTH_HEADER: &str = "inference-header-content-length";

/// The same as a header name.
pub(crate) const HEADER_LENGTH: http::HeaderName =
    http::HeaderName::from_static(OIP_HEADER_LENGTH_HEADER);

/// Gives each binary tensor its bytes from the tail of the body, in the order of the tensors.
pub(super) fn attach(
    inference: &mut TensorRequest,
    tail: Option<&[u8]>,
) -> Result<(), FormatError> {
    let mut rest = tail.unwrap_or_default();
    for input in &mut inference.inputs {
        let Some(wanted) = input.binary_bytes else {
            continue;
        };
        let place = format!("inputs.{}", input.name);
        if tail.is_none() {
            let message = format!(
                "says that its data is binary, and the request has no `{OIP_HEADER_LENGTH_HEADER}` header"
            );
            return Err(FormatError::invalid(place, message));
        }
        let split = usize::try_from(wanted)
            .ok()
            .and_then(|wanted| rest.split_at_checked(wanted));
        let Some((data, others)) = split else {
            let left = rest.len();
            let message = format!("wants {wanted} bytes of binary data, and {left} are left");
            return Err(FormatError::invalid(place, message));
        };
        rest = others;
        input.elements = Elements::raw(input.elements.datatype(), data.to_vec());
    }
    if !rest.is_empty() {
        let message = format!("{} bytes of binary data belong to no tensor", rest.len());
        return Err(FormatError::invalid(None, message));
    }
    Ok(())
}

/// Writes the answer as JSON, with the data of each output in it but for those that were asked for
/// as binary.
pub(super) fn write_json(answer: &Answer<'_>) -> Result<Written, FormatError> {
    let Frame {
        body,
        json_bytes,
        has_binary,
    } = write(answer, false)?;
    Ok(Written {
        body,
        json_bytes: has_binary.then_some(json_bytes),
    })
}

/// Writes the answer for a caller who takes no plain JSON: every output is binary, but for those
/// that were refused it. Without any it is framed all the same.
pub(super) fn write_binary(answer: &Answer<'_>) -> Result<Written, FormatError> {
    let Frame {
        body, json_bytes, ..
    } = write(answer, true)?;
    Ok(Written {
        body,
        json_bytes: Some(json_bytes),
    })
}

/// JSON with the tensors that belong to it behind it.
struct Frame {
    body: Vec<u8>,
    json_bytes: usize,
    /// Whether any tensor is binary, be it one of no bytes.
    has_binary: bool,
}

fn write(answer: &Answer<'_>, binary_by_default: bool) -> Result<Frame, FormatError> {
    let mut out = Vec::with_capacity(json::capacity(answer));
    out.extend_from_slice(b"{\"model_name\":");
    write_string(&mut out, answer.model);
    out.extend_from_slice(b",\"model_version\":");
    write_string(&mut out, answer.version);
    if let Some(id) = answer.id {
        out.extend_from_slice(b",\"id\":");
        write_string(&mut out, id);
    }
    json::parameters(&mut out, &answer.response.parameters)?;
    out.extend_from_slice(b",\"outputs\":[");
    let mut tail: Vec<&[u8]> = Vec::new();
    for (index, tensor) in answer.response.outputs.iter().enumerate() {
        out.extend_from_slice(if index > 0 {
            b",{\"name\":"
        } else {
            b"{\"name\":"
        });
        write_string(&mut out, &tensor.name);
        out.push(b',');
        json::description(&mut out, tensor);
        if answer.is_binary(&tensor.name, binary_by_default) {
            out.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
            let mut buffer = itoa::Buffer::new();
            out.extend_from_slice(buffer.format(tensor.data.len()).as_bytes());
            out.push(b'}');
            tail.push(&tensor.data);
        } else {
            json::data(&mut out, tensor)?;
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    let json_bytes = out.len();
    let has_binary = !tail.is_empty();
    tail.into_iter()
        .for_each(|data| out.extend_from_slice(data));
    Ok(Frame {
        body: out,
        json_bytes,
        has_binary,
    })
}
