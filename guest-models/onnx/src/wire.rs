//! The encoding of Protocol Buffers: fields, their numbers, and how long they are.
//!
//! See <https://protobuf.dev/programming-guides/encoding/>.

use crate::window::Window;

/// A field of a message.
pub(crate) struct Field {
    pub(crate) number: u64,
    pub(crate) payload: Payload,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(crate) enum Payload {
    Number(u64),
    /// Eight bytes.
    Double([u8; 8]),
    /// Four bytes.
    Float([u8; 4]),
    /// From where to where they lie in the file: within the message, which is checked.
    Bytes(u64, u64),
}

impl Field {
    /// The field at `at`, which is behind it then.
    pub(crate) fn read(window: &mut Window, at: &mut u64, end: u64) -> Result<Self, String> {
        let start = *at;
        let tag = varint(window, at, end)?;
        let payload = match tag & 7 {
            0 => Payload::Number(varint(window, at, end)?),
            1 => fixed::<8>(window, at, end)?,
            2 => {
                let length = varint(window, at, end)?;
                let first = *at;
                let stop = first.checked_add(length).filter(|&stop| stop <= end);
                *at = stop.ok_or_else(|| {
                    format!(
                        "the file is cut off or no ONNX model: at byte {start} it announces \
                         {length} bytes, and {} are left",
                        end - first
                    )
                })?;
                Payload::Bytes(first, *at)
            }
            5 => fixed::<4>(window, at, end)?,
            other => {
                return Err(format!(
                    "the file is no ONNX model: at byte {start} is a field of the kind {other}"
                ));
            }
        };
        Ok(Self {
            number: tag >> 3,
            payload,
        })
    }
}

/// A number of one to ten bytes.
pub(crate) fn varint(window: &mut Window, at: &mut u64, end: u64) -> Result<u64, String> {
    let start = *at;
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        if *at >= end {
            return Err(format!(
                "the file is cut off or no ONNX model: the number at byte {start} has no end"
            ));
        }
        let byte = window.byte(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(format!(
        "the file is no ONNX model: the number at byte {start} is too long"
    ))
}

/// A number of so many bytes, four or eight.
pub(crate) fn fixed<const N: usize>(
    window: &mut Window,
    at: &mut u64,
    end: u64,
) -> Result<Payload, String> {
    let start = *at;
    let mut bytes = [0; 8];
    for byte in bytes.iter_mut().take(N) {
        if *at >= end {
            return Err(format!(
                "the file is cut off or no ONNX model: the number at byte {start} has no end"
            ));
        }
        *byte = window.byte(*at)?;
        *at += 1;
    }
    match bytes.first_chunk::<4>() {
        Some(four) if N == 4 => Ok(Payload::Float(*four)),
        _ => Ok(Payload::Double(bytes)),
    }
}

/// Writes a field as it was read.
pub(crate) fn put(
    window: &mut Window,
    out: &mut Vec<u8>,
    number: u64,
    payload: Payload,
) -> Result<(), String> {
    match payload {
        Payload::Number(value) => put_number(out, number, value),
        Payload::Double(bytes) => {
            put_varint(out, number << 3 | 1);
            out.extend_from_slice(&bytes);
        }
        Payload::Float(bytes) => {
            put_varint(out, number << 3 | 5);
            out.extend_from_slice(&bytes);
        }
        Payload::Bytes(start, end) => {
            put_varint(out, number << 3 | 2);
            put_varint(out, end - start);
            window.copy(start, end, out)?;
        }
    }
    Ok(())
}

/// Writes a field of a number.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

/// Writes a field of bytes, a text or a message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
