//! A header of any bytes is read or refused, and what is read lies within the file: each tensor has
//! the bytes of its shape, and no byte is of two.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/safetensors.rs"]
mod safetensors;

use safetensors::{PREFIX_BYTES, Safetensors, header_bytes};

fuzz_target!(|file: &[u8]| {
    let size = file.len() as u64;
    let Ok(bytes) = header_bytes(file, size) else {
        return;
    };
    let header = &file[PREFIX_BYTES..PREFIX_BYTES + bytes as usize];
    let Ok(read) = Safetensors::read(header, size) else {
        return;
    };
    let mut at = PREFIX_BYTES as u64 + bytes;
    let mut tensors: Vec<_> = read.names().filter_map(|name| read.tensor(name)).collect();
    tensors.sort_by_key(|tensor| (tensor.range.start, tensor.range.end));
    for tensor in tensors {
        let elements: u64 = tensor.shape.iter().product();
        assert_eq!(tensor.range.start, at);
        assert_eq!(tensor.range.end - at, elements * tensor.dtype.bytes());
        at = tensor.range.end;
    }
    assert_eq!(at, size);
});
