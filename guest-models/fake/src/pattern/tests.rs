use super::write::Length;
use super::*;
use crate::random::Random;
use std::string::String;

const ANY: Length = Length {
    least: 0,
    most: usize::MAX,
};

fn text(pattern: &str, seed: u64) -> Option<String> {
    Pattern::parse(pattern)?.text(ANY, &mut Random::new(seed))
}

#[track_caller]
fn check(pattern: &str, matches: impl Fn(&str) -> bool) {
    let parsed = Pattern::parse(pattern).unwrap_or_else(|| panic!("{pattern} is not read"));
    for seed in 0..200 {
        let made = text(pattern, seed).unwrap_or_else(|| panic!("{pattern} gave nothing"));
        assert!(matches(&made), "{pattern} gave {made:?}");
        assert!(
            parsed.matches(&made),
            "{pattern} does not match its {made:?}"
        );
    }
}

#[test]
fn texts_match() {
    check("^abc$", |t| t == "abc");
    check("^(cat|dog|)s?$", |t| {
        ["", "s", "cat", "cats", "dog", "dogs"].contains(&t)
    });
    check("[a-c]{2}", |t| {
        t.len() == 2 && t.bytes().all(|b| (b'a'..=b'c').contains(&b))
    });
    check("[^a-z]", |t| {
        t.len() == 1 && !t.as_bytes()[0].is_ascii_lowercase()
    });
    check(r"\d+(\.\d{1,2})?", |t| t.parse::<f64>().is_ok());
    check("(?:x(y|z)){3}", |t| t.len() == 6);
    check(r"[\w.-]+@[a-z]+\.com", |t| {
        t.contains('@') && t.ends_with(".com")
    });
    check("(?<year>[0-9]{4})", |t| t.len() == 4);
    check("(?P<year>[0-9]{4})", |t| t.len() == 4);
    check(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", |t| {
        t.matches('@').count() == 1 && !t.contains(' ')
    });
    check(r"[^\w\s]", |t| {
        t.chars().all(|c| c.is_ascii_punctuation() && c != '_')
    });
    check(r"[\d\w-]{3}", |t| t.len() == 3);
    check(r"[\w-.]", |t| t.len() == 1);
    check(r"\bword\b", |t| t == "word");
    check(r"\A\d\z", |t| t.len() == 1);
    check(r"^\p{L}\p{Lu}\p{Nd}\pL$", |t| {
        t.len() == 4 && t.as_bytes()[1].is_ascii_uppercase() && t.as_bytes()[2].is_ascii_digit()
    });
    check(r"[\p{L}\p{N}]+", |t| t.chars().all(char::is_alphanumeric));
    check(r"\x41\u0042\u{43}", |t| t == "ABC");
    check(r"[\x41-\x43]", |t| ["A", "B", "C"].contains(&t));
    check(r"(?i)abc", |t| t.eq_ignore_ascii_case("abc"));
    check(r"a(?i:b)c", |t| t.eq_ignore_ascii_case("abc"));
    check(r"[[:alpha:]]+", |t| t.chars().all(char::is_alphabetic));
    check(r"(a|b)\1", |t| ["aa", "bb"].contains(&t));
    check("a*?b", |t| t.ends_with('b'));
}

