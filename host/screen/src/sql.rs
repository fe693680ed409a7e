//! Looks for SQL that breaks out of a value, and for SQL that stands alone.

use crate::features::{Feature, Found};
use crate::lexicon::{self, Classes, WordHash, word, words};
use crate::token::{Kind, Token, Tokens};

/// How far a pattern looks ahead, in tokens. Bounds the work for each token.
const WINDOW_TOKENS: usize = 12;

/// Finds the features of SQL.
pub(crate) fn scan(cx: &Tokens<'_>, found: &mut Found) {
    let mut scan = Scan {
        cx,
        found,
        quotes: Quotes::default(),
        values: 0,
        select: None,
        phrase: is_phrase(cx),
        prose: cx.frame.punct <= 1 && cx.frame.plain >= 2 && cx.frame.words >= 5,
    };
    for (token, before, rest) in cx.windows(WINDOW_TOKENS) {
        if scan.found.is_enough() {
            return;
        }
        scan.token(token, before, rest);
    }
    scan.ends();
}

/// How many quotes of each kind were seen: an odd one that follows a value closes a string
/// which began before the text.
#[derive(Debug, Default)]
struct Quotes {
    single: u32,
    double: u32,
}

struct Scan<'s, 't> {
    cx: &'s Tokens<'t>,
    found: &'s mut Found,
    quotes: Quotes,
    /// Numbers and nulls in a row, with commas between.
    values: u32,
    /// Where the last `select` stood.
    select: Option<u32>,
    /// The text is one phrase in quotes, as people type into a search.
    phrase: bool,
    /// The text is words and no punctuation: a statement of any use has some.
    prose: bool,
}

impl Scan<'_, '_> {
    fn token(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        self.value_list(token);
        match token.kind {
            Kind::Word => self.word(token, before, rest),
            Kind::Punct(b'\'' | b'"' | b'`') => self.quote(token, before, rest),
            Kind::Punct(b';') => self.separator(token, rest),
            Kind::Punct(b'|' | b'&') if token.length() == 2 => self.condition(token, before, rest),
            Kind::Punct(b'@') => self.variable(token, rest),
            Kind::Punct(b'-' | b'#' | b'/') => self.comment(token, before, rest),
            Kind::Punct(b'(') => {
                let select = first_inside(rest).is_some_and(|word| word.has(Classes::SELECT));
                self.found
                    .add_if(select, Feature::SqlSubselect, token.start);
            }
            Kind::Comment => self.inline_comment(token, before, rest),
            Kind::Punct(b'$') => self.document(token, rest),
            Kind::Punct(b'?') => {
                let json = token.is_spaced() && rest.first().is_some_and(|next| next.is_any(b"&|"));
                self.found.add_if(json, Feature::SqlOperators, token.start);
            }
            Kind::Punct(b'<') => {
                let same = matches!(rest, [a, b, ..] if a.is(b'=') && b.is(b'>'));
                self.found.add_if(same, Feature::SqlOperators, token.start);
            }
            Kind::Hex if token.length() >= 8 => self.found.add(Feature::SqlHex, token.start),
            _ => {}
        }
    }

    /// Counts values in a row: `1,2,null,4`.
    fn value_list(&mut self, token: &Token) {
        const VALUES_MIN: u32 = 3;
        if token.is_number() || token.has(Classes::NULL) {
            self.values += 1;
            self.found.add_if(
                self.values >= VALUES_MIN,
                Feature::SqlValueList,
                token.start,
            );
        } else if !token.is(b',') {
            self.values = 0;
        }
    }

