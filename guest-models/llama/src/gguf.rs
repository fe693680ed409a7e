//! Reads GGUF files, versions 2 and 3: metadata, and where each tensor lies.
//!
//! A file may come from anybody. Every number in it is looked at before it is used, nothing is
//! allocated by a number of the file alone, and an error names the key or the tensor.

mod cursor;
mod error;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use belljar_guest::kernels::Format;

use cursor::Cursor;
pub use error::GgufError;

/// Keys that a file may have. Those in use have fewer than a hundred.
const KEYS_MAX: u64 = 4096;
/// Tensors that a file may have.
const TENSORS_MAX: u64 = 65_536;
/// Bytes of a key's or a tensor's name.
const NAME_BYTES_MAX: usize = 1024;
const DIMENSIONS_MAX: u32 = 4;
const ALIGNMENT_MAX: u32 = 1 << 20;
const ALIGNMENT_USUAL: u32 = 32;

/// A file, read as far as its tensors' places. What it names is borrowed from its bytes.
#[derive(Debug)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    keys: BTreeMap<&'a str, Value<'a>>,
    tensors: BTreeMap<&'a str, Tensor>,
}

/// A value of the metadata.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A whole number of any of the eight kinds.
    Integer(i128),
    /// A number of 32 or 64 bits.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A text, which need not be UTF-8.
    Text(&'a [u8]),
    /// Several values of one kind.
    Array(Array<'a>),
}

/// Several values of one kind, read when asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    kind: Kind,
    count: usize,
    bytes: &'a [u8],
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

/// Where a tensor lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// How its elements are stored.
    pub format: Format,
    /// How many elements a row has.
    pub columns: usize,
    /// How many rows there are, over all other dimensions.
    pub rows: usize,
    /// Its bytes, of those of the file.
    pub range: Range<usize>,
}

impl<'a> Gguf<'a> {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`GgufError`], with the name of what is wrong.
    pub fn read(bytes: &'a [u8]) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(bytes);
        if cursor.take(4, "the first four bytes")? != b"GGUF" {
            return Err(GgufError::NotGguf);
        }
        let version = cursor.u32("the version")?;
        if !matches!(version, 2 | 3) {
            return Err(GgufError::Version(version));
        }
        let tensor_count = cursor.u64("the number of tensors")?;
        let key_count = cursor.u64("the number of keys")?;
        bounded("keys", key_count, KEYS_MAX)?;
        bounded("tensors", tensor_count, TENSORS_MAX)?;

        let mut keys = BTreeMap::new();
        for index in 0..key_count {
            let name = name(&mut cursor, "key", index)?;
            let value = value(&mut cursor, name)?;
            if keys.insert(name, value).is_some() {
                return Err(GgufError::key(name, "is there twice"));
            }
        }
        let alignment = alignment(&keys)?;
        let mut found = Vec::new();
        let mut names = HashSet::new();
        for index in 0..tensor_count {
            let name = name(&mut cursor, "tensor", index)?;
            if !names.insert(name) {
                return Err(GgufError::tensor(name, "is there twice"));
            }
            found.push(Described::read(&mut cursor, name)?);
        }
        let start = cursor.position().next_multiple_of(alignment);
        let tensors = place(found, start, alignment, bytes.len())?;
        Ok(Self {
            bytes,
            keys,
            tensors,
        })
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<Value<'a>> {
        self.keys.get(key).copied()
    }

    /// The whole number of a key.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] where it is of another kind, negative, or above the bound.
    pub fn integer(&self, key: &str, greatest: usize) -> Result<Option<usize>, GgufError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => match usize::try_from(number) {
                Ok(number) if number <= greatest => Ok(Some(number)),
                _ => Err(GgufError::key(
                    key,
                    format!("is {number}, and should be from 0 to {greatest}"),
                )),
            },
            Some(_) => Err(GgufError::key(key, "is no whole number")),
        }
    }

    /// The number of a key, which is finite.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] where it is of another kind or not finite.
    pub fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Number(number)) if number.is_finite() => Ok(Some(number)),
            Some(Value::Integer(number)) => Ok(Some(number as f64)),
            Some(_) => Err(GgufError::key(key, "is no finite number")),
        }
    }

    /// The text of a key.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] where it is of another kind or not UTF-8.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(GgufError::key(key, "is not UTF-8")),
            },
            Some(_) => Err(GgufError::key(key, "is no text")),
        }
    }

    /// What a key says of yes or no.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] where it is of another kind.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, GgufError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Boolean(value)) => Ok(Some(value)),
            Some(_) => Err(GgufError::key(key, "is neither true nor false")),
        }
    }

    /// The values of a key.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] where it is of another kind.
    pub fn array(&self, key: &str) -> Result<Option<Array<'a>>, GgufError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(array)),
            Some(_) => Err(GgufError::key(key, "is no array")),
        }
    }

    /// The names of all tensors, in their order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &'a str> {
        self.tensors.keys().copied()
    }

    /// Where a tensor lies.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The bytes of a tensor.
    pub fn bytes_of(&self, tensor: &Tensor) -> &'a [u8] {
        self.bytes.get(tensor.range.clone()).unwrap_or_default()
    }
}

