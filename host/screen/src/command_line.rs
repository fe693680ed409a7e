//! Whether the text as a whole is a command line.

use crate::features::{Feature, Found};
use crate::lexicon::{self, Classes, words};
use crate::reader::Tokens;
use crate::token::Token;

/// How much of the text decides, in tokens.
const WINDOW_TOKENS: usize = 10;

/// Finds the features of a text that is one command line.
pub(crate) fn scan(cx: &Tokens<'_>, found: &mut Found) {
    let scan = &mut Scan { cx, found };
    scan.line();
    scan.ends();
}

struct Scan<'s, 't> {
    cx: &'s Tokens<'t>,
    found: &'s mut Found,
}

impl Scan<'_, '_> {
    /// Whether the text as a whole is a command line.
    fn line(&mut self) {
        let tokens = self.cx.head();
        let Some(first) = tokens.first() else { return };
        let sign = tokens
            .iter()
            .zip(tokens.iter().skip(1))
            .take(10)
            .any(|(sign, next)| {
                sign.is_any(b"$#") && sign.length() == 1 && !sign.is_spaced() && next.is_spaced()
            });
        let prompt = sign
            && tokens
                .get(1)
                .is_some_and(|at| at.is(b'@') && !at.is_spaced());
        self.found
            .add_if(prompt, Feature::CommandPrompt, first.start);
        if self.cx.frame.plain > 3 {
            return;
        }
        if first.is(b'/') && first.length() == 1 {
            self.program(tokens);
            return;
        }
        // A query string spells its spaces so.
        let tokens = if first.is(b'+') {
            tokens.get(1..).unwrap_or_default()
        } else {
            tokens
        };
        let Some(first) = tokens.first() else { return };
        if !first.has(lexicon::COMMAND.or(Classes::RUNS)) {
            return;
        }
        let breaks = first.start > 0 && self.cx.text.starts_with(['\n', '\r']);
        self.found
            .add_if(breaks, Feature::CommandNewline, first.start);
        const LONE_BYTES_MIN: u32 = 3;
        let rest = tokens.get(1..).unwrap_or_default();
        let hard = first.is_command();
        if rest.is_empty() {
            self.found.add_if(
                hard && (first.length() >= LONE_BYTES_MIN || first.reads_any(words!["ls", "ps"])),
                Feature::CommandOnly,
                first.start,
            );
            return;
        }
        let option = rest
            .iter()
            .take(WINDOW_TOKENS)
            .any(|next| (next.is_any(b"-/~") && next.is_spaced()) || next.is_any(b"|<>;`$"));
        let path = rest
            .iter()
            .take(WINDOW_TOKENS)
            .any(|next| next.is_any(b"/.\\:") && !next.is_spaced());
        let file = matches!(rest, [name, dot, end] if name.is_word() && dot.is(b'.') && !dot.is_spaced() && end.is_word() && !end.is_spaced());
        let second = file
            || rest.first().is_some_and(|next| {
                next.has(lexicon::COMMAND)
                    || next.is_any(b";|<")
                    || (next.is_any(b"/~") && next.is_spaced())
                    || (next.is(b'-') && rest.get(1).is_some_and(|name| !name.is_spaced()))
            });
        let line = option || (path && self.cx.frame.stop == 0);
        self.found
            .add_if((hard || second) && line, Feature::CommandLine, first.start);
        let alone = hard
            && rest.len() <= 3
            && self.cx.frame.stop == 0
            && rest.iter().all(|next| !next.is(b','));
        self.found.add_if(alone, Feature::CommandOnly, first.start);
    }

    /// `/usr/bin/id -a`: the text begins with the path of a program.
    fn program(&mut self, tokens: &[Token]) {
        let mut path = tokens.iter().take(WINDOW_TOKENS);
        let mut directory = false;
        let mut name = None;
        while let (Some(slash), Some(part)) = (path.next(), path.next()) {
            let tight = !part.is_spaced() && (slash.start == 0 || !slash.is_spaced());
            if !slash.is(b'/') || !part.is_word() || !tight {
                break;
            }
            directory |= name.is_some_and(|name: &Token| name.reads_any(words!["bin", "sbin"]));
            name = Some(part);
        }
        if let (Some(first), Some(name)) = (tokens.first(), name) {
            self.found.add_if(
                directory && name.has(lexicon::COMMAND),
                Feature::CommandLine,
                first.start,
            );
        }
    }

    fn ends(&mut self) {
        let tokens = &self.cx.tokens;
        let Some(last) = tokens.last().filter(|last| last.is_any(b"|&;")) else {
            return;
        };
        let before = tokens.len().checked_sub(2).and_then(|at| tokens.get(at));
        let command = before.is_some_and(|before| {
            before.is_command() || before.is_any(b")'\"") || before.is_number()
        });
        self.found.add_if(
            command && self.cx.frame.plain <= 2,
            Feature::CommandBackground,
            last.start,
        );
    }
}
