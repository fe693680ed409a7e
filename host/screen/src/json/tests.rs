//! Bounds, held exactly; and the scan beside a reader.
#![allow(clippy::unwrap_used)]
use super::scan::SHOWN_PATH_BYTES;
use super::*;
use proptest::prelude::*;
use serde_json::Value;

const BOUNDS: Bounds = Bounds {
    depth_max: 4,
    array_items_max: 3,
    string_bytes_max: 8,
    keys_max: 3,
    key_bytes_max: 4,
    duplicate_keys: false,
    control_characters: false,
    lists_are_data: false,
};

#[track_caller]
fn check(text: impl AsRef<[u8]>, expect: Result<(), (&str, Reason)>) {
    let text = text.as_ref();
    let found = super::check(text, &BOUNDS).map_err(|fault| (fault.path, fault.reason));
    let expect = expect.map_err(|(path, reason)| (path.to_owned(), reason));
    assert_eq!(found, expect, "{}", String::from_utf8_lossy(text));
}

#[test]
fn each_bound_holds_exactly() {
    check("[[[[1]]]]", Ok(()));
    check(
        "[[[[[1]]]]]",
        Err(("[0][0][0][0]", Reason::TooDeep { max: 4 })),
    );
    check(
        r#"[1,{"a":[{"b":{}}]}]"#,
        Err(("[1].a[0].b", Reason::TooDeep { max: 4 })),
    );
    check("[1,2,3]", Ok(()));
    check("[1,2,3,4]", Err(("", Reason::TooManyItems { max: 3 })));
    check(
        r#"{"a":[[],[1,2,3,4]]}"#,
        Err(("a[1]", Reason::TooManyItems { max: 3 })),
    );
    check(r#"["12345678","12"]"#, Ok(()));
    check(
        r#"["123456789"]"#,
        Err(("[0]", Reason::StringTooLong { max: 8 })),
    );
    check(r#"{"a":1,"b":2,"c":3}"#, Ok(()));
    let many = r#"[{"a":1,"b":2,"c":3,"d":4}]"#;
    check(many, Err(("[0]", Reason::TooManyKeys { max: 3 })));
    check(r#"{"abcd":1}"#, Ok(()));
    check(
        r#"{"a":{"abcde":1}}"#,
        Err(("a", Reason::KeyTooLong { max: 4 })),
    );
}

#[test]
fn lengths_are_of_what_a_reader_gets() {
    // Two bytes of UTF-8 each, and six of JSON.
    check(r#"["\u00e9\u00e9\u00e9\u00e9"]"#, Ok(()));
    check(
        r#"["\u00e9\u00e9\u00e9\u00e9x"]"#,
        Err(("[0]", Reason::StringTooLong { max: 8 })),
    );
    check(r#"["\ud83d\ude00\ud83d\ude00"]"#, Ok(()));
    check(
        r#"["\ud83d\ude00\ud83d\ude00\n"]"#,
        Err(("[0]", Reason::StringTooLong { max: 8 })),
    );
    check(r#"["\"\"\\\\\/\/\n\t"]"#, Ok(()));
}

#[test]
fn a_key_comes_once_however_it_is_written() {
    check(r#"{"a":1,"a":2}"#, Err(("a", Reason::DuplicateKey)));
    check(
        r#"[{"b":{"a":1,"\u0061":2}}]"#,
        Err(("[0].b.a", Reason::DuplicateKey)),
    );
    check(r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#, Ok(()));
    let wide = Bounds {
        keys_max: 100,
        ..BOUNDS
    };
    let keys = |last: usize| {
        let keys = (0..40).chain([last]).map(|n| format!("\"{n}\":0"));
        format!("{{{}}}", keys.collect::<Vec<_>>().join(","))
    };
    assert_eq!(super::check(keys(40).as_bytes(), &wide), Ok(()));
    for again in [0, 15, 16, 17, 39] {
        let fault = super::check(keys(again).as_bytes(), &wide).unwrap_err();
        assert_eq!(
            (fault.path, fault.reason),
            (again.to_string(), Reason::DuplicateKey)
        );
    }
}

#[test]
fn characters_that_are_none() {
    for text in [r#""\u0000""#, r#""a\u0000\u0001""#] {
        check(text, Err(("", Reason::Nul)));
    }
    for text in [
        r#""\u0001""#,
        r#""\b""#,
        r#""\f""#,
        r#""\u001b[""#,
        r#""\u001F""#,
    ] {
        check(text, Err(("", Reason::ControlCharacter)));
    }
    for text in [
        r#""\t\r\n\u0009\u000a\u000D""#,
        r#""\u007f\u0080""#,
        r#""\ufffe""#,
    ] {
        check(text, Ok(()));
    }
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\u0041""#,
        r#""\udc00\ud800""#,
        r#""\ud83d\ud83d""#,
        r#""\u0000\udfff""#,
    ] {
        check(text, Err(("", Reason::LoneSurrogate)));
    }
    check(r#"{"a":["\u0000"]}"#, Err(("a[0]", Reason::Nul)));
    check(
        r#"{"a":{"\ud800":1}}"#,
        Err(("a.\u{fffd}", Reason::LoneSurrogate)),
    );
    check(r#"{"\u0000":1}"#, Err(("\u{fffd}", Reason::Nul)));
    check(b"[\"\xff\"]", Err(("[0]", Reason::NotUtf8)));
}

#[test]
fn numbers_that_overflow() {
    check(
        r#"{"a":[0,1e400]}"#,
        Err(("a[1]", Reason::NumberOutOfRange)),
    );
    check("-1E+309", Err(("", Reason::NumberOutOfRange)));
    check(
        format!("[{}]", "9".repeat(310)),
        Err(("[0]", Reason::NumberOutOfRange)),
    );
    check(
        format!("[{}.0]", "9".repeat(310)),
        Err(("[0]", Reason::NumberOutOfRange)),
    );
    for fine in [
        "1e308",
        "1e-400",
        "0e999999999999",
        "-1.7976931348623157e308",
        "18446744073709551616",
    ] {
        check(fine, Ok(()));
    }
}

#[test]
fn long_lists_of_numbers_are_seen_number_by_number() {
    let wide = Bounds {
        array_items_max: 10_000,
        ..BOUNDS
    };
    let tiny = format!("0.{}1e310", "0".repeat(320));
    for before in 0..80 {
        for filler in ["1,", "-0.25, "] {
            let list = |number: &str, after: usize| {
                format!("[{}{number}{}]", filler.repeat(before), ",7".repeat(after))
            };
            let check = |text: String| super::check(text.as_bytes(), &wide);
            // A number that is small as a whole and large in its second half.
            assert_eq!(check(list(&tiny, 80)), Ok(()));
            assert_eq!(check(list("1", 10_000 - before - 1)), Ok(()));
            let fault = check(list("1", 10_000 - before)).unwrap_err();
            assert_eq!(fault.reason, Reason::TooManyItems { max: 10_000 });
            for large in ["1e400".to_owned(), "9".repeat(310)] {
                let fault = check(list(&large, 80)).unwrap_err();
                assert_eq!(fault.path, format!("[{before}]"));
            }
        }
    }
}

#[test]
fn data_is_passed_over_and_what_is_in_it_is_not() {
    let data = Bounds {
        lists_are_data: true,
        ..BOUNDS
    };
    let check = |text: &str| super::check(text.as_bytes(), &data);
    let long = "[1, -2.5e3,3]".replace('3', &"1234567,".repeat(50));
    let long = format!(r#"{{"x":[{long},{long}],"y":1}}"#);
    assert_eq!(check(&long), Ok(()));
    for (text, path, reason) in [
        (r#"{"x":[1,2,3,4,[5,"\u0000"]]}"#, "x[4][1]", Reason::Nul),
        (
            r#"{"x":[1,[[[2]]]]}"#,
            "x[1][0][0]",
            Reason::TooDeep { max: 4 },
        ),
        (
            r#"[1,2,3,4,5,{"a":1,"a":2}]"#,
            "[5].a",
            Reason::DuplicateKey,
        ),
        (
            r#"[1,{"a":[1,2,3,4,5]},{"b":1e400}]"#,
            "[2].b",
            Reason::NumberOutOfRange,
        ),
    ] {
        let fault = check(text).unwrap_err();
        assert_eq!(
            (fault.path.as_str(), fault.reason),
            (path, reason),
            "{text}"
        );
    }
}

#[test]
fn what_is_allowed_is_not_refused() {
    let lenient = Bounds {
        duplicate_keys: true,
        control_characters: true,
        ..BOUNDS
    };
    let text = br#"{"a":"\u0000\u0001","a":1,"\u0000":2}"#;
    assert_eq!(super::check(text, &lenient), Ok(()));
    let text = br#"{"a":"\u0000\ud800"}"#;
    let fault = super::check(text, &lenient).unwrap_err();
    assert_eq!(fault.reason, Reason::LoneSurrogate, "no reader can take it");
}

#[test]
fn paths_stay_short_and_printable() {
    let wide = Bounds {
        depth_max: 10_000,
        key_bytes_max: 10_000,
        ..BOUNDS
    };
    let key = format!("\u{202e}{}\u{e9}\u{7f}", "k".repeat(1000));
    let text = format!("{{\"{key}\":").repeat(100) + "1e999" + &"}".repeat(100);
    let fault = super::check(text.as_bytes(), &wide).unwrap_err();
    assert!(fault.path.len() <= SHOWN_PATH_BYTES, "{}", fault.path.len());
    assert!(!fault.path.chars().any(char::is_control));
}

/// Whether a value is within bounds, the slow way.
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
                && fields.len() <= BOUNDS.keys_max
                && fields.keys().all(|key| is_text(key, BOUNDS.key_bytes_max))
                && fields.values().all(|value| is_within(value, depth + 1))
        }
        Value::String(text) => is_text(text, BOUNDS.string_bytes_max),
        _ => true,
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[a-c\"\\\\\u{1}\n\u{e9}\u{1f600}]{0,5}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("[a-c\u{1}\u{e9}]{0,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_scan_agrees_with_a_reader(value in any_value(), pretty: bool, escaped: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        };
        let mut text = text.unwrap();
        if escaped {
            // The same text with other words for its letters.
            text = text.replace('c', "\\u0063").replace('\u{1f600}', "\\ud83d\\ude00");
        }
        prop_assert_eq!(super::check(text.as_bytes(), &BOUNDS).is_ok(), is_within(&value, 0), "{}", text);
        let counted = Bounds { array_items_max: usize::MAX, ..BOUNDS };
        let data = Bounds { lists_are_data: true, ..counted };
        prop_assert_eq!(
            super::check(text.as_bytes(), &data),
            super::check(text.as_bytes(), &counted)
        );
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = super::check(&bytes, &BOUNDS);
    }

    #[test]
    fn anything_like_json_is_taken_or_refused(text in "[\\[\\]{}\",:0-9eE.+\\\\u-]{0,200}") {
        let _ = super::check(text.as_bytes(), &BOUNDS);
    }
}
