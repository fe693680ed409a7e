//! Looks for commands of a shell behind a separator, and for command lines that stand alone.

mod programs;
mod rules;

use crate::command_line;
use crate::features::{Feature, Found};
use crate::grammar::{Grammar, Position};
use crate::lexicon::{self, Classes, WordHash, word, words};
use crate::look_ahead::Rule;
use crate::reader::Tokens;
use crate::token::{Kind, Token};

/// A text with this many tokens has no room for talk.
const SHORT_TOKENS: usize = 8;

/// The grammar, and what was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Command {
    /// A variable got a value: `x=`.
    assigned: bool,
}

impl Grammar for Command {
    const MARK: Classes = Classes::FOR_COMMAND;
    const WORDS: Classes = lexicon::COMMAND.or(Classes::RUNS).or(Classes::CODE_CALL);
    const NAMES: &'static [&'static [WordHash]] = &[programs::MAIL, programs::GREETINGS];
    const RULES: &'static [Rule] = rules::RULES;
    const AHEAD: usize = 10;

    fn read(&mut self, cx: &Tokens<'_>, position: &Position<'_>, found: &mut Found) {
        let state = self;
        Scan { cx, found, state }.token(position);
    }

    fn end(&mut self, cx: &Tokens<'_>, found: &mut Found) {
        command_line::scan(cx, found);
    }
}

struct Scan<'s, 't> {
    cx: &'s Tokens<'t>,
    found: &'s mut Found,
    state: &'s mut Command,
}

impl Scan<'_, '_> {
    fn token(&mut self, position: &Position<'_>) {
        let Position {
            token,
            before,
            rest,
            ..
        } = *position;
        match token.kind {
            Kind::Punct(b';' | b'|' | b'&') => self.separated(token, before, rest),
            Kind::Punct(b'`') if token.length() == 2 => self.split(token, before, rest),
            Kind::Punct(b'`') => self.backtick(token, rest),
            Kind::Punct(b'$') => self.dollar(token, before, rest),
            Kind::Punct(b'=') => {
                let named = before.is_some_and(Token::is_word) && !token.is_spaced();
                self.state.assigned |= named;
            }
            Kind::Punct(b'{') => self.brace(token, before, rest),
            Kind::Punct(b'<') => self.angle(token, rest),
            Kind::Punct(b'>') => self.redirect(token, rest),
            Kind::Punct(b'(') => self.function(token, rest),
            Kind::Punct(b'%') => self.windows_variable(token, before, rest),
            Kind::Punct(b'/') => self.path(token, rest),
            Kind::Punct(b'\\') => {
                self.spelt_newline(token, rest);
                self.split(token, before, rest);
            }
            Kind::Punct(b'\'' | b'"') => self.split(token, before, rest),
            Kind::Word => self.word(token, before, rest),
            _ => {}
        }
        // A command may also begin a line: what a newline in a parameter does.
        if token.begins_line() && token.start > 0 && token.is_word() && self.cx.context.plain <= 2 {
            let alone = rest
                .first()
                .is_none_or(|next| next.begins_line() || next.is_any(b"-/|;&."));
            self.found.add_if(
                alone && token.is_command(),
                Feature::CommandSeparated,
                token.start,
            );
            let short = self.cx.is_short(SHORT_TOKENS) && self.cx.context.plain <= 1;
            self.found.add_if(
                alone && short && token.has(lexicon::COMMAND),
                Feature::CommandNewline,
                token.start,
            );
        }
    }

    /// What stands behind `;`, `|`, `&`, `&&`, `||`.
    fn separated(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        if token.length() > 2 {
            return;
        }
        let leading = before
            .is_none_or(|before| before.is_quote() || before.is_any(b"+)") || before.is_number());
        let Some((at, command)) = command(rest) else {
            return;
        };
        let after = rest.get(at + 1..).unwrap_or_default();
        let known = command.has(lexicon::COMMAND);
        if !known {
            return;
        }
        // `… && ping me`: somebody is spoken to.
        let talks = after.first().is_some_and(|next| {
            next.is_word() && next.is_spaced() && next.has(Classes::STOP.or(Classes::TALK))
        });
        if talks {
            return;
        }
        let ends = after.first().is_none_or(|next| {
            next.is_any(b";|&`)'\"\\-/<>$%+~.#")
                || next.is_number()
                || (next.is_word() && next.is_spaced() && (after.len() <= 3 || is_name(after)))
        });
        if command.is_command() {
            self.found.add(Feature::CommandSeparated, token.start);
        } else if ends {
            self.found.add(Feature::CommandSeparatedWord, token.start);
        }
        self.found.add_if(
            leading && (ends || command.is_command()),
            Feature::CommandLeading,
            token.start,
        );
        // `a;id` is one word and a command, `name; id` may be a list of two.
        let option = after
            .first()
            .is_some_and(|next| next.is(b'-') && next.is_spaced());
        let plain_max = u32::from(token.is_tight(rest) || (option && command.is_command()));
        let short = self.cx.is_short(SHORT_TOKENS) && self.cx.context.plain <= plain_max && ends;
        self.found.add_if(short, Feature::CommandShort, token.start);
        let shell = token.is(b'|') && command.has(Classes::SHELL);
        self.found
            .add_if(shell, Feature::CommandPipeShell, token.start);
    }

