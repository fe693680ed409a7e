//! A place in the bytes of a file that moves forward, and never past their end.

use super::{GgufError, Kind, Value};

/// What is left to read.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// The next bytes, which belong to what `of` names.
    pub(super) fn take(&mut self, count: usize, of: &str) -> Result<&'a [u8], GgufError> {
        match self.rest().get(..count) {
            Some(taken) => {
                self.position += count;
                Ok(taken)
            }
            None => Err(GgufError::Truncated {
                within: of.to_owned(),
                bytes: self.bytes.len(),
            }),
        }
    }

    fn number<const N: usize>(&mut self, of: &str) -> Result<[u8; N], GgufError> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N, of)?);
        Ok(number)
    }

    pub(super) fn u32(&mut self, of: &str) -> Result<u32, GgufError> {
        self.number(of).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, of: &str) -> Result<u64, GgufError> {
        self.number(of).map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self, of: &str) -> Result<&'a [u8], GgufError> {
        let length = usize::try_from(self.u64(of)?).unwrap_or(usize::MAX);
        self.take(length, of)
    }

    /// A value that is no array.
    pub(super) fn scalar(&mut self, kind: Kind, of: &str) -> Result<Value<'a>, GgufError> {
        Ok(match kind {
            Kind::U8 => Value::Integer(u8::from_le_bytes(self.number(of)?).into()),
            Kind::I8 => Value::Integer(i8::from_le_bytes(self.number(of)?).into()),
            Kind::U16 => Value::Integer(u16::from_le_bytes(self.number(of)?).into()),
            Kind::I16 => Value::Integer(i16::from_le_bytes(self.number(of)?).into()),
            Kind::U32 => Value::Integer(u32::from_le_bytes(self.number(of)?).into()),
            Kind::I32 => Value::Integer(i32::from_le_bytes(self.number(of)?).into()),
            Kind::U64 => Value::Integer(u64::from_le_bytes(self.number(of)?).into()),
            Kind::I64 => Value::Integer(i64::from_le_bytes(self.number(of)?).into()),
            Kind::F32 => Value::Number(f32::from_le_bytes(self.number(of)?).into()),
            Kind::F64 => Value::Number(f64::from_le_bytes(self.number(of)?)),
            Kind::Bool => Value::Boolean(self.number::<1>(of)? != [0]),
            Kind::Text | Kind::Array => Value::Text(self.text(of)?),
        })
    }
}