impl<'a> Array<'a> {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The texts; none where the values are of another kind.
    pub fn texts(&self) -> Option<impl Iterator<Item = &'a [u8]>> {
        let mut cursor = Cursor::new(self.bytes);
        (self.kind == Kind::Text)
            .then(|| (0..self.count).map_while(move |_| cursor.text("a text").ok()))
    }

    /// The numbers; none where the values are of another kind.
    pub fn numbers(&self) -> Option<impl Iterator<Item = f64>> {
        let kind = self.kind;
        let mut cursor = Cursor::new(self.bytes);
        let is_numeric = !matches!(kind, Kind::Text | Kind::Array | Kind::Bool);
        is_numeric.then(|| {
            (0..self.count).map_while(move |_| match cursor.scalar(kind, "a number").ok()? {
                Value::Integer(number) => Some(number as f64),
                Value::Number(number) => Some(number),
                _ => None,
            })
        })
    }
}

fn bounded(what: &'static str, count: u64, max: u64) -> Result<(), GgufError> {
    if count > max {
        return Err(GgufError::TooMany { what, count, max });
    }
    Ok(())
}

fn name<'a>(cursor: &mut Cursor<'a>, what: &str, index: u64) -> Result<&'a str, GgufError> {
    let of = format!("the name of {what} {index}");
    let bytes = cursor.text(&of)?;
    if bytes.len() > NAME_BYTES_MAX {
        return Err(GgufError::Name {
            of,
            problem: "is too long",
        });
    }
    std::str::from_utf8(bytes).map_err(|_| GgufError::Name {
        of,
        problem: "is not UTF-8",
    })
}

fn value<'a>(cursor: &mut Cursor<'a>, key: &str) -> Result<Value<'a>, GgufError> {
    let of = format!("key `{key}`");
    let kind = kind(cursor.u32(&of)?, key)?;
    if kind != Kind::Array {
        return cursor.scalar(kind, &of);
    }
    let kind = self::kind(cursor.u32(&of)?, key)?;
    if kind == Kind::Array {
        return Err(GgufError::key(key, "is an array of arrays"));
    }
    let count = cursor.u64(&of)?;
    let bytes = cursor.rest();
    let start = cursor.position();
    // Each value takes a byte or more, so a count that lies ends with the file.
    match kind.bytes() {
        Some(size) => {
            let bytes = usize::try_from(count)
                .ok()
                .and_then(|count| count.checked_mul(size));
            cursor.take(bytes.unwrap_or(usize::MAX), &of)?;
        }
        None => {
            for _ in 0..count {
                cursor.text(&of)?;
            }
        }
    }
    let length = cursor.position() - start;
    Ok(Value::Array(Array {
        kind,
        count: usize::try_from(count).unwrap_or(0),
        bytes: bytes.get(..length).unwrap_or_default(),
    }))
}

fn kind(number: u32, key: &str) -> Result<Kind, GgufError> {
    Ok(match number {
        0 => Kind::U8,
        1 => Kind::I8,
        2 => Kind::U16,
        3 => Kind::I16,
        4 => Kind::U32,
        5 => Kind::I32,
        6 => Kind::F32,
        7 => Kind::Bool,
        8 => Kind::Text,
        9 => Kind::Array,
        10 => Kind::U64,
        11 => Kind::I64,
        12 => Kind::F64,
        _ => {
            return Err(GgufError::key(
                key,
                format!("has the unknown type {number}"),
            ));
        }
    })
}

impl Kind {
    /// How many bytes a value has, where all have as many.
    fn bytes(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }
}

fn alignment(keys: &BTreeMap<&str, Value<'_>>) -> Result<usize, GgufError> {
    const KEY: &str = "general.alignment";
    let number = match keys.get(KEY) {
        None => i128::from(ALIGNMENT_USUAL),
        Some(Value::Integer(number)) => *number,
        Some(_) => return Err(GgufError::key(KEY, "is no whole number")),
    };
    match u32::try_from(number) {
        Ok(number) if number.is_power_of_two() && number <= ALIGNMENT_MAX => Ok(number as usize),
        _ => Err(GgufError::key(
            KEY,
            format!("is {number}, and should be a power of two up to {ALIGNMENT_MAX}"),
        )),
    }
}

/// A tensor as the file describes it.
struct Described<'a> {
    name: &'a str,
    format: Format,
    columns: usize,
    rows: usize,
    bytes: usize,
    offset: u64,
}