    fn backtick(&mut self, token: &Token, rest: &[Token]) {
        let Some((_, command)) = command(rest) else {
            return;
        };
        let closes = rest.iter().any(|next| next.is(b'`'));
        self.found.add_if(
            closes && command.has(lexicon::COMMAND),
            Feature::CommandSubstitution,
            token.start,
        );
    }

    fn dollar(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let at = token.start;
        match rest {
            [open, inner @ ..] if open.is(b'(') && !open.is_spaced() => {
                let command =
                    command(inner).is_some_and(|(_, command)| command.has(lexicon::COMMAND));
                let nested = inner
                    .iter()
                    .any(|next| next.is(b'$') && !next.is_spaced() || next.is_any(b"`"));
                let empty = matches!(inner, [close, next, ..] if close.is(b')') && next.is_word() && !next.is_spaced());
                let inside = before.is_some_and(Token::is_word) && !token.is_spaced();
                self.found
                    .add_if(empty && inside, Feature::CommandSplit, at);
                self.found.add_if(nested, Feature::CommandNested, at);
                self.found.add_if(command, Feature::CommandSubstitution, at);
            }
            [open, name, after, ..] if open.is(b'{') && !open.is_spaced() => {
                let ifs = name.reads(word!("ifs"));
                let slice = name.is_word() && after.is_any(b":/#%@");
                let glued = before.is_some_and(Token::is_word)
                    && !token.is_spaced()
                    && after.is(b'}')
                    && rest
                        .get(3)
                        .is_some_and(|next| next.is_word() && !next.is_spaced());
                self.found.add_if(glued, Feature::CommandSplit, at);
                let call = name.is(b'`')
                    || (name.is_word() && after.is(b'('))
                    || name.is_any(b"@$!")
                    || is_sum(rest.get(1..).unwrap_or_default());
                self.found
                    .add_if(ifs || slice, Feature::CommandVariable, at);
                self.found.add_if(call, Feature::CommandTemplate, at);
            }
            [name, ..] if name.reads(word!("ifs")) && !name.is_spaced() => {
                self.found.add(Feature::CommandVariable, at);
            }
            [name, after, ..] if name.is_any(b"@*'\"") && !name.is_spaced() => {
                let inside = before.is_some_and(|before| before.is_word()) && !token.is_spaced();
                self.found
                    .add_if(inside && after.is_word(), Feature::CommandSplit, at);
            }
            [name, ..] if name.is_word() && !name.is_spaced() => {
                // `&$orderby=name` is of a query and assigns a value itself.
                let separated = before.is_some_and(|before| before.is_any(b";&|`"))
                    && !rest.get(1).is_some_and(|next| next.is(b'='));
                self.found
                    .add_if(self.state.assigned && separated, Feature::CommandAssign, at);
                let global = name.reads_any(words![
                    "_get", "_post", "_request", "_cookie", "_server", "_files"
                ]);
                self.found
                    .add_if(global && after_bracket(rest), Feature::CommandPhp, at);
                let shell = name.reads(word!("shell")) || name.reads(word!("bash"));
                let runs = shell && rest.get(1).is_some_and(|next| next.is(b'-'));
                self.found.add_if(shell, Feature::CommandVariable, at);
                self.found.add_if(runs, Feature::CommandShellCode, at);
            }
            _ => {}
        }
    }

    /// `{ls,-l}`, which a shell takes apart, and `{{…}}`, which a template does.
    fn brace(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let listed = matches!(rest, [name, comma, ..] if comma.is(b',')
            && !comma.is_spaced()
            && name.has(lexicon::COMMAND));
        // `{a$b,-x,1}`: the words of a command line with commas instead of spaces.
        let tight = rest.iter().take_while(|next| !next.is_spaced());
        let mut pairs = tight.clone().zip(tight.skip(1));
        let option = pairs.any(|(comma, next)| comma.is(b',') && next.is_any(b"-/"));
        let listed = listed || (option && token.length() == 1);
        self.found
            .add_if(listed, Feature::CommandSubstitution, token.start);
        let code = rest
            .iter()
            .take(4)
            .any(|next| next.has(Classes::CODE_CALL) && !next.has(Classes::STOP));
        let dollar = rest.first().is_some_and(|next| next.is(b'$'));
        // `#{name}` is work, `#{7*7}` asks whether something computes it.
        let interpolates = before.is_some_and(|before| before.is_any(b"#*@")) && !token.is_spaced();
        self.found.add_if(
            (code && (token.length() == 2 || dollar))
                || (token.length() == 2 && is_probe(rest))
                || (interpolates && (code || is_probe(rest))),
            Feature::CommandTemplate,
            token.start,
        );
    }

