//! Checks a request's tensors against what the model says it takes, before a sandbox is made.

use super::{FormatError, Input, TensorRequest};
use belljar_sandbox::tensor::datatype_name;
use belljar_sandbox::wit::tensors::{MetadataInfo, Request, Tensor, TensorInfo};
use belljar_sandbox::{CheckedRequest, TensorError, TensorFault};

/// Turns what was read into the request that the model gets.
///
/// A datatype that the caller did not name is the model's, where the model declares one.
pub(crate) fn fit(
    inference: TensorRequest,
    metadata: Option<&MetadataInfo>,
) -> Result<CheckedRequest, FormatError> {
    let declared = metadata
        .map(|metadata| metadata.inputs.as_slice())
        .unwrap_or_default();
    if inference.inputs.is_empty() && !declared.is_empty() {
        return Err(FormatError::invalid("inputs".to_owned(), "has no tensors"));
    }
    let mut inputs = Vec::with_capacity(inference.inputs.len());
    for input in inference.inputs {
        let info = declared.iter().find(|info| info.name == input.name);
        if info.is_none() && !declared.is_empty() {
            let names = list(declared.iter().map(|info| info.name.as_str()));
            let message = format!("the model has no such input; it takes {names}");
            return Err(FormatError::invalid(place(&input.name), message));
        }
        inputs.push(tensor(input, info)?);
    }
    if let Some(missing) = declared
        .iter()
        .find(|info| !inputs.iter().any(|input| input.name == info.name))
    {
        return Err(FormatError::invalid(
            place(&missing.name),
            "the model needs this input",
        ));
    }
    let outputs: Vec<String> = inference
        .outputs
        .into_iter()
        .map(|output| output.name)
        .collect();
    if let Some(metadata) = metadata
        && !metadata.outputs.is_empty()
        && let Some(unknown) = outputs
            .iter()
            .position(|name| !metadata.outputs.iter().any(|info| info.name == *name))
    {
        let names = list(metadata.outputs.iter().map(|info| info.name.as_str()));
        let message = format!("the model has no such output; it gives {names}");
        return Err(FormatError::invalid(format!("outputs[{unknown}]"), message));
    }
    CheckedRequest::new(Request {
        inputs,
        outputs,
        parameters: inference.parameters,
    })
    .map_err(broken_rule)
}

/// The rule that a request's tensors break, at the place of the tensor.
fn broken_rule(error: TensorError) -> FormatError {
    match error {
        TensorError::TooMany { .. } => FormatError::invalid("inputs".to_owned(), error.to_string()),
        TensorError::Duplicate { name } => {
            FormatError::invalid(place(&name), "two tensors have this name")
        }
        // A name that is none is no place either.
        TensorError::Tensor {
            fault: fault @ TensorFault::Name,
            ..
        } => FormatError::invalid("inputs".to_owned(), format!("a tensor {fault}")),
        TensorError::Tensor { name, fault } => {
            FormatError::invalid(place(&name), fault.to_string())
        }
    }
}

fn tensor(input: Input, info: Option<&TensorInfo>) -> Result<Tensor, FormatError> {
    let Input {
        name,
        shape,
        elements,
        ..
    } = input;
    let datatype = match info {
        Some(info) if elements.is_declared() && info.datatype != elements.datatype() => {
            let (found, wanted) = (
                datatype_name(elements.datatype()),
                datatype_name(info.datatype),
            );
            let message = format!("is {found}, and the model takes {wanted}");
            return Err(FormatError::invalid(place(&name), message));
        }
        Some(info) => info.datatype,
        None => elements.datatype(),
    };
    if let Some(info) = info
        && !shape_fits(&shape, &info.shape)
    {
        let message = format!(
            "has the shape {shape:?}, and the model takes {:?}",
            info.shape
        );
        return Err(FormatError::invalid(place(&name), message));
    }
    let data = elements.into_datatype(datatype).map_err(|(index, why)| {
        FormatError::invalid(format!("{}{}", place(&name), position(index, &shape)), why)
    })?;
    Ok(Tensor {
        name,
        datatype,
        shape,
        data,
    })
}

/// Whether each dimension is what the model declares; -1 takes any.
fn shape_fits(shape: &[u64], declared: &[i64]) -> bool {
    shape.len() == declared.len()
        && shape
            .iter()
            .zip(declared)
            .all(|(found, declared)| *declared == -1 || u64::try_from(*declared) == Ok(*found))
}

fn place(name: &str) -> String {
    let end = name.floor_char_boundary(64);
    format!("inputs.{}", name.get(..end).unwrap_or_default())
}

/// The indices of an element, for example `[1][2]`.
fn position(mut index: u64, shape: &[u64]) -> String {
    let mut indices = Vec::with_capacity(shape.len());
    for length in shape.iter().rev() {
        let length = (*length).max(1);
        indices.push(index % length);
        index /= length;
    }
    indices
        .iter()
        .rev()
        .map(|index| format!("[{index}]"))
        .collect()
}

/// Names, quoted and joined; at most sixteen of them.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .take(16)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
