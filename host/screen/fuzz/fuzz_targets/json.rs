//! What a reader takes, the scan understands in the same way; and nothing makes it fail.
#![no_main]

use belljar_screen::json::{Bounds, Reason, check};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const BOUNDS: Bounds = Bounds {
    depth_max: 6,
    array_items_max: 12,
    string_bytes_max: 24,
    keys_max: 6,
    key_bytes_max: 12,
    // The reader below keeps the last of two.
    duplicate_keys: true,
    control_characters: false,
    lists_are_data: false,
};

/// Whether a value is within bounds, the slow way; keys that came twice are not seen.
fn is_within(value: &Value, depth: usize) -> bool {
    let is_text = |text: &str, max: usize| {
        text.len() <= max
            && !text
                .chars()
                .any(|c| c < ' ' && !matches!(c, '\t' | '\n' | '\r'))
    };
    match value {
        Value::Array(items) => {
            depth < BOUNDS.depth_max
                && items.len() <= BOUNDS.array_items_max
                && items.iter().all(|item| is_within(item, depth + 1))
        }
        Value::Object(fields) => {
            depth < BOUNDS.depth_max
                && fields.keys().all(|key| is_text(key, BOUNDS.key_bytes_max))
                && fields.values().all(|value| is_within(value, depth + 1))
        }
        Value::String(text) => is_text(text, BOUNDS.string_bytes_max),
        _ => true,
    }
}

fuzz_target!(|text: &[u8]| {
    let found = check(text, &BOUNDS);
    let counted = Bounds {
        array_items_max: usize::MAX,
        ..BOUNDS
    };
    let data = Bounds {
        lists_are_data: true,
        ..counted
    };
    let passed_over = check(text, &data);
    if let Ok(value) = serde_json::from_slice::<Value>(text) {
        let reason = found.as_ref().err().map(|fault| fault.reason);
        assert!(
            !matches!(
                reason,
                Some(Reason::LoneSurrogate | Reason::NumberOutOfRange | Reason::NotUtf8)
            ),
            "{reason:?} in what a reader takes"
        );
        if found.is_ok() {
            assert!(is_within(&value, 0));
        } else {
            let strict = Bounds {
                duplicate_keys: false,
                ..BOUNDS
            };
            // Refused for what the value no longer shows: a key that came twice.
            assert!(!is_within(&value, 0) || check(text, &strict).is_err());
        }
        // Numbers in lists aside, which only a reader's refusal makes worth looking for.
        assert_eq!(passed_over, check(text, &counted));
    }
    if let Err(fault) = found {
        assert!(fault.path.len() <= 600 && !fault.path.chars().any(char::is_control));
    }
});
