//! Reads a pattern.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Class, Item, Kind, Node, Pattern};

/// How deep groups may be nested: the reader calls itself, and the stack of this guest is small.
const DEPTH_MAX: u32 = 16;
/// The longest pattern that is read, in bytes.
const BYTES_MAX: usize = 4096;
/// The largest count that is taken: what asks for more is beyond any text made here.
const COUNT_MAX: u32 = 10_000;

pub(super) fn parse(pattern: &str) -> Option<Pattern> {
    if pattern.len() > BYTES_MAX {
        return None;
    }
    let mut reader = Reader {
        rest: pattern,
        folds: false,
        looks: false,
        groups: 0,
        names: Vec::new(),
    };
    let node = reader.alternatives(0)?;
    reader.rest.is_empty().then_some(Pattern {
        node,
        folds: reader.folds,
        looks: reader.looks,
        groups: reader.groups,
    })
}

struct Reader<'a> {
    rest: &'a str,
    folds: bool,
    looks: bool,
    groups: usize,
    names: Vec<(&'a str, usize)>,
}

/// What stands behind a backslash.
enum Escape {
    Item(Item),
    Node(Node),
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.skip(next.len_utf8());
        Some(next)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest.starts_with(text);
        if found {
            self.skip(text.len());
        }
        found
    }

    /// `a|b|c`, up to the end or a closing parenthesis.
    fn alternatives(&mut self, depth: u32) -> Option<Node> {
        if depth > DEPTH_MAX {
            return None;
        }
        let first = self.sequence(depth)?;
        if self.peek() != Some('|') {
            return Some(first);
        }
        let mut branches = Vec::from([first]);
        while self.take("|") {
            branches.push(self.sequence(depth)?);
        }
        Some(Node::Alternatives(branches))
    }

    fn sequence(&mut self, depth: u32) -> Option<Node> {
        let mut nodes = Vec::new();
        while let Some(next) = self.peek() {
            if next == '|' || next == ')' {
                break;
            }
            let node = self.atom(depth)?;
            let node = self.counted(node)?;
            if !matches!(node, Node::Empty) {
                nodes.push(node);
            }
        }
        Some(if nodes.len() == 1 {
            nodes.pop()?
        } else {
            Node::Sequence(nodes)
        })
    }

    /// The node with the count that stands behind it.
    fn counted(&mut self, node: Node) -> Option<Node> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                let Some((counts, end)) = self.counts() else {
                    // A brace that counts nothing is one by itself.
                    return Some(node);
                };
                self.skip(end);
                counts?
            }
            _ => return Some(node),
        };
        self.skip(1);
        if most.is_some_and(|most| most < least) || most.unwrap_or(least) > COUNT_MAX {
            return None;
        }
        // A possessive count takes the same texts as far as this goes.
        let lazy = self.take("?");
        if !lazy {
            self.take("+");
        }
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return None;
        }
        Some(Node::Repeat {
            node: Box::new(node),
            least,
            most,
            lazy,
        })
    }

    /// What the braces ahead count, none where that is too much, and where they end; none where
    /// they are no count.
    #[allow(clippy::type_complexity, reason = "it is taken apart at once")]
    fn counts(&self) -> Option<(Option<(u32, Option<u32>)>, usize)> {
        let end = self.rest.find('}')?;
        let inner = self.rest.get(1..end)?;
        let (least, most) = match inner.split_once(',') {
            None => (inner, Some(inner)),
            Some((least, "")) => (least, None),
            Some((least, most)) => (least, Some(most)),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(least) || !most.is_none_or(is_number) {
            return None;
        }
        let most = most.map(str::parse);
        let counts = match (least.parse(), most) {
            (Ok(least), None) => Some((least, None)),
            (Ok(least), Some(Ok(most))) => Some((least, Some(most))),
            _ => None,
        };
        Some((counts, end))
    }

    /// One character, class, group or place.
    fn atom(&mut self, depth: u32) -> Option<Node> {
        Some(match self.next()? {
            '(' => self.group(depth)?,
            '[' => Node::Class(self.class()?),
            '\\' => match self.escape(false)? {
                Escape::Item(Item::Range(character, _)) => Node::Character(character),
                Escape::Item(kind @ (Item::Kind(_) | Item::Other(_))) => Node::Class(Class {
                    negated: false,
                    items: Vec::from([kind]),
                }),
                Escape::Node(node) => node,
            },
            '^' => Node::Start,
            '$' => Node::End,
            '.' => Node::Any,
            '*' | '+' | '?' => return None,
            character => Node::Character(character),
        })
    }

    /// What follows an opening parenthesis, up to the closing one.
    fn group(&mut self, depth: u32) -> Option<Node> {
        let look = |ahead, wanted| Some((ahead, wanted));
        let mut look_around = None;
        let mut counts = true;
        if self.rest.starts_with('?') {
            counts = false;
            if self.take("?=") {
                look_around = look(true, true);
            } else if self.take("?!") {
                look_around = look(true, false);
            } else if self.take("?<=") {
                look_around = look(false, true);
            } else if self.take("?<!") {
                look_around = look(false, false);
            } else if self.take("?<") || self.take("?P<") {
                let end = self.rest.find('>')?;
                self.names.push((self.rest.get(..end)?, self.groups));
                self.skip(end + 1);
                counts = true;
            } else if self.take("?>") {
                // What does not give back takes the same texts, as far as this goes.
            } else {
                self.skip(1);
                let length = self.rest.find([':', ')'])?;
                let flags = self.rest.get(..length)?;
                let mut on = true;
                for flag in flags.chars() {
                    match flag {
                        '-' => on = false,
                        'i' => self.folds |= on,
                        'm' | 's' | 'x' | 'u' => {}
                        _ => return None,
                    }
                }
                self.skip(length);
                if self.take(")") {
                    return Some(Node::Empty);
                }
                self.skip(1);
            }
        }
        let number = self.groups;
        if counts {
            self.groups += 1;
        }
        let node = Box::new(self.alternatives(depth + 1)?);
        self.take(")").then_some(())?;
        Some(match look_around {
            Some((ahead, wanted)) => {
                self.looks = true;
                Node::Look {
                    node,
                    ahead,
                    wanted,
                }
            }
            None if counts => Node::Group(number, node),
            None => *node,
        })
    }

    /// What follows a backslash. In a class, `\b` is no edge.
    fn escape(&mut self, in_class: bool) -> Option<Escape> {
        let kind = |kind| Some(Escape::Item(Item::Kind(kind)));
        let character = |character| Some(Escape::Item(Item::Range(character, character)));
        match self.next()? {
            'd' => kind(Kind::Digit),
            'D' => kind(Kind::NoDigit),
            'w' => kind(Kind::Word),
            'W' => kind(Kind::NoWord),
            's' => kind(Kind::Space),
            'S' => kind(Kind::NoSpace),
            'n' => character('\n'),
            't' => character('\t'),
            'r' => character('\r'),
            'f' => character('\u{c}'),
            'v' => character('\u{b}'),
            '0' => character('\0'),
            'x' => character(self.code(2)?),
            'u' => character(self.code(4)?),
            'p' => Some(Escape::Item(self.property(false)?)),
            'P' => Some(Escape::Item(self.property(true)?)),
            'c' => {
                let letter = self.next().filter(char::is_ascii_alphabetic)?;
                character(char::from(letter as u8 & 0x1f))
            }
            // In a class it is what it is on a keyboard.
            'b' if in_class => character('\u{8}'),
            _ if in_class && self.rest.is_empty() => None,
            'B' | 'A' | 'z' | 'Z' | 'k' if in_class => None,
            'b' => {
                self.looks = true;
                Some(Escape::Node(Node::Edge { wanted: true }))
            }
            'B' => {
                self.looks = true;
                Some(Escape::Node(Node::Edge { wanted: false }))
            }
            'A' => Some(Escape::Node(Node::Start)),
            'z' | 'Z' => Some(Escape::Node(Node::End)),
            'k' => {
                let name = self.rest.strip_prefix('<')?;
                let name = name.get(..name.find('>')?)?;
                let found = self.names.iter().find(|(known, _)| *known == name);
                let group = found.map(|(_, group)| *group)?;
                self.skip(name.len() + 2);
                Some(Escape::Node(Node::Back(group)))
            }
            digit @ '1'..='9' if !in_class => {
                let group = digit.to_digit(10)? as usize - 1;
                (group < self.groups).then_some(())?;
                Some(Escape::Node(Node::Back(group)))
            }
            other if other.is_ascii_alphanumeric() => None,
            other => character(other),
        }
    }

    /// What `\p` is followed by: a letter, or a name in braces, which a `^` negates.
    fn property(&mut self, negated: bool) -> Option<Item> {
        let (name, negated) = if self.take("{") {
            let end = self.rest.find('}')?;
            let name = self.rest.get(..end)?;
            self.skip(end + 1);
            let plain = name.strip_prefix('^');
            (plain.unwrap_or(name), negated != plain.is_some())
        } else {
            let name = self.rest.get(..1)?;
            self.skip(1);
            (name, negated)
        };
        // As in `\p{Script=Latin}` and `\p{General_Category=Lu}`.
        let name = name.split_once('=').map_or(name, |(_, name)| name);
        let kind = Kind::named(name)?;
        Some(if negated {
            Item::Other(kind)
        } else {
            Item::Kind(kind)
        })
    }

    /// The character of `x41`, `u0041`, or either with braces.
    fn code(&mut self, digits: usize) -> Option<char> {
        let (text, length) = match self.rest.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}')?;
                (inner.get(..end)?, end + 2)
            }
            None => (self.rest.get(..digits)?, digits),
        };
        let code = u32::from_str_radix(text, 16).ok()?;
        self.skip(length);
        char::from_u32(code)
    }

    /// What follows an opening bracket, up to the closing one.
    fn class(&mut self) -> Option<Class> {
        let negated = self.take("^");
        let mut items = Vec::new();
        loop {
            if self.rest.starts_with(']') && !items.is_empty() {
                self.skip(1);
                return Some(Class { negated, items });
            }
            if let Some(name) = self
                .rest
                .strip_prefix("[:")
                .and_then(|rest| rest.get(..rest.find(":]")?))
            {
                items.push(Item::Kind(Kind::named(name)?));
                let length = name.len() + 4;
                self.skip(length);
                continue;
            }
            let low = match self.class_item()? {
                Item::Range(low, _) => low,
                kind @ (Item::Kind(_) | Item::Other(_)) => {
                    items.push(kind);
                    continue;
                }
            };
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.skip(1);
                match self.class_item()? {
                    Item::Range(high, _) if low <= high => items.push(Item::Range(low, high)),
                    Item::Range(..) => return None,
                    // A kind is no end of a range: the hyphen before it is one by itself.
                    kind @ (Item::Kind(_) | Item::Other(_)) => {
                        items.push(Item::Range(low, low));
                        items.push(Item::Range('-', '-'));
                        items.push(kind);
                    }
                }
                continue;
            }
            items.push(Item::Range(low, low));
        }
    }

    /// A character or a kind inside of a class.
    fn class_item(&mut self) -> Option<Item> {
        match self.next()? {
            '\\' => match self.escape(true)? {
                Escape::Item(item) => Some(item),
                Escape::Node(_) => None,
            },
            character => Some(Item::Range(character, character)),
        }
    }
}