    fn word(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        if !token.has(lexicon::SQL) {
            self.schema(token, rest);
            return;
        }
        let at = token.start;
        self.found.add_if(
            is_mixed_case(self.cx.word(token)),
            Feature::SqlMixedCase,
            at,
        );
        if token.has(Classes::UNION) {
            self.union(token, rest);
        }
        if token.has(Classes::LOGIC) {
            self.condition(token, before, rest);
        }
        if token.has(Classes::LOGIC.or(Classes::CLAUSE).or(Classes::COMPARE)) {
            let value = before
                .is_some_and(|value| value.is_number() || (value.is(b')') && !token.is_spaced()));
            let hard = token.has(Classes::UNION)
                || token.reads_any(words!["having", "xor", "procedure", "rlike", "div"]);
            let condition = rest.iter().take(4).any(|next| next.is_any(b"=<>("));
            self.found
                .add_if(value && (hard || condition), Feature::SqlValueLogic, at);
        }
        if token.has(Classes::SELECT) {
            self.select = Some(at);
            let value = first_inside(rest).is_some_and(|next| {
                next.is_number() || next.has(Classes::NULL) || next.is_any(b"@'\"-")
            });
            self.found.add_if(value, Feature::SqlSelectList, at);
        }
        if token.has(Classes::SQL_OBJECT)
            && let Some(select) = self.select
            && !self.prose
        {
            self.found
                .add_if(token.reads(word!("from")), Feature::SqlVerbObject, select);
        }
        if token.has(Classes::SQL_VERB) && !self.prose {
            let object = rest.first().filter(|next| next.has(Classes::SQL_OBJECT));
            self.found
                .add_if(object.is_some(), Feature::SqlVerbObject, at);
            self.found
                .add_if(before.is_none(), Feature::SqlStatement, at);
        }
        let calls = rest.first().is_some_and(|next| next.is(b'('));
        if token.has(Classes::SQL_FUNCTION) {
            self.function(token, calls);
        }
        self.clause(token, rest);
        self.schema(token, rest);
    }

    fn union(&mut self, token: &Token, rest: &[Token]) {
        let mut commented = false;
        for next in rest {
            if next.has(Classes::SELECT) {
                self.found.add(Feature::SqlUnionSelect, token.start);
                return;
            }
            commented |= next.is_any(b"#-") || next.kind == Kind::Comment;
            if next.is_word() && !next.has(Classes::QUANTIFIER) && !commented {
                return;
            }
        }
        let short = rest.len() <= 2 && self.cx.frame.words <= 4;
        self.found.add_if(short, Feature::SqlUnionEnd, token.start);
    }

    /// What follows `or`, `and`, `||`, `&&`.
    fn condition(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let Some(compare) = rest.iter().position(is_comparison) else {
            self.logic_end(token, rest);
            return;
        };
        let (left, right) = rest.split_at(compare);
        let right = right.get(1..).unwrap_or_default();
        let (Some(left), Some(right)) = (operand(self.cx, left), operand(self.cx, right)) else {
            return;
        };
        let constant = match (left, right) {
            (Operand::Constant, Operand::Constant) => true,
            (Operand::Name(left), Operand::Name(right)) => left.eq_ignore_ascii_case(right),
            _ => false,
        };
        let broken = before.is_none_or(|before| !before.is_word() || before.is_number());
        if constant {
            self.found.add(Feature::SqlTautology, token.start);
        } else if broken || self.cx.frame.plain <= 2 {
            self.found.add(Feature::SqlWeakCondition, token.start);
        }
    }

    /// `or 1`, `or 1--`, `or true#`, `or '`: one value, then nothing that matters.
    fn logic_end(&mut self, token: &Token, rest: &[Token]) {
        let value = rest
            .iter()
            .take_while(|next| !is_comment_sign(next))
            .count();
        let words = rest
            .iter()
            .take(value)
            .filter(|next| next.is_word())
            .count();
        let commented = rest.len() > value;
        let short = value <= 5 && words <= 1 && (commented || rest.len() < WINDOW_TOKENS);
        let valued = rest.first().is_some_and(|next| {
            next.is_number()
                || next.is_quote()
                || next.is_any(b"(@~!")
                || commented
                || (next.is_any(b"+-") && rest.get(1).is_some_and(Token::is_number))
        });
        self.found
            .add_if(short && valued, Feature::SqlLogicEnd, token.start);
    }

