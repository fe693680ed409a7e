//! Any text is screened, and a hit lies inside it.
#![no_main]

use belljar_screen::{FieldKind, Screener};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let screener = Screener::default();
    for kind in [FieldKind::Prompt, FieldKind::Identifier, FieldKind::Header] {
        if let Some(hit) = screener.screen(kind, text) {
            assert!(hit.position <= text.len());
            assert!(!hit.to_string().is_empty());
        }
    }
});
