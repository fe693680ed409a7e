//! Makes texts that match a pattern.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Class, Item, Kind, Node, Pattern};
use crate::random::Random;

/// How often an open count repeats at most beyond its least.
const OPEN_REPEATS: usize = 4;
/// How long the text may get, in bytes.
const BYTES_MAX: usize = 10_000;
/// How many texts are made until one keeps what making it could not foresee.
const TRIES: u32 = 40;

/// Where a character is looked for that a class has: what is most usual first, control characters
/// and what nobody can read last.
const ORDER: [(char, char); 15] = [
    ('a', 'z'),
    ('A', 'Z'),
    ('0', '9'),
    ('-', '/'),
    (' ', '~'),
    ('à', 'ö'),
    ('¡', 'ÿ'),
    ('α', 'ω'),
    ('а', 'я'),
    ('一', '龥'),
    ('ア', 'ヺ'),
    ('😀', '😿'),
    ('\0', '\u{1f}'),
    ('\u{7f}', '\u{d7ff}'),
    ('\u{e000}', '\u{1ffff}'),
];

/// How long the text is to be, in characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl Pattern {
    /// A text that has a match, of that length; none where none is found.
    pub(crate) fn text(&self, length: Length, random: &mut Random) -> Option<String> {
        for attempt in 0..TRIES {
            let mut writer = Writer {
                random,
                out: String::new(),
                groups: alloc::vec![String::new(); self.groups],
                mixed: self.looks,
                // What looks around is written out in every other try: `(?<=\$)\d+` wants it.
                shows_looks: self.looks && attempt % 2 == 1,
                more: 0,
            };
            // As much as is missing is added where a count is open.
            writer.more = if attempt == 0 { 0 } else { length.least };
            if length.most < usize::MAX && attempt > 2 {
                writer.more = writer.more.min(length.most / 2);
            }
            if !writer.write(&self.node) {
                return None;
            }
            let out = writer.out;
            let count = out.chars().count();
            if (length.least..=length.most).contains(&count)
                && ((!self.looks && self.groups == 0) || self.matches(&out))
            {
                return Some(out);
            }
        }
        None
    }
}

struct Writer<'a> {
    random: &'a mut Random,
    out: String,
    groups: Vec<String>,
    /// Whether any character means one of all sorts: what looks ahead often wants a digit, an
    /// upper-case letter and a mark.
    mixed: bool,
    shows_looks: bool,
    /// How many characters an open count adds.
    more: usize,
}

impl Writer<'_> {
    /// Whether the text did not get too long.
    fn write(&mut self, node: &Node) -> bool {
        match node {
            Node::Empty | Node::Start | Node::End | Node::Edge { .. } => {}
            Node::Character(character) => self.out.push(*character),
            Node::Any => {
                let any = self.any();
                self.out.push(any);
            }
            Node::Class(class) => {
                // A class that has nothing is never met.
                let Some(one) = self.one_of_class(class) else {
                    return false;
                };
                self.out.push(one);
            }
            Node::Group(number, inner) => {
                let start = self.out.len();
                if !self.write(inner) {
                    return false;
                }
                let taken = self.out.get(start..).unwrap_or_default().into();
                if let Some(group) = self.groups.get_mut(*number) {
                    *group = taken;
                }
            }
            Node::Back(number) => {
                if let Some(group) = self.groups.get(*number) {
                    self.out.push_str(group);
                }
            }
            Node::Sequence(nodes) => return nodes.iter().all(|node| self.write(node)),
            Node::Alternatives(branches) => {
                let branch = self.random.below(branches.len());
                return branches.get(branch).is_none_or(|branch| self.write(branch));
            }
            Node::Repeat {
                node, least, most, ..
            } => {
                let least = *least as usize;
                let open = OPEN_REPEATS.max(self.more.min(BYTES_MAX));
                let most = most.map_or(least + open, |most| most as usize);
                let most = most.min(least + open.max(OPEN_REPEATS * 4));
                let floor = least.max(self.more.min(most));
                let count = floor + self.random.below(most.saturating_sub(floor) + 1);
                for _ in 0..count {
                    if !self.write(node) || self.out.len() > BYTES_MAX {
                        return false;
                    }
                }
            }
            Node::Look { node, wanted, .. } => {
                if *wanted && self.shows_looks {
                    return self.write(node);
                }
            }
        }
        self.out.len() <= BYTES_MAX
    }

    fn any(&mut self) -> char {
        if !self.mixed {
            return letter(self.random);
        }
        match self.random.below(4) {
            0 => letter(self.random).to_ascii_uppercase(),
            1 => digit(self.random),
            2 => *self
                .random
                .one_of(&['!', '-', '#', '$', '@', '%'])
                .unwrap_or(&'-'),
            _ => letter(self.random),
        }
    }

    /// One of the characters that the class has: of what is listed in it, one that can be printed
    /// where there is any.
    fn one_of_class(&mut self, class: &Class) -> Option<char> {
        let has = |character: &char| class.has(*character, false);
        if !class.negated {
            let item = self.random.below(class.items.len());
            let listed = match *class.items.get(item)? {
                Item::Range(low, high) => self.one_between(low, high),
                Item::Kind(kind) => self.one_of_kind(kind),
                Item::Other(_) => None,
            };
            if let Some(listed) = listed.filter(has) {
                return Some(listed);
            }
        }
        // A letter where one is left, and else whatever can be printed.
        for (low, high) in ORDER {
            let span = u32::from(high) - u32::from(low) + 1;
            let offset = self.random.below(span as usize) as u32;
            let all = (0..span)
                .filter_map(|step| char::from_u32(u32::from(low) + (step + offset) % span));
            if let Some(one) = all.into_iter().find(has) {
                return Some(one);
            }
        }
        None
    }

    /// One of a range, from its part that can be printed where it has one.
    fn one_between(&mut self, low: char, high: char) -> Option<char> {
        let (low, high) = match (low.max(' '), high.min('~')) {
            (low, high) if low <= high => (low, high),
            _ => (low, high),
        };
        let span = u32::from(high) - u32::from(low);
        let step = self.random.below(span as usize + 1) as u32;
        // The gap of the surrogates lies within some ranges.
        Some(char::from_u32(u32::from(low) + step).unwrap_or(low))
    }

    fn one_of_kind(&mut self, kind: Kind) -> Option<char> {
        Some(match kind {
            Kind::Digit | Kind::Number => digit(self.random),
            Kind::Upper => letter(self.random).to_ascii_uppercase(),
            Kind::Space => ' ',
            Kind::NoWord | Kind::Mark => '-',
            Kind::Symbol | Kind::Currency => '$',
            Kind::Control => '\t',
            Kind::NoSpace if self.mixed => self.any(),
            Kind::Script(ranges) => {
                let (low, high) = *self.random.one_of(ranges)?;
                return self.one_between(low, high);
            }
            Kind::NoDigit | Kind::Word | Kind::NoSpace | Kind::Letter | Kind::Lower => {
                letter(self.random)
            }
        })
    }
}

fn digit(random: &mut Random) -> char {
    char::from(b'0' + random.below(10) as u8)
}

fn letter(random: &mut Random) -> char {
    char::from(b'a' + random.below(26) as u8)
}
