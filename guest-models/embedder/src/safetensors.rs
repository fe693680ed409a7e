//! Reads the header of safetensors files: what each tensor is, and where it lies.
//!
//! A file may come from anybody. Every number in it is looked at before it is used, nothing is
//! allocated by a number of the file alone, and an error names the tensor. The elements are not
//! read here: they are the greater part of the file, and go straight to where they stay.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The bytes before the header, which say how long it is.
pub const PREFIX_BYTES: usize = 8;
/// The longest header that is read. Those of models of this kind have up to a hundred kilobytes.
pub const HEADER_BYTES_MAX: u64 = 4 << 20;
/// Tensors that a file may have.
const TENSORS_MAX: usize = 65_536;
/// Bytes of a tensor's name.
const NAME_BYTES_MAX: usize = 1024;
/// Bytes of what the header says of one tensor.
const ENTRY_BYTES_MAX: usize = 4096;
const DIMENSIONS_MAX: usize = 8;
/// What is no tensor: texts about the file.
const METADATA: &str = "__metadata__";

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Safetensors {
    tensors: BTreeMap<String, Tensor>,
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// What its elements are.
    pub dtype: Dtype,
    /// Its dimensions, row-major. None for a scalar.
    pub shape: Vec<u64>,
    /// Its bytes, counted from the beginning of the file.
    pub range: Range<u64>,
}

/// What the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// A byte, 0 or 1.
    Bool,
    /// Whole numbers of 8 bits.
    U8,
    /// Whole numbers of 8 bits, with a sign.
    I8,
    /// Whole numbers of 16 bits.
    U16,
    /// Whole numbers of 16 bits, with a sign.
    I16,
    /// Whole numbers of 32 bits.
    U32,
    /// Whole numbers of 32 bits, with a sign.
    I32,
    /// Whole numbers of 64 bits.
    U64,
    /// Whole numbers of 64 bits, with a sign.
    I64,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an IEEE 754 binary32.
    Bf16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Eight bits, four of them an exponent.
    F8E4M3,
    /// Eight bits, five of them an exponent.
    F8E5M2,
}

impl Dtype {
    /// All of them.
    const ALL: [(Self, &'static str, u64); 15] = [
        (Self::Bool, "BOOL", 1),
        (Self::U8, "U8", 1),
        (Self::I8, "I8", 1),
        (Self::U16, "U16", 2),
        (Self::I16, "I16", 2),
        (Self::U32, "U32", 4),
        (Self::I32, "I32", 4),
        (Self::U64, "U64", 8),
        (Self::I64, "I64", 8),
        (Self::F16, "F16", 2),
        (Self::Bf16, "BF16", 2),
        (Self::F32, "F32", 4),
        (Self::F64, "F64", 8),
        (Self::F8E4M3, "F8_E4M3", 1),
        (Self::F8E5M2, "F8_E5M2", 1),
    ];

    /// The name that the format has for it.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// How many bytes an element has.
    pub fn bytes(self) -> u64 {
        self.row().2
    }

    fn row(self) -> (Self, &'static str, u64) {
        let found = Self::ALL.into_iter().find(|(dtype, ..)| *dtype == self);
        found.unwrap_or((self, "", 1))
    }

    fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(_, known, _)| *known == name);
        found.map(|(dtype, ..)| dtype)
    }
}

/// Why a file is no safetensors file that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// It ends before its header does.
    Truncated {
        /// The bytes that its header needs, with the eight before it.
        needed: u64,
        /// The bytes there are.
        bytes: u64,
    },
    /// Its header is longer than any that is read.
    Header {
        /// The bytes it says.
        bytes: u64,
    },
    /// Its header is not the JSON that it should be.
    Json(String),
    /// Bytes of it belong to no tensor.
    Unused {
        /// Where they begin.
        at: u64,
        /// How many there are.
        bytes: u64,
    },
    /// A tensor is wrong or missing.
    Tensor {
        /// Which one.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl SafetensorsError {
    /// A tensor that is wrong or missing.
    pub fn tensor(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for SafetensorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, bytes } => write!(
                f,
                "the file of {bytes} bytes ends within its header, which ends at {needed}"
            ),
            Self::Header { bytes } => write!(
                f,
                "the file says that its header has {bytes} bytes; at most {HEADER_BYTES_MAX} are read"
            ),
            Self::Json(problem) => write!(f, "the header is not what it should be: {problem}"),
            Self::Unused { at, bytes } => {
                write!(f, "{bytes} bytes from {at} on belong to no tensor")
            }
            Self::Tensor { name, problem } => write!(f, "tensor `{name}` {problem}"),
        }
    }
}

impl std::error::Error for SafetensorsError {}

/// The length of the header by the first eight bytes of a file.
///
/// # Errors
///
/// [`SafetensorsError`] where the file has no such header, or it is longer than any that is read.
pub fn header_bytes(prefix: &[u8], file_bytes: u64) -> Result<u64, SafetensorsError> {
    let Some(prefix) = prefix.first_chunk::<PREFIX_BYTES>() else {
        return Err(SafetensorsError::Truncated {
            needed: PREFIX_BYTES as u64,
            bytes: file_bytes,
        });
    };
    let bytes = u64::from_le_bytes(*prefix);
    if bytes > HEADER_BYTES_MAX {
        return Err(SafetensorsError::Header { bytes });
    }
    let needed = PREFIX_BYTES as u64 + bytes;
    if needed > file_bytes {
        return Err(SafetensorsError::Truncated {
            needed,
            bytes: file_bytes,
        });
    }
    Ok(bytes)
}

