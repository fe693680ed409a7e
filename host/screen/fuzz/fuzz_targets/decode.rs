//! Decoding reaches a fixed point, and tracing it changes nothing.
#![no_main]

use belljar_screen::{decode, decode_traced};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let decoded = decode(text);
    assert_eq!(decode(&decoded), decoded);
    let traced = decode_traced(text);
    assert_eq!(traced.text(), decoded);
    for at in 0..decoded.len() {
        assert!(traced.origin(at) < text.len());
    }
});
