//! Reads a grammar.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::tokens::{Placed, Token, tokens};
use super::{ENDLESS, Fault, Grammar, Node, Rule, Terminal, common};
use crate::pattern::Pattern;

/// How deep groups may be nested, and terminals within each other.
const DEPTH_MAX: u32 = 8;
/// How many rules and terminals a grammar may have, those without a name included.
const NAMES_MAX: usize = 512;
/// The largest count that is taken.
const COUNT_MAX: u32 = 1_000;
/// The longest expression that a terminal comes to, in bytes.
const EXPRESSION_BYTES_MAX: usize = 4_096;
/// The rule that a text follows.
const START: &str = "start";

/// What stands on the right of a definition, with the names as they are written.
#[derive(Clone, Debug)]
enum Raw<'a> {
    Name(&'a str, usize),
    Text(String, bool),
    Expression(&'a str, bool),
    Between(char, char),
    Sequence(Vec<Raw<'a>>),
    Alternatives(Vec<Raw<'a>>),
    Repeat(Box<Raw<'a>>, u32, Option<u32>),
}

/// A definition, on its line.
struct Definition<'a> {
    name: &'a str,
    line: usize,
    right: Raw<'a>,
}

impl Grammar {
    /// # Errors
    ///
    /// What cannot be read or followed, with its line.
    pub(crate) fn parse(grammar: &str) -> Result<Self, Fault> {
        let tokens = tokens(grammar)?;
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
            definitions: Vec::new(),
            ignored: Vec::new(),
        };
        while reader.at < tokens.len() {
            reader.statement()?;
        }
        build(&reader.definitions, &reader.ignored)
    }
}

struct Reader<'t, 'a> {
    tokens: &'t [Placed<'a>],
    at: usize,
    definitions: Vec<Definition<'a>>,
    ignored: Vec<Raw<'a>>,
}

impl<'a> Reader<'_, 'a> {
    fn peek(&self, ahead: usize) -> Option<&Token<'a>> {
        self.tokens.get(self.at + ahead).map(|placed| &placed.token)
    }

    fn leads(&self) -> bool {
        self.tokens.get(self.at).is_none_or(|placed| placed.leads)
    }

    /// The line of what comes next, or of the last there is.
    fn line(&self) -> usize {
        let placed = self.tokens.get(self.at).or(self.tokens.last());
        placed.map_or(1, |placed| placed.line)
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek(0).cloned();
        self.at += 1;
        token
    }

    fn take(&mut self, mark: char) -> bool {
        let found = self.peek(0) == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault {
            line: self.line(),
            what: what.into(),
        }
    }

    fn statement(&mut self) -> Result<(), Fault> {
        let line = self.line();
        if let Some(Token::Directive(name)) = self.peek(0) {
            let name = *name;
            self.at += 1;
            return match name {
                "ignore" => {
                    let ignored = self.alternatives(0)?;
                    self.ignored.push(ignored);
                    Ok(())
                }
                "import" => self.import(),
                _ => Err(Fault {
                    line,
                    what: format!("`%{name}` is not followed here"),
                }),
            };
        }
        // What keeps a rule in the tree, or takes it out, changes no text.
        while self.take('?') || self.take('!') {}
        let Some(Token::Name(name)) = self.next() else {
            return Err(Fault {
                line,
                what: "expected `name:` or a directive".into(),
            });
        };
        if self.peek(0) == Some(&Token::Mark('{')) {
            return Err(self.fault("templates are not followed here"));
        }
        if self.take('.') {
            let _ = self.take('-');
            let Some(Token::Number(_)) = self.next() else {
                return Err(Fault {
                    line,
                    what: format!("the priority of `{name}` is no number"),
                });
            };
        }
        if !self.take(':') {
            return Err(self.fault(format!("expected `:` behind `{name}`")));
        }
        let right = self.alternatives(0)?;
        self.define(name, line, right)
    }

    fn define(&mut self, name: &'a str, line: usize, right: Raw<'a>) -> Result<(), Fault> {
        let what = if self.definitions.iter().any(|known| known.name == name) {
            format!("`{name}` is defined twice")
        } else if self.definitions.len() >= NAMES_MAX {
            format!("there are more than {NAMES_MAX} rules and terminals")
        } else {
            self.definitions.push(Definition { name, line, right });
            return Ok(());
        };
        Err(Fault { line, what })
    }

    /// `%import common.NAME`, with another name behind an arrow, or `%import common (A, B)`.
    fn import(&mut self) -> Result<(), Fault> {
        let line = self.line();
        let elsewhere = || Fault {
            line,
            what: "only `common` can be imported from".into(),
        };
        let Some(Token::Name("common")) = self.next() else {
            return Err(elsewhere());
        };
        if self.take('(') {
            while !self.take(')') {
                let Some(Token::Name(name)) = self.next() else {
                    return Err(self.fault("expected the names that are imported"));
                };
                self.common(name, name, line)?;
                let _ = self.take(',');
            }
            return Ok(());
        }
        let (true, Some(Token::Name(name))) = (self.take('.'), self.next()) else {
            return Err(self.fault("expected the name that is imported"));
        };
        let mut alias = name;
        if self.peek(0) == Some(&Token::Arrow) {
            self.at += 1;
            let Some(Token::Name(other)) = self.next() else {
                return Err(self.fault("expected a name behind `->`"));
            };
            alias = other;
        }
        self.common(name, alias, line)
    }

    fn common(&mut self, name: &str, alias: &'a str, line: usize) -> Result<(), Fault> {
        let expression = common::expression(name).ok_or_else(|| Fault {
            line,
            what: format!("`common` has no `{name}`"),
        })?;
        // What is imported twice is one terminal.
        if self.definitions.iter().any(|known| known.name == alias) {
            return Ok(());
        }
        self.define(alias, line, Raw::Expression(expression, false))
    }

    /// `a | b | c`, up to the next definition or what closes the group.
    fn alternatives(&mut self, depth: u32) -> Result<Raw<'a>, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault(format!("groups are nested deeper than {DEPTH_MAX}")));
        }
        // The first may stand behind a line of its own.
        let _ = self.take('|');
        let mut branches = Vec::from([self.sequence(depth)?]);
        while self.take('|') {
            branches.push(self.sequence(depth)?);
        }
        Ok(match branches.len() {
            1 => branches.swap_remove(0),
            _ => Raw::Alternatives(branches),
        })
    }

    /// Whether the next token begins a definition or a directive, or is the end.
    fn is_at_statement(&self) -> bool {
        match self.peek(0) {
            None | Some(Token::Directive(_)) => true,
            Some(Token::Mark('?' | '!')) => self.leads(),
            Some(Token::Name(_)) if self.leads() => matches!(
                (self.peek(1), self.peek(2)),
                (Some(Token::Mark(':' | '{')), _) | (Some(Token::Mark('.')), Some(_))
            ),
            _ => false,
        }
    }

    fn sequence(&mut self, depth: u32) -> Result<Raw<'a>, Fault> {
        let mut items = Vec::new();
        while !self.is_at_statement() {
            match self.peek(0) {
                Some(Token::Mark('|' | ')' | ']')) => break,
                Some(Token::Arrow) => {
                    self.at += 1;
                    let Some(Token::Name(_)) = self.next() else {
                        return Err(self.fault("expected a name behind `->`"));
                    };
                }
                _ => {
                    let item = self.item(depth)?;
                    items.push(self.counted(item)?);
                }
            }
        }
        Ok(match items.len() {
            1 => items.swap_remove(0),
            _ => Raw::Sequence(items),
        })
    }

    fn item(&mut self, depth: u32) -> Result<Raw<'a>, Fault> {
        let line = self.line();
        let is_closed = |taken| {
            let what = "a group is not closed".into();
            if taken {
                Ok(())
            } else {
                Err(Fault { line, what })
            }
        };
        match self.next() {
            Some(Token::Name(name)) => Ok(Raw::Name(name, line)),
            Some(Token::Expression(expression, flags)) => {
                Ok(Raw::Expression(expression, flags.contains('i')))
            }
            Some(Token::Text(text, folds)) => {
                if self.peek(0) != Some(&Token::Range) {
                    return Ok(Raw::Text(text, folds));
                }
                self.at += 1;
                let one = |text: &str| {
                    let mut characters = text.chars();
                    characters.next().filter(|_| characters.next().is_none())
                };
                let high = match self.next() {
                    Some(Token::Text(high, _)) => one(&high),
                    _ => None,
                };
                match (one(&text), high) {
                    (Some(low), Some(high)) if low <= high => Ok(Raw::Between(low, high)),
                    _ => Err(Fault {
                        line,
                        what: "a range is from one character to a later one".into(),
                    }),
                }
            }
            Some(Token::Mark('(')) => {
                let inner = self.alternatives(depth + 1)?;
                is_closed(self.take(')'))?;
                Ok(inner)
            }
            Some(Token::Mark('[')) => {
                let inner = self.alternatives(depth + 1)?;
                is_closed(self.take(']'))?;
                Ok(Raw::Repeat(Box::new(inner), 0, Some(1)))
            }
            Some(Token::Mark('{')) => Err(Fault {
                line,
                what: "templates are not followed here".into(),
            }),
            Some(Token::Mark(mark)) => Err(Fault {
                line,
                what: format!("`{mark}` stands where something is to be repeated or named"),
            }),
            _ => Err(Fault {
                line,
                what: "expected a name, a text or an expression".into(),
            }),
        }
    }

    /// The item with the count behind it.
    fn counted(&mut self, item: Raw<'a>) -> Result<Raw<'a>, Fault> {
        let (least, most) = match self.peek(0) {
            // At the head of a line it is of the rule that begins there.
            Some(Token::Mark('?')) if self.leads() => return Ok(item),
            Some(Token::Mark('?')) => (0, Some(1)),
            Some(Token::Mark('*')) => (0, None),
            Some(Token::Mark('+')) => (1, None),
            Some(Token::Mark('~')) => {
                self.at += 1;
                let Some(Token::Number(least)) = self.next() else {
                    return Err(self.fault("expected a number behind `~`"));
                };
                let mut most = least;
                if self.peek(0) == Some(&Token::Range) {
                    self.at += 1;
                    let Some(Token::Number(number)) = self.next() else {
                        return Err(self.fault("expected a number behind `..`"));
                    };
                    most = number;
                }
                if most < least || most > COUNT_MAX {
                    return Err(
                        self.fault(format!("a count ends before it begins or past {COUNT_MAX}"))
                    );
                }
                return Ok(Raw::Repeat(Box::new(item), least, Some(most)));
            }
            _ => return Ok(item),
        };
        self.at += 1;
        Ok(Raw::Repeat(Box::new(item), least, most))
    }
}

