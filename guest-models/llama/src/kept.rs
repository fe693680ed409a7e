//! What earlier requests of the same key have computed of a text, and what this one leaves.

use belljar_guest::state;

use crate::cache::{BLOCK_TOKENS, Cache, OutOfMemory};

/// How many blocks of a text are kept, so that none is written twice.
///
/// Each time tokens are named to the host it looks for all their blocks, and counts those that are
/// there. So they are named twice at most: those of the prompt, and those of the whole text.
#[derive(Debug)]
pub(crate) struct KeptText {
    tokens: Vec<u32>,
    /// Those that the host has been told.
    named: usize,
    blocks: usize,
}

impl KeptText {
    /// Begins a text with what was computed of these tokens before. At least one is left to be
    /// computed: what comes next is not kept.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] where there is no room for what is there.
    pub(crate) fn begin(cache: &mut Cache, tokens: &[u32]) -> Result<Self, OutOfMemory> {
        let most = tokens.len().saturating_sub(1) / BLOCK_TOKENS;
        let found = (find(tokens) as usize).min(most);
        let mut blocks = 0;
        for block in 0..found {
            let Some(rows) = state::read(number(block)) else {
                break;
            };
            if !cache.restore(&rows)? {
                break;
            }
            blocks += 1;
        }
        Ok(Self {
            tokens: tokens.to_vec(),
            named: tokens.len(),
            blocks,
        })
    }

    /// Adds a token that the text goes on with.
    pub(crate) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// Has all whole blocks kept that have been computed by now.
    pub(crate) fn keep(&mut self, cache: &Cache) {
        let whole = cache.tokens().min(self.tokens.len()) / BLOCK_TOKENS;
        if whole <= self.blocks {
            return;
        }
        if whole * BLOCK_TOKENS > self.named {
            find(&self.tokens);
            self.named = self.tokens.len();
        }
        for block in self.blocks..whole {
            if let Some(rows) = cache.rows(block) {
                state::write(number(block), &rows);
            }
        }
        self.blocks = whole;
    }
}

fn find(tokens: &[u32]) -> u32 {
    state::find(tokens, number(BLOCK_TOKENS))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::tests::filled;

    #[test]
    fn the_blocks_of_a_text_are_there_for_the_next_one() {
        let text: Vec<u32> = (0..100).collect();
        let (prompt, answer) = text.split_at(40);
        let mut kept = KeptText::begin(&mut filled(0), prompt).unwrap();
        kept.keep(&filled(40));
        assert_eq!(find(&text), 1, "a prompt is kept before its answer");
        find(prompt);
        answer.iter().for_each(|token| kept.push(*token));
        kept.keep(&filled(100));
        let mut next = filled(0);
        KeptText::begin(&mut next, &text).unwrap();
        assert_eq!(next.tokens(), 3 * BLOCK_TOKENS);
        let mut other = filled(0);
        KeptText::begin(&mut other, prompt.get(1..).unwrap_or_default()).unwrap();
        assert_eq!(other.tokens(), 0);
    }
}
