//! `ModelInferRequest` and `ModelInferResponse` of the Open Inference Protocol's gRPC side (see
//! `host/proto/inference.proto`).
//!
//! Requests are read where they lie, straight into the buffers of the tensors, and so cost what
//! tensors cost; answers have their data as raw bytes.

mod fields;

use super::elements::Number;
use super::{Elements, Form, FormatError, Input, TensorRequest, WantedOutput};
use crate::api::grpc::wire::inference as wire;
use belljar_sandbox::tensor::{
    TENSOR_DIMENSIONS_MAX, TENSORS_MAX, datatype_name, datatype_named, datatype_names,
    element_count,
};
use belljar_sandbox::wit::tensors::{Datatype, Response};
use belljar_sandbox::wit::types::{Parameter, Value};
use fields::{Fields, Malformed, Value as Field};

/// Options of one request. More than this is no option list.
const PARAMETERS_MAX: usize = 256;

/// Options that name memory which the caller shares with its server.
const SHARED_MEMORY: &str = "shared_memory_region";

impl From<Malformed> for FormatError {
    fn from(_: Malformed) -> Self {
        Self::invalid(
            None,
            "the message is not in the format of ModelInferRequest",
        )
    }
}

/// Reads one request.
pub(super) fn read(message: &[u8]) -> Result<TensorRequest, FormatError> {
    let mut request = TensorRequest {
        form: Form::Oip,
        ..TensorRequest::default()
    };
    let (mut model, mut version) = ("", "");
    let mut raw: Vec<&[u8]> = Vec::new();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => model = value.text()?,
            2 => version = value.text()?,
            3 => {
                request.id = Some(value.text()?)
                    .filter(|id| !id.is_empty())
                    .map(str::to_owned)
            }
            4 => parameter(value.bytes()?, &mut request.parameters)?,
            5 => {
                more(request.inputs.len(), "inputs")?;
                request.inputs.push(input(value.bytes()?)?);
            }
            6 => {
                more(request.outputs.len(), "outputs")?;
                request.outputs.push(output(value.bytes()?)?);
            }
            7 => {
                more(raw.len(), "raw_input_contents")?;
                raw.push(value.bytes()?);
            }
            _ => {}
        }
    }
    request.model = match (model, version) {
        ("", _) => return Err(FormatError::invalid("model_name".to_owned(), "is missing")),
        (model, "") => Some(model.to_owned()),
        (model, version) => Some(format!("{model}@{version}")),
    };
    attach(&mut request.inputs, &raw)?;
    Ok(request)
}

fn more(found: usize, what: &str) -> Result<(), FormatError> {
    if found < TENSORS_MAX {
        return Ok(());
    }
    let message = format!("has more than {TENSORS_MAX} items");
    Err(FormatError::invalid(what.to_owned(), message))
}

/// Gives each input its raw bytes. There are as many as inputs, or none.
fn attach(inputs: &mut [Input], raw: &[&[u8]]) -> Result<(), FormatError> {
    if raw.is_empty() {
        return inputs.iter().try_for_each(check_count);
    }
    if raw.len() != inputs.len() {
        let message = format!(
            "has {} items, and there are {} inputs",
            raw.len(),
            inputs.len()
        );
        return Err(FormatError::invalid(
            "raw_input_contents".to_owned(),
            message,
        ));
    }
    for (input, data) in inputs.iter_mut().zip(raw) {
        if input.elements.count() > 0 {
            let message = "has contents, and raw_input_contents are there as well";
            return Err(FormatError::invalid(place(&input.name), message));
        }
        input.elements = Elements::raw(input.elements.datatype(), data.to_vec());
    }
    Ok(())
}

/// Refuses contents that are not as many as the shape says. Raw ones are measured in bytes, where
/// the tensor is checked.
fn check_count(input: &Input) -> Result<(), FormatError> {
    let Input {
        name,
        shape,
        elements,
        ..
    } = input;
    if element_count(shape) == Some(elements.count()) {
        return Ok(());
    }
    let message = format!(
        "has {} elements, and `shape` says {shape:?}",
        elements.count()
    );
    Err(FormatError::invalid(place(name), message))
}

