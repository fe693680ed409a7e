//! Whether a text begins as a command line: a program, and what it is called with.

use super::Beginning;
use crate::lexicon::{self, Classes, words};
use crate::reader::Tokens;
use crate::token::Token;

/// Words that are programs, and that lists of attacks have for the value before a separator:
/// `test; id`.
const VALUES: &[lexicon::WordHash] = words![
    "test", "time", "host", "file", "users", "user", "info", "query", "mail", "find", "look",
    "set", "call", "name", "busybox", "nohup", "flock",
];

/// Programs that show what is in a file.
const READERS: &[lexicon::WordHash] = words![
    "cat", "less", "more", "head", "tail", "grep", "ls", "wc", "sort", "cut", "awk", "nano", "vi",
    "vim", "stat", "file", "type", "sudo", "nl", "tac",
];

/// Programs that give a query to a database.
const DATABASES: &[lexicon::WordHash] = words![
    "mysql",
    "mariadb",
    "psql",
    "sqlcmd",
    "sqlite3",
    "sqlplus",
    "bq",
    "duckdb",
    "clickhouse",
];

/// Programs that show less of what they are given.
const FILTERS: &[lexicon::WordHash] = words!["uniq", "tr", "sed", "column", "jq", "rev", "fold"];

/// What the text begins as, if it is one of these:
///
/// `git commit -m x`, `ls; pwd`, `./run.sh --fast`, `/usr/bin/env python3`, `$ ls -l`,
/// `me@host:~$ ls`, `Get-Item x`, `0 3 * * * /opt/backup.sh`.
pub(super) fn command_line(cx: &Tokens<'_>) -> Option<Beginning> {
    let head = cx.head();
    // A line break before a command is how one leaves a parameter.
    if head.first()?.begins_line() && cx.text.starts_with(['\n', '\r']) {
        return None;
    }
    let behind = behind_prompt(head);
    let tokens = match head {
        [sign, tokens @ ..] if sign.is_any(b"$>") && sign.length() == 1 => tokens,
        _ => behind.unwrap_or(head),
    };
    if is_reading(cx, tokens) {
        return Some(Beginning::Reading);
    }
    if behind.is_some() {
        let program = tokens.first()?.has(lexicon::COMMAND.or(Classes::RUNS));
        return program.then_some(Beginning::Transcript);
    }
    let asks = tokens.first()?.reads_any(DATABASES) && has_option(tokens.get(1..)?);
    let line = if asks {
        Beginning::DatabaseLine
    } else {
        Beginning::CommandLine
    };
    is_line(cx, tokens).then_some(line)
}

/// `cat /etc/passwd`: one program that shows a file, and nothing behind it.
fn is_reading(cx: &Tokens<'_>, tokens: &[Token]) -> bool {
    const READING_TOKENS_MAX: usize = 20;
    let Some((first, rest)) = tokens.split_first() else {
        return false;
    };
    // `cat /etc/passwd | cut -d: -f1`: what it shows goes through what shows less of it.
    let filtered = |token: &Token, next: &Token| {
        token.is(b'|')
            && token.length() == 1
            && (next.reads_any(READERS) || next.reads_any(FILTERS))
    };
    first.reads_any(READERS)
        && cx.is_short(READING_TOKENS_MAX)
        && !rest.iter().any(Token::begins_line)
        && !tokens.iter().any(|token| token.is_any(b";&<>`?*["))
        && !tokens.last().is_some_and(|last| last.is(b'|'))
        && tokens
            .iter()
            .zip(rest)
            .all(|(token, next)| !token.is(b'|') || filtered(token, next))
        // `awk '{print $1}'` names a column, `$(…)` and `${…}` run or cut something.
        && !tokens
            .iter()
            .zip(rest)
            .any(|(token, next)| token.is(b'$') && next.is_any(b"({"))
}

fn is_line(cx: &Tokens<'_>, tokens: &[Token]) -> bool {
    if is_schedule(tokens) {
        return true;
    }
    if let Some(rest) = behind_path(tokens) {
        return rest
            .first()
            .is_none_or(|next| (next.is_spaced() && is_argument(next)) || goes_on(rest));
    }
    let [word, rest @ ..] = tokens else {
        return false;
    };
    if !word.is_word() {
        return false;
    }
    if is_assigned(rest) || has_option(rest) {
        return true;
    }
    let program = word.has(lexicon::COMMAND.or(Classes::RUNS))
        || word.reads_any(words!["while", "until", "case", "cd"])
        || is_cmdlet(cx.word(word));
    // `for %x in (…)` and `if not "%1"` are of batch files, and of lists of attacks.
    let batch = word.reads_any(words!["for", "if"])
        && !rest
            .first()
            .is_some_and(|next| (next.is_word() && !next.has(Classes::LOGIC)) || next.is(b'['));
    // A pipe with spaces around it goes on where the program stands alone.
    let piped = rest
        .first()
        .is_some_and(|next| next.is(b'|') && next.is_spaced() && next.length() == 1);
    let argument = rest
        .first()
        .is_some_and(|next| next.is_spaced() && !next.begins_line() && is_argument(next));
    let value = word.reads_any(VALUES);
    program && !batch && (argument || piped || (!value && goes_on(rest)))
}