fn is_terminal(name: &str) -> bool {
    let letters = name.trim_start_matches('_');
    letters.starts_with(|first: char| first.is_ascii_uppercase())
}

fn build(definitions: &[Definition<'_>], ignored: &[Raw<'_>]) -> Result<Grammar, Fault> {
    let mut builder = Builder {
        definitions,
        rules: definitions
            .iter()
            .filter(|definition| !is_terminal(definition.name))
            .collect(),
        terminals: Vec::new(),
        expressions: Vec::new(),
    };
    let start = builder.rules.iter().position(|rule| rule.name == START);
    let start = start.ok_or_else(|| Fault {
        line: 1,
        what: format!("there is no rule `{START}`"),
    })?;
    builder.rules.swap(0, start);
    let mut rules = Vec::new();
    for place in 0..builder.rules.len() {
        let Some(definition) = builder.rules.get(place).copied() else {
            break;
        };
        rules.push(Rule {
            node: builder.node(&definition.right, definition.line)?,
            height: ENDLESS,
        });
    }
    let mut ignores_spaces = false;
    for raw in ignored {
        let expression = builder.expression(raw, 1, 0)?;
        ignores_spaces |= whole(&expression).is_some_and(|pattern| pattern.matches(" "));
    }
    let names: Vec<(&str, usize)> = builder
        .rules
        .iter()
        .map(|rule| (rule.name, rule.line))
        .collect();
    let mut grammar = Grammar {
        rules,
        terminals: builder.terminals,
        ignores_spaces,
    };
    grammar.measure(&names)?;
    Ok(grammar)
}