    fn angle(&mut self, token: &Token, rest: &[Token]) {
        let at = token.start;
        self.found
            .add_if(token.length() == 3, Feature::CommandHereString, at);
        match rest {
            [question, name, ..] if question.is(b'?') => {
                let php = name.reads(word!("php")) || name.is(b'=') || name.has(Classes::CODE_CALL);
                self.found.add_if(php, Feature::CommandPhp, at);
            }
            [percent, inner @ ..] if percent.is(b'%') && !percent.is_spaced() => {
                let named = matches!(inner, [equals, name, end, ..] if equals.is(b'=')
                    && name.is_word()
                    && name.is_spaced()
                    && end.is(b'%'));
                self.found.add_if(!named, Feature::CommandTemplate, at);
            }
            [bang, dashes, hash, ..] if bang.is(b'!') && dashes.is(b'-') && hash.is(b'#') => {
                self.found.add(Feature::CommandSsi, at);
            }
            _ => {}
        }
    }

    fn redirect(&mut self, token: &Token, rest: &[Token]) {
        let descriptor = matches!(rest, [amp, number, ..] if amp.is(b'&') && number.is_number());
        let device =
            matches!(rest, [slash, name, ..] if slash.is(b'/') && name.reads(word!("dev")));
        let path = match rest {
            [slash, name, ..] if slash.is(b'/') => name.is_word() && !name.is_spaced(),
            [drive, colon, ..] if colon.is(b':') => drive.length() == 1 && !colon.is_spaced(),
            _ => false,
        };
        let ordered = self.cx.context.plain <= 2
            && self
                .cx
                .head()
                .first()
                .is_some_and(|first| first.has(lexicon::COMMAND) || first.is_any(b";|&`$"));
        self.found.add_if(
            descriptor || device || (path && ordered),
            Feature::CommandRedirect,
            token.start,
        );
    }

    /// `() { :;};` and `x() { x|x& };x`.
    fn function(&mut self, token: &Token, rest: &[Token]) {
        let [close, open, inner, ..] = rest else {
            return;
        };
        let body = close.is(b')') && open.is(b'{');
        let body = body && (inner.is_any(b":.;|") || rest.iter().any(|next| next.is_any(b"|&")));
        self.found
            .add_if(body, Feature::CommandFunction, token.start);
    }

    /// `for %i in (`, `if not "%1" ==`, `%SYSTEMROOT%`.
    fn windows_variable(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let Some(name) = rest.first() else { return };
        let loops = before
            .is_some_and(|before| before.reads(word!("for")) || before.has(Classes::LOGIC))
            || (rest.get(1).is_some_and(|next| next.reads(word!("in")))
                && rest.get(2).is_some_and(|next| next.is(b'(')));
        self.found
            .add_if(loops, Feature::CommandWindowsFor, token.start);
        let variable = name.reads_any(words!["systemroot", "windir", "programfiles", "comspec",]);
        let closes = rest.get(1).is_some_and(|next| next.is(b'%'));
        self.found
            .add_if(variable && closes, Feature::CommandVariable, token.start);
    }

    fn path(&mut self, token: &Token, rest: &[Token]) {
        let at = token.start;
        let Some(name) = rest.first().filter(|name| !name.is_spaced()) else {
            return;
        };
        let file = rest
            .get(1)
            .zip(rest.get(2))
            .filter(|(slash, _)| slash.is(b'/'));
        let device = file.is_some_and(|(_, file)| {
            name.reads(word!("dev")) && file.reads_any(words!["tcp", "udp"])
        });
        let program = file.is_some_and(|(_, file)| {
            let direct = name.reads_any(words!["bin", "sbin"]) && file.has(lexicon::COMMAND);
            let nested = name.reads(word!("usr"))
                && file.reads_any(words!["bin", "sbin"])
                && rest
                    .get(4)
                    .is_some_and(|program| program.has(lexicon::COMMAND));
            direct || nested
        });
        self.found.add_if(device, Feature::CommandDevice, at);
        self.found.add_if(program, Feature::CommandProgramPath, at);
        let wild = rest
            .iter()
            .take_while(|next| !next.is_spaced())
            .filter(|next| next.is_any(b"?["))
            .count();
        let steps = rest
            .iter()
            .take_while(|next| !next.is_spaced())
            .filter(|next| next.is(b'/'))
            .count();
        let url = rest.iter().any(|next| next.is_any(b"=:&>@"));
        self.found.add_if(
            wild > 0 && steps > 0 && !url && token.length() == 1,
            Feature::CommandGlob,
            at,
        );
    }

