//! Reads a request for inference out of JSON or msgpack, in one pass and without a tree.
//!
//! The same visitors serve both formats. What they refuse they leave, with its place, in a
//! [`Stash`], because a `serde` error can only carry text.

use super::elements::{Elements, Number};
use super::{
    DIMENSIONS_MAX, Form, Inference, Input, TENSORS_MAX, TensorError, WantedOutput,
    datatype_from_name, element_bytes, elements_of,
};
use crate::http::json::describe;
use belljar_sandbox::wit::tensors::Datatype;
use belljar_sandbox::wit::types::{Parameter, Value};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

/// Options of one request. More than this is no option list.
const PARAMETERS_MAX: usize = 256;

/// Reads a JSON body.
pub(super) fn json(body: &[u8]) -> Result<Inference, TensorError> {
    let stash = Stash::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Body { stash: &stash }
        .deserialize(&mut deserializer)
        .and_then(|inference| deserializer.end().map(|()| inference));
    read.map_err(|error| stash.take(|| TensorError::invalid(None, describe(&error))))
}

/// Reads one request from any deserializer; `otherwise` words what the visitors did not.
pub(super) fn any<'de, D: Deserializer<'de>>(
    deserializer: D,
    otherwise: impl FnOnce(D::Error) -> TensorError,
) -> Result<Inference, TensorError> {
    let stash = Stash::default();
    Body { stash: &stash }
        .deserialize(deserializer)
        .map_err(|error| stash.take(|| otherwise(error)))
}

/// Where a visitor leaves the error that it found.
#[derive(Default)]
struct Stash(RefCell<Option<TensorError>>);

impl Stash {
    fn fail<E: de::Error>(
        &self,
        param: impl Into<Option<String>>,
        message: impl Into<String>,
    ) -> E {
        self.0.replace(Some(TensorError::invalid(param, message)));
        E::custom("refused")
    }

    fn take(&self, otherwise: impl FnOnce() -> TensorError) -> TensorError {
        self.0.take().unwrap_or_else(otherwise)
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
    type Value = Inference;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inference, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Inference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `inputs`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inference, A::Error> {
        let stash = self.stash;
        let mut inference = Inference::default();
        let mut seen_inputs = false;
        let mut unknown = None;
        while let Some(Key(key)) = map.next_key()? {
            match key.as_str() {
                "model" if inference.model.is_none() => {
                    inference.model = Some(map.next_value_seed(Text {
                        stash,
                        place: "model",
                    })?);
                }
                "id" if inference.id.is_none() => {
                    inference.id = Some(map.next_value_seed(Text { stash, place: "id" })?);
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
                    inference.binary_outputs = options.binary_data_output.unwrap_or(false);
                }
                "model" | "id" | "inputs" | "outputs" | "parameters" => {
                    return Err(stash.fail(key, "appears twice"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    unknown.get_or_insert(key);
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

/// Text at a fixed place.
struct Text<'a> {
    stash: &'a Stash,
    place: &'a str,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let mut text = None;
        deserializer.deserialize_any(Scalar(&mut text))?;
        match text {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.stash.fail(self.place.to_owned(), "must be a string")),
        }
    }
}

/// Reads one value and keeps it where it is a plain one.
struct Scalar<'a>(&'a mut Option<Value>);

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        *self.0 = Some(Value::Boolean(value));
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        *self.0 = Some(Value::Integer(value));
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "past the largest integer of the contract"
        )]
        let number = || Value::Number(value as f64);
        *self.0 = Some(i64::try_from(value).map_or_else(|_| number(), Value::Integer));
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        *self.0 = Some(Value::Number(value));
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        *self.0 = Some(Value::Text(value.to_owned()));
        Ok(())
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<(), E> {
        *self.0 = std::str::from_utf8(value)
            .ok()
            .map(|text| Value::Text(text.to_owned()));
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// A seed that keeps a plain value.
struct Plain;

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut value = None;
        deserializer.deserialize_any(Scalar(&mut value))?;
        Ok(value)
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

struct Inputs<'a> {
    stash: &'a Stash,
}

impl<'de> DeserializeSeed<'de> for Inputs<'_> {
    type Value = (Vec<Input>, Form);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inputs<'_> {
    type Value = (Vec<Input>, Form);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors, or a list of named tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut inputs: Vec<Input> = Vec::new();
        let mut form = Form::Nested;
        while let Some(Key(name)) = map.next_key()? {
            let place = Place::Named(&name);
            self.check_room(place, &name, &inputs)?;
            let (mut input, written) = map.next_value_seed(Tensor {
                stash: self.stash,
                place,
                named: false,
            })?;
            // One explicit tensor is enough to show that the caller reads that form.
            if written != Form::Nested {
                form = written;
            }
            input.name = name;
            inputs.push(input);
        }
        Ok((inputs, form))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut inputs: Vec<Input> = Vec::new();
        loop {
            let place = Place::Index(inputs.len());
            let seed = Tensor {
                stash: self.stash,
                place,
                named: true,
            };
            let Some((input, _)) = seq.next_element_seed(seed)? else {
                break;
            };
            self.check_room(place, &input.name, &inputs)?;
            inputs.push(input);
        }
        Ok((inputs, Form::Oip))
    }
}

