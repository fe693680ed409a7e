//! How a text begins: as a whole of its own kind, or as a piece that breaks out of another.
//!
//! A separator in a command line, a second statement in a script of SQL and a bracket in a filter
//! break out of nothing when the text began as one. What lists of attacks have is the piece
//! behind the value: a quote, a separator, a bracket that nothing opened. Where nobody talks, in
//! identifiers and headers, nobody writes whole commands either, so there this is not asked.

mod record;
mod shell;
mod snippet;

use crate::features::Feature;
use crate::lexicon::{Classes, word, words};
use crate::reader::Tokens;
use crate::token::{Kind, Token};

/// What a text begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A script that names its interpreter: `#!/bin/sh`.
    Script,
    /// A command line: a program, and what it is called with or followed by.
    CommandLine,
    /// A command line that gives a query to a database: `mysql -e "select 1"`.
    DatabaseLine,
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
    /// Elements that ask something when they are clicked: `onclick="alert('Hello')"`.
    Button,
    /// One call of a dialogue with a constant.
    Dialogue,
    /// A program that works on the page it is in: `document.querySelector("a")…`.
    PageProgram,
    /// Lines of a log, an error, a difference, a table.
    Record,
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
    Feature::LdapAttribute,
    Feature::LdapBare,
    Feature::LdapBreak,
    Feature::LdapOperator,
    Feature::LdapStar,
];

/// What a command line that asks a database is made of.
const OF_DATABASE_LINES: &[Feature] = &[
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandLeading,
    Feature::CommandShort,
    Feature::CommandRedirect,
    Feature::SqlStatement,
    Feature::SqlVerbObject,
    Feature::SqlDense,
    Feature::SqlFunctionCall,
    Feature::SqlOrderBy,
    Feature::SqlQuoteOperator,
    Feature::SqlSchema,
    Feature::SqlSelectList,
    Feature::SqlStacked,
    Feature::SqlVariable,
    Feature::SqlWeakCondition,
    Feature::SqlWhoami,
];

/// What a command line that shows a file is made of.
const OF_READINGS: &[Feature] = &[
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandLeading,
    Feature::CommandShort,
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
    Feature::CommandWindows,
    Feature::CommandWindowsFor,
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
    Feature::SqlProcedure,
    Feature::SqlStacked,
    Feature::SqlStatement,
    Feature::SqlVerbObject,
    Feature::SqlFunctionCall,
    Feature::SqlDense,
    Feature::SqlDocument,
    Feature::ScriptCall,
    Feature::LdapAttribute,
    Feature::LdapBreak,
    Feature::LdapOperator,
    // `function f() {`.
    Feature::CommandFunction,
];

/// What programs that work on a page are made of.
const OF_PAGE_PROGRAMS: &[Feature] = &[
    Feature::CommandSeparated,
    Feature::CommandSeparatedWord,
    Feature::CommandBackground,
    Feature::ScriptCall,
    Feature::ScriptProof,
    Feature::ScriptObject,
    Feature::ScriptHandlerBreak,
    Feature::ScriptQuoteCall,
];

/// What programs that use a library are made of besides.
const OF_LIBRARIES: &[Feature] = &[
    Feature::SqlProcedure,
    Feature::SqlStacked,
    Feature::SqlStatement,
    Feature::SqlFunctionCall,
    Feature::ScriptCall,
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
    // `'O''Brien'`.
    Feature::CommandSplit,
    Feature::SqlTautology,
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
    Feature::ScriptOddTag,
    Feature::XxeExternal,
    Feature::XxeLeading,
];

/// What elements that ask something are made of.
const OF_BUTTONS: &[Feature] = &[
    Feature::ScriptTag,
    Feature::ScriptRiskyTag,
    Feature::ScriptLeadingTag,
    Feature::ScriptAttribute,
    Feature::ScriptMarkup,
    Feature::ScriptHandler,
    Feature::ScriptCall,
    Feature::ScriptProof,
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
        if record::is_record(cx.text) {
            return Some(Self::Record);
        }
        if is_page_program(cx.head()) {
            return Some(Self::PageProgram);
        }
        // `with open(…) as f:` is no clause of SQL.
        if is_context(cx.head()) {
            return Some(Self::Program);
        }
        // `truncate` is a verb and a program: what stands behind it says which.
        let remarks = cx
            .head()
            .iter()
            .take_while(|token| token.kind == Kind::Comment);
        let behind_remarks = cx.head().get(remarks.count()..).unwrap_or_default();
        let is_statement = is_statement(behind_remarks);
        let has_object = |next: &Token| next.has(Classes::SQL_OBJECT) || next.is(b'@');
        if is_statement && behind_remarks.get(1).is_some_and(has_object) {
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
        if let Some(element) = snippet::element(cx.text) {
            return Some(element);
        }
        snippet::is_dialogue(cx.text).then_some(Self::Dialogue)
    }

    /// What says nothing in a text that begins so.
    pub(crate) const fn ordinary(self) -> &'static [Feature] {
        match self {
            Self::Script => OF_SCRIPTS,
            Self::CommandLine => OF_COMMAND_LINES,
            Self::DatabaseLine => OF_DATABASE_LINES,
            Self::Reading => OF_READINGS,
            Self::Transcript => OF_TRANSCRIPTS,
            Self::Program => OF_PROGRAMS,
            Self::Library => OF_LIBRARIES,
            Self::Statement => OF_STATEMENTS,
            Self::Clause => OF_CLAUSES,
            Self::Filter => OF_FILTERS,
            Self::Element => OF_ELEMENTS,
            Self::Button => OF_BUTTONS,
            Self::Dialogue => OF_DIALOGUES,
            Self::PageProgram => OF_PAGE_PROGRAMS,
            Self::Record => Feature::ALL,
        }
    }
}

