//! Looks for SQL that breaks out of a value, and for SQL that stands alone.

mod names;

use crate::features::{Feature, Found};
use crate::grammar::{Grammar, Position};
use crate::lexicon::{self, Classes, WordHash, word, words};
use crate::look_ahead::{LookAhead, Rule, Traits};
use crate::reader::Tokens;
use crate::token::{Kind, Token};
use names::{BUILD, CATALOGS, DOCUMENT, ERROR, FILES, OWNERS, PROCEDURES, RARE, TIME, WHOAMI};

/// What begins a comparison.
const COMPARISON: Traits = Traits::signs(b"=<>").or(Traits::of(Classes::COMPARE));

/// What begins a comment.
const COMMENT: Traits = Traits::signs(b"-#");

/// Names the value before a comment.
const COMMENTED: Traits = Traits::signs(b"'\"`)(;*")
    .or(Traits::NUMBER)
    .or(Traits::of(Classes::NULL));

/// The rules that begin at a sign.
const RULES: &[Rule] = &[
    Rule::at(b"'\"`", &[Feature::SqlQuoteLogic]).ahead(Traits::of(
        Classes::LOGIC
            .or(Classes::UNION)
            .or(Classes::COMPARE)
            .or(Classes::CLAUSE),
    )),
    Rule::at(b"'\"`", &[Feature::SqlQuoteOperator]).ahead(Traits::signs(b"|&+-*%^=</")),
    Rule::at(b"'\"`", &[Feature::SqlQuoteEnd]).ahead(Traits::signs(b"-#;,")),
    Rule::at(b";", &[Feature::SqlStacked]).ahead(Traits::of(Classes::SQL_VERB)),
    Rule::at(b"|&", CONDITIONS).ahead(COMPARISON),
    Rule::at(b"|&", &[Feature::SqlLogicEnd]).ahead(COMMENT.or(Traits::END)),
    Rule::at(b"@", &[Feature::SqlVariable, Feature::SqlWhoami]).next(Traits::WORD),
    Rule::at(b"-#/", &[Feature::SqlCommentOpen]).before(COMMENTED),
    Rule::at(b"/", &[Feature::SqlInlineComment]).next(Traits::signs(b"*")),
    Rule::at(b"-#", &[Feature::SqlInlineComment]).ahead(Traits::signs(b"!")),
    Rule::at(b"(", &[Feature::SqlSubselect]).ahead(Traits::of(Classes::SELECT)),
    Rule::at(b"$", &[Feature::SqlDocument])
        .next(Traits::WORD)
        .ahead(Traits::signs(b":]")),
    Rule::at(b"?", &[Feature::SqlOperators]).next(Traits::signs(b"&|")),
    Rule::at(b"<", &[Feature::SqlOperators]).next(Traits::signs(b"=")),
];

const CONDITIONS: &[Feature] = &[Feature::SqlTautology, Feature::SqlWeakCondition];

/// The grammar, and what was seen so far.
#[derive(Debug)]
pub(crate) struct Sql {
    /// Where the last `select` stood.
    select: Option<u32>,
    /// The text is one phrase in quotes, as people type into a search.
    phrase: bool,
    /// The text is words and no punctuation: a statement of any use has some.
    prose: bool,
}

impl Sql {
    pub(crate) fn new(cx: &Tokens<'_>) -> Self {
        Self {
            select: None,
            phrase: is_phrase(cx),
            prose: cx.context.punct <= 1 && cx.context.plain >= 2 && cx.context.words >= 5,
        }
    }
}

impl Grammar for Sql {
    const MARK: Classes = Classes::FOR_SQL;
    const WORDS: Classes = lexicon::SQL;
    const NAMES: &'static [&'static [WordHash]] = &[CATALOGS, FILES, PROCEDURES, OWNERS];
    const RULES: &'static [Rule] = RULES;
    const AHEAD: usize = 12;

    fn may_begin(token: &Token, near: &LookAhead, found: &Found) -> bool {
        match token.kind {
            Kind::Number => !found.has(Feature::SqlValueList) & near.next.has(LISTED),
            Kind::Word => may_begin_at_word(token, near, found),
            _ => true,
        }
    }

    fn read(&mut self, cx: &Tokens<'_>, position: &Position<'_>, found: &mut Found) {
        let state = self;
        Scan { cx, found, state }.token(position);
    }

    fn end(&mut self, cx: &Tokens<'_>, found: &mut Found) {
        let state = self;
        Scan { cx, found, state }.ends();
    }
}