impl Inputs<'_> {
    fn check_room<E: de::Error>(
        &self,
        place: Place<'_>,
        name: &str,
        inputs: &[Input],
    ) -> Result<(), E> {
        if inputs.len() >= TENSORS_MAX {
            let message = format!("more than {TENSORS_MAX} tensors");
            return Err(self.stash.fail("inputs".to_owned(), message));
        }
        if inputs.iter().any(|input| input.name == name) {
            return Err(self
                .stash
                .fail(place.to_string(), "two tensors have this name"));
        }
        Ok(())
    }
}

/// One tensor: nested lists, or an object that says what it is.
struct Tensor<'a> {
    stash: &'a Stash,
    place: Place<'a>,
    /// Whether it must be an object with a name, as in the Open Inference Protocol.
    named: bool,
}

impl<'de> DeserializeSeed<'de> for Tensor<'_> {
    type Value = (Input, Form);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Forwards a plain value to the walk over nested lists.
macro_rules! nested {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<Self::Value, E> {
            self.nested(|node| node.$method(value))
        }
    )*};
}

impl<'de> Visitor<'de> for Tensor<'_> {
    type Value = (Input, Form);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor")
    }

    nested!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str,
        visit_bytes: &[u8]);

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        self.nested(|node| node.visit_unit())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.nested(|node| node.visit_seq(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (stash, place) = (self.stash, self.place);
        let mut fields = Fields::default();
        while let Some(Key(key)) = map.next_key()? {
            let field = format!("{place}.{key}");
            match key.as_str() {
                "name" if self.named => {
                    fields.name = Some(map.next_value_seed(Text {
                        stash,
                        place: &field,
                    })?);
                }
                "datatype" => {
                    let name = map.next_value_seed(Text {
                        stash,
                        place: &field,
                    })?;
                    fields.datatype = Some(datatype_from_name(&name).ok_or_else(|| {
                        let all = super::DATATYPES.map(super::datatype_name).join(", ");
                        stash.fail(field, format!("unknown datatype; there are {all}"))
                    })?);
                }
                "shape" => fields.shape = Some(map.next_value_seed(Shape { stash, place })?),
                "data" => {
                    let mut walk = Walk::new(stash, place, "data", fields.datatype);
                    map.next_value_seed(Node {
                        walk: &mut walk,
                        depth: 0,
                    })?;
                    fields.data = Some(walk.end());
                }
                "parameters" => {
                    let options = map.next_value_seed(Options { stash, place })?;
                    fields.binary_bytes = options.binary_data_size;
                }
                // What follows is how msgpack-numpy packs an array.
                "nd" => {
                    fields.numpy = matches!(map.next_value_seed(Plain)?, Some(Value::Boolean(_)))
                }
                "type" => {
                    let Some(Value::Text(name)) = map.next_value_seed(Plain)? else {
                        return Err(stash.fail(field, "structured arrays are not supported"));
                    };
                    fields.numpy_type = Some(name);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        fields.finish(stash, place, self.named)
    }
}

impl<'a> Tensor<'a> {
    fn nested<E: de::Error>(
        self,
        visit: impl FnOnce(Node<'_, 'a>) -> Result<(), E>,
    ) -> Result<(Input, Form), E> {
        if self.named {
            let message = "must be an object with `name`, `datatype`, `shape` and `data`";
            return Err(self.stash.fail(self.place.to_string(), message));
        }
        let mut walk = Walk::new(self.stash, self.place, "", None);
        walk.is_whole_tensor = false;
        visit(Node {
            walk: &mut walk,
            depth: 0,
        })?;
        let Data {
            elements, shape, ..
        } = walk.end();
        let input = Input {
            name: String::new(),
            shape,
            elements,
            binary_bytes: None,
        };
        Ok((input, Form::Nested))
    }
}

/// The fields of an explicit tensor, in whatever order they came.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    datatype: Option<Datatype>,
    shape: Option<Vec<u64>>,
    data: Option<Data>,
    binary_bytes: Option<u64>,
    numpy: bool,
    numpy_type: Option<String>,
}

impl Fields {
    fn finish<E: de::Error>(
        self,
        stash: &Stash,
        place: Place<'_>,
        named: bool,
    ) -> Result<(Input, Form), E> {
        let fail = |field: &str, message: String| stash.fail(format!("{place}.{field}"), message);
        let form = match (named, self.numpy) {
            (true, _) => Form::Oip,
            (false, true) => Form::Numpy,
            (false, false) => Form::Explicit,
        };
        let name = match self.name {
            Some(name) => name,
            None if named => return Err(fail("name", "is missing".to_owned())),
            None => String::new(),
        };
        let mut swap = false;
        let datatype = match (self.datatype, self.numpy_type) {
            (Some(datatype), _) => datatype,
            (None, Some(name)) => {
                let Some((datatype, big_endian)) = numpy_datatype(&name) else {
                    return Err(fail(
                        "type",
                        "no datatype matches this NumPy type".to_owned(),
                    ));
                };
                swap = big_endian;
                datatype
            }
            (None, None) => return Err(fail("datatype", "is missing".to_owned())),
        };
        if let Some(binary_bytes) = self.binary_bytes {
            let (None, Some(shape)) = (self.data, self.shape) else {
                let message = "a binary tensor has a shape and no `data`";
                return Err(fail("data", message.to_owned()));
            };
            let elements = Elements::raw(datatype, Vec::new());
            return Ok((
                Input {
                    name,
                    shape,
                    elements,
                    binary_bytes: Some(binary_bytes),
                },
                form,
            ));
        }
        let Some(data) = self.data else {
            return Err(fail("data", "is missing".to_owned()));
        };
        let elements = match data.raw {
            Some(mut raw) => {
                if swap && let Some(size) = element_bytes(datatype) {
                    raw.chunks_exact_mut(size).for_each(<[u8]>::reverse);
                }
                Elements::raw(datatype, raw)
            }
            None if data.elements.is_declared() => data.elements,
            // The datatype came after the data.
            None => match data.elements.into_datatype(datatype) {
                Ok(bytes) => Elements::raw(datatype, bytes),
                Err((index, why)) => return Err(fail(&format!("data[{index}]"), why)),
            },
        };
        let shape = match self.shape {
            Some(shape) => shape,
            None if data.is_raw => return Err(fail("shape", "is missing".to_owned())),
            None => data.shape.clone(),
        };
        let expected = elements_of(&shape);
        let listed = expected == Some(elements.count());
        // The data may be flat, or nested in the same shape.
        let nested_alike = data.is_raw || data.shape.len() <= 1 || data.shape == shape;
        if !listed || !nested_alike {
            let message = format!(
                "has {} elements in the shape {:?}, and `shape` says {shape:?}",
                elements.count(),
                data.shape,
            );
            // A wrong count of raw bytes is worded in bytes, where the tensor is checked.
            if !data.is_raw {
                return Err(fail("data", message));
            }
        }
        Ok((
            Input {
                name,
                shape,
                elements,
                binary_bytes: None,
            },
            form,
        ))
    }
}

/// The datatype of a NumPy type string such as `<f4`, and whether it is big-endian.
fn numpy_datatype(name: &str) -> Option<(Datatype, bool)> {
    let (order, kind) = match name.split_at_checked(1)? {
        (order @ ("<" | ">" | "|" | "="), kind) => (order, kind),
        _ => ("=", name),
    };
    let datatype = match kind {
        "b1" | "?" => Datatype::Boolean,
        "u1" => Datatype::Uint8,
        "u2" => Datatype::Uint16,
        "u4" => Datatype::Uint32,
        "u8" => Datatype::Uint64,
        "i1" => Datatype::Int8,
        "i2" => Datatype::Int16,
        "i4" => Datatype::Int32,
        "i8" => Datatype::Int64,
        "f2" => Datatype::Fp16,
        "f4" => Datatype::Fp32,
        "f8" => Datatype::Fp64,
        _ => return None,
    };
    Some((datatype, order == ">"))
}

struct Shape<'a> {
    stash: &'a Stash,
    place: Place<'a>,
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = Vec<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u64>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Vec<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u64>, A::Error> {
        let mut shape = Vec::new();
        while let Some(dimension) = seq.next_element_seed(Plain)? {
            let place = || format!("{}.shape[{}]", self.place, shape.len());
            let Some(Value::Integer(dimension)) = dimension else {
                return Err(self.stash.fail(place(), "must be a whole number"));
            };
            let Ok(dimension) = u64::try_from(dimension) else {
                return Err(self.stash.fail(
                    place(),
                    "must not be negative: a request has all of its sizes",
                ));
            };
            if shape.len() == DIMENSIONS_MAX {
                return Err(self
                    .stash
                    .fail(place(), format!("more than {DIMENSIONS_MAX} dimensions")));
            }
            shape.push(dimension);
        }
        Ok(shape)
    }
}

/// What the walk over `data` found.
struct Data {
    elements: Elements,
    shape: Vec<u64>,
    raw: Option<Vec<u8>>,
    is_raw: bool,
}

/// A walk over nested lists, which gathers the elements and learns the shape.
struct Walk<'a> {
    stash: &'a Stash,
    place: Place<'a>,
    field: &'static str,
    elements: Elements,
    /// The lengths of the lists at each depth, once one of that depth has ended.
    lengths: [Option<u64>; DIMENSIONS_MAX],
    /// The depth at which elements are found.
    leaf_depth: Option<usize>,
    /// The place of the current element, for the message.
    path: Vec<u64>,
    raw: Option<Vec<u8>>,
    /// Whether bytes at depth 0 are the whole tensor and not one element of it.
    is_whole_tensor: bool,
}