/// `NOW=$(date +%s)`: a variable that takes what a command says.
fn is_assigned(rest: &[Token]) -> bool {
    matches!(rest, [equals, dollar, open, ..] if equals.is(b'=') && equals.length() == 1
        && !equals.is_spaced() && dollar.is(b'$') && !dollar.is_spaced() && open.is(b'('))
}

/// `redis-cli --scan`, `flutter run -d chrome`: a program, known or not, with an option.
fn has_option(rest: &[Token]) -> bool {
    const WORDS_MAX: usize = 4;
    let named = rest
        .iter()
        .take(WORDS_MAX)
        .take_while(|next| {
            (next.is_word() && !next.begins_line())
                || (next.is(b'-') && next.length() == 1 && !next.is_spaced())
        })
        .count();
    matches!(rest.get(named..), Some([dash, name, ..]) if dash.is(b'-')
        && dash.length() <= 2
        && dash.is_spaced()
        && !dash.begins_line()
        && name.is_word()
        && !name.is_spaced())
}

/// What follows a program on its line and belongs to it.
fn is_argument(next: &Token) -> bool {
    !next.is_any(b";|&<>")
}

/// `; pwd`, `&& make install`, `| wc -l`, a line of its own: another program behind the first.
/// `a;id` has none before it, and is what lists of attacks have.
fn goes_on(rest: &[Token]) -> bool {
    let next = match rest {
        [sign, next, ..] if sign.is_any(b";|&") && sign.length() <= 2 => next,
        [next, ..] if next.begins_line() => next,
        _ => return false,
    };
    next.is_word() && next.has(lexicon::COMMAND.or(Classes::RUNS))
}

/// What follows `/usr/bin/NAME`, `./NAME` and `~/bin/NAME`, if the text begins so.
fn behind_path(tokens: &[Token]) -> Option<&[Token]> {
    const PIECES_MAX: usize = 12;
    let first = tokens
        .first()
        .filter(|first| first.is_any(b"/.~") && first.length() == 1)?;
    let tight = tokens
        .iter()
        .skip(1)
        .take(PIECES_MAX)
        .take_while(|next| {
            !next.is_spaced() && (next.is_word() || next.is_number() || next.is_any(b"/.-_"))
        })
        .count();
    let (path, rest) = tokens.split_at_checked(tight + 1)?;
    let programs = path
        .iter()
        .any(|piece| piece.reads_any(words!["bin", "sbin", "init"]));
    let here =
        first.is(b'.') && first.length() == 1 && path.get(1).is_some_and(|next| next.is(b'/'));
    let named = path
        .last()
        .is_some_and(|last| last.is_word() || last.is_number());
    let climbs = path
        .iter()
        .any(|piece| piece.is(b'.') && piece.length() > 1);
    ((programs || here) && named && !climbs).then_some(rest)
}

/// What follows `me@host:~$`, `root@box:/#` or `(venv) $`, if the text begins so.
fn behind_prompt(tokens: &[Token]) -> Option<&[Token]> {
    const PROMPT_TOKENS_MAX: usize = 10;
    let begins = match tokens {
        [name, at, ..] => (name.is_word() && at.is(b'@') && !at.is_spaced()) || name.is(b'('),
        _ => false,
    };
    let sign = tokens
        .iter()
        .take(PROMPT_TOKENS_MAX)
        .position(|sign| sign.is_any(b"$#") && sign.length() == 1);
    let rest = tokens.get(sign? + 1..)?;
    (begins && rest.first().is_some_and(Token::is_spaced)).then_some(rest)
}

/// `0 3 * * *`: five fields of a table of cron.
fn is_schedule(tokens: &[Token]) -> bool {
    const FIELDS: usize = 5;
    let times = words!["reboot", "hourly", "daily", "weekly", "monthly", "yearly"];
    if matches!(tokens, [at, time, ..] if at.is(b'@') && time.reads_any(times)) {
        return true;
    }
    let fields = tokens
        .iter()
        .take_while(|field| {
            field.is_number() || field.is(b'*') || (field.is_any(b"/,-") && !field.is_spaced())
        })
        .filter(|field| field.is_spaced() || field.start == 0)
        .count();
    fields == FIELDS
}

/// `Get-ChildItem`: two words with capitals.
fn is_cmdlet(word: &str) -> bool {
    let capital = |word: &str| {
        word.len() >= 2
            && word.starts_with(|letter: char| letter.is_ascii_uppercase())
            && word.ends_with(|letter: char| letter.is_ascii_lowercase())
    };
    matches!(word.split_once('-'), Some((verb, noun)) if capital(verb) && capital(noun))
}
