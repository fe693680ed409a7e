//! Grammars that are read and followed, and those that are refused. Whether the texts are what
//! Lark itself takes is seen by `tests/clients/lark_grammars.py`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Grammar;
use crate::pattern::Pattern;
use crate::random::Random;

const ARITHMETIC: &str = r#"
start: expr
expr: term (SP ADD SP term)* -> add
| term
term: factor (SP MUL SP factor)* -> mul
| factor
factor: INT
SP: " "
ADD: "+"
MUL: "*"
%import common.INT
"#;

fn texts(grammar: &str, said: &[&str], count: u64) -> Vec<String> {
    let grammar = Grammar::parse(grammar).unwrap_or_else(|fault| panic!("{fault}"));
    let said: Vec<String> = said.iter().map(|&word| word.into()).collect();
    (0..count)
        .map(|seed| grammar.text(&said, &mut Random::new(seed)).unwrap())
        .collect()
}

#[track_caller]
fn all_match(grammar: &str, said: &[&str], expression: &str) {
    let pattern = Pattern::parse(&format!("^(?:{expression})$")).unwrap();
    for text in texts(grammar, said, 60) {
        assert!(pattern.matches(&text), "{text:?} of {grammar}");
    }
}

#[test]
fn a_text_follows_its_grammar() {
    all_match(ARITHMETIC, &[], r"\d+(?: [+*] \d+)*");
    let several = texts(ARITHMETIC, &[], 60);
    assert!(several.iter().any(|text| text.contains('*')));
    assert!(several.iter().any(|text| !text.contains(' ')));
}

#[test]
fn what_was_said_is_taken_up_in_its_order() {
    let sum = "start: INT \"+\" INT\n%import common.INT";
    assert_eq!(texts(sum, &["4", "38"], 1), ["4+38"]);
    // Each once: what is said is no reason to say it again.
    let only = texts(sum, &["7"], 1).remove(0);
    assert!(only.starts_with("7+") && only.len() > 2, "{only}");
}

#[test]
fn every_form_is_read() {
    for (grammar, expression) in [
        ("start: \"a\" | \"b\"", "[ab]"),
        ("start: \"a\"\n  | \"b\"\n  | \"c\"", "[abc]"),
        ("start: [\"a\"] \"b\"", "a?b"),
        ("start: (\"a\" | \"b\")+", "[ab]{1,3}"),
        ("start: \"a\"~3", "a{3}"),
        ("start: \"a\"~2..4 \"b\"?", "a{2,4}b?"),
        ("start: \"a\"..\"f\"", "[a-f]"),
        ("start: /[0-9]{4}-[0-9]{2}/", r"\d{4}-\d\d"),
        ("start: /a\\/b/", "a/b"),
        (
            "start: WORDS\nWORDS: \"x\" DIGITS?\nDIGITS: /[0-9]/+",
            r"x\d*",
        ),
        ("start: \"se\\\"t\\n\\x41\\u00e9\"", "se\"t\nAé"),
        ("?start: !a\n!a.2: \"x\" // a remark\n# and another\n", ""),
        ("start: a? ?b\n", ""),
        ("?start: a?\n?a: \"x\"\n", "x?"),
        ("start: N N\nN.-1: /[0-9]/", r"\d\d"),
        (
            "%import common (INT, WORD)\nstart: INT WORD",
            r"\d+[a-zA-Z]+",
        ),
        ("%import common.INT -> NUMBER\nstart: NUMBER", r"\d+"),
        ("start: A A\nA: \"set\"i\n%ignore \" \"", "set set"),
        (
            "start: F \"(\" A (\",\" A)~2 \")\"\nF: \"f\"\nA: /[a-c]/\n%ignore /\\s+/",
            r"f \([a-c](?:, [a-c]){2}\)",
        ),
    ] {
        if expression.is_empty() {
            assert!(Grammar::parse(grammar).is_err(), "{grammar}");
        } else {
            all_match(grammar, &[], expression);
        }
    }
}

#[test]
fn what_contains_itself_comes_to_an_end() {
    let list = "start: value\n?value: list | /[0-9]/\nlist: \"[\" [value (\",\" value)*] \"]\"";
    for text in texts(list, &[], 200) {
        assert!(text.len() < 4_000, "{}", text.len());
        let opened = text.matches('[').count();
        assert_eq!(opened, text.matches(']').count(), "{text}");
    }
    // Only the last branch ends; it is found from the depth on where nothing is free any more.
    let deep = "start: \"(\" start \")\" start | \"(\" start \")\" | \"x\"";
    assert!(texts(deep, &[], 200).iter().all(|text| text.contains('x')));
}