/// The expression, as one that the whole of a text matches.
fn whole(expression: &str) -> Option<Pattern> {
    Pattern::parse(&format!("^(?:{expression})$"))
}

struct Builder<'d, 'a> {
    definitions: &'d [Definition<'a>],
    rules: Vec<&'d Definition<'a>>,
    terminals: Vec<Terminal>,
    /// Those of the terminals, in their order: what is written twice is one terminal.
    expressions: Vec<String>,
}

impl Builder<'_, '_> {
    fn node(&mut self, raw: &Raw<'_>, line: usize) -> Result<Node, Fault> {
        let mut all = |items: &[Raw<'_>]| -> Result<Vec<Node>, Fault> {
            items.iter().map(|item| self.node(item, line)).collect()
        };
        Ok(match raw {
            Raw::Sequence(items) => Node::Sequence(all(items)?),
            Raw::Alternatives(items) => Node::Alternatives(all(items)?),
            Raw::Repeat(item, least, most) => Node::Repeat {
                node: Box::new(self.node(item, line)?),
                least: *least,
                most: *most,
            },
            Raw::Name(name, line) if !is_terminal(name) => {
                let place = self.rules.iter().position(|rule| rule.name == *name);
                Node::Rule(place.ok_or_else(|| unknown(name, *line))?)
            }
            Raw::Name(_, line) => self.terminal(raw, *line)?,
            Raw::Text(..) | Raw::Expression(..) | Raw::Between(..) => self.terminal(raw, line)?,
        })
    }