#[test]
fn classes_have_what_is_left_in_them() {
    check(r"^[^\x00-\x7F]+$", |t| {
        !t.is_empty() && t.chars().all(|c| !c.is_ascii())
    });
    check(r"^[\x00-\x7F]{4}$", |t| {
        t.bytes().all(|b| (b' '..=b'~').contains(&b))
    });
    check(r"^[\x00-\x1f]$", |t| t.len() == 1 && t.as_bytes()[0] < 0x20);
    check(r"^[^a-zA-Z0-9 -~]$", |t| t.chars().all(|c| !c.is_ascii()));
    check(r"^[^\S]$", |t| t == " ");
    check(r"^[^\W\d_]{3}$", |t| {
        t.bytes().all(|b| b.is_ascii_alphabetic())
    });
    check(r"^\D\W\S$", |t| t.len() == 3);
    check(r"^[\D]{2}[\W]{2}[\S]{2}$", |t| t.chars().count() == 6);
    check(r"^[\s\S]{3}$", |t| t.chars().count() == 3);
    check(r"^[^\u4e00-\u9fff]+$", |t| t.is_ascii());
    check(r"^[\u4e00-\u9fff]{2,4}$", |t| {
        (2..=4).contains(&t.chars().count())
    });
    check(r"^\P{L}+$", |t| t.chars().all(|c| !c.is_alphabetic()));
    check(r"^[^\p{L}\p{N}]$", |t| {
        t.chars().all(|c| !c.is_alphanumeric())
    });
    check(r"^[\P{Lu}]$", |t| t.chars().all(|c| !c.is_uppercase()));
    check(r"^\p{^Ll}$", |t| t.chars().all(|c| !c.is_lowercase()));
    check(r"^\p{Script=Cyrillic}+$", |t| {
        t.chars().all(|c| ('Ё'..='ё').contains(&c))
    });
    check(r"^\p{Han}\p{Hiragana}\p{sc=Greek}$", |t| {
        t.chars().count() == 3
    });
    check(r"^\p{Sc}\d+$", |t| t.starts_with('$'));
    check(r"^\p{Emoji}$", |t| t.chars().all(|c| c >= '\u{1f300}'));
    check(r"^[\b]\cJ$", |t| t == "\u{8}\n");
    check(r"^(?<q>['\x22])\w+\k<q>$", |t| {
        t.chars().next() == t.chars().last()
    });
    check(r"^{[a-z]+}$", |t| t.starts_with('{') && t.ends_with('}'));
    check(r"^a{,2}$", |t| t == "a{,2}");
    check(r"^[+\-*/^.\]\\]$", |t| t.len() == 1);
    check(r"^[a-z]+?\d{2,}?(?:-\w??)*?$", |t| t.len() >= 3);
    assert_eq!(text(r"[^\s\S]", 1), None);
}

#[test]
fn what_looks_around_is_kept() {
    check(r"^(?=.*[A-Z])(?=.*\d).{8,}$", |t| {
        t.len() >= 8
            && t.bytes().any(|b| b.is_ascii_uppercase())
            && t.bytes().any(|b| b.is_ascii_digit())
    });
    check(r"(?<=\$)\d+", |t| t.starts_with('$'));
    check(r"^(?!admin).*$", |t| !t.starts_with("admin"));
    check(r"\d+(?=€)", |t| t.ends_with('€'));
    check(r"^\w+(?<!x)$", |t| !t.ends_with('x'));
}

#[test]
fn the_length_is_kept_where_the_pattern_allows_it() {
    for seed in 0..100 {
        let made = |pattern: &str, least, most| {
            Pattern::parse(pattern)
                .unwrap()
                .text(Length { least, most }, &mut Random::new(seed))
        };
        assert!(made("^[a-z]+$", 30, 40).is_some_and(|text| (30..=40).contains(&text.len())));
        assert!(made("^[a-z]*$", 0, 1).is_some_and(|text| text.len() <= 1));
        assert!(made("^[A-Z]{2,20}$", 15, 18).is_some_and(|text| (15..=18).contains(&text.len())));
        assert_eq!(made("^abc$", 5, 9), None);
    }
}

#[test]
fn a_match_is_found_anywhere_and_nowhere() {
    let matches = |pattern: &str, text: &str| Pattern::parse(pattern).unwrap().matches(text);
    assert!(matches("b", "abc"));
    assert!(!matches("^b", "abc"));
    assert!(matches("^[A-Z]{3}-\\d{2,4}$", "ABC-123"));
    assert!(!matches("^[A-Z]{3}-\\d{2,4}$", "ABC-1"));
    assert!(matches("(?i)^yes$", "YES"));
    assert!(matches("^(a+)+$", "aaaa"));
    assert!(!matches("^(a+)+$", &("a".repeat(60) + "b")));
    assert!(matches("^(a*)*$", "") && !matches("^(a*)*b$", "c"));
    assert!(matches("", ""));
    assert!(matches(&"x?".repeat(50), &"x".repeat(2000)));
}

#[test]
fn what_is_broken_or_beyond_is_refused() {
    for pattern in [
        "(",
        "a)",
        "[a",
        "a{3,1}",
        "*",
        r"\1",
        r"\k<a>",
        r"(?<b>x)\k<a>",
        r"\p{Nonsense}",
        r"\x4",
        r"\",
        "a{99999999}",
        "[z-a]",
        "a**",
    ] {
        assert_eq!(text(pattern, 1), None, "{pattern}");
    }
    assert_eq!(text(&"(".repeat(100_000), 1), None);
}
