//! The weights of a file: where they lie in it, and the one buffer in which they stay.

use std::collections::{HashMap, HashSet};

use belljar_guest::tensors::{Bf16, F16};
use rten_onnx::onnx::{GraphProto, StringStringEntryProto, TensorProto};

use crate::window::{PIECE_BYTES, piece};

/// The name under which the graph knows the buffer of weights.
pub const WEIGHTS: &str = "weights.data";

/// Where weights begin in their buffer: a line of the processor's cache.
const ALIGNMENT: usize = 64;

/// The weights of a file, before they are read.
#[derive(Default)]
pub struct Weights {
    list: Vec<Weight>,
    /// Of the buffer.
    bytes: usize,
}

/// A tensor that goes into the buffer of weights.
struct Weight {
    asset: String,
    offset: u64,
    /// In the file.
    bytes: u64,
    form: Form,
    /// Its place in the buffer.
    at: usize,
}

/// How the elements of a weight lie in the file.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    AsComputed,
    Half,
    Brain,
}

impl Weights {
    /// A place in the buffer: where it begins and how many bytes it has. None where there is no
    /// such buffer.
    pub(crate) fn place(&mut self, raw: Raw, form: Form) -> Option<(usize, usize)> {
        let bytes = raw.end - raw.start;
        let taken = match form {
            Form::AsComputed => bytes,
            Form::Half | Form::Brain => bytes.checked_mul(2)?,
        };
        let at = self.bytes.checked_next_multiple_of(ALIGNMENT)?;
        let taken = usize::try_from(taken).ok()?;
        self.bytes = at
            .checked_add(taken)
            .filter(|&all| all <= isize::MAX as usize)?;
        self.list.push(Weight {
            asset: raw.asset,
            offset: raw.start,
            bytes,
            form,
            at,
        });
        Some((at, taken))
    }

    /// The numbers of a tensor of `f32`.
    ///
    /// # Errors
    ///
    /// A text for a person, where it cannot be read.
    pub(crate) fn numbers(&self, tensor: &TensorProto) -> Result<Vec<f32>, String> {
        let Some(bytes) = self.bytes(tensor)? else {
            return Ok(tensor.float_data.clone());
        };
        let (numbers, _) = bytes.as_chunks::<4>();
        Ok(numbers
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect())
    }

    /// The elements of a tensor as the library has them; none where they stand in the fields of
    /// their type.
    ///
    /// # Errors
    ///
    /// A text for a person, where they cannot be read.
    pub(crate) fn bytes(&self, tensor: &TensorProto) -> Result<Option<Vec<u8>>, String> {
        let Some((at, length)) = place(tensor) else {
            return Ok(tensor.raw_data.as_ref().map(|raw| raw.borrow().clone()));
        };
        let mut bytes = Vec::with_capacity(length);
        let weight = self.list.iter().find(|weight| weight.at == at);
        weight.ok_or("a weight is lost")?.read(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Reads the weights that the graph has kept into the buffer in which they stay, and points
    /// its tensors to their places.
    ///
    /// # Errors
    ///
    /// A text for a person, where they cannot be read or do not fit into memory.
    pub(crate) fn gather(mut self, graph: &mut GraphProto) -> Result<Vec<u8>, String> {
        let mut kept = HashSet::new();
        each_tensor(graph, &mut |tensor| {
            kept.extend(place(tensor).map(|(at, _)| at));
        });
        self.list.retain(|weight| kept.contains(&weight.at));
        let mut moved = HashMap::new();
        let mut bytes = 0usize;
        for weight in &mut self.list {
            let at = bytes.next_multiple_of(ALIGNMENT);
            bytes = at + weight.taken();
            moved.insert(weight.at, at);
            weight.at = at;
        }
        each_tensor(graph, &mut |tensor| {
            if let Some((at, length)) = place(tensor)
                && let Some(&at) = moved.get(&at)
            {
                let entry = |(key, value): (&str, String)| StringStringEntryProto {
                    key: Some(key.to_owned()),
                    value: Some(value),
                };
                tensor.external_data = place_entries(at, length).map(entry).into();
            }
        });
        let mut buffer: Vec<u8> = Vec::new();
        buffer
            .try_reserve_exact(bytes)
            .map_err(|_| format!("{bytes} bytes of weights do not fit into memory"))?;
        for weight in &self.list {
            buffer.resize(weight.at, 0);
            weight.read(&mut buffer)?;
        }
        Ok(buffer)
    }
}

impl Weight {
    /// How many bytes it has in the buffer.
    fn taken(&self) -> usize {
        let bytes = self.bytes as usize;
        match self.form {
            Form::AsComputed => bytes,
            Form::Half | Form::Brain => 2 * bytes,
        }
    }

    /// Puts it behind what there is.
    fn read(&self, buffer: &mut Vec<u8>) -> Result<(), String> {
        let mut read = 0;
        // A piece ends between two elements, which are of four bytes or fewer.
        while read < self.bytes {
            let wanted = PIECE_BYTES.min(self.bytes - read);
            let bytes = piece(&self.asset, self.offset + read, wanted)?;
            match self.form {
                Form::AsComputed => buffer.extend_from_slice(&bytes),
                Form::Half => widen(&bytes, |bits| F16(bits).to_f32(), buffer),
                Form::Brain => widen(&bytes, |bits| Bf16(bits).to_f32(), buffer),
            }
            read += bytes.len() as u64;
        }
        Ok(())
    }
}

/// How a tensor says where it lies.
pub(crate) fn place_entries(at: usize, length: usize) -> [(&'static str, String); 3] {
    [
        ("location", WEIGHTS.to_owned()),
        ("offset", at.to_string()),
        ("length", length.to_string()),
    ]
}

/// Where a tensor lies in the buffer of weights, and how many bytes of it; none where it lies in
/// the graph.
fn place(tensor: &TensorProto) -> Option<(usize, usize)> {
    let number = |key: &str| {
        let mut entries = tensor.external_data.iter();
        let entry = entries.find(|entry| entry.key.as_deref() == Some(key))?;
        entry.value.as_ref()?.parse().ok()
    };
    Some((number("offset")?, number("length")?))
}

/// Calls for each tensor of a graph and of the graphs in it.
fn each_tensor(graph: &mut GraphProto, call: &mut dyn FnMut(&mut TensorProto)) {
    for tensor in &mut graph.initializer {
        call(tensor);
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        if let Some(tensor) = &mut attribute.t {
            call(tensor);
        }
        if let Some(inner) = &mut attribute.g {
            each_tensor(inner, call);
        }
    }
}

fn widen(bytes: &[u8], to_f32: impl Fn(u16) -> f32, out: &mut Vec<u8>) {
    let (halves, _) = bytes.as_chunks::<2>();
    out.extend(
        halves
            .iter()
            .flat_map(|&half| to_f32(u16::from_le_bytes(half)).to_le_bytes()),
    );
}

/// Bytes of an asset.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) asset: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
}