impl<'a> Walk<'a> {
    fn new(
        stash: &'a Stash,
        place: Place<'a>,
        field: &'static str,
        datatype: Option<Datatype>,
    ) -> Self {
        Self {
            stash,
            place,
            field,
            elements: Elements::new(datatype),
            lengths: [None; DIMENSIONS_MAX],
            leaf_depth: None,
            path: Vec::with_capacity(4),
            raw: None,
            is_whole_tensor: true,
        }
    }

    fn end(self) -> Data {
        let depth = self.leaf_depth.unwrap_or(DIMENSIONS_MAX);
        let shape = self
            .lengths
            .into_iter()
            .take(depth)
            .map_while(|length| length)
            .collect();
        let is_raw = self.raw.is_some();
        Data {
            elements: self.elements,
            shape,
            raw: self.raw,
            is_raw,
        }
    }

    fn fail<E: de::Error>(&self, message: impl Into<String>) -> E {
        use fmt::Write as _;
        let mut place = self.place.to_string();
        if !self.field.is_empty() {
            place.push('.');
            place.push_str(self.field);
        }
        for index in &self.path {
            // Writing to a string does not fail.
            let _ = write!(place, "[{index}]");
        }
        self.stash.fail(place, message)
    }

    #[inline]
    fn element<E: de::Error>(
        &mut self,
        depth: usize,
        push: impl FnOnce(&mut Elements) -> Result<(), String>,
    ) -> Result<(), E> {
        if self.leaf_depth != Some(depth) {
            let free = self.lengths.get(depth).is_none_or(Option::is_none);
            if self.leaf_depth.is_some() || !free {
                return Err(
                    self.fail("is one element where its neighbours are lists of another depth")
                );
            }
            self.leaf_depth = Some(depth);
        }
        push(&mut self.elements).map_err(|why| self.fail(why))
    }
}

