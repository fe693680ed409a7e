//! Texts that need no screening because nothing in them can begin an attack.

/// Whether a text has nothing but letters, digits and single marks that begin no attack: most
/// headers are, and each would cost as much to screen as a sentence.
pub fn is_plain(text: &[u8]) -> bool {
    let mut before = 0;
    text.iter().all(|&byte| {
        let is_mark = matches!(byte, b'-' | b'_' | b'.' | b'/' | b':');
        let doubled = is_mark && matches!(before, b'.' | b'-' | b'/');
        before = byte;
        (byte.is_ascii_alphanumeric() || is_mark) && !doubled
    }) && !text.starts_with(b"/etc")
        && !text.starts_with(b"/proc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_headers_are_plain_and_nothing_else_is() {
        for plain in [
            "gzip",
            "/v1/chat/completions",
            "2026-11-22T01:02:03Z",
            "key_0a",
        ] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for other in [
            "../x",
            "a--b",
            "file:///x",
            "a b",
            "a'b",
            "%2e",
            "/etc/passwd",
            "a;b",
            "a=b",
        ] {
            assert!(!is_plain(other.as_bytes()), "{other}");
        }
    }
}
