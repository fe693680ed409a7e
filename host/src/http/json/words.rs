//! The words for what is wrong in a body of JSON: those of `serde`, without the values of the body
//! and without the types of this program.

/// Which field an error is about, besides the one that the path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field {
    Here,
    Unknown(String),
    Missing(String),
    Duplicate(String),
}

/// Takes the values of the body out of the text of a `serde` error.
pub(super) fn reword(text: &str) -> (Field, String) {
    let text = match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(text),
        None => text,
    };
    let expected = || {
        text.rfind(", expected ")
            .and_then(|start| text.get(start + 11..))
    };
    for (start, build) in [
        ("unknown field `", Field::Unknown as fn(String) -> Field),
        ("missing field `", Field::Missing),
        ("duplicate field `", Field::Duplicate),
    ] {
        if let Some(rest) = text.strip_prefix(start) {
            // Our own names hold no backtick; a caller's that does is cut there.
            let name = rest.split('`').next().unwrap_or_default();
            let name = name
                .get(..name.floor_char_boundary(64))
                .unwrap_or_default()
                .to_owned();
            let message = match build(String::new()) {
                Field::Duplicate(_) => "appears twice".to_owned(),
                _ => "is missing or unknown".to_owned(),
            };
            return (build(name), message);
        }
    }
    let message = if let Some(found) = text.strip_prefix("invalid type: ") {
        format!(
            "expected {}, found {}",
            expected().map_or("another type", wanted),
            kind(found)
        )
    } else if ["invalid value: ", "invalid length ", "unknown variant "]
        .iter()
        .any(|start| text.starts_with(start))
    {
        format!("expected {}", expected().map_or("another value", wanted))
    } else {
        // The words of our own types.
        text.to_owned()
    };
    (Field::Here, message)
}

/// What `serde` wanted, in the words of JSON: callers have no `u32` and no `struct`.
fn wanted(expected: &str) -> &str {
    const NAMES: [(&str, &str); 22] = [
        ("struct ", "an object"),
        ("map", "an object"),
        ("a map", "an object"),
        ("string or map", "a string or an object"),
        ("sequence", "a list"),
        ("a sequence", "a list"),
        ("tuple ", "a list"),
        ("a tuple ", "a list"),
        ("an array ", "a list"),
        ("unit", "null"),
        ("enum ", "one of the known values"),
        ("variant identifier", "one of the known values"),
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number that is not negative"),
        ("usize", "a whole number that is not negative"),
        ("i8", "a whole number from -128 to 127"),
        ("i32", "a whole number of 32 bits"),
        ("i64", "a whole number of 64 bits"),
        ("f32", "a number"),
        ("f64", "a number"),
    ];
    let found = NAMES.iter().find(|(name, _)| match name.strip_suffix(' ') {
        Some(_) => expected.starts_with(name),
        None => expected == *name,
    });
    found.map_or(expected, |(_, words)| words)
}

/// The kind of value that `serde` found, without the value.
fn kind(found: &str) -> &'static str {
    const KINDS: [(&str, &str); 9] = [
        ("string", "a string"),
        ("integer", "an integer"),
        ("floating point", "a number with a fraction"),
        ("boolean", "a boolean"),
        ("null", "null"),
        ("map", "an object"),
        ("sequence", "a list"),
        ("unit", "null"),
        ("byte array", "bytes"),
    ];
    KINDS
        .iter()
        .find(|(start, _)| found.starts_with(start))
        .map_or("another type", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect_field: Field, expect: &str) {
        assert_eq!(reword(text), (expect_field, expect.to_owned()), "{text}");
    }

    #[test]
    fn values_of_the_body_are_taken_out() {
        check(
            "invalid type: string \"my secret, expected nothing\", expected u32 at line 1 column 9",
            Field::Here,
            "expected a whole number from 0 to 4294967295, found a string",
        );
        check(
            "invalid type: floating point `1.5`, expected u64",
            Field::Here,
            "expected a whole number that is not negative, found a number with a fraction",
        );
        check(
            "invalid value: integer `-4`, expected u8 at line 1 column 2",
            Field::Here,
            "expected a whole number from 0 to 255",
        );
        check(
            "unknown variant `s3cret`, expected `a` or `b`",
            Field::Here,
            "expected `a` or `b`",
        );
        check(
            "unknown field `max_tokns`, expected one of `a`",
            Field::Unknown("max_tokns".to_owned()),
            "is missing or unknown",
        );
        check(
            "missing field `messages`",
            Field::Missing("messages".to_owned()),
            "is missing or unknown",
        );
        check("must be a name", Field::Here, "must be a name");
        check(
            "invalid length 1, expected struct Message with 7 elements",
            Field::Here,
            "expected an object",
        );
    }
}
