//! Whether the text as a whole shows that it was taken from a shell, or is spelt to reach one.

use crate::features::{Feature, Found};
use crate::lexicon::{self, Classes};
use crate::reader::Tokens;

/// Finds the features of the text as one line.
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
    /// A prompt before the text, or a line break that leads to a command.
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
        if self.cx.context.plain > 3 {
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
            command && self.cx.context.plain <= 2,
            Feature::CommandBackground,
            last.start,
        );
    }
}
