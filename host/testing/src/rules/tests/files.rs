//! What is wrong in files, what they may cost, and what no file may do.

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let problems = wrong(
        r#"strickt = true
[[rule]]
name = "a b"
mach = {}
[rule.answer]
text = "{{ broken"
txt = 1

[[rule]]
name = "two"
[rule.match]
modle = "x"
stream = "yes"
last_user = { matches = "(", contians = "x" }
body = { path = "$..a..b" }
header.x = 3
[rule.answer]
text = "a"
json = {}

[[rule]]
name = "two"
answer = { fault = "status=200", delay = "2", finish_reason = "done", usage = { prompt_tokens = -1 } }
"#,
    );
    assert_eq!(
        problems,
        [
            "line 1, column 1: unknown key `strickt` in the file; did you mean `strict`?",
            "line 3, column 8: the name of a rule is 1 to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`",
            "line 4, column 1: unknown key `mach` in `[[rule]]`; did you mean `match`?",
            "line 6, column 8: this is no template: unexpected end of input, expected end of variable block",
            "line 7, column 1: unknown key `txt` in `[rule.answer]`; did you mean `text`?",
            "line 12, column 1: unknown key `modle` in `[rule.match]`; did you mean `model`?",
            "line 13, column 10: expected `true` or `false`, found a text",
            "line 14, column 25: this is no regular expression: unclosed group",
            "line 14, column 30: unknown key `contians` in a text condition; did you mean `contains`?",
            "line 15, column 17: a JSONPath may have one `..`",
            "line 16, column 12: expected a text, or a table, found an integer",
            "line 17, column 1: `text` and `json` exclude one another",
            "line 23, column 20: `200` is no status of an error: expected 400 to 599",
            "line 23, column 42: `2` is no time: expected a number and `us`, `ms`, `s`, `m` or `h`, as in `200ms`",
            "line 23, column 63: expected one of `stop`, `length`, `tool_calls`, `content_filter`",
            "line 23, column 97: expected an integer from 0 to 4294967295, found an integer",
        ]
    );
    for (file, problem) in [
        (
            "rule = 1",
            "expected a list of rules, each as `[[rule]]`, found an integer",
        ),
        ("[[rule]]\nanswer.text = ''", "a rule needs a `name`"),
        ("[[rule]]\nname = 'a'", "a rule needs an `answer`"),
        ("[[rule]]\nname = 'a'\nanswer = {}", "this answers nothing"),
        (
            "[[rule]]\nname = 'a'\nanswer.delay = '1s'",
            "this answers nothing: expected",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.echo = false",
            "expected `true`",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer = { text = '', repeat = 'last' }",
            "`repeat` goes with `sequence`",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.sequence = []",
            "a sequence needs an answer",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.sequence = [{ sequence = [] }]",
            "`sequence` cannot stand in a sequence",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer = { sequence = [{ text = '' }], fault = 'reset' }",
            "`fault` belongs to the answers",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer = { generated = true, usage = {} }",
            "`usage` and `generated` exclude",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.data = ''",
            "a data set needs a line",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.data = '{\"request\": 1, \"answer\": \"\"}'",
            "data, line 1: expected a text, or an object",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.data = '''\n\n{]'''",
            "data, line 2, column 2: this is no JSON: key must be a string",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.data_set = 'x.jsonl'",
            "write it in `data`",
        ),
        (
            "[[rule]]\nname = 'a'\nmatch.not.not = {}\nanswer.text = ''",
            "`not` cannot stand in `not`",
        ),
        (
            "[[rule]]\nname = 'a'\nmatch.last_user = {}\nanswer.text = ''",
            "this says nothing of the text",
        ),
        (
            "[[rule]]\nname = 'a'\nanswer.text = ''\n[[rule]]\nname = 'a'\nanswer.text = ''",
            "there are two rules `a`",
        ),
        ("[[rule]\n", "this is no TOML"),
    ] {
        let problems = wrong(file);
        assert!(
            problems.iter().any(|it| it.contains(problem)),
            "{file}: {problems:?}"
        );
    }
}