/// One value in the nest.
struct Node<'w, 'a> {
    walk: &'w mut Walk<'a>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, booleans or strings, or nested lists of them")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.walk
            .element(self.depth, |elements| elements.push_bool(value))
    }

    #[inline]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.walk.element(self.depth, |elements| {
            elements.push_number(Number::Signed(value))
        })
    }

    #[inline]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        let number = i64::try_from(value).map_or(Number::Unsigned(value), Number::Signed);
        self.walk
            .element(self.depth, |elements| elements.push_number(number))
    }

    #[inline]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.walk.element(self.depth, |elements| {
            elements.push_number(Number::Float(value))
        })
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.walk
            .element(self.depth, |elements| elements.push_bytes(value.as_bytes()))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<(), E> {
        if self.depth == 0 && self.walk.is_whole_tensor {
            self.walk.raw = Some(value.to_vec());
            return Ok(());
        }
        self.walk
            .element(self.depth, |elements| elements.push_bytes(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(self
            .walk
            .fail("null is no element; a binary format can say NaN"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.walk.fail("an object is no element"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { walk, depth } = self;
        if depth == DIMENSIONS_MAX {
            return Err(walk.fail(format!("more than {DIMENSIONS_MAX} dimensions")));
        }
        if walk
            .leaf_depth
            .is_some_and(|leaf_depth| depth >= leaf_depth)
        {
            return Err(walk.fail("is a list where its neighbours are elements"));
        }
        let mut length = 0_u64;
        walk.path.push(0);
        while seq
            .next_element_seed(Node {
                walk: &mut *walk,
                depth: depth + 1,
            })?
            .is_some()
        {
            length += 1;
            if let Some(index) = walk.path.last_mut() {
                *index = length;
            }
        }
        walk.path.pop();
        match walk.lengths.get_mut(depth) {
            Some(Some(expected)) if *expected != length => {
                let expected = *expected;
                Err(walk.fail(format!(
                    "has {length} elements where its neighbours have {expected}"
                )))
            }
            Some(known) => {
                *known = Some(length);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