impl Safetensors {
    /// Reads the header of a file that has so many bytes.
    ///
    /// # Errors
    ///
    /// [`SafetensorsError`], with the name of the tensor that is wrong.
    pub fn read(header: &[u8], file_bytes: u64) -> Result<Self, SafetensorsError> {
        let json = |error: serde_json::Error| SafetensorsError::Json(error.to_string());
        let mut reader = serde_json::Deserializer::from_slice(header);
        let entries = reader.deserialize_map(Entries).map_err(json)?;
        reader.end().map_err(json)?;
        let start = (PREFIX_BYTES as u64).saturating_add(header.len() as u64);
        let mut tensors = BTreeMap::new();
        for (name, entry) in entries {
            let tensor = tensor(&name, entry, start)?;
            tensors.insert(name, tensor);
        }
        let file = Self { tensors };
        file.refuse_overlaps(start, file_bytes)?;
        Ok(file)
    }

    /// The names of all tensors, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Tensors follow each other without holes up to the end of the file, as the format has it.
    fn refuse_overlaps(&self, start: u64, file_bytes: u64) -> Result<(), SafetensorsError> {
        let mut order: Vec<(&String, &Tensor)> = self.tensors.iter().collect();
        order.sort_by_key(|(_, tensor)| (tensor.range.start, tensor.range.end));
        let mut at = start;
        let mut before: Option<&str> = None;
        for (name, tensor) in order {
            let Range { start, end } = tensor.range;
            if start < at {
                let other = before.unwrap_or("the header");
                return Err(SafetensorsError::tensor(
                    name,
                    format!("overlaps with `{other}`"),
                ));
            }
            if start > at {
                let bytes = start - at;
                return Err(SafetensorsError::Unused { at, bytes });
            }
            if end > file_bytes {
                return Err(SafetensorsError::tensor(
                    name,
                    format!("ends at {end}, and the file has {file_bytes} bytes"),
                ));
            }
            at = end;
            before = Some(name);
        }
        if at < file_bytes {
            let bytes = file_bytes - at;
            return Err(SafetensorsError::Unused { at, bytes });
        }
        Ok(())
    }
}

/// The entries of a header, each as its own piece of JSON.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = BTreeMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a member for each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(A::Error::custom("the name of a tensor is too long"));
            }
            if entries.len() == TENSORS_MAX {
                let problem = format!("there are more than {TENSORS_MAX} tensors");
                return Err(A::Error::custom(problem));
            }
            let entry = map.next_value::<&RawValue>()?;
            if entries.contains_key(&name) {
                let problem = format!("tensor `{name}` is there twice");
                return Err(A::Error::custom(problem));
            }
            entries.insert(name, entry);
        }
        Ok(entries)
    }
}

/// What the header says of a tensor.
fn tensor(name: &str, entry: &RawValue, start: u64) -> Result<Tensor, SafetensorsError> {
    let wrong = |problem: &str| SafetensorsError::tensor(name, problem);
    if entry.get().len() > ENTRY_BYTES_MAX {
        return Err(wrong("has too long an entry in the header"));
    }
    let entry: Value = serde_json::from_str(entry.get())
        .map_err(|error| wrong(&format!("has an entry that cannot be read: {error}")))?;
    let dtype = entry.get("dtype").and_then(Value::as_str);
    let dtype = dtype.ok_or_else(|| wrong("has no `dtype`"))?;
    let dtype = Dtype::named(dtype)
        .ok_or_else(|| wrong(&format!("is of the type {dtype}, which is not known")))?;
    let numbers = |member: &str| -> Option<Vec<u64>> {
        let list = entry.get(member)?.as_array()?;
        list.iter().map(Value::as_u64).collect()
    };
    let shape = numbers("shape").ok_or_else(|| wrong("has no `shape` of whole numbers"))?;
    if shape.len() > DIMENSIONS_MAX {
        return Err(wrong(&format!(
            "has {} dimensions; at most {DIMENSIONS_MAX} are read",
            shape.len()
        )));
    }
    let Ok([from, to]) = <[u64; 2]>::try_from(numbers("data_offsets").unwrap_or_default()) else {
        return Err(wrong("has no `data_offsets` of two whole numbers"));
    };
    let bytes = shape
        .iter()
        .try_fold(1u64, |elements, &size| elements.checked_mul(size))
        .and_then(|elements| elements.checked_mul(dtype.bytes()))
        .ok_or_else(|| wrong("has more elements than can be counted"))?;
    if to.checked_sub(from) != Some(bytes) {
        return Err(wrong(&format!(
            "has {bytes} bytes by its shape, and lies from {from} to {to}"
        )));
    }
    let (Some(from), Some(to)) = (start.checked_add(from), start.checked_add(to)) else {
        return Err(wrong("lies past the end of any file"));
    };
    Ok(Tensor {
        dtype,
        shape,
        range: from..to,
    })
}
