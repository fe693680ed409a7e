//! Reads a request for inference out of JSON or msgpack, in one pass and without a tree.
//!
//! The same visitors serve both formats. What they refuse they leave, with its place, in a
//! [`Stash`], because a `serde` error can only carry text.

mod plain;
mod tensor;
mod walk;

use super::{Form, FormatError, TensorRequest, WantedOutput};
use crate::http::json::describe;
use belljar_sandbox::tensor::TENSORS_MAX;
use belljar_sandbox::wit::types::{Parameter, Value};
use plain::PlainJson;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::fmt;
use tensor::Inputs;

/// Options of one request. More than this is no option list.
const PARAMETERS_MAX: usize = 256;

/// Reads a JSON body.
pub(super) fn json(body: &[u8]) -> Result<TensorRequest, FormatError> {
    plain_json(body).map_or_else(|| any_json(body), Ok)
}

/// Reads a JSON body that is sound and plain.
fn plain_json(body: &[u8]) -> Option<TensorRequest> {
    let stash = Stash::default();
    let mut reader = PlainJson::new(body, &stash.single);
    let request = Body { stash: &stash }.deserialize(&mut reader).ok()?;
    reader.is_at_end().then_some(request)
}

/// Reads any JSON body, and says what is wrong with it.
fn any_json(body: &[u8]) -> Result<TensorRequest, FormatError> {
    let stash = Stash::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Body { stash: &stash }
        .deserialize(&mut deserializer)
        .and_then(|inference| deserializer.end().map(|()| inference));
    read.map_err(|error| stash.take(|| FormatError::invalid(None, describe(&error))))
}

/// Reads one request from any deserializer; `otherwise` words what the visitors did not.
pub(super) fn any<'de, D: Deserializer<'de>>(
    deserializer: D,
    otherwise: impl FnOnce(D::Error) -> FormatError,
) -> Result<TensorRequest, FormatError> {
    let stash = Stash::default();
    Body { stash: &stash }
        .deserialize(deserializer)
        .map_err(|error| stash.take(|| otherwise(error)))
}

/// What visitors and readers tell each other beside the values.
#[derive(Default)]
struct Stash {
    /// Where a visitor leaves the error that it found.
    error: RefCell<Option<FormatError>>,
    /// Whether numbers become `FP32` now. A reader may then save itself the bits beyond that.
    single: Cell<bool>,
}

impl Stash {
    fn fail<E: de::Error>(
        &self,
        param: impl Into<Option<String>>,
        message: impl Into<String>,
    ) -> E {
        self.error
            .replace(Some(FormatError::invalid(param, message)));
        E::custom("refused")
    }

    fn take(&self, otherwise: impl FnOnce() -> FormatError) -> FormatError {
        self.error.take().unwrap_or_else(otherwise)
    }
}

/// A key of a map: text, or bytes as msgpack-numpy writes them.
struct Key(String);

