//! What holds for every text.

use belljar_screen::{FieldKind, Screener, decode, decode_traced};
use proptest::prelude::*;

/// All kinds of fields.
const KINDS: [FieldKind; 3] = [FieldKind::Prompt, FieldKind::Identifier, FieldKind::Header];

/// Each byte of UTF-8 as `%XX`.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Each character as a decimal entity.
fn decimal(text: &str) -> String {
    text.chars()
        .map(|character| format!("&#{};", u32::from(character)))
        .collect()
}

/// Each character as a hexadecimal entity.
fn hexadecimal(text: &str) -> String {
    text.chars()
        .map(|character| format!("&#x{:x};", u32::from(character)))
        .collect()
}

/// Each byte of UTF-8 as `\xXX`.
fn backslash_x(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// Each character as `\u{X}`.
fn backslash_u(text: &str) -> String {
    text.chars()
        .map(|character| format!("\\u{{{:x}}}", u32::from(character)))
        .collect()
}

/// Each ASCII character in its full-width form.
fn full_width(text: &str) -> String {
    let wide = |character: char| match u32::from(character) {
        code @ 0x21..=0x7e => char::from_u32(code + 0xfee0).unwrap_or(character),
        _ => character,
    };
    text.chars().map(wide).collect()
}

/// Some of the encodings one after the other.
fn encode(text: &str, encodings: &[u8]) -> String {
    encodings
        .iter()
        .fold(text.to_owned(), |text, encoding| match encoding {
            0 => percent(&text),
            1 => decimal(&text),
            2 => hexadecimal(&text),
            3 => backslash_x(&text),
            4 => backslash_u(&text),
            _ => full_width(&text),
        })
}

/// Pieces that grammars react to.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "' or 1=1 --",
        "union select",
        "1,2,null",
        "; ls -la",
        "$(id)",
        "`whoami`",
        "../",
        "..\\",
        "/etc/passwd",
        "<script>",
        "alert(1)",
        "onload=",
        "javascript:",
        "*)(uid=*",
        "(|(",
        "<!DOCTYPE a [",
        "<!ENTITY",
        "SYSTEM \"x\"",
        "%",
        "&",
        "\\",
        "&#",
        "%u",
        "\\u{",
        "```",
        "\n",
        "    ",
        "What is",
        "the",
        "?",
        "\"",
        "/*",
        "*/",
        "--",
        "é",
        "语",
        "\u{200b}",
        "${",
        "%25",
        "&amp;",
        "#",
        "\0",
    ]);
    prop::collection::vec(
        prop_oneof![4 => piece.prop_map(str::to_owned), 1 => "\\PC{0,6}"],
        0..24,
    )
    .prop_map(|pieces| pieces.concat())
}

/// Texts of both kinds.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![pieces(), any::<String>()]
}

/// True when an escape in the text may be half of an overlong character. It takes what comes
/// next with it, and that is another thing when the next is spelt otherwise.
fn has_broken_lead(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["c0", "c1", "bg"].iter().any(|lead| text.contains(lead))
}

/// True when a path in the text leaves its folder.
fn climbs(text: &str) -> bool {
    text.contains("../") || text.contains("..\\")
}

proptest! {
    #[test]
    fn any_text_is_screened(text in texts()) {
        let screener = Screener::default();
        for kind in KINDS {
            if let Some(hit) = screener.screen(kind, &text) {
                prop_assert!(hit.position <= text.len());
                prop_assert!((0.5..=1.0).contains(&hit.score));
            }
        }
    }

    #[test]
    fn decoding_reaches_a_fixed_point(text in texts()) {
        let once = decode(&text).into_owned();
        prop_assert_eq!(decode(&once), once.as_str());
    }

    #[test]
    fn tracing_changes_nothing_and_origins_go_forward(text in texts()) {
        let traced = decode_traced(&text);
        prop_assert_eq!(traced.text(), decode(&text));
        let origins: Vec<_> = (0..traced.text().len()).map(|at| traced.origin(at)).collect();
        prop_assert!(origins.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", origins);
        prop_assert!(origins.iter().all(|origin| *origin < text.len()));
    }

    #[test]
    fn encodings_are_undone(text in texts(), encodings in prop::collection::vec(0..6_u8, 1..4)) {
        prop_assume!(!has_broken_lead(&text));
        let encoded = encode(&text, &encodings);
        prop_assert_eq!(decode(&encoded), decode(&text));
    }

    #[test]
    fn the_verdict_is_that_of_the_plain_text(text in pieces(), encodings in prop::collection::vec(0..6_u8, 1..3)) {
        // A blank text says nothing; spelt out, its line breaks are a sign of their own.
        prop_assume!(!decode(&text).trim().is_empty() && !has_broken_lead(&text));
        let screener = Screener::default();
        let encoded = encode(&text, &encodings);
        for kind in [FieldKind::Prompt, FieldKind::Identifier] {
            let plain = screener.screen(kind, &text).map(|hit| (hit.category, hit.score.to_bits()));
            let hidden = screener.screen(kind, &encoded).map(|hit| (hit.category, hit.score.to_bits()));
            // A step up that is spelt out is a sign besides: nobody spells the path of a file so.
            // Neither does anybody spell the line breaks of a program or a log.
            if climbs(&decode(&text)) || decode(&text).contains('\n') {
                prop_assert!(plain.is_none() || hidden.is_some());
            } else {
                prop_assert_eq!(plain, hidden);
            }
        }
    }

    #[test]
    fn an_attack_stays_a_hit_under_any_encoding(encodings in prop::collection::vec(0..6_u8, 0..4)) {
        let screener = Screener::default();
        for attack in ["'; DROP TABLE users; --", "<script>alert(1)</script>", "../../etc/passwd", "; cat /etc/hosts"] {
            prop_assert!(screener.screen(FieldKind::Prompt, &encode(attack, &encodings)).is_some());
        }
    }

    #[test]
    fn a_hit_shows_nothing_of_the_text(secret in "[a-z]{12}") {
        let text = format!("{secret}' or 1=1 --");
        let shown = Screener::default().screen(FieldKind::Identifier, &text).unwrap().to_string();
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }
}