    fn quote(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let count = if token.is(b'"') {
            &mut self.quotes.double
        } else {
            &mut self.quotes.single
        };
        *count += token.length();
        let odd = *count % 2 == 1;
        let Some(next) = rest
            .iter()
            .find(|next| !next.is(b')') && next.kind != Kind::Comment)
        else {
            return;
        };
        // A quote with a space before it and none after it opens a string.
        let opens = before.is_some()
            && token.is_spaced()
            && rest.first().is_some_and(|next| !next.is_spaced());
        if !odd || opens || self.phrase {
            return;
        }
        let at = token.start;
        let bracketed = rest.first().is_some_and(|next| next.is(b')'));
        let logic = next.has(Classes::LOGIC.or(Classes::UNION))
            || (next.has(Classes::COMPARE.or(Classes::CLAUSE)) && !next.has(Classes::STOP));
        self.found.add_if(logic, Feature::SqlQuoteLogic, at);
        let operator = match next.kind {
            Kind::Punct(b'|' | b'&') => next.length() == 2,
            Kind::Punct(b'+' | b'-' | b'*' | b'%' | b'^' | b'=' | b'<' | b'/') => {
                next.length() == 1 && rest.len() >= 2
            }
            _ => false,
        };
        self.found.add_if(operator, Feature::SqlQuoteOperator, at);
        let ends = is_comment_sign(next) || next.is(b';') || (bracketed && next.is_any(b";,"));
        self.found.add_if(ends, Feature::SqlQuoteEnd, at);
    }

    fn separator(&mut self, token: &Token, rest: &[Token]) {
        let verb = rest.iter().find(|next| next.kind != Kind::Comment);
        let stacked = verb.is_some_and(|next| {
            next.has(Classes::SQL_VERB) && !next.reads_any(words!["print", "use", "load", "call"])
        });
        self.found.add_if(stacked, Feature::SqlStacked, token.start);
    }

    fn variable(&mut self, token: &Token, rest: &[Token]) {
        let spaced = token.is_spaced() || token.length() == 2;
        let named = rest
            .first()
            .is_some_and(|next| next.is_word() && !next.is_spaced());
        let mail = rest
            .get(1)
            .is_some_and(|next| next.is(b'.') && !next.is_spaced());
        self.found
            .add_if(named && spaced && !mail, Feature::SqlVariable, token.start);
        let version = token.length() == 2 && named;
        self.found.add_if(version, Feature::SqlWhoami, token.start);
    }

    fn comment(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let sign = is_comment_sign(token)
            || (token.is(b'/')
                && rest
                    .first()
                    .is_some_and(|next| next.is(b'*') && !next.is_spaced()));
        if !sign {
            return;
        }
        let value = before.is_some_and(|before| {
            before.is_number()
                || before.is_quote()
                || before.is_any(b")(;*")
                || before.has(Classes::NULL)
        });
        self.found
            .add_if(value, Feature::SqlCommentOpen, token.start);
        let versioned = rest.get(1).is_some_and(|next| next.is(b'!'));
        self.found
            .add_if(versioned, Feature::SqlInlineComment, token.start);
    }

    fn inline_comment(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let tight = !token.is_spaced() && rest.first().is_none_or(|next| !next.is_spaced());
        let sql = before.is_some_and(|before| before.has(lexicon::SQL) || before.is_number())
            || rest.first().is_some_and(|next| next.has(lexicon::SQL));
        self.found
            .add_if(tight && sql, Feature::SqlInlineComment, token.start);
    }

    fn document(&mut self, token: &Token, rest: &[Token]) {
        const OPERATORS: &[WordHash] = words![
            "ne", "gt", "gte", "lt", "lte", "nin", "in", "where", "regex", "exists", "or", "and",
            "not",
        ];
        let Some(name) = rest.first() else { return };
        let operator = name.reads_any(OPERATORS);
        let keyed = rest.iter().skip(1).take(2).any(|next| next.is_any(b":]"));
        self.found
            .add_if(operator && keyed, Feature::SqlDocument, token.start);
    }

    fn function(&mut self, token: &Token, calls: bool) {
        const TIME: &[WordHash] = words![
            "sleep",
            "pg_sleep",
            "benchmark",
            "dbms_pipe",
            "dbms_lock",
            "receive_message",
            "randomblob",
        ];
        const ERROR: &[WordHash] = words![
            "extractvalue",
            "updatexml",
            "utl_inaddr",
            "utl_http",
            "get_host_address",
            "ctxsys",
            "drithsx",
            "json_keys",
            "gtid_subset",
            "xmltype",
            "procedure",
            "name_const",
            "json_depth",
            "dbms_xmlgen",
        ];
        const WHOAMI: &[WordHash] = words![
            "version",
            "database",
            "user",
            "current_user",
            "session_user",
            "system_user",
            "user_name",
            "current_database",
            "current_setting",
            "db_name",
            "schema_name",
            "suser_sname",
            "sqlite_version",
            "getpgusername",
        ];
        const BUILD: &[WordHash] = words![
            "char",
            "chr",
            "concat",
            "concat_ws",
            "group_concat",
            "unhex",
            "ascii",
            "substring",
            "substr",
        ];
        let at = token.start;
        let (time, error) = (token.reads_any(TIME), token.reads_any(ERROR));
        let (whoami, build) = (token.reads_any(WHOAMI), token.reads_any(BUILD));
        self.found.add_if(calls && time, Feature::SqlTime, at);
        self.found.add_if(error, Feature::SqlError, at);
        self.found.add_if(calls && whoami, Feature::SqlWhoami, at);
        self.found.add_if(calls && build, Feature::SqlBuild, at);
        let ordinary = token.has(Classes::STOP.or(Classes::COMPARE));
        self.found
            .add_if(calls && !ordinary, Feature::SqlFunctionCall, at);
    }

