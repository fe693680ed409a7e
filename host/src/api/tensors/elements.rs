//! The elements of one tensor while they are being read: one buffer of little-endian bytes.
//!
//! Where the caller has named the datatype, each number is checked and written as that.
//! Otherwise numbers are kept in eight bytes each and the buffer learns from its content what
//! it holds (integers until the first fraction), so that becoming `INT64` or `FP64`, the usual
//! end, copies nothing.

use belljar_sandbox::tensor::{datatype_name, element_bytes, string_count};
use belljar_sandbox::wit::tensors::Datatype;

/// A number as the body wrote it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// What an untyped buffer holds so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Signed,
    /// At least one number is above the largest `INT64`, and none is negative.
    Unsigned,
    Floats,
    Booleans,
    Strings,
}

/// The elements of one tensor.
#[derive(Debug)]
pub(crate) struct Elements {
    /// The datatype that the caller named.
    declared: Option<Datatype>,
    kind: Kind,
    data: Vec<u8>,
    count: u64,
}

impl Elements {
    /// An empty buffer for elements of a declared datatype, or of one to be learnt.
    pub(super) fn new(declared: Option<Datatype>) -> Self {
        Self {
            declared,
            kind: Kind::Nothing,
            data: Vec::new(),
            count: 0,
        }
    }

    /// Elements that came as raw little-endian bytes.
    pub(super) fn raw(datatype: Datatype, data: Vec<u8>) -> Self {
        let count = match element_bytes(datatype) {
            Some(size) => u64::try_from(data.len() / size).unwrap_or(u64::MAX),
            None => string_count(&data).unwrap_or(u64::MAX),
        };
        Self {
            declared: Some(datatype),
            kind: Kind::Nothing,
            data,
            count,
        }
    }

    /// How many elements there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The datatype that the caller named, or the one that the content says.
    pub(crate) fn datatype(&self) -> Datatype {
        self.declared.unwrap_or(match self.kind {
            Kind::Nothing | Kind::Floats => Datatype::Fp64,
            Kind::Signed => Datatype::Int64,
            Kind::Unsigned => Datatype::Uint64,
            Kind::Booleans => Datatype::Boolean,
            Kind::Strings => Datatype::Bytes,
        })
    }

    /// Whether the caller named the datatype.
    pub(crate) fn is_declared(&self) -> bool {
        self.declared.is_some()
    }

