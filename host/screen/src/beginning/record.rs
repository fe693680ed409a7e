//! Whether a text is a record of what a program met, or shows a change or a table: lines of logs,
//! errors, differences, cells. What stands in one, somebody else sent, and the line that it broke
//! out of is the one that is shown.

/// How far into a text its first line is looked at.
const LINE_BYTES_MAX: usize = 512;

/// Words that begin what programs say of themselves.
const LEVELS: &[&str] = &[
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "SEVERE",
];

/// What errors begin with, in the words of their programs.
const ERRORS: &[&str] = &[
    "Traceback (most recent call last)",
    "Exception in thread ",
    "Uncaught ",
    "Unhandled ",
    "Caused by: ",
    "panic: ",
    "thread '",
    "fatal: ",
    "error[E",
    "error TS",
    "npm ERR! ",
    "make: *** ",
];

/// A line of a log, an error, a difference, a table or a pattern.
pub(super) fn is_record(text: &str) -> bool {
    let text = text.trim_start();
    let mut lines = text.lines();
    let first = line(lines.next());
    let second = line(lines.find(|line| !line.trim().is_empty()));
    is_access(first)
        || is_session(first)
        || is_dated(first)
        || is_structured(first)
        || is_levelled(first)
        || is_error(first)
        || is_difference(first, second)
        || is_change(text)
        || is_table(first, second)
        || is_task(first)
        || is_pattern(first)
}

fn line(line: Option<&str>) -> &str {
    let line = line.unwrap_or_default();
    line.get(..LINE_BYTES_MAX).unwrap_or(line)
}

/// `203.0.113.9 - ann [29/Nov/2026:10:00:00 +0000] "GET …`.
fn is_access(line: &str) -> bool {
    let Some((peer, rest)) = line.split_once(" - ") else {
        return false;
    };
    let address =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-');
    let dated = |at: &str| {
        let mut letters = at.chars().take(4);
        letters.next().is_some_and(|digit| digit.is_ascii_digit())
            && letters.any(|letter| letter == '/')
    };
    !peer.is_empty()
        && peer.chars().all(address)
        && rest
            .split_once(" [")
            .is_some_and(|(user, date)| !user.contains(['"', '\'', '<', ';']) && dated(date))
}

/// `2026-11-29T10:00:00Z ERROR …`, `Nov 29 10:00:00 host sshd[812]: …`.
fn is_dated(line: &str) -> bool {
    let line = line.trim_start_matches('[');
    let Some((date, rest)) = line.split_at_checked(STAMP_BYTES) else {
        return false;
    };
    let plain = "abcdefghijklmnopqrstuvwxyz0123456789 :.,-_/[]()ZT+";
    let has_time = |text: &str| {
        text.as_bytes().windows(6).any(|part| {
            matches!(part, [a, b, b':', c, d, e] if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit())
                && matches!(e, b':' | b' '))
        })
    };
    // What follows is a level or the name of a program, and no piece of a condition.
    let said = rest.trim_start_matches(|letter: char| {
        letter.is_ascii_digit() || matches!(letter, ':' | '.' | ',' | 'Z' | '+' | ']' | ' ' | '-')
    });
    let named = said
        .split(' ')
        .take(3)
        .any(|word| word.ends_with(':') || word.ends_with(']') || is_level(word));
    date.to_ascii_lowercase()
        .chars()
        .all(|letter| plain.contains(letter) || letter == 't' || letter == 'z')
        && date.contains(|digit: char| digit.is_ascii_digit())
        && has_time(line.get(..STAMP_BYTES + 5).unwrap_or(line))
        && named
}

/// `Nov 29 10:00:00` and `2026-11-29T10:0`.
const STAMP_BYTES: usize = 15;

fn is_level(word: &str) -> bool {
    LEVELS.contains(&word.trim_matches(['[', ']', ':', '|']))
}

/// `ERROR 1064 (42000): …`, `INFO  [main] …`: a level, and then words.
fn is_levelled(line: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "[]():._-/".contains(letter);
    line.split_once([' ', ':']).is_some_and(|(word, rest)| {
        let mut said = rest.split_whitespace().take(2);
        is_level(word) && said.clone().count() == 2 && said.all(|word| word.chars().all(plain))
    })
}

