//! Lays out the vocabularies of the encodings as tables that are read where they lie: nothing is
//! loaded or built when the server starts, and only the pages that are looked at become resident.
//!
//! The package that the vocabularies come from finds the same tokens. It holds three automata and
//! three hash tables for each encoding and makes them from a serialised form: 47 MB in the program
//! and 100 MB resident for the two of them, and a tenth of a second until the first is there. The
//! tables here are one trie, which a step of a search reads one word of.

#![allow(
    clippy::indexing_slicing,
    reason = "a vocabulary that is not as it should be ends the build"
)]

use bpe_openai::Tokenizer;
use std::{collections::HashSet, env, fs, path::PathBuf};

/// What no entry of a table is.
const NONE: u32 = u32::MAX;
/// Bits of the number of a node in an entry of the trie.
const NODE_BITS: u32 = 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    lay_out("o200k_base", bpe_openai::o200k_base());
    lay_out("cl100k_base", bpe_openai::cl100k_base());
}

fn lay_out(name: &str, tokenizer: &Tokenizer) {
    let tokens: Vec<&[u8]> = (0..tokenizer.bpe.num_tokens())
        .map(|id| {
            tokenizer
                .bpe
                .token_bytes(u32::try_from(id).expect("an id is small"))
        })
        .collect();
    let trie = Trie::new(&tokens);
    let shorter: Vec<u32> = tokens.iter().map(|token| trie.shorter(token)).collect();
    let halves = trie.halves(&tokens, &shorter);

    let write = |what: &str, bytes: Vec<u8>| {
        let folder = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
        fs::write(folder.join(format!("{name}.{what}")), bytes).expect("the folder can be written");
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut ends = Vec::with_capacity(tokens.len());
    let mut bytes = Vec::new();
    for token in &tokens {
        bytes.extend_from_slice(token);
        ends.push(u32::try_from(bytes.len()).expect("a vocabulary is small"));
    }
    write("bytes", bytes);
    write("ends", words(&ends));
    write("shorter", words(&shorter));
    let halves: Vec<u32> = halves
        .into_iter()
        .flat_map(|(left, right)| [left, right])
        .collect();
    write("halves", words(&halves));
    write("roots", words(&trie.roots));
    let slots = trie.slots.iter().flat_map(|slot| slot.to_le_bytes());
    write("trie", slots.collect());
}

/// All beginnings of tokens. The node of a token has the token's number, and those of other
/// beginnings have the numbers after them.
struct Trie {
    /// The node of each first byte.
    roots: Vec<u32>,
    /// A table by hash, with the next free slot for what collides: a node, the byte after it, and
    /// the node that both lead to.
    slots: Vec<u64>,
    tokens: u32,
}

impl Trie {
    fn new(tokens: &[&[u8]]) -> Self {
        let count = u32::try_from(tokens.len()).expect("a vocabulary is small");
        let beginnings = tokens
            .iter()
            .flat_map(|token| (2..=token.len()).map(|end| &token[..end]));
        let entries = beginnings.collect::<HashSet<_>>().len();
        // A third stays free, so that searches are short.
        let size = entries + entries / 2;
        let mut trie = Self {
            roots: vec![NONE; 256],
            slots: vec![u64::MAX; size],
            tokens: count,
        };
        // Shorter ones first: where a token is the beginning of another, its node is there and has
        // its number by then.
        let mut by_length: Vec<u32> = (0..count).collect();
        by_length.sort_by_key(|id| tokens[*id as usize].len());
        let mut next = count;
        for id in by_length {
            let token = tokens[id as usize];
            let (last, before) = token.split_last().expect("no token is empty");
            let Some((first, rest)) = before.split_first() else {
                trie.roots[*last as usize] = id;
                continue;
            };
            let mut node = trie.roots[*first as usize];
            assert_ne!(node, NONE, "each byte is a token");
            for byte in rest {
                node = match trie.child(node, *byte) {
                    NONE => {
                        trie.insert(node, *byte, next);
                        next += 1;
                        next - 1
                    }
                    child => child,
                };
            }
            assert_eq!(trie.child(node, *last), NONE, "no token is there twice");
            trie.insert(node, *last, id);
        }
        assert!(next < 1 << NODE_BITS);
        assert!(
            next as usize * 4 < size * 3,
            "the table has room for short searches"
        );
        trie
    }

    /// Where the search for an entry begins. The same is in `vocabulary.rs`.
    fn slot(&self, node: u32, byte: u8) -> usize {
        let hash = (node << 8 | u32::from(byte)).wrapping_mul(0x9e37_79b1);
        ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize
    }

    fn insert(&mut self, node: u32, byte: u8, child: u32) {
        let mut at = self.slot(node, byte);
        while self.slots[at] != u64::MAX {
            at = (at + 1) % self.slots.len();
        }
        let key = u64::from(node) << 8 | u64::from(byte);
        self.slots[at] = key << NODE_BITS | u64::from(child);
    }

    fn child(&self, node: u32, byte: u8) -> u32 {
        let key = u64::from(node) << 8 | u64::from(byte);
        let mut at = self.slot(node, byte);
        loop {
            match self.slots[at] {
                u64::MAX => return NONE,
                slot if slot >> NODE_BITS == key => {
                    return u32::try_from(slot & ((1 << NODE_BITS) - 1)).expect("it has 20 bits");
                }
                _ => at = (at + 1) % self.slots.len(),
            }
        }
    }

    /// The node that bytes lead to from another.
    fn walk(&self, from: u32, bytes: &[u8]) -> u32 {
        bytes.iter().fold(from, |node, byte| match node {
            NONE => NONE,
            node => self.child(node, *byte),
        })
    }

    /// The longest token that another begins with and is not.
    fn shorter(&self, token: &[u8]) -> u32 {
        let mut longest = NONE;
        let mut node = self.roots[token[0] as usize];
        for byte in &token[1..] {
            if node < self.tokens {
                longest = node;
            }
            node = self.child(node, *byte);
        }
        longest
    }

    /// The two tokens that each is merged from; itself twice where it is a single byte.
    fn halves(&self, tokens: &[&[u8]], shorter: &[u32]) -> Vec<(u32, u32)> {
        let mut halves: Vec<(u32, u32)> = Vec::with_capacity(tokens.len());
        for (id, token) in (0..).zip(tokens) {
            let mut left = shorter[id as usize];
            let found = loop {
                if left == NONE {
                    break (id, id);
                }
                let rest = &token[tokens[left as usize].len()..];
                let right = self.walk(self.roots[rest[0] as usize], &rest[1..]);
                let are_older = left < id && right < id;
                if are_older && self.stay_apart(tokens, &halves, left, right) {
                    break (left, right);
                }
                left = shorter[left as usize];
            };
            halves.push(found);
        }
        halves
    }

    /// Whether two tokens can stand side by side: no merge across the border between them comes
    /// before the merges that make them. The same is in `vocabulary.rs`.
    fn stay_apart(
        &self,
        tokens: &[&[u8]],
        halves: &[(u32, u32)],
        mut left: u32,
        mut right: u32,
    ) -> bool {
        let mut limit = NONE;
        loop {
            let merged = self.walk(left, tokens[right as usize]);
            if merged < limit && halves.get(merged as usize) == Some(&(left, right)) {
                return false;
            }
            if left > right {
                limit = left;
                left = halves[left as usize].1;
                if left == limit {
                    limit = right + 1;
                    right = halves[right as usize].0;
                    if right + 1 == limit {
                        return true;
                    }
                }
            } else {
                limit = right + 1;
                right = halves[right as usize].0;
                if right + 1 == limit {
                    limit = left;
                    left = halves[left as usize].1;
                    if left == limit {
                        return true;
                    }
                }
            }
        }
    }
}