impl<'de> de::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<Key, E> {
                Ok(Key(key.to_owned()))
            }

            fn visit_bytes<E: de::Error>(self, key: &[u8]) -> Result<Key, E> {
                std::str::from_utf8(key)
                    .map(|key| Key(key.to_owned()))
                    .map_err(|_| E::custom("a name is not UTF-8"))
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct Body<'a> {
    stash: &'a Stash,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = TensorRequest;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<TensorRequest, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = TensorRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `inputs`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TensorRequest, A::Error> {
        let stash = self.stash;
        let mut inference = TensorRequest::default();
        let mut seen_inputs = false;
        let mut unknown = None;
        while let Some(Key(key)) = map.next_key()? {
            match key.as_str() {
                "model" if inference.model.is_none() => {
                    inference.model = map.next_value_seed(OptionalText {
                        stash,
                        place: "model",
                    })?;
                }
                "id" if inference.id.is_none() => {
                    inference.id = map.next_value_seed(OptionalText { stash, place: "id" })?;
                }
                "inputs" if !seen_inputs => {
                    seen_inputs = true;
                    let (inputs, form) = map.next_value_seed(Inputs { stash })?;
                    inference.inputs = inputs;
                    inference.form = form;
                }
                "outputs" if inference.outputs.is_empty() => {
                    inference.outputs = map.next_value_seed(Outputs { stash })?;
                }
                "parameters" if inference.parameters.is_empty() => {
                    let options = map.next_value_seed(Options {
                        stash,
                        place: Place::Parameters,
                    })?;
                    inference.parameters = options.parameters;
                    inference.binary_outputs = options.binary_data_output;
                }
                "model" | "id" | "inputs" | "outputs" | "parameters" => {
                    return Err(stash.fail(key, "appears twice"));
                }
                _ => {
                    // What is null is as if it were not there.
                    if !matches!(map.next_value_seed(Plain)?, Scalar::Null) {
                        unknown.get_or_insert(key);
                    }
                }
            }
        }
        if !seen_inputs {
            return Err(stash.fail("inputs".to_owned(), "`inputs` is missing"));
        }
        // Proxies of the Open Inference Protocol add fields of their own; in our own form an
        // unknown field is a slip of the pen that would otherwise pass unseen.
        if let Some(key) = unknown
            && inference.form != Form::Oip
        {
            let known = "`model`, `id`, `inputs`, `outputs` and `parameters`";
            return Err(stash.fail(short(key), format!("unknown field; there are {known}")));
        }
        Ok(inference)
    }
}

/// Cuts a name of the caller's to what is fit to be shown back.
fn short(mut name: String) -> String {
    if name.len() > 64 {
        name.truncate(name.floor_char_boundary(64));
        name.push('…');
    }
    name
}

/// Whether a name or an option holds what no name or option needs and a log or a terminal could
/// take for a command. Strings that are elements of tensors are data and may hold anything.
fn has_control(text: &str) -> bool {
    text.bytes()
        .any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'))
}

/// Text at a fixed place.
struct Text<'a> {
    stash: &'a Stash,
    place: &'a str,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let Self { stash, place } = self;
        let text = OptionalText { stash, place }.deserialize(deserializer)?;
        text.ok_or_else(|| stash.fail(place.to_owned(), "must be a string"))
    }
}

/// Text at a fixed place that may be null, which is no text.
struct OptionalText<'a> {
    stash: &'a Stash,
    place: &'a str,
}

impl<'de> DeserializeSeed<'de> for OptionalText<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        match Plain.deserialize(deserializer)? {
            Scalar::Null => Ok(None),
            Scalar::Plain(Value::Text(text)) if has_control(&text) => Err(self
                .stash
                .fail(self.place.to_owned(), "holds a control character")),
            Scalar::Plain(Value::Text(text)) => Ok(Some(text)),
            Scalar::Plain(_) | Scalar::Nested => {
                Err(self.stash.fail(self.place.to_owned(), "must be a string"))
            }
        }
    }
}

/// One value, kept where it is a plain one.
enum Scalar {
    Null,
    Plain(Value),
    /// A list, an object, or bytes that are no text.
    Nested,
}

