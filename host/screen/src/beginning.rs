//! How a text begins: as a whole of its own kind, or as a piece that breaks out of another.
//!
//! A separator in a command line, a second statement in a script of SQL and a bracket in a filter
//! break out of nothing when the text began as one. What lists of attacks have is the piece
//! behind the value: a quote, a separator, a bracket that nothing opened. Where nobody talks, in
//! identifiers and headers, nobody writes whole commands either, so there this is not asked.

use crate::features::Feature;
use crate::lexicon::{self, Classes, word, words};
use crate::reader::Tokens;
use crate::token::Token;

/// What a text begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A script that names its interpreter: `#!/bin/sh`.
    Script,
    /// A command line: a program and its first argument.
    CommandLine,
    /// A program, or a line of one: `int main(`, `const x =`, `for (`.
    Program,
    /// A statement of SQL.
    Statement,
    /// A filter of a directory search, whole.
    Filter,
}

/// What a command line is made of.
const OF_COMMAND_LINES: &[Feature] = &[
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandLeading,
    Feature::CommandShort,
    Feature::CommandSubstitution,
    Feature::CommandNested,
    Feature::CommandNewline,
    Feature::CommandVariable,
    Feature::CommandGlob,
    Feature::CommandRedirect,
    Feature::CommandBackground,
    Feature::CommandRuns,
    Feature::CommandPing,
    Feature::SqlWeakCondition,
    Feature::SqlQuoteOperator,
];

/// What a script is made of besides.
const OF_SCRIPTS: &[Feature] = &[
    Feature::CommandDevice,
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandLeading,
    Feature::CommandSubstitution,
    Feature::CommandNested,
    Feature::CommandNewline,
    Feature::CommandVariable,
    Feature::CommandGlob,
    Feature::CommandRedirect,
    Feature::CommandBackground,
    Feature::CommandRuns,
    Feature::SqlWeakCondition,
    Feature::SqlQuoteOperator,
];

/// What programs are made of.
const OF_PROGRAMS: &[Feature] = &[
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandLeading,
    Feature::CommandShort,
    Feature::CommandBackground,
    Feature::SqlWeakCondition,
    Feature::SqlQuoteOperator,
    Feature::SqlLogicEnd,
];

/// What statements are made of.
const OF_STATEMENTS: &[Feature] = &[
    Feature::SqlStatement,
    Feature::SqlVerbObject,
    Feature::SqlDense,
    Feature::SqlWeakCondition,
    Feature::SqlValueLogic,
    Feature::SqlOrderBy,
    Feature::SqlFunctionCall,
    Feature::SqlCommentEnd,
    Feature::SqlCommentOpen,
    Feature::SqlStacked,
    Feature::SqlSubselect,
    Feature::SqlQuoteOperator,
    Feature::SqlQuoteEnd,
    Feature::SqlUnionSelect,
    Feature::SqlValueList,
    Feature::SqlVariable,
    Feature::CommandBackground,
];

/// What filters are made of.
const OF_FILTERS: &[Feature] = &[
    Feature::LdapBreak,
    Feature::LdapStar,
    Feature::LdapAttribute,
    Feature::LdapOperator,
    Feature::LdapOpen,
    Feature::LdapBare,
];

impl Beginning {
    /// What the text begins as, if it is a whole and no piece.
    pub(crate) fn of(cx: &Tokens<'_>) -> Option<Self> {
        if is_script(cx.head()) {
            return Some(Self::Script);
        }
        // `truncate` is a verb and a program: what stands behind it says which.
        let is_statement = is_statement(cx.head());
        let has_object = |next: &Token| next.has(Classes::SQL_OBJECT);
        if is_statement && cx.head().get(1).is_some_and(has_object) {
            return Some(Self::Statement);
        }
        if is_command_line(cx) {
            return Some(Self::CommandLine);
        }
        if is_statement {
            return Some(Self::Statement);
        }
        if is_program(cx.head()) {
            return Some(Self::Program);
        }
        is_filter(cx.text).then_some(Self::Filter)
    }

