//! Makes texts that follow a grammar.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Grammar, Node, Terminal};
use crate::pattern::Length;
use crate::random::Random;

/// How many rules may be within each other before the shortest way to an end is taken.
const FREE_DEPTH: u32 = 5;
/// How often an open count repeats at most beyond its least.
const OPEN_REPEATS: usize = 2;
/// How deep the writer may call itself: a rule is several calls, and the stack is small.
const CALLS_MAX: u32 = 160;
/// How long the text may get, in bytes; from there on the shortest way is taken.
const BYTES_FREE: usize = 400;
/// How long it may get at all, in bytes.
const BYTES_MAX: usize = 10_000;
/// How often a token is made anew where it is one of the grammar's own words.
const TRIES: u32 = 8;

impl Grammar {
    /// A text that follows the grammar, with what it can take of what was said: each thing once,
    /// in its order. None where it would be too long, or an expression is beyond what can be made.
    pub(crate) fn text(&self, said: &[String], random: &mut Random) -> Option<String> {
        let mut writer = Writer {
            grammar: self,
            said,
            used: alloc::vec![false; said.len()],
            random,
            out: String::new(),
        };
        writer.write(&Node::Rule(0), 0, 0)?;
        Some(writer.out)
    }
}

struct Writer<'a> {
    grammar: &'a Grammar,
    said: &'a [String],
    used: Vec<bool>,
    random: &'a mut Random,
    out: String,
}

impl Writer<'_> {
    /// Appends what a node stands for. `depth` counts rules, `calls` the calls.
    fn write(&mut self, node: &Node, depth: u32, calls: u32) -> Option<()> {
        if calls > CALLS_MAX || self.out.len() > BYTES_MAX {
            return None;
        }
        let calls = calls + 1;
        let is_free = depth <= FREE_DEPTH && self.out.len() < BYTES_FREE;
        match node {
            Node::Rule(place) => {
                let rule = self.grammar.rules.get(*place)?;
                self.write(&rule.node, depth + 1, calls)
            }
            Node::Terminal(place) => {
                let grammar = self.grammar;
                let token = self.token(grammar.terminals.get(*place)?)?;
                self.append(&token);
                Some(())
            }
            Node::Sequence(nodes) => nodes
                .iter()
                .try_for_each(|node| self.write(node, depth, calls)),
            Node::Alternatives(branches) => {
                let branch = if is_free {
                    self.random.one_of(branches)
                } else {
                    let grammar = self.grammar;
                    branches.iter().min_by_key(|branch| grammar.height(branch))
                };
                self.write(branch?, depth, calls)
            }
            Node::Repeat { node, least, most } => {
                let least = *least as usize;
                let most = most.map_or(usize::MAX, |most| most as usize);
                let more = if is_free { OPEN_REPEATS } else { 0 };
                let more = more.min(most.saturating_sub(least));
                for _ in 0..least + self.random.below(more + 1) {
                    self.write(node, depth, calls)?;
                }
                Some(())
            }
        }
    }

    fn token(&mut self, terminal: &Terminal) -> Option<String> {
        let pattern = match terminal {
            Terminal::Fixed(text) => return Some(text.clone()),
            Terminal::Matching(pattern) => pattern,
        };
        for (said, used) in self.said.iter().zip(&mut self.used) {
            if !*used && !self.grammar.is_own_word(said) && pattern.matches(said) {
                *used = true;
                return Some(said.clone());
            }
        }
        let length = Length {
            least: 0,
            most: usize::MAX,
        };
        let mut last = None;
        for _ in 0..TRIES {
            let made = pattern.text(length, self.random)?;
            if !self.grammar.is_own_word(&made) {
                return Some(made);
            }
            last = Some(made);
        }
        last
    }

    /// Appends a token, apart from the one before it where that changes nothing.
    fn append(&mut self, token: &str) {
        let before = self.out.chars().next_back();
        let touches = token.starts_with([')', ']', ',', ';']) || matches!(before, Some('(' | '['));
        if self.grammar.ignores_spaces && before.is_some() && !touches {
            self.out.push(' ');
        }
        self.out.push_str(token);
    }
}

impl Grammar {
    /// Whether the text is a word that the grammar writes out: whoever reads it takes it for that.
    fn is_own_word(&self, text: &str) -> bool {
        self.terminals.iter().any(|terminal| match terminal {
            Terminal::Fixed(word) => word.eq_ignore_ascii_case(text),
            Terminal::Matching(_) => false,
        })
    }
}
