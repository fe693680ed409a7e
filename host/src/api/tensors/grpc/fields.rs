//! The fields of a protobuf message, read where they lie
//! (<https://protobuf.dev/programming-guides/encoding/>).
//!
//! A tree of generated types would do for small messages. Here it would let a caller buy much memory
//! for little: two bytes of an empty tensor become three hundred, and two of an empty string
//! thirty-two.

/// A message that is none, or breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A value of a field, by its type on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// The fields of a message that are not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// All fields of a message.
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The number of the next field, and its value; none after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.chunk()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(self.chunk()?),
            // Groups, which are older than all of this, and what is no type.
            _ => return Err(Malformed),
        };
        match key >> 3 {
            0 => Err(Malformed),
            number => Ok(Some((number, value))),
        }
    }

    /// The next number, where all of the fields are numbers without a key before them: a packed list.
    pub(crate) fn next_packed(&mut self) -> Result<Option<u64>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (chunk, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*chunk)
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Result<u64, Malformed> {
        const BITS: u32 = 7;
        let mut value = 0_u64;
        for (index, byte) in (0_u32..).zip(self.0) {
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.checked_shl(index * BITS).filter(|_| index < 10);
            let shifted = shifted.filter(|shifted| shifted >> (index * BITS) == bits);
            value |= shifted.ok_or(Malformed)?;
            if byte & 0x80 == 0 {
                let read = usize::try_from(index).map_err(|_| Malformed)? + 1;
                self.0 = self.0.get(read..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

impl<'a> Value<'a> {
    /// A message, a string or bytes.
    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => Err(Malformed),
        }
    }

    /// A string.
    pub(crate) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// Shows each number of a list, packed or not.
    pub(crate) fn varints<E: From<Malformed>>(
        self,
        mut see: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Varint(number) => see(number),
            Self::Bytes(bytes) => {
                let mut numbers = Fields::of(bytes);
                while let Some(number) = numbers.next_packed()? {
                    see(number)?;
                }
                Ok(())
            }
            Self::Fixed64(_) | Self::Fixed32(_) => Err(Malformed.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_to_their_last_bit_and_not_beyond() {
        let read = |bytes: &[u8]| Fields::of(bytes).next_packed();
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[0]), Ok(Some(0)));
        assert_eq!(read(&[0x96, 1]), Ok(Some(150)));
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(read(&most), Ok(Some(u64::MAX)));
        let more = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(read(&more), Err(Malformed));
        assert_eq!(read(&[0x80; 11]), Err(Malformed));
        assert_eq!(read(&[0x80]), Err(Malformed));
        // Longer than it has to be, as some writers leave room.
        assert_eq!(read(&[0x81, 0x80, 0]), Ok(Some(1)));
    }

    #[test]
    fn what_is_no_field_is_malformed() {
        for bytes in [
            &[0x00, 0][..],                     // field 0
            &[0x0b],                            // a group
            &[0x0c],                            // its end
            &[0x0f, 0],                         // no type
            &[0x0a, 2, 1],                      // cut off
            &[0x09, 1, 2, 3, 4, 5, 6, 7],       // cut off
            &[0x0d, 1, 2, 3],                   // cut off
            &[0xff, 0xff, 0xff, 0xff, 0xff, 1], // a key of too many bits
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
        ] {
            assert_eq!(Fields::of(bytes).next(), Err(Malformed), "{bytes:?}");
        }
    }
}