/// `#!/bin/sh`, `@echo off`, `my @files = …`.
fn is_script(tokens: &[Token]) -> bool {
    match tokens {
        [hash, bang, ..] if hash.is(b'#') => hash.start == 0 && bang.is(b'!'),
        [at, echo, off, ..] if at.is(b'@') => echo.reads(word!("echo")) && off.reads(word!("off")),
        [declares, sign, name, ..] if declares.reads_any(words!["my", "our"]) => {
            sign.is_any(b"$@%") && sign.is_spaced() && name.is_word() && !name.is_spaced()
        }
        [puts, tick, ..] => puts.reads(word!("puts")) && tick.is(b'`'),
        _ => false,
    }
}

/// `document.querySelector(…)`, `localStorage.setItem(…)`.
fn is_page_program(tokens: &[Token]) -> bool {
    // `setTimeout(() => …)`: with a function, and no text that is run.
    if let [waits, open, function, ..] = tokens
        && waits.reads_any(words!["settimeout", "setinterval"])
        && open.is(b'(')
    {
        return (open.length() == 2 || function.is(b'(')) || function.reads(word!("function"));
    }
    let [object, dot, member, open, ..] = tokens else {
        return false;
    };
    let looks_up = object.reads(word!("document"))
        && member.reads_any(words![
            "queryselector",
            "queryselectorall",
            "getelementbyid",
            "getelementsbyclassname",
            "getelementsbytagname",
            "addeventlistener"
        ]);
    let listens = object.reads(word!("window")) && member.reads(word!("addeventlistener"));
    let keeps = object.reads_any(words!["localstorage", "sessionstorage", "console"]) || listens;
    dot.is(b'.') && !dot.is_spaced() && (looks_up || keeps) && open.is(b'(') && !open.is_spaced()
}

/// `with open("a.txt") as f:`.
fn is_context(tokens: &[Token]) -> bool {
    matches!(tokens, [with, call, open, ..] if with.reads(word!("with"))
        && call.is_word() && open.is(b'(') && !open.is_spaced())
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
        // `[x for x in rows if x or y]`.
        [open, name, each, ..] if open.is_any(b"[{(") => name.is_word() && each.reads(word!("for")),
        // `db.users.find({…})`, without a text that is run.
        [db, dot, name, ..] if db.reads(word!("db")) && dot.is(b'.') && !dot.is_spaced() => {
            name.is_word() && !name.is_spaced() && !tokens.iter().any(|it| it.reads(word!("where")))
        }
        // `new File(…)`. Not what runs a text or loads it.
        [new, name, open, ..] if new.reads(word!("new")) => {
            name.is_word() && open.is(b'(') && !name.reads_any(words!["function", "image"])
        }
        [name, equals, ..] if is_assignment(name, equals, tokens) => true,
        [word, name, ..] => word.reads_any(declares) && name.is_word() && name.is_spaced(),
        _ => false,
    }
}

/// `query = f"…"`, `rows = db.query(…)`: spaces around one sign, and a value behind it.
fn is_assignment(name: &Token, equals: &Token, tokens: &[Token]) -> bool {
    let value = |value: &Token| value.is_word() || value.is_quote() || value.is_any(b"[{$");
    name.is_word()
        && equals.is(b'=')
        && equals.length() == 1
        && equals.is_spaced()
        && matches!(tokens, [_, _, next, behind, ..] if next.is_spaced() && value(next)
            && (next.is_quote() || behind.is_any(b".(\"'{[") && !behind.is_spaced()))
}

/// `os.system(…)`, `subprocess.run(…)`, `import os; …`, `const { exec } = require(…)`.
fn is_library(tokens: &[Token]) -> bool {
    let modules = words!["os", "subprocess", "shutil", "sys"];
    let declares = words!["const", "let", "var"];
    match tokens {
        [import, module, ..] if import.reads(word!("import")) => module.reads_any(modules),
        [from, module, import, ..] if from.reads(word!("from")) => {
            module.is_word() && import.reads(word!("import"))
        }
        [declares_it, open, name, ..] if declares_it.reads_any(declares) && open.is_any(b"{[") => {
            name.is_word()
        }
        [declares_it, name, equals, require, ..] if declares_it.reads_any(declares) => {
            name.is_word() && equals.is(b'=') && require.reads(word!("require"))
        }
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
    let begins = (first.reads(word!("begin")) && next.is(b';'))
        || (first.reads(word!("declare")) && next.is(b'@'));
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
            .all(|token| token.is_word() || (ordered && (token.is_number() || token.is(b','))))
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