fn input(message: &[u8]) -> Result<Input, FormatError> {
    let (mut name, mut datatype) = ("", "");
    let mut shape = Vec::new();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => name = value.text()?,
            2 => datatype = value.text()?,
            3 => value.varints(|length| dimension(length, &mut shape))?,
            4 => refuse_shared_memory(value.bytes()?)?,
            _ => {}
        }
    }
    let datatype = datatype_named(datatype).ok_or_else(|| {
        let all = datatype_names().collect::<Vec<_>>().join(", ");
        let message = format!("has an unknown datatype; there are {all}");
        FormatError::invalid(place(name), message)
    })?;
    let mut elements = Elements::new(Some(datatype));
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if number == 5 {
            contents(name, datatype, value.bytes()?, &mut elements)?;
        }
    }
    Ok(Input {
        name: name.to_owned(),
        shape,
        elements,
        binary_bytes: None,
    })
}

fn dimension(length: u64, shape: &mut Vec<u64>) -> Result<(), FormatError> {
    let invalid = |message: String| FormatError::invalid("inputs".to_owned(), message);
    if shape.len() >= TENSOR_DIMENSIONS_MAX {
        let message = format!("a shape has more than {TENSOR_DIMENSIONS_MAX} dimensions");
        return Err(invalid(message));
    }
    if length.cast_signed() < 0 {
        return Err(invalid("a shape has a negative dimension".to_owned()));
    }
    shape.push(length);
    Ok(())
}

/// The list that the elements of a datatype stand in, by its number; none where they can only be
/// raw.
fn list_of(datatype: Datatype) -> Option<(u32, &'static str)> {
    Some(match datatype {
        Datatype::Boolean => (1, "bool_contents"),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => (2, "int_contents"),
        Datatype::Int64 => (3, "int64_contents"),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => (4, "uint_contents"),
        Datatype::Uint64 => (5, "uint64_contents"),
        Datatype::Fp32 => (6, "fp32_contents"),
        Datatype::Fp64 => (7, "fp64_contents"),
        Datatype::Bytes => (8, "bytes_contents"),
        Datatype::Fp16 | Datatype::Bf16 => return None,
    })
}

/// Reads `InferTensorContents`.
fn contents(
    name: &str,
    datatype: Datatype,
    message: &[u8],
    elements: &mut Elements,
) -> Result<(), FormatError> {
    let list = list_of(datatype);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if !(1..=8).contains(&number) {
            continue;
        }
        if list.is_none_or(|(own, _)| own != number) {
            let own = list.map_or("raw_input_contents", |(_, own)| own);
            let message = format!(
                "is {}, whose elements stand in {own}",
                datatype_name(datatype)
            );
            return Err(FormatError::invalid(place(name), message));
        }
        let pushed = push(datatype, value, elements);
        pushed.map_err(|unfit| match unfit {
            Unfit::Malformed => FormatError::from(Malformed),
            Unfit::Element(why) => {
                let index = elements.count();
                FormatError::invalid(format!("{}[{index}]", place(name)), why)
            }
        })?;
    }
    Ok(())
}

/// Why an element is refused.
enum Unfit {
    Malformed,
    Element(String),
}

