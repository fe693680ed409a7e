//! Texts made to take long: whatever a pattern begins with, a megabyte of it.

/// Length of each text, in bytes.
const TEXT_BYTES: usize = 1 << 20;

/// A name and a text each.
pub(crate) fn texts() -> Vec<(&'static str, String)> {
    const PIECES: &[(&str, &str)] = &[
        ("percent signs", "%"),
        ("escaped percent signs", "%25"),
        ("half escapes", "%2"),
        ("broken lead bytes", "%c0"),
        ("entities", "&#37;"),
        ("open entities", "&#"),
        ("zeros of an entity", "&#0000000000000000"),
        ("ampersands", "&"),
        ("backslashes", "\\"),
        ("escaped backslashes", "\\u005c"),
        ("quotes", "'"),
        ("quotes and words", "' or "),
        ("open comments", "/*"),
        ("brackets", "("),
        ("filters", ")("),
        ("angles", "<"),
        ("tags", "<a "),
        ("handlers", "<x onx="),
        ("unions", "union "),
        ("selects", "(select "),
        ("functions", "sleep("),
        ("values", "1,"),
        ("separators", ";id"),
        ("dollars", "${x"),
        ("backticks", "` a"),
        ("dots", "../"),
        ("single dots", "./"),
        ("letters", "a"),
        ("words", "a b "),
        ("wide letters", "ａ"),
        ("other letters", "яз "),
        ("unseen characters", "\u{200b}"),
        ("lines", "\n    a"),
        ("fences", "\n```\n"),
        ("everything", "'%27&#39;\\x27<a(;$`/../*1"),
        (
            "prose",
            "The quick brown fox jumps over the lazy dog, and nobody minds. ",
        ),
    ];
    let mut texts: Vec<_> = PIECES
        .iter()
        .map(|(name, piece)| (*name, piece.repeat(TEXT_BYTES / piece.len())))
        .collect();
    texts.push((
        "nested percent signs",
        format!("%{}", "25".repeat(TEXT_BYTES / 2)),
    ));
    texts.push((
        "nested entities",
        format!("&{}lt;", "amp;".repeat(TEXT_BYTES / 4)),
    ));
    texts
}