#[test]
fn a_name_is_none_of_the_grammars_own_words() {
    let grammar = "start: \"if\" NAME\nNAME: /if|of/\n%ignore \" \"";
    for text in texts(grammar, &["if"], 40) {
        assert_eq!(text, "if of");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (grammar, fault) in [
        ("", "line 1: there is no rule `start`"),
        ("begin: \"a\"", "line 1: there is no rule `start`"),
        ("start: a\n", "line 1: there is no rule `a`"),
        ("start: \"a\"\n  | B", "line 2: there is no terminal `B`"),
        (
            "start: \"a\"\nstart: \"b\"",
            "line 2: `start` is defined twice",
        ),
        (
            "start: a\na: \"x\" a",
            "line 1: `start` never comes to an end",
        ),
        (
            "start: A\nA: \"x\" A",
            "line 2: a terminal contains itself, or others too deep in each other",
        ),
        (
            "start: A\nA: b\nb: \"x\"",
            "line 2: `b` is a rule, and stands in a terminal",
        ),
        ("start: \"a", "line 1: a text has no closing quotation mark"),
        ("start: \"\"", "line 1: a text is empty"),
        ("start: /a", "line 1: an expression has no closing slash"),
        ("start: /a(/", "line 1: `/(?:a()/` cannot be read"),
        ("start: (\"a\"", "line 1: a group is not closed"),
        ("start: \"a\" )", "line 1: expected `name:` or a directive"),
        (
            "start: *",
            "line 1: `*` stands where something is to be repeated or named",
        ),
        (
            "start: \"a\"~5..2",
            "line 1: a count ends before it begins or past 1000",
        ),
        (
            "start: \"b\"..\"a\"",
            "line 1: a range is from one character to a later one",
        ),
        (
            "start: _sep{a, \",\"}\na: \"x\"",
            "line 1: templates are not followed here",
        ),
        (
            "start: A\n%import .file.A",
            "line 2: only `common` can be imported from",
        ),
        (
            "start: A\n%import common.NOTHING",
            "line 2: `common` has no `NOTHING`",
        ),
        (
            "start: A\n%declare A",
            "line 2: `%declare` is not followed here",
        ),
        ("start: \"a\" = b", "line 1: `=` has no meaning here"),
    ] {
        let found = Grammar::parse(grammar).map_err(|fault| fault.to_string());
        assert_eq!(found.err().as_deref(), Some(fault), "{grammar:?}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let many: String = (0..600).map(|n| format!("r{n}: \"a\"\n")).collect();
    let nested = format!("start: {}\"a\"{}", "(".repeat(40), ")".repeat(40));
    let chain: String = (0..30).map(|n| format!("r{n}: r{}\n", n + 1)).collect();
    let chain = format!("start: r0\n{chain}r30: \"x\"");
    let wide = format!("start: A\nA: {}", "/abcdefgh/ ".repeat(600));
    for grammar in [&format!("start: r0\n{many}"), &nested, &chain, &wide] {
        assert!(Grammar::parse(grammar).is_err(), "{}", &grammar[..60]);
    }
    // Long, and without a shorter way: no text is made, and nothing is lost.
    let long = "start: a~1000\na: b~1000\nb: \"x\"";
    let long = Grammar::parse(long).unwrap();
    assert_eq!(long.text(&[], &mut Random::new(0)), None);
}

proptest::proptest! {
    #[test]
    fn no_grammar_is_a_panic(
        pieces in proptest::collection::vec(
            proptest::sample::select(&[
                "start", ":", "a", "B", "\"x\"", "/y/", "(", ")", "[", "]", "|", "?", "*", "+",
                "~", "2", "..", "->", "\n", "%ignore", "%import", "common", ".", "{", "}", "!",
            ][..]),
            0..40,
        ),
    ) {
        let grammar = format!("start: a B\na: {}\nB: /[a-z]/", pieces.join(" "));
        if let Ok(grammar) = Grammar::parse(&grammar) {
            let _ = grammar.text(&[], &mut Random::new(1));
        }
    }
}