/// What may follow a value in a list of them.
const LISTED: Traits = Traits::NUMBER
    .or(Traits::of(Classes::NULL))
    .or(Traits::signs(b","));

/// True when a rule may be met that begins at the word. All parts are looked at, so that the
/// processor has one branch to foresee.
fn may_begin_at_word(token: &Token, near: &LookAhead, found: &Found) -> bool {
    const JOINS: Classes = Classes::LOGIC.or(Classes::COMPARE);
    const VALUE: Traits = Traits::NUMBER.or(Traits::signs(b")"));
    let open = |feature| !found.has(feature);
    let conditions = open(Feature::SqlTautology) | open(Feature::SqlWeakCondition);
    let joins_only = token.has(JOINS) & !token.has(BEGINS) & token.has(lexicon::SQL);
    let condition = (conditions & near.ahead.has(COMPARISON))
        | (open(Feature::SqlLogicEnd) & near.ahead.has(COMMENT.or(Traits::END)));
    !joins_only
        | (token.has(Classes::LOGIC) & condition)
        | (open(Feature::SqlValueLogic) & near.before.has(VALUE))
        | token.has(Classes::MIXED_CASE)
        | token.reads_any(RARE)
}

/// Words that begin rules of their own.
const BEGINS: Classes = Classes::SQL_VERB
    .or(Classes::SQL_FUNCTION)
    .or(Classes::SQL_OBJECT)
    .or(Classes::CLAUSE)
    .or(Classes::SELECT)
    .or(Classes::UNION)
    .or(Classes::NULL);

struct Scan<'s, 't> {
    cx: &'s Tokens<'t>,
    found: &'s mut Found,
    state: &'s mut Sql,
}

impl Scan<'_, '_> {
    fn token(&mut self, position: &Position<'_>) {
        let Position {
            token,
            near,
            before,
            rest,
        } = *position;
        match token.kind {
            Kind::Word => self.word(token, before, rest),
            Kind::Punct(b'\'' | b'"' | b'`') => self.quote(token, near, before, rest),
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
            Kind::Number | Kind::Hex => self.value_list(token, rest),
            _ => {}
        }
    }

    /// Three values in a row: `1,2,null`.
    fn value_list(&mut self, token: &Token, rest: &[Token]) {
        let mut others = rest.iter().filter(|next| !next.is(b','));
        if let (Some(second), Some(third)) = (others.next(), others.next())
            && is_value(second)
            && is_value(third)
        {
            self.found.add(Feature::SqlValueList, third.start);
        }
        let long = token.kind == Kind::Hex && token.length() >= 8;
        self.found.add_if(long, Feature::SqlHex, token.start);
    }

    fn word(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        if !token.has(lexicon::SQL) {
            self.schema(token, rest);
            return;
        }
        let at = token.start;
        let mixed = token.has(Classes::MIXED_CASE);
        self.found.add_if(mixed, Feature::SqlMixedCase, at);
        if token.has(Classes::NULL) {
            self.value_list(token, rest);
        }
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
            self.state.select = Some(at);
            let value = first_inside(rest).is_some_and(|next| {
                next.is_number() || next.has(Classes::NULL) || next.is_any(b"@'\"-")
            });
            self.found
                .add_if(value && before.is_some(), Feature::SqlSelectList, at);
        }
        if token.has(Classes::SQL_OBJECT)
            && let Some(select) = self.state.select
            && !self.state.prose
        {
            self.found
                .add_if(token.reads(word!("from")), Feature::SqlVerbObject, select);
        }
        if token.has(Classes::SQL_VERB) && !self.state.prose {
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
        let short = rest.len() <= 2 && self.cx.context.words <= 4;
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
        } else if broken || self.cx.context.plain <= 2 {
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
        let short = value <= 5 && words <= 1 && (commented || rest.len() < Sql::AHEAD);
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

    fn quote(&mut self, token: &Token, near: LookAhead, before: Option<&Token>, rest: &[Token]) {
        let odd = near.this.has(if token.is(b'"') {
            Traits::ODD_DOUBLE
        } else {
            Traits::ODD_SINGLE
        });
        let Some(next) = rest
            .iter()
            .find(|next| !next.is(b')') && next.kind != Kind::Comment)
        else {
            return;
        };
        // A quote with a space or a bracket before it and none after it opens a string.
        let opens = before.is_some_and(|before| token.is_spaced() || before.is_any(b"([{,"))
            && rest.first().is_some_and(|next| !next.is_spaced());
        if !odd || opens || self.state.phrase {
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
        let Some(name) = rest.first() else { return };
        let operator = name.reads_any(DOCUMENT);
        let keyed = rest.iter().skip(1).take(2).any(|next| next.is_any(b":]"));
        self.found
            .add_if(operator && keyed, Feature::SqlDocument, token.start);
    }

    fn function(&mut self, token: &Token, calls: bool) {
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
                // `sp_help`, `sp_who`: what tells about a server.
                let name = self.cx.word(next);
                let tells = ["sp_help", "sp_who"]
                    .iter()
                    .any(|tells| name.starts_with(tells));
                let stored = next.is_word() && name.get(2..3) == Some("_") && !tells;
                self.found
                    .add_if(stored || next.is(b'('), Feature::SqlProcedure, at);
            }
            _ => {}
        }
        let rare = token.reads_any(RARE);
        self.found.add_if(rare, Feature::SqlOperators, at);
    }

