//! The memory that counting tokens takes, in a process of its own.

use belljar_tokens::Encoding;

/// What both vocabularies may take together.
const RESIDENT_KB_MAX: u64 = 60 << 10;

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|kb| kb.parse().ok())
        .expect("a number of KB")
}

#[test]
fn all_tokens_of_both_encodings_take_a_bounded_memory() {
    let before = resident_kb();
    let mut counted = 0;
    for encoding in Encoding::ALL {
        for token in 0..encoding.tokens() {
            let bytes = encoding.bytes(token).unwrap_or_default();
            if let Ok(text) = std::str::from_utf8(bytes) {
                counted += encoding.count(text);
            }
        }
    }
    assert!(counted > 250_000);
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < RESIDENT_KB_MAX, "{grown} KB");
}