/// `{"level":"error","msg":"…"`.
fn is_structured(line: &str) -> bool {
    const KEYS: [&str; 2] = ["\"level\":", "\"severity\":"];
    line.starts_with("{\"")
        && KEYS.iter().any(|key| line.contains(key))
        && ["\"msg\":", "\"message\":"]
            .iter()
            .any(|key| line.contains(key))
}

/// `mysql> select 1;`, `>>> import os`, `C:\dir> dir`: what was typed at the prompt of a program.
fn is_session(line: &str) -> bool {
    const PROGRAMS: &[&str] = &[
        "mysql", "sqlite", "irb", "ghci", "iex", "jshell", "scala", "psql", "node", "redis",
        "MariaDB", "mongo", "mongosh", "test", "lua", "gdb",
    ];
    if line.starts_with(">>> ") || line.starts_with("PS C:\\") {
        return true;
    }
    let Some((prompt, said)) = line.split_once([' ']) else {
        return false;
    };
    let name = prompt.trim_end_matches(['>', '#', '=', '(', ')']);
    let letters = name
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .next();
    let folder = prompt.get(1..3) == Some(":\\") && !prompt.contains(['"', '\'', '&', '|', '%']);
    let database = prompt.ends_with("=#") || prompt.ends_with("=>");
    let named = letters.is_some_and(|name| PROGRAMS.contains(&name));
    !said.trim().is_empty()
        && ((prompt.ends_with('>') && (folder || named))
            || (database && !name.is_empty() && name.chars().all(char::is_alphanumeric)))
}

/// `psycopg2.errors.SyntaxError: …`.
fn is_error(line: &str) -> bool {
    if ERRORS.iter().any(|begins| line.starts_with(begins)) {
        return true;
    }
    let name = line.split([':', ' ']).next().unwrap_or_default();
    let named = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '$'));
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let ends = ["Error", "Exception", "Warning"]
        .iter()
        .any(|end| name.ends_with(end) && name.len() > end.len());
    let said = line.get(name.len()..).unwrap_or_default();
    named && begins && ends && (said.starts_with(": ") || said.starts_with(" ["))
}

/// `diff --git a/x b/x`, `--- a/x` with `+++ b/x` below, `@@ -1,2 +1,2 @@`.
fn is_difference(first: &str, second: &str) -> bool {
    first.starts_with("diff --git ")
        || (first.starts_with("--- ") && second.starts_with("+++ "))
        || (first.starts_with("@@ -") && first.get(4..).is_some_and(|rest| rest.contains(" @@")))
}

/// Lines that all went or came: `+` and `-` in front of each.
fn is_change(text: &str) -> bool {
    const LINES_MAX: usize = 64;
    let mut lines = text
        .lines()
        .take(LINES_MAX)
        .filter(|line| !line.trim().is_empty());
    let goes = |sign: char| {
        text.lines()
            .take(LINES_MAX)
            .any(|line| line.starts_with(sign))
    };
    lines.all(|line| line.starts_with(['+', '-', ' '])) && goes('+') && goes('-')
}

/// `| a | b |` with `|---|---|` below.
fn is_table(first: &str, second: &str) -> bool {
    let rule = second.trim();
    first.starts_with('|')
        && rule.starts_with('|')
        && rule.contains("--")
        && rule
            .chars()
            .all(|letter| matches!(letter, '|' | '-' | ':' | ' '))
}

/// `- [x] done`.
fn is_task(line: &str) -> bool {
    ["- [ ] ", "- [x] ", "* [ ] ", "* [x] "]
        .iter()
        .filter_map(|begins| line.strip_prefix(begins))
        .any(|rest| rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '`'))
}

/// `(?i)<b>.*?</b>`: a regular expression that begins with a group of its own.
fn is_pattern(line: &str) -> bool {
    line.strip_prefix("(?").is_some_and(|rest| {
        rest.starts_with(|letter: char| letter.is_ascii_lowercase() || "=!<:P".contains(letter))
    })
}