    fn clause(&mut self, token: &Token, rest: &[Token]) {
        let at = token.start;
        match rest {
            [by, value, ..] if by.reads(word!("by")) && token.has(Classes::CLAUSE) => {
                self.found
                    .add_if(value.is_number(), Feature::SqlOrderBy, at);
            }
            [next, ..] if token.reads(word!("waitfor")) => {
                let waits = next.reads(word!("delay")) || next.reads(word!("time"));
                self.found.add_if(waits, Feature::SqlTime, at);
            }
            [next, ..] if token.reads(word!("into")) => {
                let file = next.reads(word!("outfile")) || next.reads(word!("dumpfile"));
                self.found.add_if(file, Feature::SqlFile, at);
            }
            [next, ..] if token.reads(word!("procedure")) || token.reads(word!("exec")) => {
                let analyse = next.reads(word!("analyse"));
                self.found.add_if(analyse, Feature::SqlError, at);
                let stored = next.is_word() && self.cx.word(next).get(2..3) == Some("_");
                self.found
                    .add_if(stored || next.is(b'('), Feature::SqlProcedure, at);
            }
            _ => {}
        }
        let rare = token.reads_any(words!["rlike", "sounds", "regexp", "xor"]);
        self.found.add_if(rare, Feature::SqlOperators, at);
    }

    fn schema(&mut self, token: &Token, rest: &[Token]) {
        const CATALOGS: &[WordHash] = words![
            "information_schema",
            "sysobjects",
            "syscolumns",
            "sysdatabases",
            "all_tables",
            "all_users",
            "user_tables",
            "all_tab_columns",
            "dba_users",
            "dba_tables",
            "dba_role_privs",
            "dba_sys_privs",
            "pg_catalog",
            "pg_shadow",
            "pg_user",
            "pg_tables",
            "pg_database",
            "pg_class",
            "sqlite_master",
            "sqlite_schema",
            "msysobjects",
            "table_name",
            "column_name",
            "table_schema",
            "schema_name",
            "user_tab_columns",
            "syslogins",
            "sysusers",
            "all_objects",
            "user_objects",
            "v$version"
        ];
        const FILES: &[WordHash] = words![
            "load_file",
            "lo_import",
            "lo_export",
            "pg_read_file",
            "openrowset",
            "dumpfile",
            "outfile"
        ];
        const PROCEDURES: &[WordHash] = words![
            "xp_cmdshell",
            "xp_dirtree",
            "xp_regread",
            "xp_fileexist",
            "xp_servicecontrol",
            "sp_executesql",
            "sp_oacreate",
            "sp_makewebtask",
            "sp_configure",
            "xp_"
        ];
        let at = token.start;
        let dotted = || matches!(rest, [dot, name, ..] if dot.is(b'.') && !dot.is_spaced() && name.is_word() && !name.is_spaced());
        let owner = token.reads_any(words!["sys", "mysql", "master"]) && dotted();
        self.found
            .add_if(owner || token.reads_any(CATALOGS), Feature::SqlSchema, at);
        self.found
            .add_if(token.reads_any(FILES), Feature::SqlFile, at);
        self.found
            .add_if(token.reads_any(PROCEDURES), Feature::SqlProcedure, at);
    }