impl<'a> Described<'a> {
    fn read(cursor: &mut Cursor<'a>, name: &'a str) -> Result<Self, GgufError> {
        let of = format!("tensor `{name}`");
        let dimensions = cursor.u32(&of)?;
        if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
            return Err(GgufError::tensor(
                name,
                format!("has {dimensions} dimensions, and should have from 1 to {DIMENSIONS_MAX}"),
            ));
        }
        let too_large = || GgufError::tensor(name, "has more elements than can be counted");
        let columns = usize::try_from(cursor.u64(&of)?).map_err(|_| too_large())?;
        let mut rows = 1usize;
        for _ in 1..dimensions {
            let size = usize::try_from(cursor.u64(&of)?).map_err(|_| too_large())?;
            rows = rows.checked_mul(size).ok_or_else(too_large)?;
        }
        let format = format_of(cursor.u32(&of)?, name)?;
        let offset = cursor.u64(&of)?;
        if columns == 0 || rows == 0 {
            return Err(GgufError::tensor(name, "is empty"));
        }
        let block = format.block_elements();
        if !columns.is_multiple_of(block) {
            return Err(GgufError::tensor(
                name,
                format!(
                    "has rows of {columns}, and {} has blocks of {block}",
                    format.name()
                ),
            ));
        }
        let bytes = (columns / block)
            .checked_mul(format.block_bytes())
            .and_then(|row| row.checked_mul(rows))
            .ok_or_else(too_large)?;
        Ok(Self {
            name,
            format,
            columns,
            rows,
            bytes,
            offset,
        })
    }
}

/// The format of a tensor's type, as numbered by GGUF.
fn format_of(number: u32, name: &str) -> Result<Format, GgufError> {
    /// What else files have. Those with a gap before them are no longer written.
    const OTHERS: [(u32, &str); 20] = [
        (9, "Q8_1"),
        (10, "Q2_K"),
        (11, "Q3_K"),
        (15, "Q8_K"),
        (16, "IQ2_XXS"),
        (17, "IQ2_XS"),
        (18, "IQ3_XXS"),
        (19, "IQ1_S"),
        (20, "IQ4_NL"),
        (21, "IQ3_S"),
        (22, "IQ2_S"),
        (23, "IQ4_XS"),
        (24, "I8"),
        (25, "I16"),
        (26, "I32"),
        (27, "I64"),
        (28, "F64"),
        (29, "IQ1_M"),
        (34, "TQ1_0"),
        (39, "MXFP4"),
    ];
    Ok(match number {
        0 => Format::F32,
        1 => Format::F16,
        2 => Format::Q4_0,
        3 => Format::Q4_1,
        6 => Format::Q5_0,
        7 => Format::Q5_1,
        8 => Format::Q8_0,
        12 => Format::Q4K,
        13 => Format::Q5K,
        14 => Format::Q6K,
        30 => Format::Bf16,
        _ => {
            let known = OTHERS.iter().find(|(other, _)| *other == number);
            let kind = known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned());
            let names: Vec<&str> = Format::ALL.into_iter().map(Format::name).collect();
            return Err(GgufError::tensor(
                name,
                format!(
                    "is of the type {kind}, which is not supported; these are: {}",
                    names.join(", ")
                ),
            ));
        }
    })
}

/// Finds the bytes of each tensor, and that no two share any.
fn place<'a>(
    mut found: Vec<Described<'a>>,
    start: usize,
    alignment: usize,
    file_bytes: usize,
) -> Result<BTreeMap<&'a str, Tensor>, GgufError> {
    found.sort_by_key(|tensor| tensor.offset);
    let mut tensors = BTreeMap::new();
    let mut end_before: Option<(&str, u64)> = None;
    for tensor in found {
        let name = tensor.name;
        if !tensor.offset.is_multiple_of(alignment as u64) {
            return Err(GgufError::tensor(
                name,
                format!("begins at {}, no multiple of {alignment}", tensor.offset),
            ));
        }
        if let Some((other, end)) = end_before
            && tensor.offset < end
        {
            return Err(GgufError::tensor(name, format!("overlaps with `{other}`")));
        }
        let range = usize::try_from(tensor.offset)
            .ok()
            .and_then(|offset| start.checked_add(offset))
            .and_then(|from| Some(from..from.checked_add(tensor.bytes)?))
            .filter(|range| range.end <= file_bytes)
            .ok_or_else(|| {
                GgufError::tensor(
                    name,
                    format!("goes past the end of the file of {file_bytes} bytes"),
                )
            })?;
        end_before = Some((name, tensor.offset + tensor.bytes as u64));
        tensors.insert(
            name,
            Tensor {
                format: tensor.format,
                columns: tensor.columns,
                rows: tensor.rows,
                range,
            },
        );
    }
    Ok(tensors)
}
