//! Cuts a grammar into what it is made of.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Fault;

/// The longest grammar that is read, in bytes.
const BYTES_MAX: usize = 32 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// Of a rule where it is in small letters, of a terminal where it is in capitals.
    Name(&'a str),
    /// A text in quotation marks, as it is meant, and whether letters of either case are the same.
    Text(String, bool),
    /// An expression between slashes, and its flags.
    Expression(&'a str, &'a str),
    Number(u32),
    /// `%ignore` and its like, without the sign.
    Directive(&'a str),
    /// `..`
    Range,
    /// `->`
    Arrow,
    Mark(char),
}

/// A token, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<'a> {
    pub(super) token: Token<'a>,
    pub(super) line: usize,
    /// Whether it is the first of its line.
    pub(super) leads: bool,
}

pub(super) fn tokens(grammar: &str) -> Result<Vec<Placed<'_>>, Fault> {
    if grammar.len() > BYTES_MAX {
        let what = format!("the grammar has more than {BYTES_MAX} bytes");
        return Err(Fault { line: 1, what });
    }
    let mut all = Vec::new();
    let mut reader = Reader {
        rest: grammar,
        line: 1,
    };
    let mut leads = true;
    loop {
        let line = reader.line;
        reader.skip_blank();
        leads |= reader.line != line;
        if reader.rest.is_empty() {
            return Ok(all);
        }
        let line = reader.line;
        let token = reader.token()?;
        all.push(Placed { token, line, leads });
        leads = false;
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !wanted(character));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Spaces, ends of lines, and remarks.
    fn skip_blank(&mut self) {
        loop {
            let blank = self.take_while(char::is_whitespace);
            self.line += blank.matches('\n').count();
            if !self.rest.starts_with("//") && !self.rest.starts_with('#') {
                return;
            }
            let _ = self.take_while(|character| character != '\n');
        }
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault {
            line: self.line,
            what: what.into(),
        }
    }

    fn token(&mut self) -> Result<Token<'a>, Fault> {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let first = self.rest.chars().next().unwrap_or_default();
        Ok(match first {
            '"' => self.text()?,
            '/' => self.expression()?,
            '%' => {
                let _ = self.take(1);
                Token::Directive(self.take_while(is_word))
            }
            '0'..='9' => {
                let digits = self.take_while(|character| character.is_ascii_digit());
                let number = digits.parse();
                Token::Number(number.map_err(|_| self.fault(format!("{digits} is too large")))?)
            }
            '_' | 'a'..='z' | 'A'..='Z' => Token::Name(self.take_while(is_word)),
            _ if self.rest.starts_with("..") => {
                let _ = self.take(2);
                Token::Range
            }
            _ if self.rest.starts_with("->") => {
                let _ = self.take(2);
                Token::Arrow
            }
            ':' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '?' | '*' | '+' | '~' | ',' | '!'
            | '.' | '-' => {
                let _ = self.take(1);
                Token::Mark(first)
            }
            other => return Err(self.fault(format!("`{other}` has no meaning here"))),
        })
    }

    /// Up to the first of that sign that no backslash stands before, without both.
    fn enclosed(&mut self, sign: char) -> Option<&'a str> {
        let inner = self.rest.get(1..)?;
        let mut escaped = false;
        for (at, character) in inner.char_indices() {
            if character == '\n' {
                return None;
            }
            if character == sign && !escaped {
                let _ = self.take(at + 2);
                return inner.get(..at);
            }
            escaped = character == '\\' && !escaped;
        }
        None
    }

    fn text(&mut self) -> Result<Token<'a>, Fault> {
        let inner = self
            .enclosed('"')
            .ok_or_else(|| self.fault("a text has no closing quotation mark"))?;
        let text = unescaped(inner)
            .ok_or_else(|| self.fault(format!("`\"{inner}\"` has an escape with no meaning")))?;
        if text.is_empty() {
            return Err(self.fault("a text is empty"));
        }
        let folds = self.rest.starts_with('i');
        let _ = self.take(usize::from(folds));
        Ok(Token::Text(text, folds))
    }

    fn expression(&mut self) -> Result<Token<'a>, Fault> {
        let inner = self
            .enclosed('/')
            .ok_or_else(|| self.fault("an expression has no closing slash"))?;
        let flags = self.take_while(|character| "imslux".contains(character));
        if flags.contains('x') {
            return Err(self.fault("expressions with the flag `x` are not followed here"));
        }
        Ok(Token::Expression(inner, flags))
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at)?);
        rest = rest.get(at + 1..)?;
        let escape = rest.chars().next()?;
        rest = rest.get(escape.len_utf8()..)?;
        let digits = match escape {
            'n' => {
                out.push('\n');
                continue;
            }
            't' => {
                out.push('\t');
                continue;
            }
            'r' => {
                out.push('\r');
                continue;
            }
            'f' => {
                out.push('\u{c}');
                continue;
            }
            'x' => 2,
            'u' => 4,
            other if other.is_ascii_alphanumeric() => return None,
            other => {
                out.push(other);
                continue;
            }
        };
        let code = u32::from_str_radix(rest.get(..digits)?, 16).ok()?;
        out.push(char::from_u32(code)?);
        rest = rest.get(digits..)?;
    }
    out.push_str(rest);
    Some(out)
}
