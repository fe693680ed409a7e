//! The tensors of a request: by name or in a list, as nested lists or as objects that say what
//! they are.

use super::super::elements::Elements;
use super::super::{Form, Input};
use super::walk::{Data, Node, Walk};
use super::{Key, OptionalText, Options, Place, Plain, Scalar, Stash, Text, has_control};
use belljar_sandbox::tensor::{
    TENSOR_DIMENSIONS_MAX, TENSORS_MAX, datatype_named, datatype_names, element_bytes,
    element_count,
};
use belljar_sandbox::wit::tensors::Datatype;
use belljar_sandbox::wit::types::Value;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// All tensors of a request, and the form they came in.
pub(super) struct Inputs<'a> {
    pub(super) stash: &'a Stash,
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
        if has_control(name) {
            return Err(self
                .stash
                .fail("inputs".to_owned(), "a name holds a control character"));
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
                    let place = &field;
                    let Some(name) = map.next_value_seed(OptionalText { stash, place })? else {
                        continue;
                    };
                    fields.datatype = Some(datatype_named(&name).ok_or_else(|| {
                        let all = datatype_names().collect::<Vec<_>>().join(", ");
                        stash.fail(field, format!("unknown datatype; there are {all}"))
                    })?);
                }
                "shape" => fields.shape = map.next_value_seed(Shape { stash, place })?,
                "data" => {
                    let mut walk = Walk::new(stash, place, "data", fields.datatype);
                    stash.single.set(fields.datatype == Some(Datatype::Fp32));
                    map.next_value_seed(Node {
                        walk: &mut walk,
                        depth: 0,
                    })?;
                    stash.single.set(false);
                    fields.data = walk.end();
                }
                "parameters" => {
                    let options = map.next_value_seed(Options { stash, place })?;
                    fields.binary_bytes = options.binary_data_size;
                }
                // What follows is how msgpack-numpy packs an array.
                "nd" => {
                    let value = map.next_value_seed(Plain)?;
                    fields.numpy = matches!(value, Scalar::Plain(Value::Boolean(_)));
                    // A scalar of NumPy is packed without a shape.
                    if matches!(value, Scalar::Plain(Value::Boolean(false))) {
                        fields.shape.get_or_insert_default();
                    }
                }
                "type" => {
                    fields.numpy_type = match map.next_value_seed(Plain)? {
                        Scalar::Plain(Value::Text(name)) => Some(name),
                        Scalar::Null => None,
                        Scalar::Plain(_) | Scalar::Nested => {
                            let message = "structured arrays are not supported";
                            return Err(stash.fail(field, message));
                        }
                    };
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
        let Some(Data {
            elements, shape, ..
        }) = walk.end()
        else {
            return Err(self.stash.fail(self.place.to_string(), "is missing"));
        };
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
        let expected = element_count(&shape);
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
    type Value = Option<Vec<u64>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Option<Vec<u64>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of dimensions")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut shape = Vec::new();
        while let Some(dimension) = seq.next_element_seed(Plain)? {
            let place = || format!("{}.shape[{}]", self.place, shape.len());
            let Scalar::Plain(Value::Integer(dimension)) = dimension else {
                return Err(self.stash.fail(place(), "must be a whole number"));
            };
            let Ok(dimension) = u64::try_from(dimension) else {
                return Err(self.stash.fail(
                    place(),
                    "must not be negative: a request has all of its sizes",
                ));
            };
            if shape.len() == TENSOR_DIMENSIONS_MAX {
                return Err(self.stash.fail(
                    place(),
                    format!("more than {TENSOR_DIMENSIONS_MAX} dimensions"),
                ));
            }
            shape.push(dimension);
        }
        Ok(Some(shape))
    }
}
