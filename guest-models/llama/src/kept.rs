//! What earlier requests of the same key have computed of a text, and what this one leaves.

use belljar_guest::state;

use crate::cache::{BLOCK_TOKENS, OutOfMemory};
use crate::forward::Session;

/// How many blocks of a text are kept, so that none is written twice.
#[derive(Debug)]
pub(crate) struct KeptText {
    tokens: Vec<u32>,
    blocks: usize,
}

impl KeptText {
    /// Begins a text with what was computed of these tokens before. At least one is left to be
    /// computed: what comes next is not kept.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] where there is no room for what is there.
    pub(crate) fn begin(session: &mut Session, tokens: &[u32]) -> Result<Self, OutOfMemory> {
        let most = tokens.len().saturating_sub(1) / BLOCK_TOKENS;
        let found = (find(tokens) as usize).min(most);
        let mut blocks = 0;
        for block in 0..found {
            let Some(rows) = state::read(number(block)) else {
                break;
            };
            if !session.cache_mut().restore(&rows)? {
                break;
            }
            blocks += 1;
        }
        Ok(Self {
            tokens: tokens.to_vec(),
            blocks,
        })
    }

    /// Adds a token that the text goes on with.
    pub(crate) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// Has all whole blocks kept that have been computed by now.
    pub(crate) fn keep(&mut self, session: &Session) {
        let whole = session.tokens().min(self.tokens.len()) / BLOCK_TOKENS;
        if whole <= self.blocks {
            return;
        }
        find(&self.tokens);
        for block in self.blocks..whole {
            if let Some(rows) = session.cache().rows(block) {
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