    /// Whether the text begins in the middle of a condition.
    fn begins(&mut self) {
        let [first, next, ..] = self.cx.tokens.as_slice() else {
            return;
        };
        let by = first.has(Classes::CLAUSE) && next.reads(word!("by"));
        let logic = first.has(Classes::LOGIC.or(Classes::UNION)) || first.reads(word!("having"));
        let value = !next.is_word() || next.has(Classes::SELECT);
        self.found.add_if(
            by || (logic && value),
            Feature::SqlLeadingLogic,
            first.start,
        );
    }

    fn ends(&mut self) {
        self.begins();
        let tokens = &self.cx.tokens;
        let Some(last) = tokens.last() else { return };
        let before = tokens.len().checked_sub(2).and_then(|at| tokens.get(at));
        let sign = is_comment_sign(last)
            || last.kind == Kind::Comment
            || (last.is(b'*') && before.is_some_and(|before| before.is(b'/')))
            || (last.is_any(b"-+") && before.is_some_and(is_comment_sign))
            || (last.is_word()
                && before.is_some_and(|before| before.is(b'-') && before.length() == 1)
                && tokens
                    .len()
                    .checked_sub(3)
                    .and_then(|at| tokens.get(at))
                    .is_some_and(is_comment_sign));
        self.found
            .add_if(sign && tokens.len() > 1, Feature::SqlCommentEnd, last.start);
        let frame = self.cx.frame;
        // Two words of three, and not only one.
        let dense =
            frame.sql >= 2 && frame.sql * 3 >= frame.words * 2 && frame.plain <= 2 && !self.phrase;
        self.found.add_if(dense, Feature::SqlDense, 0);
    }
}

/// `"NOT FOR SALE"`: a quote, words, the quote.
fn is_phrase(cx: &Tokens<'_>) -> bool {
    let [first, words @ .., last] = cx.tokens.as_slice() else {
        return false;
    };
    first.is_quote()
        && first.kind == last.kind
        && first.length() == 1
        && words.len() >= 2
        && words
            .iter()
            .all(|word| word.is_word() || word.is_any(b",.!?"))
}

/// The first token that is no opening bracket.
fn first_inside(tokens: &[Token]) -> Option<&Token> {
    tokens
        .iter()
        .find(|token| !token.is(b'(') && token.kind != Kind::Comment)
}

fn is_comment_sign(token: &Token) -> bool {
    // Three dashes and more draw a line; at the end of a word they are a comment all the same.
    let dashes =
        token.is(b'-') && (token.length() == 2 || (token.length() > 3 && !token.is_spaced()));
    dashes || (token.is(b'#') && token.length() == 1)
}

fn is_comparison(token: &Token) -> bool {
    token.is_any(b"=<>") || (token.has(Classes::COMPARE) && !token.has(Classes::QUANTIFIER))
}

enum Operand<'t> {
    /// A number or something in quotes.
    Constant,
    /// One name.
    Name(&'t str),
    /// Anything longer.
    Other,
}

/// What one side of a comparison is; nothing when it is no side of one.
fn operand<'t>(cx: &Tokens<'t>, tokens: &[Token]) -> Option<Operand<'t>> {
    let mut quoted = false;
    let mut number = false;
    let mut name = None;
    for token in tokens {
        match token.kind {
            Kind::Punct(b'\'' | b'"' | b'`') => quoted = true,
            Kind::Punct(
                b'(' | b')' | b'-' | b'+' | b'!' | b'~' | b'.' | b'%' | b'=' | b'>' | b' ',
            )
            | Kind::Comment => {}
            Kind::Number | Kind::Hex => number = true,
            Kind::Word if name.is_none() && !token.has(Classes::LOGIC) => {
                name = Some(cx.word(token))
            }
            Kind::Punct(b'@') => name = name.or(Some("@")),
            _ if quoted || number => break,
            Kind::Word if token.has(Classes::STOP) => return None,
            _ => return Some(Operand::Other),
        }
        if number && !quoted {
            break;
        }
    }
    match (quoted || number, name) {
        (true, _) => Some(Operand::Constant),
        (false, Some(name)) => Some(Operand::Name(name)),
        (false, None) => None,
    }
}

/// `uNiOn`, `SeLeCt`: a capital after a small letter, and not the only one.
fn is_mixed_case(word: &str) -> bool {
    let bytes = word.as_bytes();
    let turns = bytes
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()))
        .count();
    turns >= 2
        || (turns == 1 && bytes.len() >= 4 && bytes.first().is_some_and(u8::is_ascii_lowercase))
}