    /// The text of a terminal that is always the same.
    fn fixed<'r>(&'r self, raw: &'r Raw<'_>) -> Option<&'r str> {
        match raw {
            Raw::Text(text, _) => Some(text),
            Raw::Name(name, _) => match &self.definition(name)?.right {
                Raw::Text(text, _) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn definition(&self, name: &str) -> Option<&Definition<'_>> {
        self.definitions.iter().find(|known| known.name == name)
    }

    fn terminal(&mut self, raw: &Raw<'_>, line: usize) -> Result<Node, Fault> {
        let expression = self.expression(raw, line, 0)?;
        if let Some(place) = self
            .expressions
            .iter()
            .position(|known| *known == expression)
        {
            return Ok(Node::Terminal(place));
        }
        let terminal = match self.fixed(raw) {
            Some(text) => Terminal::Fixed(text.to_string()),
            None => {
                let pattern = whole(&expression).ok_or_else(|| Fault {
                    line,
                    what: format!("`/{expression}/` cannot be read"),
                })?;
                Terminal::Matching(Box::new(pattern))
            }
        };
        let place = self.terminals.len();
        if place >= NAMES_MAX {
            let what = format!("there are more than {NAMES_MAX} texts and expressions");
            return Err(Fault { line, what });
        }
        self.terminals.push(terminal);
        self.expressions.push(expression);
        Ok(Node::Terminal(place))
    }

    /// What a terminal matches, written out: terminals cannot contain themselves.
    fn expression(&self, raw: &Raw<'_>, line: usize, depth: u32) -> Result<String, Fault> {
        if depth > DEPTH_MAX * 2 {
            let what = "a terminal contains itself, or others too deep in each other".into();
            return Err(Fault { line, what });
        }
        let all = |items: &[Raw<'_>], between: &str| -> Result<String, Fault> {
            let mut written = String::new();
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    written.push_str(between);
                }
                written.push_str(&self.expression(item, line, depth + 1)?);
            }
            Ok(format!("(?:{written})"))
        };
        let written = match raw {
            Raw::Text(text, false) => escaped(text),
            Raw::Text(text, true) => format!("(?i:{})", escaped(text)),
            Raw::Expression(expression, false) => format!("(?:{expression})"),
            Raw::Expression(expression, true) => format!("(?i:{expression})"),
            Raw::Between(low, high) => format!(
                "[{}-{}]",
                escaped(low.encode_utf8(&mut [0; 4])),
                escaped(high.encode_utf8(&mut [0; 4]))
            ),
            Raw::Sequence(items) => all(items, "")?,
            Raw::Alternatives(items) => all(items, "|")?,
            Raw::Repeat(item, least, most) => {
                let item = self.expression(item, line, depth + 1)?;
                match most {
                    Some(most) => format!("(?:{item}){{{least},{most}}}"),
                    None => format!("(?:{item}){{{least},}}"),
                }
            }
            Raw::Name(name, line) => {
                let definition = self.definition(name).ok_or_else(|| unknown(name, *line))?;
                if !is_terminal(name) {
                    let what = format!("`{name}` is a rule, and stands in a terminal");
                    return Err(Fault { line: *line, what });
                }
                self.expression(&definition.right, definition.line, depth + 1)?
            }
        };
        if written.len() > EXPRESSION_BYTES_MAX {
            let what = format!("a terminal comes to more than {EXPRESSION_BYTES_MAX} bytes");
            return Err(Fault { line, what });
        }
        Ok(written)
    }
}

fn unknown(name: &str, line: usize) -> Fault {
    let kind = if is_terminal(name) {
        "terminal"
    } else {
        "rule"
    };
    Fault {
        line,
        what: format!("there is no {kind} `{name}`"),
    }
}

/// The text as an expression that matches it.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
