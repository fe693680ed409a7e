//! Leaves out what a text only repeats.
//!
//! All features ask whether something is there, so the hundredth repetition of the same tokens
//! says nothing that the first did not. Of a megabyte of one trick no grammar reads more than
//! the beginning and the end, and once its tokens have repeated, its bytes are compared with
//! those before them and not cut into tokens at all.

use crate::token::Token;
use crate::tokenizer::Tokenizer;

/// The most tokens that are seen as one repetition.
const PERIOD_TOKENS_MAX: usize = 16;

/// How often a repetition is looked for, in tokens. A look is too dear for each of them.
const LOOK_EVERY_TOKENS: usize = 64;

/// How many tokens must have repeated before any is left out.
const REPEATED_TOKENS_MIN: usize = 256;

/// How many tokens must be there for a repetition to be found and to be taken back.
const RETAINED_TOKENS: usize = 4 * PERIOD_TOKENS_MAX;

/// Tokens without the repetitions.
#[derive(Debug)]
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
    /// Where the last token ended that was kept, or that two whole periods left out.
    until: u32,
}

impl Repeats {
    /// The tokens that `tokenizer` gives, without repetitions.
    pub(crate) fn of(mut tokenizer: Tokenizer<'_>) -> Vec<Token> {
        let mut repeats = Self::new(0);
        repeats.fill(&mut tokenizer, usize::MAX);
        repeats.take_all()
    }

    /// Cuts up to `count` more tokens. False when the text has ended.
    pub(crate) fn fill(&mut self, tokenizer: &mut Tokenizer<'_>, count: usize) -> bool {
        for _ in 0..count {
            let Some(token) = tokenizer.next() else {
                self.take_back();
                return false;
            };
            if let Some(step) = self.push(token) {
                tokenizer.skip_repetitions(step);
            }
        }
        true
    }

    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            kept: Vec::with_capacity(capacity),
            period: 0,
            repeated: 0,
            left_out: Vec::new(),
            phase: 0,
            until: 0,
        }
    }

    /// Takes the next token. Gives how many bytes two periods take when it ends two that were
    /// left out.
    #[inline]
    fn push(&mut self, token: Token) -> Option<usize> {
        if self.period > 0
            && self
                .expected()
                .is_some_and(|expected| expected.is_like(&token))
        {
            self.repeated += 1;
            if self.repeated < REPEATED_TOKENS_MIN {
                self.keep(token);
                return None;
            }
            self.left_out.push((token.start, token.end));
            self.phase = if self.phase + 1 == self.period {
                0
            } else {
                self.phase + 1
            };
            // Two periods at once: what comes in pairs, like quotes, stays in pairs.
            if self.left_out.len() < 2 * self.period {
                return None;
            }
            self.left_out.clear();
            let step = token.end - self.until;
            self.until = token.end;
            return usize::try_from(step).ok();
        }
        if self.period > 0 {
            self.take_back();
            self.repeated = 0;
            self.phase = 0;
            self.period = 0;
        }
        self.keep(token);
        if self.kept.len().is_multiple_of(LOOK_EVERY_TOKENS) {
            self.period = self.find_period();
        }
        None
    }

    fn keep(&mut self, token: Token) {
        self.until = token.end;
        self.kept.push(token);
    }

    /// After how many tokens the last ones repeat those before them; 0 when they do not.
    fn find_period(&self) -> usize {
        let Some((earlier, newest)) = self.kept.split_last_chunk::<PERIOD_TOKENS_MAX>() else {
            return 0;
        };
        let (Some(last), Some(from)) =
            (newest.last(), earlier.len().checked_sub(PERIOD_TOKENS_MAX))
        else {
            return 0;
        };
        (1..=PERIOD_TOKENS_MAX)
            .find(|period| {
                let end = self.kept.len() - period;
                let before = self.kept.get(..end).unwrap_or_default();
                before.last().is_some_and(|before| before.is_like(last))
                    && before
                        .get(from + PERIOD_TOKENS_MAX - period..)
                        .is_some_and(|before| before.iter().zip(newest).all(|(a, b)| a.is_like(b)))
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

    /// What was kept and is not forgotten.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.kept
    }

    pub(crate) fn tokens_mut(&mut self) -> &mut [Token] {
        &mut self.kept
    }

    pub(crate) fn take_all(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.kept)
    }

    /// Forgets the first `count` tokens but for those that a repetition is found by. Gives how
    /// many are gone.
    pub(crate) fn forget(&mut self, count: usize) -> usize {
        let gone = count.min(self.kept.len().saturating_sub(RETAINED_TOKENS));
        self.kept.drain(..gone);
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        Repeats::of(Tokenizer::new(text, 0)).len()
    }

    #[test]
    fn repetitions_are_left_out_and_what_follows_is_not() {
        let text = format!("{}' or 1=1 --", "a;b ".repeat(10_000));
        assert!(count(&text) < 600, "{}", count(&text));
        let tokens = Repeats::of(Tokenizer::new(&text, 0));
        let tail: Vec<_> = tokens
            .iter()
            .rev()
            .take(8)
            .map(|token| token.text(&text))
            .collect();
        assert_eq!(tail, ["--", "1", "=", "1", "or", "'", "b", ";"]);
    }

    #[test]
    fn what_follows_a_skipped_repetition_is_kept_wherever_it_begins() {
        for copies in 4_000..4_040 {
            let text = format!("{}' or 1=1 --", "a;'b ".repeat(copies));
            let tokens = Repeats::of(Tokenizer::new(&text, 0));
            let tail = tokens
                .last_chunk::<9>()
                .unwrap()
                .map(|token| token.text(&text));
            assert_eq!(
                tail,
                [";", "'", "b", "'", "or", "1", "=", "1", "--"],
                "{copies}"
            );
            let quotes = tokens.iter().filter(|token| token.is(b'\'')).count();
            assert_eq!(quotes % 2, (copies + 1) % 2, "{copies}");
        }
    }

    #[test]
    fn quotes_stay_in_pairs() {
        for repetitions in 400..440 {
            let text = "'a ".repeat(repetitions);
            let quotes = Repeats::of(Tokenizer::new(&text, 0))
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
