//! Leaves out what a text only repeats.
//!
//! All features ask whether something is there, so the hundredth repetition of the same tokens
//! says nothing that the first did not. A megabyte of one trick is cut into tokens and compared
//! with what came before it, and no grammar reads it.

use crate::token::Token;

/// The most tokens that are seen as one repetition.
const PERIOD_TOKENS_MAX: usize = 16;

/// How often a repetition is looked for, in tokens. A look is too dear for each of them.
const LOOK_EVERY_TOKENS: usize = 32;

/// How many tokens must have repeated before any is left out.
const REPEATED_TOKENS_MIN: usize = 256;

/// Tokens without the repetitions.
pub(crate) struct Repeats {
    kept: Vec<Token>,
    /// After how many tokens the text repeats itself; 0 when it does not.
    period: usize,
    /// How many tokens repeated so far.
    repeated: usize,
    /// Where the last tokens left out begin and end, the newest last. They read as those one
    /// period before them do.
    left_out: Vec<(u32, u32)>,
    /// How far into a period the next token is.
    phase: usize,
}

impl Repeats {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            kept: Vec::with_capacity(capacity),
            period: 0,
            repeated: 0,
            left_out: Vec::new(),
            phase: 0,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, token: Token) {
        if self.period > 0
            && self
                .expected()
                .is_some_and(|expected| expected.is_like(&token))
        {
            self.repeated += 1;
            if self.repeated < REPEATED_TOKENS_MIN {
                self.kept.push(token);
                return;
            }
            self.left_out.push((token.start, token.end));
            self.phase = if self.phase + 1 == self.period {
                0
            } else {
                self.phase + 1
            };
            // Two periods at once: what comes in pairs, like quotes, stays in pairs.
            if self.left_out.len() == 2 * self.period {
                self.left_out.clear();
            }
            return;
        }
        if self.period > 0 {
            self.take_back();
            self.repeated = 0;
            self.phase = 0;
            self.period = 0;
        }
        self.kept.push(token);
        if self.kept.len().is_multiple_of(LOOK_EVERY_TOKENS) {
            self.period = self.find_period();
        }
    }

    /// After how many tokens the last ones repeat those before them; 0 when they do not.
    fn find_period(&self) -> usize {
        (1..=PERIOD_TOKENS_MAX)
            .find(|period| {
                let newest = self.kept.iter().rev();
                let before = self.kept.iter().rev().skip(*period);
                let mut pairs = newest.zip(before).take(PERIOD_TOKENS_MAX);
                pairs.len() == PERIOD_TOKENS_MAX && pairs.all(|(new, old)| new.is_like(old))
            })
            .unwrap_or(0)
    }

    /// What comes next if the text goes on repeating itself.
    fn expected(&self) -> Option<&Token> {
        let at = self.kept.len().checked_sub(self.period - self.phase)?;
        self.kept.get(at)
    }

    /// Keeps what was left out last, so that what follows has its true neighbours.
    fn take_back(&mut self) {
        for (start, end) in self.left_out.drain(..) {
            let like = self
                .kept
                .len()
                .checked_sub(self.period)
                .and_then(|at| self.kept.get(at));
            if let Some(like) = like.copied() {
                self.kept.push(like.moved(start, end));
            }
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Token> {
        self.take_back();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use crate::token::Tokens;

    fn count(text: &str) -> usize {
        Tokens::of(text).tokens.len()
    }

    #[test]
    fn repetitions_are_left_out_and_what_follows_is_not() {
        let text = format!("{}' or 1=1 --", "a;b ".repeat(10_000));
        assert!(count(&text) < 600, "{}", count(&text));
        let tokens = Tokens::of(&text);
        let tail: Vec<_> = tokens
            .tokens
            .iter()
            .rev()
            .take(8)
            .map(|token| token.text(&text))
            .collect();
        assert_eq!(tail, ["--", "1", "=", "1", "or", "'", "b", ";"]);
    }

    #[test]
    fn quotes_stay_in_pairs() {
        for repetitions in 400..440 {
            let text = "'a ".repeat(repetitions);
            let quotes = Tokens::of(&text)
                .tokens
                .iter()
                .filter(|token| token.is(b'\''))
                .count();
            assert_eq!(quotes % 2, repetitions % 2, "{repetitions}");
        }
    }

    #[test]
    fn what_does_not_repeat_is_kept() {
        let text: String = (0..5_000).map(|at| format!("w{at} ")).collect();
        assert_eq!(count(&text), 5_000);
    }
}