/// A seed that reads one value of any kind.
struct Plain;

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Plain(Value::Boolean(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Plain(Value::Integer(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "past the largest integer of the contract"
        )]
        let number = || Value::Number(value as f64);
        let value = i64::try_from(value).map_or_else(|_| number(), Value::Integer);
        Ok(Scalar::Plain(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Plain(Value::Number(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Plain(Value::Text(value.to_owned())))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<Scalar, E> {
        Ok(std::str::from_utf8(value).map_or(Scalar::Nested, |text| {
            Scalar::Plain(Value::Text(text.to_owned()))
        }))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}

/// Where in the request a value stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    Named(&'a str),
    Index(usize),
    Parameters,
    Output(usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "inputs.{}", short((*name).to_owned())),
            Self::Index(index) => write!(f, "inputs[{index}]"),
            Self::Parameters => f.write_str("parameters"),
            Self::Output(index) => write!(f, "outputs[{index}]"),
        }
    }
}

/// The options of a request, a tensor or an output, those of the binary extension apart.
#[derive(Default)]
struct ReadOptions {
    parameters: Vec<Parameter>,
    binary_data_output: Option<bool>,
    binary_data: Option<bool>,
    binary_data_size: Option<u64>,
}

struct Options<'a> {
    stash: &'a Stash,
    place: Place<'a>,
}

impl<'de> DeserializeSeed<'de> for Options<'_> {
    type Value = ReadOptions;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ReadOptions, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Options<'_> {
    type Value = ReadOptions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of plain values")
    }

    fn visit_unit<E: de::Error>(self) -> Result<ReadOptions, E> {
        Ok(ReadOptions::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadOptions, A::Error> {
        let mut options = ReadOptions::default();
        while let Some(Key(name)) = map.next_key()? {
            let place = || format!("{}.{}", self.place, short(name.clone()));
            let value = map.next_value_seed(Plain)?;
            let value = match value {
                // What is null is as if it were not there.
                Scalar::Null => continue,
                Scalar::Plain(value) => Some(value),
                Scalar::Nested => None,
            };
            match (name.as_str(), value) {
                ("binary_data_output", Some(Value::Boolean(wanted))) => {
                    options.binary_data_output = Some(wanted);
                }
                ("binary_data", Some(Value::Boolean(wanted))) => options.binary_data = Some(wanted),
                ("binary_data_size", Some(Value::Integer(size))) if size >= 0 => {
                    options.binary_data_size = u64::try_from(size).ok();
                }
                ("binary_data_output" | "binary_data", _) => {
                    return Err(self.stash.fail(place(), "must be a boolean"));
                }
                ("binary_data_size", _) => {
                    return Err(self.stash.fail(place(), "must be a number of bytes"));
                }
                // Of a text they are removed or refused where it is screened.
                (_, Some(Value::Text(_))) if has_control(&name) => {
                    return Err(self.stash.fail(place(), "holds a control character"));
                }
                (_, Some(value)) if options.parameters.len() < PARAMETERS_MAX => {
                    options.parameters.push(Parameter { name, value });
                }
                (_, Some(_)) => {
                    let message = format!("more than {PARAMETERS_MAX} options");
                    return Err(self.stash.fail(self.place.to_string(), message));
                }
                (_, None) => {
                    let message = "must be a boolean, a number or a string";
                    return Err(self.stash.fail(place(), message));
                }
            }
        }
        Ok(options)
    }
}

struct Outputs<'a> {
    stash: &'a Stash,
}

impl<'de> DeserializeSeed<'de> for Outputs<'_> {
    type Value = Vec<WantedOutput>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Outputs<'_> {
    type Value = Vec<WantedOutput>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of outputs")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let stash = self.stash;
        let mut outputs = Vec::new();
        while let Some(output) = seq.next_element_seed(Output {
            stash,
            index: outputs.len(),
        })? {
            outputs.push(output);
            if outputs.len() > TENSORS_MAX {
                let message = format!("more than {TENSORS_MAX} outputs");
                return Err(stash.fail("outputs".to_owned(), message));
            }
        }
        Ok(outputs)
    }
}

/// One output: a name, or an object with a name and options.
struct Output<'a> {
    stash: &'a Stash,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for Output<'_> {
    type Value = WantedOutput;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<WantedOutput, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Output<'_> {
    type Value = WantedOutput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an output, or an object with `name`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<WantedOutput, E> {
        Ok(WantedOutput {
            name: name.to_owned(),
            binary: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WantedOutput, A::Error> {
        let place = Place::Output(self.index);
        let stash = self.stash;
        let mut name = None;
        let mut binary = None;
        while let Some(Key(key)) = map.next_key()? {
            match key.as_str() {
                "name" => {
                    let place = format!("{place}.name");
                    name = Some(map.next_value_seed(Text {
                        stash,
                        place: &place,
                    })?);
                }
                "parameters" => {
                    binary = map.next_value_seed(Options { stash, place })?.binary_data;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match name {
            Some(name) => Ok(WantedOutput { name, binary }),
            None => Err(stash.fail(format!("{place}.name"), "is missing")),
        }
    }
}
