//! The vocabulary of an encoding: tables that `build.rs` lays out and that are read where they lie
//! in the program.

/// What no entry of a table is.
const NONE: u32 = u32::MAX;
/// Bits of the number of a node in an entry of the trie.
const NODE_BITS: u32 = 20;

/// The tokens of an encoding. A token and the node of the trie that it ends at have one number.
pub(crate) struct Vocabulary {
    /// All tokens, one after the other.
    bytes: &'static [u8],
    /// Where each of them ends there.
    ends: &'static [[u8; 4]],
    /// The longest other token that each begins with.
    shorter: &'static [[u8; 4]],
    /// The two tokens that each is merged from, or itself twice.
    halves: &'static [[u8; 4]],
    /// The node of each first byte.
    roots: &'static [[u8; 4]],
    /// A table by hash, with the next free slot for what collides: a node, the byte after it, and
    /// the node that both lead to.
    trie: &'static [[u8; 8]],
}

macro_rules! vocabulary {
    ($name:literal) => {
        Vocabulary {
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bytes")),
            ends: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $name,
                ".ends"
            ))),
            shorter: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $name,
                ".shorter"
            ))),
            halves: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $name,
                ".halves"
            ))),
            roots: words(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $name,
                ".roots"
            ))),
            trie: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".trie"))
                .as_chunks()
                .0,
        }
    };
}

pub(crate) static O200K_BASE: Vocabulary = vocabulary!("o200k_base");
pub(crate) static CL100K_BASE: Vocabulary = vocabulary!("cl100k_base");

const fn words(bytes: &'static [u8]) -> &'static [[u8; 4]] {
    bytes.as_chunks().0
}

fn word(words: &[[u8; 4]], at: u32) -> u32 {
    words
        .get(at as usize)
        .map_or(NONE, |word| u32::from_le_bytes(*word))
}

impl Vocabulary {
    /// How many tokens there are; their numbers are all below.
    pub(crate) fn tokens(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(NONE)
    }

    /// What a token stands for.
    pub(crate) fn bytes(&self, token: u32) -> Option<&'static [u8]> {
        self.bytes.get(self.start(token)..self.end(token)?)
    }

    /// How many bytes a token stands for.
    pub(crate) fn len(&self, token: u32) -> usize {
        self.end(token)
            .unwrap_or_default()
            .saturating_sub(self.start(token))
    }

    fn start(&self, token: u32) -> usize {
        let before = token.checked_sub(1).and_then(|before| self.end(before));
        before.unwrap_or_default()
    }

    fn end(&self, token: u32) -> Option<usize> {
        let end = self.ends.get(token as usize)?;
        usize::try_from(u32::from_le_bytes(*end)).ok()
    }

    /// The token that is these bytes.
    pub(crate) fn whole(&self, bytes: &[u8]) -> Option<u32> {
        let (first, rest) = bytes.split_first()?;
        let node = self.walk(word(self.roots, u32::from(*first)), rest);
        self.is_token(node).then_some(node)
    }

    /// The longest token that the bytes begin with; none where there are no bytes.
    pub(crate) fn longest(&self, bytes: &[u8]) -> Option<u32> {
        let (first, rest) = bytes.split_first()?;
        // Each byte is a token.
        let mut node = word(self.roots, u32::from(*first));
        let mut longest = node;
        for byte in rest {
            node = self.child(node, *byte);
            if node == NONE {
                break;
            }
            if self.is_token(node) {
                longest = node;
            }
        }
        Some(longest)
    }

    /// The longest other token that a token begins with.
    pub(crate) fn shorter(&self, token: u32) -> Option<u32> {
        let shorter = word(self.shorter, token);
        (shorter != NONE).then_some(shorter)
    }

    /// Whether two tokens can stand side by side: no merge across the border between them comes
    /// before the merges that make them. The merges of each are taken back, the last one first, and
    /// at each step it is looked at whether what now meets at the border would have been merged.
    pub(crate) fn stay_apart(&self, mut left: u32, mut right: u32) -> bool {
        // The oldest of the merges that have been taken back, which one across has to come before.
        let mut limit = NONE;
        loop {
            let merged = self.walk(left, self.bytes(right).unwrap_or_default());
            if merged < limit && self.halves(merged) == (left, right) {
                return false;
            }
            if left > right {
                limit = left;
                left = self.halves(left).1;
                if left == limit {
                    limit = right.saturating_add(1);
                    right = self.halves(right).0;
                    if right.saturating_add(1) == limit {
                        return true;
                    }
                }
            } else {
                limit = right.saturating_add(1);
                right = self.halves(right).0;
                if right.saturating_add(1) == limit {
                    limit = left;
                    left = self.halves(left).1;
                    if left == limit {
                        return true;
                    }
                }
            }
        }
    }

    /// The two tokens that a token is merged from; itself twice where it is a single byte, and
    /// nothing where it is none.
    fn halves(&self, token: u32) -> (u32, u32) {
        let at = token.saturating_mul(2);
        (
            word(self.halves, at),
            word(self.halves, at.saturating_add(1)),
        )
    }

    fn is_token(&self, node: u32) -> bool {
        (node as usize) < self.ends.len()
    }

    /// The node that bytes lead to from another.
    fn walk(&self, from: u32, bytes: &[u8]) -> u32 {
        let mut node = from;
        for byte in bytes {
            node = self.child(node, *byte);
            if node == NONE {
                break;
            }
        }
        node
    }

    fn child(&self, node: u32, byte: u8) -> u32 {
        let key = u64::from(node) << 8 | u64::from(byte);
        let mut at = self.slot(node, byte);
        loop {
            let slot = self
                .trie
                .get(at)
                .map_or(u64::MAX, |slot| u64::from_le_bytes(*slot));
            if slot >> NODE_BITS == key {
                return (slot & ((1 << NODE_BITS) - 1)) as u32;
            }
            if slot == u64::MAX {
                return NONE;
            }
            at = if at + 1 < self.trie.len() { at + 1 } else { 0 };
        }
    }

    /// Where the search for an entry begins. The same is in `build.rs`.
    fn slot(&self, node: u32, byte: u8) -> usize {
        let hash = (node << 8 | u32::from(byte)).wrapping_mul(0x9e37_79b1);
        ((u64::from(hash) * self.trie.len() as u64) >> 32) as usize
    }
}