impl From<Malformed> for Unfit {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Adds one element, or a list of them.
fn push(datatype: Datatype, value: Field<'_>, elements: &mut Elements) -> Result<(), Unfit> {
    // The lists of 32 bits keep the lower ones, as all readers do.
    #[expect(clippy::cast_possible_truncation, reason = "keeps the lower bits")]
    let low = |number: u64| number as u32;
    let number =
        |elements: &mut Elements, number| elements.push_number(number).map_err(Unfit::Element);
    match datatype {
        Datatype::Boolean => {
            value.varints(|truth| elements.push_bool(truth != 0).map_err(Unfit::Element))
        }
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => value.varints(|value| {
            let value = i64::from(low(value).cast_signed());
            number(elements, Number::Signed(value))
        }),
        Datatype::Int64 => {
            value.varints(|value| number(elements, Number::Signed(value.cast_signed())))
        }
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => {
            value.varints(|value| number(elements, Number::Unsigned(low(value).into())))
        }
        Datatype::Uint64 => value.varints(|value| number(elements, Number::Unsigned(value))),
        // Little-endian on the wire, as in a tensor.
        Datatype::Fp32 | Datatype::Fp64 => {
            let bytes = match (datatype, &value) {
                (Datatype::Fp32, Field::Fixed32(bytes)) => bytes.as_slice(),
                (Datatype::Fp64, Field::Fixed64(bytes)) => bytes.as_slice(),
                (_, Field::Bytes(bytes)) => *bytes,
                _ => return Err(Unfit::Malformed),
            };
            if elements.extend_raw(datatype, bytes) {
                Ok(())
            } else {
                Err(Unfit::Malformed)
            }
        }
        Datatype::Bytes => elements.push_bytes(value.bytes()?).map_err(Unfit::Element),
        Datatype::Fp16 | Datatype::Bf16 => Err(Unfit::Malformed),
    }
}

fn output(message: &[u8]) -> Result<WantedOutput, FormatError> {
    let mut name = "";
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => name = value.text()?,
            2 => refuse_shared_memory(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(WantedOutput {
        name: name.to_owned(),
        binary: None,
    })
}

/// Options of a tensor say nothing here, but for one that asks for what cannot be.
fn refuse_shared_memory(entry: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::of(entry);
    while let Some((number, value)) = fields.next()? {
        if number == 1 && value.text()? == SHARED_MEMORY {
            let message = "shared memory is not offered: send tensors in the message";
            return Err(FormatError::invalid(SHARED_MEMORY.to_owned(), message));
        }
    }
    Ok(())
}

/// Reads one entry of a map of options.
fn parameter(entry: &[u8], parameters: &mut Vec<Parameter>) -> Result<(), FormatError> {
    let mut name = "";
    let mut value = None;
    let mut fields = Fields::of(entry);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.text()?,
            2 => {
                let mut choices = Fields::of(field.bytes()?);
                while let Some((number, choice)) = choices.next()? {
                    value = Some(plain(number, choice, name)?).or(value);
                }
            }
            _ => {}
        }
    }
    let at = |message: &str| FormatError::invalid("parameters".to_owned(), message);
    let Some(value) = value else {
        // Nothing was chosen: as if it were not there.
        return Ok(());
    };
    if parameters.len() >= PARAMETERS_MAX {
        return Err(at(&format!("has more than {PARAMETERS_MAX} options")));
    }
    if parameters.iter().any(|known| known.name == name) {
        return Err(at("has an option twice"));
    }
    let name = name.to_owned();
    parameters.push(Parameter { name, value });
    Ok(())
}

/// Reads the value of an option.
fn plain(number: u32, choice: Field<'_>, name: &str) -> Result<Value, FormatError> {
    Ok(match (number, choice) {
        (1, Field::Varint(truth)) => Value::Boolean(truth != 0),
        (2, Field::Varint(value)) => Value::Integer(value.cast_signed()),
        (3, text @ Field::Bytes(_)) => Value::Text(text.text()?.to_owned()),
        (4, Field::Fixed64(bytes)) => Value::Number(f64::from_le_bytes(bytes)),
        (5, Field::Varint(value)) => Value::Integer(i64::try_from(value).map_err(|_| {
            let end = name.floor_char_boundary(64);
            let place = format!("parameters.{}", name.get(..end).unwrap_or_default());
            FormatError::invalid(place, "is too large for an integer option")
        })?),
        _ => return Err(Malformed.into()),
    })
}

fn place(name: &str) -> String {
    let end = name.floor_char_boundary(64);
    format!("inputs.{}", name.get(..end).unwrap_or_default())
}

/// Writes one answer. The data of the tensors is not copied.
pub(crate) fn write(
    (model, version): (&str, &str),
    id: Option<&str>,
    response: Response,
) -> wire::ModelInferResponse {
    let Response {
        outputs,
        parameters,
        ..
    } = response;
    let mut answer = wire::ModelInferResponse {
        model_name: model.to_owned(),
        model_version: version.to_owned(),
        id: id.unwrap_or_default().to_owned(),
        ..wire::ModelInferResponse::default()
    };
    for Parameter { name, value } in parameters {
        answer.parameters.insert(name, option(value));
    }
    for tensor in outputs {
        // Longer dimensions than this have no elements, or more than there can be.
        let length = |length| i64::try_from(length).unwrap_or(i64::MAX);
        answer
            .outputs
            .push(wire::model_infer_response::InferOutputTensor {
                name: tensor.name,
                datatype: datatype_name(tensor.datatype).to_owned(),
                shape: tensor.shape.into_iter().map(length).collect(),
                ..Default::default()
            });
        answer.raw_output_contents.push(tensor.data.into());
    }
    answer
}

/// The value of an option on the wire.
pub(crate) fn option(value: Value) -> wire::InferParameter {
    use wire::infer_parameter::ParameterChoice;
    wire::InferParameter {
        parameter_choice: Some(match value {
            Value::Boolean(value) => ParameterChoice::BoolParam(value),
            Value::Integer(value) => ParameterChoice::Int64Param(value),
            Value::Number(value) => ParameterChoice::DoubleParam(value),
            Value::Text(value) => ParameterChoice::StringParam(value),
        }),
    }
}

#[cfg(test)]
mod tests;
