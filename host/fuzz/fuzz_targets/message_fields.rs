//! The fields of a message of gRPC: reading comes to an end, and what is read reads as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/api/tensors/grpc/fields.rs"]
mod fields;

use fields::{Fields, Malformed, Value};

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn write(number: u32, value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let (kind, bytes): (u64, &[u8]) = match value {
        Value::Varint(_) => (0, &[]),
        Value::Fixed64(bytes) => (1, bytes),
        Value::Bytes(bytes) => (2, bytes),
        Value::Fixed32(bytes) => (5, bytes),
    };
    varint(u64::from(number) << 3 | kind, &mut out);
    match value {
        Value::Varint(number) => varint(*number, &mut out),
        Value::Bytes(bytes) => varint(bytes.len() as u64, &mut out),
        Value::Fixed64(_) | Value::Fixed32(_) => {}
    }
    out.extend_from_slice(bytes);
    out
}

fuzz_target!(|message: &[u8]| {
    let mut fields = Fields::of(message);
    let mut read = 0;
    while let Ok(Some((number, value))) = fields.next() {
        let written = write(number, &value);
        assert_eq!(Fields::of(&written).next(), Ok(Some((number, value))));
        // A number may be written with more bytes than it needs, and with no fewer.
        read += written.len();
        assert!(number > 0 && read <= message.len());
        let mut listed = 0;
        let _ = value.varints(|_| {
            listed += 1;
            Ok::<_, Malformed>(())
        });
        assert!(listed <= message.len());
    }
});