    fn schema(&mut self, token: &Token, rest: &[Token]) {
        let at = token.start;
        let dotted = || matches!(rest, [dot, name, ..] if dot.is(b'.') && !dot.is_spaced() && name.is_word() && !name.is_spaced());
        let owner = token.reads_any(OWNERS) && dotted();
        self.found
            .add_if(owner || token.reads_any(CATALOGS), Feature::SqlSchema, at);
        self.found
            .add_if(token.reads_any(FILES), Feature::SqlFile, at);
        self.found
            .add_if(token.reads_any(PROCEDURES), Feature::SqlProcedure, at);
    }

    /// Whether the text begins in the middle of a condition.
    fn begins(&mut self) {
        let [first, next, ..] = self.cx.head() else {
            return;
        };
        let by = first.has(Classes::CLAUSE) && next.reads(word!("by"));
        let logic = first.has(Classes::LOGIC.or(Classes::UNION)) || first.reads(word!("having"));
        // `and/or` is two words.
        let joined = next.is(b'/') && !next.is_spaced();
        let value = !next.is_word() && !joined || next.has(Classes::SELECT);
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
        let third = tokens.len().checked_sub(3).and_then(|at| tokens.get(at));
        // `C#` is a language, `*/*` any type.
        let name = last.is(b'#')
            && !last.is_spaced()
            && before.is_some_and(|before| before.is_word() && before.length() == 1);
        let any_type = last.is(b'*') && third.is_some_and(|third| third.is(b'*'));
        let sign = (is_comment_sign(last) && !name)
            || last.kind == Kind::Comment
            || (last.is(b'*') && !any_type && before.is_some_and(|before| before.is(b'/')))
            || (last.is_any(b"-+") && before.is_some_and(is_comment_sign))
            || (last.is_word()
                && before.is_some_and(|before| before.is(b'-') && before.length() == 1)
                && third.is_some_and(is_comment_sign));
        self.found
            .add_if(sign && tokens.len() > 1, Feature::SqlCommentEnd, last.start);
        let context = self.cx.context;
        // Two words of three, and not only one.
        let dense = context.sql >= 2
            && context.sql * 3 >= context.words * 2
            && context.plain <= 2
            && context.punct > 0
            && !self.state.phrase;
        self.found.add_if(dense, Feature::SqlDense, 0);
    }
}

/// `"NOT FOR SALE"`: a quote, words, the quote.
fn is_phrase(cx: &Tokens<'_>) -> bool {
    let [first, words @ .., last] = cx.head() else {
        return false;
    };
    cx.is_whole
        && first.is_quote()
        && first.kind == last.kind
        && first.length() == 1
        && words.len() >= 2
        && words
            .iter()
            .all(|word| word.is_word() || word.is_any(b",.!?"))
}

/// A number, or none at all.
fn is_value(token: &Token) -> bool {
    token.is_number() || token.has(Classes::NULL)
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
pub(crate) fn is_mixed_case(bytes: &[u8]) -> bool {
    const LETTERS_MIN: usize = 4;
    if bytes.len() < LETTERS_MIN {
        return false;
    }
    let turns = bytes
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()))
        .count();
    turns >= 2 || (turns == 1 && bytes.first().is_some_and(u8::is_ascii_lowercase))
}