#[test]
fn data_sets_beside_the_file_are_loaded_by_name() {
    let file = "[[rule]]\nname = 'a'\nanswer.data_set = 'pairs.jsonl'";
    let asked = RefCell::new(Vec::new());
    let rules = parse_beside(file, &|name| {
        asked.borrow_mut().push(name.to_owned());
        Ok(r#"{"request": "hi", "answer": "ho"}"#.to_owned())
    });
    assert_eq!(said(&rules.unwrap(), &user("hi")), "ho");
    assert_eq!(asked.into_inner(), ["pairs.jsonl"]);
    let error = parse_beside(file, &|_| Ok("\n{\"reqest\": \"hi\"}".to_owned())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pairs.jsonl, line 2: a line needs `request` and `answer`, or `messages`; pairs.jsonl, line 2: unknown key `reqest` in a line of a data set; did you mean `request`?"
    );
    let error = parse_beside(file, &|_| Err("no such file".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "line 3, column 19: no such file");
}

/// What a file of a stranger's could cost is refused before it costs anything.
#[test]
fn no_file_is_boundless() {
    let one = |conditions: &str| format!("[[rule]]\nname = 'a'\nanswer.text = ''\n{conditions}");
    for (file, problem) in [
        (
            "#".repeat(FILE_BYTES_MAX + 1),
            "a rule file of 1048577 bytes",
        ),
        (
            "[[rule]]\n".repeat(RULES_MAX + 1),
            "1001 rules, each as `[[rule]]` are too many",
        ),
        (
            one(r"match.last_user.matches = '(\w{100}){100}'"),
            "regular expression is too large",
        ),
        (
            one(r"match.last_user.matches = '((((a{99}){99}){99}){99})'"),
            "regular expression is too large",
        ),
        (
            one(&format!(
                "match.last_user.matches = '{}'",
                "a".repeat(EXPRESSION_BYTES_MAX + 1)
            )),
            "2049 bytes",
        ),
        (
            one(&format!(
                "match.last_user.matches = '{}a{}'",
                "(".repeat(900),
                ")".repeat(900)
            )),
            "no regular expression",
        ),
        (
            one(&format!(
                "match.body = '$[?{}@.a{}]'",
                "(".repeat(200),
                ")".repeat(200)
            )),
            "8 brackets",
        ),
        (
            one(&format!(
                "match.message = [{}]",
                "'a',".repeat(CONDITIONS_MAX + 1)
            )),
            "65 conditions are too many",
        ),
        (
            format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
            "this is no TOML",
        ),
        (
            format!("a.{} = 1", vec!["b"; 10_000].join(".")),
            "this is no TOML",
        ),
        (
            one(&format!("answer = 1\nx.y = '{}'", "a".repeat(100))),
            "duplicate key",
        ),
    ] {
        let problems = wrong(&file);
        assert!(
            problems.iter().any(|it| it.contains(problem)),
            "{problem}: {problems:?}"
        );
        assert!(problems.len() <= PROBLEMS_MAX);
    }
    let many = (0..=EXPRESSIONS_MAX).map(|number| {
        format!("[[rule]]\nname = 'r{number}'\nanswer.text = ''\nmatch.last_user.matches = 'a'\n")
    });
    let problems = wrong(&many.collect::<String>());
    assert!(
        problems[0].contains("more than 256 regular expressions"),
        "{problems:?}"
    );
    let deep = (0..200).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
    let data = format!("[[rule]]\nname = 'a'\nanswer.data = '{{\"request\": {deep}}}'");
    assert!(wrong(&data)[0].contains("this is no JSON: recursion limit exceeded"));
    let error = parse(&"x = 1\n".repeat(2)).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let unknown: String = (0..100).map(|n| format!("x{n} = 1\n")).collect();
    let error = parse(&unknown).unwrap_err();
    assert!(error.to_string().ends_with("; and 80 more"), "{error}");
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in ".{0,200}") {
        drop(parse(&text));
    }

    #[test]
    fn nothing_in_a_rule_makes_the_reader_panic(
        key in prop::sample::select(rule_tables().iter().flat_map(|it| it.keys).map(|it| it.name).collect::<Vec<_>>()),
        table in prop::sample::select(vec!["rule.match", "rule.answer", "rule.match.last", "rule.match.body", "rule.answer.usage"]),
        value in prop::sample::select(vec!["1", "-1", "1.5", "true", "''", "'$.a'", "[]", "[1]", "{}", "{ a = 1 }", "['a']", "[{}]", "'{{ x }}'", "'{\"request\":\"a\",\"answer\":{}}'"]),
    ) {
        let file = format!("[[rule]]\nname = 'r'\n[{table}]\n{key} = {value}\n");
        if let Ok(rules) = parse(&file) {
            let client = with_result("x");
            drop(rules.answer(&client.request(), |_| 3));
            drop(rules.nearest(&client.request()));
        }
    }

    /// A rule is the nearest only where it does not match, and then says why.
    #[test]
    fn a_rule_matches_or_says_why_not(text in "[ab ]{0,6}", part in "[ab ]{1,3}") {
        let rules = when(&format!("last_user.contains = '{part}'"));
        let client = user(&text);
        let nearest = rules.nearest(&client.request());
        prop_assert_eq!(answer(&rules, &client).is_some(), text.contains(&part));
        prop_assert_eq!(nearest.is_none(), text.contains(&part));
    }
}
