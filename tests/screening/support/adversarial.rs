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
    texts.extend(random());
    texts
}

/// Texts in which nothing repeats. What follows prose has to be found against all signs of
/// talk, so that the screen cannot stop early.
fn random() -> Vec<(&'static str, String)> {
    const PROSE: &str = "Please explain to me what all of this is good for, because I have found it in a \
        very old file and would like to understand it much better than I do. ";
    const SIGNS: &str = "' \" ; | & $ < > ( ) { } [ ] % \\ / . , : = + - * # @ ! ? ~ ^ _ `";
    const DULL_SIGNS: &str = "( ) { } [ ] , . : = + - ! ? ~ ^";
    const WORDS: &str = "select union from or and where table drop id cat ls find sleep echo time script \
        alert onload img src href uid cn entity doctype system the of house tree 1 22 0x41 null \
        char concat eval exec print window name in is like not a b yes";
    const ESCAPES: &str =
        "%41 %2e %c0 %25 &#65; &#x2f; &lt; &amp \\x41 \\u0041 \\u{41} %u0041 \u{ff41} %";
    const PIECES: &str = "' or ( union (select sleep( 1, ;id ${x <a onx= ../ ./ /* */ -- `a )( *) <!DOCTYPE \
        \u{200b} é я %2e a b c | && <x > \" javascript: /etc/passwd";
    let glued = |list: &str, seed| shuffled(list, "", seed);
    let spaced = |list: &str, seed| shuffled(list, " ", seed);
    vec![
        ("random signs", glued(SIGNS, 1)),
        ("random dull signs", glued(DULL_SIGNS, 2)),
        ("random words", spaced(WORDS, 3)),
        (
            "random words, glued signs",
            glued(&format!("{WORDS} {SIGNS}"), 4),
        ),
        ("random escapes", glued(ESCAPES, 5)),
        ("random pieces", spaced(PIECES, 6)),
        ("random letters", glued("a b c d e f 1 2 _ -", 7)),
        (
            "prose and random signs",
            PROSE.to_owned() + &glued(SIGNS, 8),
        ),
        (
            "prose and random words",
            PROSE.to_owned() + &spaced(WORDS, 9),
        ),
        (
            "prose and random pieces",
            PROSE.to_owned() + &glued(PIECES, 10),
        ),
        ("prose and escapes", PROSE.to_owned() + &glued(ESCAPES, 11)),
        (
            "prose, short words",
            PROSE.to_owned() + &spaced("or a 1 = ( ) in is", 12),
        ),
        (
            "prose and random dull signs",
            PROSE.to_owned() + &glued(DULL_SIGNS, 13),
        ),
        (
            "prose, quotes and letters",
            PROSE.to_owned() + &glued("' \" a , +", 14),
        ),
        (
            "prose, separators and letters",
            PROSE.to_owned() + &glued("; | & a b", 15),
        ),
        (
            "prose, dollars and braces",
            PROSE.to_owned() + &glued("$ { } ( ) a", 16),
        ),
        (
            "prose, angles and letters",
            PROSE.to_owned() + &glued("< > a = /", 17),
        ),
        (
            "prose, dots and slashes",
            PROSE.to_owned() + &glued(". / \\ a", 18),
        ),
        (
            "prose, backticks and letters",
            PROSE.to_owned() + &glued("` a b", 19),
        ),
    ]
}

/// The words of `list` in an order of chance, always the same for one seed.
fn shuffled(list: &str, between: &str, seed: u64) -> String {
    let words: Vec<_> = list.split_whitespace().collect();
    let mut state = seed;
    let mut text = String::with_capacity(TEXT_BYTES + 16);
    while text.len() < TEXT_BYTES {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[(state >> 33) as usize % words.len()]);
        text.push_str(between);
    }
    text
}
