//! From the bytes of a file to its graph and its weights, each held once.
//!
//! The file is walked before anything decodes it: every length is held to what it lies in, every
//! tensor to its shape. What goes on to the decoder is the graph alone. Weights are read into the
//! one buffer in which they stay, and the graph has their places in it; what is not in the form
//! that the runtime computes with (half precision) is converted on the way there.

use rten_onnx::onnx::{DataType, ModelProto};

use crate::weights::{Form, Raw, Weights, place_entries};
use crate::window::Window;
use crate::wire::{self, Field, Payload};

/// How deep messages may lie in each other. A type within a type within a type is none that a
/// model has, and each level is a call.
const DEPTH_MAX: usize = 64;

/// How many bytes the graph may have without its weights. What is decoded takes several times as
/// much.
const GRAPH_BYTES_MAX: usize = 64 << 20;

/// Tensors below this stay in the graph, where the runtime looks for axes, shapes and the like.
const WEIGHT_BYTES_MIN: u64 = 1 << 10;

/// A file as it was read.
pub struct File {
    /// The graph, without its weights.
    pub model: ModelProto,
    /// The weights, to which the tensors of the graph point.
    pub weights: Weights,
}

/// Reads the asset of that name. Tensors that it keeps in other files are read from the assets of
/// their names.
///
/// # Errors
///
/// A text for a person, with the byte or the tensor.
pub fn read(asset: &str) -> Result<File, String> {
    let mut window = Window::open(asset)?;
    let end = window.size();
    let mut walk = Walk::default();
    let mut graph = Vec::new();
    walk.message(&mut window, Message::Model, 0, end, 0, &mut graph)?;
    let model = ModelProto::parse_buf(&graph)
        .map_err(|error| format!("the file is no ONNX model: {error}"))?;
    if model.graph.is_none() {
        return Err("the file is no ONNX model: it has no graph".to_owned());
    }
    Ok(File {
        model,
        weights: walk.weights,
    })
}

/// The messages of the format that hold others, or are held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    SequenceType,
    Shape,
    Plain,
}

/// What is done with a field.
enum Keep {
    Message(Message),
    /// Numbers that may be packed, which the decoder does not expect of attributes.
    Numbers,
    AsIs,
    Drop,
    Refuse(&'static str),
}

impl Message {
    /// The fields by their numbers in the format's definition, `onnx.proto`. What is not listed
    /// has nothing to do with what a model computes.
    fn keep(self, number: u64) -> Keep {
        match (self, number) {
            (Self::Model, 7) => Keep::Message(Self::Graph),
            (Self::Model, 8 | 14) => Keep::Message(Self::Plain),
            (Self::Model, 1..=3) => Keep::AsIs,
            (Self::Graph, 1) => Keep::Message(Self::Node),
            (Self::Graph, 5) => Keep::Message(Self::Tensor),
            (Self::Graph, 11..=13) => Keep::Message(Self::Value),
            (Self::Graph, 15) => Keep::Refuse("sparse tensors are not supported"),
            (Self::Graph, 2) => Keep::AsIs,
            (Self::Node, 5) => Keep::Message(Self::Attribute),
            (Self::Node, 1..=4 | 7) => Keep::AsIs,
            (Self::Attribute, 5) => Keep::Message(Self::Tensor),
            (Self::Attribute, 6) => Keep::Message(Self::Graph),
            (Self::Attribute, 7 | 8) => Keep::Numbers,
            (Self::Attribute, 1..=4 | 9 | 20) => Keep::AsIs,
            (Self::Value, 2) => Keep::Message(Self::Type),
            (Self::Value, 1) => Keep::AsIs,
            (Self::Type, 1) => Keep::Message(Self::TensorType),
            (Self::Type, 4) => Keep::Message(Self::SequenceType),
            (Self::TensorType, 2) => Keep::Message(Self::Shape),
            (Self::TensorType, 1) => Keep::AsIs,
            (Self::SequenceType, 1) => Keep::Message(Self::Type),
            (Self::Shape, 1) => Keep::Message(Self::Plain),
            (Self::Plain, _) => Keep::AsIs,
            _ => Keep::Drop,
        }
    }
}

/// What goes through a file.
#[derive(Default)]
struct Walk {
    weights: Weights,
}

impl Walk {
    fn message(
        &mut self,
        window: &mut Window,
        message: Message,
        mut at: u64,
        end: u64,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        if depth == DEPTH_MAX {
            return Err(format!(
                "the file nests deeper than {DEPTH_MAX} levels at byte {at}"
            ));
        }
        if message == Message::Tensor {
            return self.tensor(window, at, end, out);
        }
        while at < end {
            let field = Field::read(window, &mut at, end)?;
            match (message.keep(field.number), field.payload) {
                (Keep::Drop, _) => {}
                (Keep::Refuse(reason), _) => return Err(reason.to_owned()),
                (Keep::Message(inner), Payload::Bytes(start, stop)) => {
                    let mut nested = Vec::new();
                    self.message(window, inner, start, stop, depth + 1, &mut nested)?;
                    wire::put_bytes(out, field.number, &nested);
                }
                (Keep::Message(_), _) => {
                    return Err(format!(
                        "the file is no ONNX model: at byte {at} is a number"
                    ));
                }
                (Keep::Numbers, Payload::Bytes(start, stop)) if message == Message::Attribute => {
                    unpack(window, field.number, start, stop, out)?;
                }
                (Keep::AsIs | Keep::Numbers, payload) => {
                    wire::put(window, out, field.number, payload)?;
                }
            }
            if out.len() > GRAPH_BYTES_MAX {
                return Err(format!(
                    "the graph has more than {GRAPH_BYTES_MAX} bytes without its weights"
                ));
            }
        }
        Ok(())
    }