    /// What says nothing in a text that begins so.
    pub(crate) const fn ordinary(self) -> &'static [Feature] {
        match self {
            Self::Script => OF_SCRIPTS,
            Self::CommandLine => OF_COMMAND_LINES,
            Self::Program => OF_PROGRAMS,
            Self::Statement => OF_STATEMENTS,
            Self::Filter => OF_FILTERS,
        }
    }
}

fn is_script(tokens: &[Token]) -> bool {
    matches!(tokens, [hash, bang, ..] if hash.is(b'#') && hash.start == 0 && bang.is(b'!'))
}

/// `git commit -m x`, `./run.sh --fast`, `$ ls -l`, `Get-Item x`.
fn is_command_line(cx: &Tokens<'_>) -> bool {
    let tokens = match cx.head() {
        [sign, tokens @ ..] if sign.is_any(b"$>") && sign.length() == 1 => tokens,
        tokens => tokens,
    };
    let argument = |next: Option<&Token>| {
        next.is_some_and(|next| next.is_spaced() && !next.begins_line() && !next.is_any(b";|&<>`"))
    };
    match tokens {
        [dot, slash, name, rest @ ..] if dot.is(b'.') && slash.is(b'/') => {
            name.is_word() && !name.is_spaced() && argument(rest.first())
        }
        [word, rest @ ..] if word.is_word() => {
            let program = word.has(lexicon::COMMAND.or(Classes::RUNS))
                || word.reads_any(words!["while", "until", "case"]);
            // `for %x in (…)` and `if not "%1"` are of batch files, and of lists of attacks.
            let batch = word.reads_any(words!["for", "if"])
                && !rest.first().is_some_and(|next| {
                    (next.is_word() && !next.has(Classes::LOGIC)) || next.is(b'[')
                });
            let next = rest.first();
            // A pipe with spaces around it goes on where the program stands alone.
            let piped =
                next.is_some_and(|next| next.is(b'|') && next.is_spaced() && next.length() == 1);
            (program || is_cmdlet(cx.word(word))) && !batch && (argument(next) || piped)
        }
        _ => false,
    }
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

/// `int main(void) {`, `let x = 1`, `for (…`, `#include <x>`.
fn is_program(tokens: &[Token]) -> bool {
    let declares = words![
        "int",
        "void",
        "char",
        "double",
        "float",
        "bool",
        "string",
        "auto",
        "static",
        "public",
        "private",
        "class",
        "struct",
        "enum",
        "interface",
        "namespace",
        "package",
        "import",
        "def",
        "fn",
        "func",
        "fun",
        "function",
        "const",
        "let",
        "var",
        "val",
        "local",
        "async",
        "export",
        "pub",
        "impl"
    ];
    match tokens {
        [hash, include, ..] if hash.is(b'#') => include.reads(word!("include")),
        [word, open, ..] if word.reads_any(words!["for", "while", "switch"]) => open.is(b'('),
        [word, name, ..] => word.reads_any(declares) && name.is_word() && name.is_spaced(),
        _ => false,
    }
}

/// `select a`, `update t set`, `with x as (`.
fn is_statement(tokens: &[Token]) -> bool {
    let [first, next, ..] = tokens else {
        return false;
    };
    let verb = first.has(Classes::SQL_VERB)
        || first.reads_any(words![
            "with", "explain", "show", "describe", "analyze", "values"
        ]);
    let begins = first.reads(word!("begin")) && next.is(b';');
    (verb && next.is_spaced() && !next.is_any(b";|&'\"")) || begins
}

/// `(&(cn=a*)(mail=*))`: the first bracket closes at the end.
fn is_filter(text: &str) -> bool {
    const FILTER_BYTES_MAX: usize = 512;
    let text = text.trim();
    if text.len() > FILTER_BYTES_MAX || !text.contains('=') {
        return false;
    }
    let Some(inside) = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    else {
        return false;
    };
    let mut depth = 1_i32;
    let closes_early = inside.bytes().any(|byte| {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        depth <= 0
    });
    !closes_early && depth == 1
}