    /// The elements that are texts, each with its index: strings of bytes that are UTF-8.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (u64, &str)> {
        let is_bytes = self.datatype() == Datatype::Bytes;
        let data = if is_bytes { &*self.data } else { &[] };
        (0..).zip(byte_strings(data)).filter_map(|(at, bytes)| {
            let text = std::str::from_utf8(bytes).ok()?;
            Some((at, text))
        })
    }

    /// Adds a number.
    pub(super) fn push_number(&mut self, number: Number) -> Result<(), String> {
        if let Some(datatype) = self.declared {
            write_number(datatype, number, &mut self.data)?;
        } else {
            self.push_untyped(number)?;
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Adds a number that an `FP32` holds.
    #[inline]
    pub(super) fn push_single(&mut self, value: f32) -> Result<(), String> {
        if self.declared != Some(Datatype::Fp32) {
            return self.push_number(Number::Float(value.into()));
        }
        self.data.extend_from_slice(&value.to_le_bytes());
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Adds raw elements to those of a datatype that was declared; false where they are not whole.
    pub(super) fn extend_raw(&mut self, datatype: Datatype, bytes: &[u8]) -> bool {
        let size = element_bytes(datatype).unwrap_or(1);
        if self.declared != Some(datatype) || !bytes.len().is_multiple_of(size) {
            return false;
        }
        self.data.extend_from_slice(bytes);
        let count = u64::try_from(bytes.len() / size).unwrap_or(u64::MAX);
        self.count = self.count.saturating_add(count);
        true
    }

    /// Adds a truth value.
    pub(super) fn push_bool(&mut self, value: bool) -> Result<(), String> {
        match (self.declared, self.kind) {
            (Some(Datatype::Boolean), _) => {}
            (Some(other), _) => return Err(mismatch("a boolean", other)),
            (None, Kind::Nothing | Kind::Booleans) => self.kind = Kind::Booleans,
            (None, _) => return Err(mixed("a boolean")),
        }
        self.data.push(u8::from(value));
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Adds a string of bytes.
    pub(super) fn push_bytes(&mut self, value: &[u8]) -> Result<(), String> {
        match (self.declared, self.kind) {
            (Some(Datatype::Bytes), _) => {}
            (Some(other), _) => return Err(mismatch("a string", other)),
            (None, Kind::Nothing | Kind::Strings) => self.kind = Kind::Strings,
            (None, _) => return Err(mixed("a string")),
        }
        let length = u32::try_from(value.len()).map_err(|_| "a string over 4 GiB".to_owned())?;
        self.data.extend_from_slice(&length.to_le_bytes());
        self.data.extend_from_slice(value);
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The bytes of the elements as `datatype`, which the caller or the model has declared.
    ///
    /// On failure: the index of the element that does not fit, and why.
    pub(super) fn into_datatype(self, datatype: Datatype) -> Result<Vec<u8>, (u64, String)> {
        if self.datatype() == datatype || self.count == 0 {
            return Ok(self.data);
        }
        if self.declared.is_some() {
            return Err((0, mismatch(datatype_name(self.datatype()), datatype)));
        }
        let to_number: fn([u8; 8]) -> Number = match self.kind {
            Kind::Signed => |bytes| Number::Signed(i64::from_le_bytes(bytes)),
            Kind::Unsigned => |bytes| Number::Unsigned(u64::from_le_bytes(bytes)),
            Kind::Floats => |bytes| Number::Float(f64::from_le_bytes(bytes)),
            Kind::Booleans => return Err((0, mismatch("a boolean", datatype))),
            Kind::Strings => return Err((0, mismatch("a string", datatype))),
            Kind::Nothing => return Ok(self.data),
        };
        let size = element_bytes(datatype).unwrap_or(8);
        let mut data = Vec::with_capacity(self.data.len() / 8 * size);
        for (index, bytes) in (0_u64..).zip(self.data.as_chunks::<8>().0) {
            write_number(datatype, to_number(*bytes), &mut data).map_err(|why| (index, why))?;
        }
        Ok(data)
    }

    fn push_untyped(&mut self, number: Number) -> Result<(), String> {
        let bytes = match (self.kind, number) {
            (Kind::Nothing | Kind::Signed, Number::Signed(value)) => {
                self.kind = Kind::Signed;
                value.to_le_bytes()
            }
            (Kind::Nothing, Number::Unsigned(value)) => {
                self.kind = Kind::Unsigned;
                value.to_le_bytes()
            }
            (Kind::Signed, Number::Unsigned(value)) => {
                // A non-negative number has the same bytes either way.
                let negative = self.numbers().any(|bytes| i64::from_le_bytes(*bytes) < 0);
                if negative {
                    return Err("fits no integer type together with the negative ones".to_owned());
                }
                self.kind = Kind::Unsigned;
                value.to_le_bytes()
            }
            (Kind::Unsigned, Number::Unsigned(value)) => value.to_le_bytes(),
            (Kind::Unsigned, Number::Signed(value)) => u64::try_from(value)
                .map_err(|_| "fits no integer type together with the larger ones".to_owned())?
                .to_le_bytes(),
            (Kind::Nothing | Kind::Signed | Kind::Unsigned, Number::Float(value)) => {
                self.become_floats();
                value.to_le_bytes()
            }
            (Kind::Floats, number) => to_f64(number).to_le_bytes(),
            (Kind::Booleans | Kind::Strings, _) => return Err(mixed("a number")),
        };
        self.data.extend_from_slice(&bytes);
        Ok(())
    }

    /// Rewrites the integers read so far as floating-point numbers, in place.
    fn become_floats(&mut self) {
        let signed = self.kind == Kind::Signed;
        self.kind = Kind::Floats;
        for bytes in self.data.as_chunks_mut::<8>().0 {
            #[expect(clippy::cast_precision_loss, reason = "what every JSON reader does")]
            let value = if signed {
                i64::from_le_bytes(*bytes) as f64
            } else {
                u64::from_le_bytes(*bytes) as f64
            };
            *bytes = value.to_le_bytes();
        }
    }

    fn numbers(&self) -> impl Iterator<Item = &[u8; 8]> {
        self.data.as_chunks::<8>().0.iter()
    }
}

/// Strings of bytes, each behind its length; the last one is left out where it is cut.
fn byte_strings(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (bytes, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some(bytes)
    })
}

fn mixed(what: &str) -> String {
    format!("{what} among elements of another type")
}

fn mismatch(what: &str, datatype: Datatype) -> String {
    format!("{what} where the datatype is {}", datatype_name(datatype))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the nearest number is what was asked for"
)]
fn to_f64(number: Number) -> f64 {
    match number {
        Number::Signed(value) => value as f64,
        Number::Unsigned(value) => value as f64,
        Number::Float(value) => value,
    }
}

/// The number as an integer, where it is one. Fractions are never cut off.
fn to_integer(number: Number) -> Option<i128> {
    match number {
        Number::Signed(value) => Some(i128::from(value)),
        Number::Unsigned(value) => Some(i128::from(value)),
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^64")]
        Number::Float(value) if value.fract() == 0.0 && value.abs() < 1.8e19 => Some(value as i128),
        Number::Float(_) => None,
    }
}

fn write_number(datatype: Datatype, number: Number, out: &mut Vec<u8>) -> Result<(), String> {
    macro_rules! integer {
        ($type:ty) => {{
            let value = to_integer(number)
                .and_then(|wide| <$type>::try_from(wide).ok())
                .ok_or_else(|| does_not_fit(datatype))?;
            out.extend_from_slice(&value.to_le_bytes());
        }};
    }
    match datatype {
        // Clients of the Open Inference Protocol write truth as numbers, too.
        Datatype::Boolean => match to_integer(number) {
            Some(0) => out.push(0),
            Some(1) => out.push(1),
            _ => return Err(does_not_fit(datatype)),
        },
        Datatype::Uint8 => integer!(u8),
        Datatype::Uint16 => integer!(u16),
        Datatype::Uint32 => integer!(u32),
        Datatype::Uint64 => integer!(u64),
        Datatype::Int8 => integer!(i8),
        Datatype::Int16 => integer!(i16),
        Datatype::Int32 => integer!(i32),
        Datatype::Int64 => integer!(i64),
        Datatype::Fp16 => {
            let value = half::f16::from_f64(to_f64(number));
            in_range(number, value.is_finite(), datatype)?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Datatype::Bf16 => {
            let value = half::bf16::from_f64(to_f64(number));
            in_range(number, value.is_finite(), datatype)?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Datatype::Fp32 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounds; overflow is refused"
            )]
            let value = to_f64(number) as f32;
            in_range(number, value.is_finite(), datatype)?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Datatype::Fp64 => out.extend_from_slice(&to_f64(number).to_le_bytes()),
        Datatype::Bytes => return Err(mismatch("a number", datatype)),
    }
    Ok(())
}

/// Refuses a number that was finite and is not any more. msgpack can say infinity and mean it.
fn in_range(number: Number, is_finite: bool, datatype: Datatype) -> Result<(), String> {
    if is_finite || !to_f64(number).is_finite() {
        Ok(())
    } else {
        Err(does_not_fit(datatype))
    }
}

fn does_not_fit(datatype: Datatype) -> String {
    format!("does not fit {}", datatype_name(datatype))
}