    /// A quote or backslash in the middle of a word: `w'h'oami`, `who\ami`.
    fn split(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let tight = |token: &Token| token.is_word() && !token.is_spaced();
        let Some(before) = before.filter(|before| before.is_word() && !token.is_spaced()) else {
            return;
        };
        let Some(next) = rest.first() else { return };
        let at = token.start;
        match token.kind {
            Kind::Punct(b'\\') => {
                // `c\at` yes; `C:\dir\file`, `\frac` and `it\n` no.
                let short = before.length() <= 3 && next.length() <= 6 && token.length() == 1;
                let unix = tight(next) && short && self.joins(before, next);
                self.found.add_if(unix, Feature::CommandSplit, at);
            }
            _ if token.length() == 2 => self.found.add_if(tight(next), Feature::CommandSplit, at),
            _ => {
                let closed = rest
                    .get(1)
                    .is_some_and(|close| close.kind == token.kind && !close.is_spaced());
                let goes_on = closed
                    && rest.get(2).is_some_and(|next| {
                        tight(next) || (next.is_quote() || next.is(b'/')) && !next.is_spaced()
                    });
                // `rock'n'roll` is a word.
                let shortened = next.reads(word!("n")) && !self.joins(before, next);
                self.found.add_if(
                    tight(next) && goes_on && !shortened,
                    Feature::CommandSplit,
                    at,
                );
            }
        }
    }

    /// `\ncat`: a program that reads escapes sees a line break, then a command.
    fn spelt_newline(&mut self, token: &Token, rest: &[Token]) {
        let Some(next) = rest
            .first()
            .filter(|next| next.is_word() && !next.is_spaced())
        else {
            return;
        };
        let word = self.cx.word(next);
        let Some(command) = word
            .strip_prefix(['n', 'r'])
            .filter(|_| token.length() == 1)
        else {
            return;
        };
        let mut hash = WordHash::new();
        command.bytes().for_each(|byte| hash.add(byte));
        let known = command.len() >= 2 && lexicon::classes(hash).has(lexicon::COMMAND);
        self.found
            .add_if(known, Feature::CommandNewline, token.start);
    }

    /// True when two pieces make a command.
    fn joins(&self, first: &Token, second: &Token) -> bool {
        const PIECES_BYTES_MAX: usize = 16;
        let mut hash = WordHash::new();
        let bytes = self
            .cx
            .word(first)
            .bytes()
            .chain(self.cx.word(second).bytes());
        bytes.take(PIECES_BYTES_MAX).for_each(|byte| hash.add(byte));
        lexicon::classes(hash).has(lexicon::COMMAND)
    }
}

/// The first word behind what may stand before a command: spaces as `+`, quotes, a path, the
/// backslash of a newline that was spelt out.
fn command(rest: &[Token]) -> Option<(usize, &Token)> {
    const BEFORE_TOKENS_MAX: usize = 6;
    let (at, word) = rest
        .iter()
        .enumerate()
        .take(BEFORE_TOKENS_MAX)
        .find(|(at, token)| {
            let directory = rest
                .get(at + 1)
                .is_some_and(|next| next.is(b'/') && !next.is_spaced());
            !(token.is_any(b"+'\"/\\(`{<.$@")
                || token.kind == Kind::Comment
                || (token.is_word() && directory))
        })?;
    word.is_word().then_some((at, word))
}

/// A name of a host or a file, or an address: `a.example.net`, `notes.txt`.
fn is_name(tokens: &[Token]) -> bool {
    matches!(tokens, [name, mark, next, ..] if name.is_word()
        && mark.is_any(b".:@") && !mark.is_spaced() && !next.is_spaced())
}

/// `7*7`: a sum that shows whether something computes it.
fn is_sum(tokens: &[Token]) -> bool {
    matches!(tokens, [left, sign, right, ..] if left.is_number()
        && sign.is_any(b"*+-/") && right.is_number())
}

/// What a double brace of an attack holds and one of a template does not: a sum, a string, or
/// the inside of an object.
fn is_probe(rest: &[Token]) -> bool {
    let inside = rest.iter().take(6).any(|next| {
        next.reads_any(words![
            "__class__",
            "__globals__",
            "__init__",
            "__mro__",
            "__subclasses__",
            "lipsum",
            "cycler",
            "config",
        ])
    });
    let string = matches!(rest, [quote, dot, ..] if quote.is_quote() && dot.is(b'.'));
    is_sum(rest) || inside || string
}

/// `_GET[`: an element of what a request carries.
fn after_bracket(rest: &[Token]) -> bool {
    matches!(rest, [_, open, ..] if open.is_any(b"[{") && !open.is_spaced())
}
