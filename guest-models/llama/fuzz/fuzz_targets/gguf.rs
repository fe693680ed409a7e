//! A GGUF file of any bytes is read or refused. What is read lies within the file, each tensor with
//! the bytes of its shape and no byte of two; a tokenizer of it makes tokens that it has, of any
//! text.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src"]
mod source {
    pub(crate) mod gguf;
    pub(crate) mod shape;
    pub(crate) mod tokenizer;
    pub(crate) mod vocabulary;
}

// They call one another by these names.
use source::{gguf, shape, tokenizer, vocabulary};

use gguf::Gguf;
use shape::Shape;
use tokenizer::{Marks, Tokenizer};

/// Bytes that are cut into tokens. The text is of the file, which is whatever somebody sends.
const TEXT_BYTES: usize = 512;

fuzz_target!(|file: &[u8]| {
    let Ok(read) = Gguf::read(file) else {
        return;
    };
    let mut tensors: Vec<_> = read
        .tensor_names()
        .map(|name| read.tensor(name).expect("a name of the file's"))
        .collect();
    tensors.sort_by_key(|tensor| tensor.range.start);
    let mut end_before = 0;
    for tensor in tensors {
        let blocks = tensor.columns / tensor.format.block_elements() * tensor.rows;
        assert_eq!(tensor.range.len(), blocks * tensor.format.block_bytes());
        assert_eq!(read.bytes_of(tensor).len(), tensor.range.len());
        assert!(tensor.range.start >= end_before && tensor.range.end <= file.len());
        end_before = tensor.range.end;
    }
    if let Ok(shape) = Shape::read(&read) {
        assert!(shape.query_width() > 0 && shape.kv_width() > 0);
    }
    let Ok(Some(tokens)) = read.array("tokenizer.ggml.tokens") else {
        return;
    };
    let Ok(tokenizer) = Tokenizer::read(&read, tokens.len()) else {
        return;
    };
    assert_eq!(tokenizer.vocabulary.len(), tokens.len());
    let start = file.len().saturating_sub(TEXT_BYTES);
    let text = String::from_utf8_lossy(&file[start..]);
    for marks in [Marks::Found, Marks::Text] {
        for token in tokenizer.encode(&text, marks).into_iter().flatten() {
            assert!(tokenizer.vocabulary.bytes(token).is_some());
        }
    }
});
