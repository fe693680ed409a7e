//! How a text begins: as a whole of its own kind, or as a piece that breaks out of another.
//!
//! A separator in a command line, a second statement in a script of SQL and a bracket in a filter
//! break out of nothing when the text began as one. What lists of attacks have is the piece
//! behind the value: a quote, a separator, a bracket that nothing opened. Where nobody talks, in
//! identifiers and headers, nobody writes whole commands either, so there this is not asked.

mod shell;
mod snippet;

use crate::features::Feature;
use crate::lexicon::{Classes, word, words};
use crate::reader::Tokens;
use crate::token::Token;

/// What a text begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A script that names its interpreter: `#!/bin/sh`.
    Script,
    /// A command line: a program, and what it is called with or followed by.
    CommandLine,
    /// A command line that only shows a file of this machine, whichever.
    Reading,
    /// A prompt of a shell, and a command line.
    Transcript,
    /// A program, or a line of one: `int main(`, `const x =`, `for (`.
    Program,
    /// A program in Python that uses its library: `os.system("clear")`.
    Library,
    /// A statement of SQL.
    Statement,
    /// A clause of SQL without a value to compare: `union select`, `order by 1`.
    Clause,
    /// A filter of a directory search, whole.
    Filter,
    /// Elements of a page, written as in a manual.
    Element,
    /// One call of a dialogue with a constant.
    Dialogue,
}

/// What a command line is made of.
const OF_COMMAND_LINES: &[Feature] = &[
    Feature::CommandOneLiner,
    Feature::CommandProgramPath,
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

/// What a command line that shows a file is made of.
const OF_READINGS: &[Feature] = &[
    Feature::CommandPrompt,
    Feature::CommandProgramPath,
    Feature::CommandReads,
    Feature::CommandRuns,
    Feature::PathSensitive,
    Feature::PathSystem,
];

/// What is copied from a terminal. Tricks of a shell are shown so, too.
const OF_TRANSCRIPTS: &[Feature] = &[
    Feature::CommandPrompt,
    Feature::CommandOneLiner,
    Feature::CommandProgramPath,
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandShort,
    Feature::CommandNewline,
    Feature::CommandBackground,
    Feature::CommandRuns,
    Feature::CommandPing,
];

/// What a script is made of besides.
const OF_SCRIPTS: &[Feature] = &[
    Feature::CommandDevice,
    Feature::CommandOneLiner,
    Feature::CommandProgramPath,
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

/// What programs that use a library are made of besides.
const OF_LIBRARIES: &[Feature] = &[
    Feature::CommandCodeCall,
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandBackground,
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
    Feature::SqlWhoami,
    Feature::CommandBackground,
];

/// What a lone clause is made of.
const OF_CLAUSES: &[Feature] = &[
    Feature::SqlUnionSelect,
    Feature::SqlUnionEnd,
    Feature::SqlLeadingLogic,
    Feature::SqlOrderBy,
    Feature::SqlDense,
];

/// What elements are made of.
const OF_ELEMENTS: &[Feature] = &[
    Feature::ScriptTag,
    Feature::ScriptRiskyTag,
    Feature::ScriptLeadingTag,
    Feature::ScriptAttribute,
    Feature::ScriptMarkup,
    Feature::ScriptOpenTag,
];

/// What a call of a dialogue is made of.
const OF_DIALOGUES: &[Feature] = &[
    Feature::ScriptCall,
    Feature::ScriptProof,
    Feature::ScriptObject,
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
        if let Some(line) = shell::command_line(cx) {
            return Some(line);
        }
        if is_statement {
            return Some(Self::Statement);
        }
        if is_library(cx.head()) {
            return Some(Self::Library);
        }
        if is_program(cx.head()) {
            return Some(Self::Program);
        }
        if is_clause(cx) {
            return Some(Self::Clause);
        }
        if is_filter(cx.text) {
            return Some(Self::Filter);
        }
        if snippet::is_element(cx.text) {
            return Some(Self::Element);
        }
        snippet::is_dialogue(cx.text).then_some(Self::Dialogue)
    }

    /// What says nothing in a text that begins so.
    pub(crate) const fn ordinary(self) -> &'static [Feature] {
        match self {
            Self::Script => OF_SCRIPTS,
            Self::CommandLine => OF_COMMAND_LINES,
            Self::Reading => OF_READINGS,
            Self::Transcript => OF_TRANSCRIPTS,
            Self::Program => OF_PROGRAMS,
            Self::Library => OF_LIBRARIES,
            Self::Statement => OF_STATEMENTS,
            Self::Clause => OF_CLAUSES,
            Self::Filter => OF_FILTERS,
            Self::Element => OF_ELEMENTS,
            Self::Dialogue => OF_DIALOGUES,
        }
    }
}

fn is_script(tokens: &[Token]) -> bool {
    matches!(tokens, [hash, bang, ..] if hash.is(b'#') && hash.start == 0 && bang.is(b'!'))
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

/// `os.system(…)`, `subprocess.run(…)`, `import os; …`.
fn is_library(tokens: &[Token]) -> bool {
    let modules = words!["os", "subprocess", "shutil", "sys"];
    match tokens {
        [import, module, ..] if import.reads(word!("import")) => module.reads_any(modules),
        [module, dot, ..] => module.reads_any(modules) && dot.is(b'.') && !dot.is_spaced(),
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

/// `union select`, `order by 1 desc`: words that somebody asks about. To reach a database, a
/// clause ends in a comment or stands behind a quote.
fn is_clause(cx: &Tokens<'_>) -> bool {
    const CLAUSE_TOKENS_MAX: usize = 5;
    let ordered = cx.head().get(1).is_some_and(|next| next.reads(word!("by")));
    cx.is_short(CLAUSE_TOKENS_MAX)
        && cx
            .head()
            .iter()
            .all(|token| token.is_word() || (ordered && token.is_number()))
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