    fn tensor(
        &mut self,
        window: &mut Window,
        at: u64,
        end: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let mut tensor = Tensor::read(window, at, end)?;
        let size = tensor.checked_size(window)?;
        let form = match tensor.datatype {
            DataType::FLOAT | DataType::INT32 | DataType::UINT8 | DataType::INT8 => {
                Some(Form::AsComputed)
            }
            DataType::FLOAT16 => Some(Form::Half),
            DataType::BFLOAT16 => Some(Form::Brain),
            _ => None,
        };
        match (&tensor.raw, size, form) {
            // The runtime has no type for these, at whatever size.
            (Some(raw), Some(bytes), Some(form))
                if bytes >= WEIGHT_BYTES_MIN || matches!(form, Form::Brain) && bytes > 0 =>
            {
                let place = self.weights.place(raw.clone(), form).ok_or_else(|| {
                    format!("the weights do not fit into memory: {}", tensor.name)
                })?;
                if !matches!(form, Form::AsComputed) {
                    tensor.datatype = DataType::FLOAT;
                }
                tensor.put_header(out);
                for (key, value) in place_entries(place.0, place.1) {
                    let mut entry = Vec::new();
                    wire::put_bytes(&mut entry, 1, key.as_bytes());
                    wire::put_bytes(&mut entry, 2, value.as_bytes());
                    wire::put_bytes(out, Tensor::EXTERNAL, &entry);
                }
                wire::put_number(out, Tensor::LOCATION, 1);
            }
            (Some(raw), _, _) => {
                tensor.put_header(out);
                let mut bytes = Vec::new();
                let mut other = Window::open(&raw.asset)?;
                let source = if raw.asset == window.asset() {
                    window
                } else {
                    &mut other
                };
                source.copy(raw.start, raw.end, &mut bytes)?;
                wire::put_bytes(out, Tensor::RAW, &bytes);
            }
            (None, _, _) => {
                tensor.put_header(out);
                out.extend_from_slice(&tensor.typed);
            }
        }
        Ok(())
    }
}

/// A tensor of the file, without its data.
struct Tensor {
    name: String,
    dims: Vec<u64>,
    datatype: DataType,
    /// Elements as the format's fields for each datatype have them.
    typed: Vec<u8>,
    /// Elements as bytes.
    raw: Option<Raw>,
}

impl Tensor {
    const DIMS: u64 = 1;
    const DATATYPE: u64 = 2;
    const FLOATS: u64 = 4;
    const INT32S: u64 = 5;
    const INT64S: u64 = 7;
    const NAME: u64 = 8;
    const RAW: u64 = 9;
    const DOUBLES: u64 = 10;
    const EXTERNAL: u64 = 13;
    const LOCATION: u64 = 14;

