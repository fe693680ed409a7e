//! A prompt as the KV cache knows it: how long it is, and what each block of it is called.

/// Tokens after which a prompt has a further name: the smallest block that there is.
pub const BLOCK_STEP: u32 = 16;

/// A prompt: its length, and the hash of all its tokens up to the end of each [`BLOCK_STEP`].
/// Prompts that begin alike have the first of these in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    tokens: u32,
    hashes: Box<[u64]>,
}

impl Prompt {
    /// A prompt of so many tokens, whose beginnings have these hashes. What is missing of them is
    /// shared with no other prompt.
    #[must_use]
    pub fn new(tokens: u32, hashes: Box<[u64]>) -> Self {
        Self { tokens, hashes }
    }

    /// A prompt of these tokens.
    #[must_use]
    pub fn of(tokens: &[u32]) -> Self {
        let mut hash = 0;
        let mut hashes = Vec::new();
        for (count, token) in (1_u32..).zip(tokens) {
            hash = mixed(hash, u64::from(*token));
            if count.is_multiple_of(BLOCK_STEP) {
                hashes.push(hash);
            }
        }
        Self {
            tokens: u32::try_from(tokens.len()).unwrap_or(u32::MAX),
            hashes: hashes.into(),
        }
    }

    /// How many tokens it has. One at least: an empty prompt begins with a token, too.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.tokens.max(1)
    }

    /// What a block of a sequence is called, by its number from 0: by all tokens up to its end
    /// while those are the prompt's, and else by the sequence, so that only it finds it.
    pub(super) fn name(&self, block: usize, block_size: u32, sequence: u64) -> u64 {
        let steps = (block_size / BLOCK_STEP) as usize;
        let end = block.saturating_add(1).saturating_mul(steps);
        match self.hashes.get(end.wrapping_sub(1)) {
            Some(hash) => *hash,
            None => mixed(mixed(!0, sequence), block as u64),
        }
    }
}

/// A step of a hash: every bit of both goes into it (the finalizer of SplitMix64).
fn mixed(hash: u64, with: u64) -> u64 {
    let mut mixed = hash
        .rotate_left(5)
        .wrapping_add(with)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
