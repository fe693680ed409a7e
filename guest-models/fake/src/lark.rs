//! Grammars of custom tools, in the syntax of Lark: read into rules, from which a text is made.
//!
//! The syntax is that of <https://lark-parser.readthedocs.io/en/stable/grammar.html>, without
//! templates and without imports from files. Whoever parses the text must come to its end, so what
//! is made keeps clear of what a lexer could read in two ways: a name is never one of the grammar's
//! own words, and tokens stand apart where the grammar ignores spaces.

mod common;
mod read;
#[cfg(test)]
mod tests;
mod tokens;
mod write;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::pattern::Pattern;

/// A grammar that has been read: every name in it is of a rule or terminal that is there.
#[derive(Debug)]
pub(crate) struct Grammar {
    /// The first is the rule that a text follows, whatever stands first in the grammar.
    rules: Vec<Rule>,
    terminals: Vec<Terminal>,
    /// Whether a space between two tokens is ignored.
    ignores_spaces: bool,
}

#[derive(Debug)]
struct Rule {
    node: Node,
    /// How many rules are within each other at least until the rule comes to an end.
    height: u32,
}

#[derive(Debug)]
enum Terminal {
    /// Always the same text.
    Fixed(String),
    /// Whatever matches, as a whole.
    Matching(Box<Pattern>),
}

#[derive(Debug)]
enum Node {
    /// A rule, by its place.
    Rule(usize),
    /// A terminal, by its place.
    Terminal(usize),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        /// None where there is no most.
        most: Option<u32>,
    },
}

/// What is wrong with a grammar.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1.
    line: usize,
    what: String,
}

impl core::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.what)
    }
}

/// The height of what never comes to an end.
const ENDLESS: u32 = u32::MAX;
/// How many rules may have to be within each other: the writer calls itself, and the stack of this
/// guest is small.
const HEIGHT_MAX: u32 = 16;

impl Grammar {
    /// Says how high each rule is, and refuses a grammar with one that has no end.
    ///
    /// `names` are those of the rules, with the lines that they are on.
    fn measure(&mut self, names: &[(&str, usize)]) -> Result<(), Fault> {
        // Each round settles one rule at least, or none is left that can be.
        for _ in 0..self.rules.len() {
            let mut changed = false;
            for place in 0..self.rules.len() {
                let height = self
                    .rules
                    .get(place)
                    .map_or(ENDLESS, |rule| self.height(&rule.node));
                let height = height.saturating_add(1);
                if let Some(rule) = self
                    .rules
                    .get_mut(place)
                    .filter(|rule| height < rule.height)
                {
                    rule.height = height;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        for (rule, (name, line)) in self.rules.iter().zip(names) {
            let what = match rule.height {
                ENDLESS => format!("`{name}` never comes to an end"),
                HEIGHT_MAX.. => {
                    format!("`{name}` needs more than {HEIGHT_MAX} rules in each other")
                }
                _ => continue,
            };
            return Err(Fault { line: *line, what });
        }
        Ok(())
    }

    /// How many rules are within each other in the shortest way through a node.
    fn height(&self, node: &Node) -> u32 {
        match node {
            Node::Rule(place) => self.rules.get(*place).map_or(ENDLESS, |rule| rule.height),
            Node::Terminal(_) => 0,
            Node::Sequence(nodes) => nodes.iter().map(|n| self.height(n)).max().unwrap_or(0),
            Node::Alternatives(nodes) => nodes.iter().map(|n| self.height(n)).min().unwrap_or(0),
            Node::Repeat { least: 0, .. } => 0,
            Node::Repeat { node, .. } => self.height(node),
        }
    }
}
