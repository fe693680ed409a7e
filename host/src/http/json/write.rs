//! The pieces of JSON that are written by hand, and how its media type is spelt.

/// The media type of every answer in JSON.
pub(crate) const APPLICATION_JSON: http::HeaderValue =
    http::HeaderValue::from_static("application/json");

/// Whether a `Content-Type` says JSON, in any spelling.
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    let end = content_type
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(content_type.len());
    let essence = content_type.get(..end).unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json")
        || (essence.len() > 5
            && essence
                .get(essence.len() - 5..)
                .is_some_and(|tail| tail.eq_ignore_ascii_case(b"+json")))
}

/// Writes a string with its quotes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_in_each_spelling() {
        for yes in [
            "application/json",
            "Application/JSON ; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "+json",
            "json",
        ] {
            assert!(!is_json(no.as_bytes()), "{no}");
        }
    }
}