    fn read(window: &mut Window, mut at: u64, end: u64) -> Result<Self, String> {
        let mut name = Vec::new();
        let (mut dims, mut typed, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        let (mut datatype, mut raw, mut location) = (0, None, 0);
        let mut floats = None;
        let mut float_fields = 0;
        while at < end {
            let field = Field::read(window, &mut at, end)?;
            match (field.number, field.payload) {
                (Self::DIMS, Payload::Number(dim)) => dims.push(dim),
                (Self::DIMS, Payload::Bytes(mut start, stop)) => {
                    while start < stop {
                        dims.push(wire::varint(window, &mut start, stop)?);
                    }
                }
                (Self::DATATYPE, Payload::Number(number)) => datatype = number,
                (Self::NAME, Payload::Bytes(start, stop)) => {
                    name.clear();
                    window.copy(start, stop, &mut name)?;
                }
                (Self::RAW, Payload::Bytes(start, stop)) => {
                    raw = Some(Raw {
                        asset: window.asset().to_owned(),
                        start,
                        end: stop,
                    });
                }
                (Self::EXTERNAL, Payload::Bytes(start, stop)) => {
                    entries.push(entry(window, start, stop)?);
                }
                (Self::LOCATION, Payload::Number(number)) => location = number,
                (Self::FLOATS, payload) => {
                    float_fields += 1;
                    floats = Some(payload);
                    wire::put(window, &mut typed, Self::FLOATS, payload)?;
                }
                (Self::INT32S | Self::INT64S, Payload::Bytes(mut start, stop)) => {
                    // The decoder never comes back from one that does not end.
                    let payload = field.payload;
                    while start < stop {
                        wire::varint(window, &mut start, stop)?;
                    }
                    wire::put(window, &mut typed, field.number, payload)?;
                }
                (Self::INT32S | Self::INT64S | Self::DOUBLES, payload) => {
                    wire::put(window, &mut typed, field.number, payload)?;
                }
                _ => {}
            }
        }
        let name = String::from_utf8(name).map_err(|_| "a tensor's name is not UTF-8")?;
        let datatype = i32::try_from(datatype).map(DataType).map_err(|_| {
            format!("tensor `{name}` is of a datatype that ONNX does not have: {datatype}")
        })?;
        // Packed floats are their bytes.
        if let (Some(Payload::Bytes(start, end)), 1, None, DataType::FLOAT) =
            (floats, float_fields, &raw, datatype)
        {
            let asset = window.asset().to_owned();
            raw = Some(Raw { asset, start, end });
        }
        if location == 1 {
            raw = Some(external(&name, &entries)?);
        }
        Ok(Self {
            name,
            dims,
            datatype,
            typed,
            raw,
        })
    }

    /// How many bytes its elements take, where their size is known; that the data has as many.
    fn checked_size(&self, window: &Window) -> Result<Option<u64>, String> {
        let name = &self.name;
        let shape = || {
            let dims: Vec<i64> = self.dims.iter().map(|&dim| dim as i64).collect();
            format!("tensor `{name}` has the shape {dims:?}")
        };
        let count = self.dims.iter().try_fold(1u64, |product, &dim| {
            i64::try_from(dim).ok()?;
            product.checked_mul(dim)
        });
        let Some(count) = count.filter(|&count| count <= i32::MAX as u64) else {
            return Err(format!("{}, which no tensor can have", shape()));
        };
        let size = match self.datatype {
            DataType::UINT8 | DataType::INT8 | DataType::BOOL => 1,
            DataType::FLOAT16 | DataType::BFLOAT16 | DataType::INT16 | DataType::UINT16 => 2,
            DataType::FLOAT | DataType::INT32 | DataType::UINT32 => 4,
            DataType::DOUBLE | DataType::INT64 | DataType::UINT64 => 8,
            _ => return Ok(None),
        };
        let wanted = count * size;
        match &self.raw {
            Some(raw) if raw.end - raw.start != wanted => Err(format!(
                "{}, which takes {wanted} bytes, and has {} bytes of data",
                shape(),
                raw.end - raw.start
            )),
            // The decoder counts them; here it is enough that they cannot be more than announced.
            None if count > window.size() => {
                Err(format!("{}, and the file is smaller than that", shape()))
            }
            _ => Ok(Some(wanted)),
        }
    }

    fn put_header(&self, out: &mut Vec<u8>) {
        for &dim in &self.dims {
            wire::put_number(out, Self::DIMS, dim);
        }
        wire::put_number(out, Self::DATATYPE, self.datatype.0 as u64);
        wire::put_bytes(out, Self::NAME, self.name.as_bytes());
    }
}

/// The place of a tensor that lies in another file.
fn external(name: &str, entries: &[(String, String)]) -> Result<Raw, String> {
    let value = |key: &str| {
        let found = entries.iter().rev().find(|(have, _)| have == key);
        found.map(|(_, value)| value.as_str())
    };
    let asset = value("location")
        .ok_or_else(|| format!("tensor `{name}` lies in another file, which is not named"))?;
    let size = belljar_guest::assets::size(asset).map_err(|_| {
        format!("tensor `{name}` lies in `{asset}`, and the bundle has no such asset")
    })?;
    let number = |key: &str, default: u64| match value(key) {
        None => Ok(default),
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| format!("tensor `{name}` has the {key} `{text}` in `{asset}`")),
    };
    let start = number("offset", 0)?;
    let length = number("length", size.saturating_sub(start))?;
    let end = start.checked_add(length).filter(|&end| end <= size);
    let end = end.ok_or_else(|| {
        format!(
            "tensor `{name}` takes {length} bytes from {start} on of `{asset}`, which has {size}"
        )
    })?;
    Ok(Raw {
        asset: asset.to_owned(),
        start,
        end,
    })
}

/// A key and its value.
fn entry(window: &mut Window, mut at: u64, end: u64) -> Result<(String, String), String> {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    while at < end {
        let field = Field::read(window, &mut at, end)?;
        match (field.number, field.payload) {
            (1, Payload::Bytes(start, stop)) => window.copy(start, stop, &mut key)?,
            (2, Payload::Bytes(start, stop)) => window.copy(start, stop, &mut value)?,
            _ => {}
        }
    }
    let text = |bytes| String::from_utf8(bytes).map_err(|_| "a text of the file is not UTF-8");
    Ok((text(key)?, text(value)?))
}

/// Writes packed numbers of an attribute one by one.
fn unpack(
    window: &mut Window,
    number: u64,
    mut at: u64,
    end: u64,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    const FLOATS: u64 = 7;
    while at < end {
        let payload = if number == FLOATS {
            wire::fixed::<4>(window, &mut at, end)?
        } else {
            Payload::Number(wire::varint(window, &mut at, end)?)
        };
        wire::put(window, out, number, payload)?;
    }
    Ok(())
}
