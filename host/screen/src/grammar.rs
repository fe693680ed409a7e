//! What the grammars that read tokens have in common: where their rules begin, and how they are
//! led over a text.

use crate::features::Found;
use crate::lexicon::{Classes, WordHash};
use crate::look_ahead::{LookAhead, Prefilter, Rule, Traits, asks_nothing};
use crate::reader::{Part, Tokens};
use crate::token::Token;

/// A grammar that looks for attacks, and what it has seen of a text so far.
pub(crate) trait Grammar {
    /// What marks the tokens that its rules begin at.
    const MARK: Classes;
    /// The words that its rules begin at, by class.
    const WORDS: Classes;
    /// And one by one.
    const NAMES: &'static [&'static [WordHash]];
    /// Its rules that begin at signs.
    const RULES: &'static [Rule];
    /// How many tokens its rules look ahead, which bounds the work for each token.
    const AHEAD: usize;

    /// True when a rule may be met that begins at a token which is no sign.
    fn may_begin(_token: &Token, _near: &LookAhead, _found: &Found) -> bool {
        true
    }

    /// Tries the rules that begin at a token.
    fn read(&mut self, cx: &Tokens<'_>, position: &Position<'_>, found: &mut Found);

    /// Tries the rules on the text as a whole.
    fn end(&mut self, cx: &Tokens<'_>, found: &mut Found);
}

/// A token and what stands around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position<'s> {
    pub(crate) token: &'s Token,
    pub(crate) near: LookAhead,
    pub(crate) before: Option<&'s Token>,
    /// The tokens behind it, as far as the grammar looks.
    pub(crate) rest: &'s [Token],
}

/// A grammar that is led over a text.
#[derive(Debug, Default)]
pub(crate) struct Driver<G> {
    pub(crate) grammar: G,
    prefilter: Prefilter,
}

impl<G: Grammar> Driver<G> {
    pub(crate) fn new(grammar: G) -> Self {
        Self {
            grammar,
            prefilter: Prefilter::default(),
        }
    }

    /// Shows the grammar those tokens of a part at which a rule begins that may be met. Of the
    /// signs bits decide, of all others the grammar.
    pub(crate) fn read(
        &mut self,
        cx: &Tokens<'_>,
        part: &Part,
        present: Traits,
        found: &mut Found,
    ) {
        self.prefilter.turn_to(G::RULES, present, found);
        let tokens = cx.tokens.get(part.range.clone()).unwrap_or_default();
        for number in 0..self.prefilter.choose(tokens, G::MARK, &part.nearby) {
            let number = self.prefilter.chosen(number);
            let at = part.range.start + number;
            let Some((token, rest)) = cx.tokens.get(at..).and_then(<[_]>::split_first) else {
                return;
            };
            let near = part.nearby.near(number);
            let may_begin = if token.sign > 0 {
                self.prefilter.may_be_met(&near)
            } else {
                G::may_begin(token, &near, found)
            };
            if may_begin || asks_nothing() {
                let position = Position {
                    token,
                    near,
                    before: at.checked_sub(1).and_then(|before| cx.tokens.get(before)),
                    rest: rest.get(..G::AHEAD).unwrap_or(rest),
                };
                self.grammar.read(cx, &position, found);
            }
        }
    }

    /// The text has ended.
    pub(crate) fn end(&mut self, cx: &Tokens<'_>, found: &mut Found) {
        self.grammar.end(cx, found);
    }
}
